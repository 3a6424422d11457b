"""Layers, their order, and what an operator is told about a mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framecast.core.errors import ConfigError
from framecast.core.rendition import SOURCE, Rendition
from framecast.service import config
from framecast.service.config import Changes, Configuration, Origin, schema
from framecast.service.config.sources import read_dotenv

CAMERA = "http://192.168.1.20:81/stream"


def load(folder: Path, toml: str = "", dotenv: str = "", **more: Any) -> Configuration:
    """A configuration from these texts, knowing nothing of the machine that runs the test."""
    file = None
    if toml:
        file = folder / "framecast.toml"
        file.write_text(toml)
    (folder / ".env").write_text(dotenv)
    return config.load(file=file, folder=folder, **{"environ": {}, **more})


def test_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path).settings
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert settings.stream.heartbeat_interval_s == 5
    assert 5 <= settings.stream.stall_timeout_s <= 20
    assert settings.stream.policy == "on_demand"
    assert settings.stream.grace_s == 30
    assert settings.cameras == {}
    assert settings.listens_on_loopback_only


def test_each_layer_wins_over_those_before(tmp_path: Path) -> None:
    def fps(
        preset: str = "", toml: str = "", api: Any = None, dotenv: str = "", env: str = "", option: Any = None
    ) -> Any:
        loaded = load(
            tmp_path,
            toml=f"[stream]\n{preset}\n{toml}\n",
            dotenv=dotenv,
            environ={"STREAM_FPS": env},
            options={"stream.fps": option},
        )
        if api is not None:
            loaded = loaded.with_changes(Changes(settings={"stream.fps": api}))
        given = loaded.given.get("stream.fps")
        return loaded.settings.stream.fps, given.origin if given else Origin.DEFAULT

    rising: dict[str, Any] = {}
    expected = (0, Origin.DEFAULT)
    assert fps(**rising) == expected
    for layer, value, expected in [
        ("preset", 'preset = "mobile"', (10, Origin.PRESET)),
        ("toml", "fps = 11", (11, Origin.FILE)),
        ("api", 12, (12, Origin.API)),
        ("dotenv", "STREAM_FPS=13", (13, Origin.DOTENV)),
        ("env", "14", (14, Origin.ENVIRONMENT)),
        ("option", 15, (15, Origin.COMMAND_LINE)),
    ]:
        rising[layer] = value
        assert fps(**rising) == expected


@pytest.mark.parametrize(
    ("preset", "fps", "quality", "size", "buffer", "timeout_s", "heartbeat_s"),
    [
        ("proxied", 15, 70, (0, 0), 2, 30, 5),
        ("local", 30, 85, (0, 0), 2, 10, 10),
        ("high-quality", 20, 90, (1280, 720), 2, 10, 5),
        ("mobile", 10, 60, (480, 360), 2, 10, 5),
    ],
)
def test_presets(
    tmp_path: Path,
    preset: str,
    fps: float,
    quality: int,
    size: tuple[int, int],
    buffer: int,
    timeout_s: float,
    heartbeat_s: float,
) -> None:
    settings = load(tmp_path, options={"stream.preset": preset}).settings
    assert settings.stream.fps == fps
    assert settings.capture.quality == quality
    assert (settings.capture.width, settings.capture.height) == size
    assert settings.stream.buffer == buffer
    assert settings.stream.stall_timeout_s == timeout_s
    assert settings.stream.heartbeat_interval_s == heartbeat_s
    assert settings.stream.reencode


def test_pinned_environment_names(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        environ={
            "STREAM_FPS": "12.5",
            "STREAM_BUFFER_SIZE": "4",
            "STREAM_TIMEOUT": "20",
            "HEARTBEAT_INTERVAL": "0.5",
            "CAMERA_FPS": "24",
            "CAMERA_WIDTH": "640",
            "CAMERA_HEIGHT": "480",
            "JPEG_QUALITY": "75",
            "ENABLE_FRAME_CACHE": "true",
        },
    ).settings
    assert settings.stream.fps == 12.5
    assert settings.stream.buffer == 4
    assert settings.stream.stall_timeout_s == 20
    assert settings.stream.heartbeat_interval_s == 0.5
    assert settings.capture.model_dump() == {"fps": 24, "width": 640, "height": 480, "quality": 75}


def test_capture_settings_leave_a_cameras_own_pictures_alone(tmp_path: Path) -> None:
    loaded = load(tmp_path, environ={"JPEG_QUALITY": "50", "CAMERA_WIDTH": "320"}, cameras=["door=push:"])
    assert loaded.settings.stream_options(loaded.settings.cameras["door"]).rendition == SOURCE


def test_preset_asks_for_another_rendition_and_the_environment_tunes_it(tmp_path: Path) -> None:
    loaded = load(tmp_path, environ={"FRAMECAST_PRESET": "mobile", "JPEG_QUALITY": "50"}, cameras=["door=push:"])
    options = loaded.settings.stream_options(loaded.settings.cameras["door"])
    assert options.rendition == Rendition(width_px=480, quality=50)
    assert options.fps == 10


def test_frame_cache_off_is_a_warning(tmp_path: Path) -> None:
    (warning,) = load(tmp_path, environ={"ENABLE_FRAME_CACHE": "False"}).warnings
    assert "ENABLE_FRAME_CACHE=false has no effect" in warning


def test_every_setting_can_be_given_by_the_environment(tmp_path: Path) -> None:
    for name, setting in schema.environment_names().items():
        text = setting.default.strip('"[]') or {"stream.preset": "local"}.get(setting.key, "")
        if text:
            assert load(tmp_path, environ={name: text}).given[setting.key].origin is Origin.ENVIRONMENT


def test_lists_in_the_environment_are_cut_at_commas(tmp_path: Path) -> None:
    server = load(tmp_path, environ={"FRAMECAST_SERVER_LISTEN": "127.0.0.1:5000, [::1]:5000"}).settings.server
    assert [str(address) for address in server.addresses] == ["127.0.0.1:8080", "127.0.0.1:5000", "[::1]:5000"]


def test_cameras_from_everywhere(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        toml=f'[cameras.door]\nurl = "{CAMERA}"\nname = "Front door"\n[cameras.old]\nurl = "push:"\nrotate = 90\n',
        environ={"FRAMECAST_CAMERAS": "yard=push: shed=mock:?fps=5"},
        cameras=["bird=rtsp://10.0.0.9/1"],
    ).with_changes(
        Changes(
            cameras={"door": {"rotate": 180}, "cat": {"url": "push:"}, "old": {"url": "mock:"}},
            removed=frozenset({"old"}),
            trusted=frozenset({"old"}),
        )
    )
    cameras = loaded.settings.cameras
    assert set(cameras) == {"door", "old", "yard", "shed", "bird", "cat"}
    assert (cameras["door"].url, cameras["door"].name, cameras["door"].rotate) == (CAMERA, "Front door", 180)
    assert cameras["old"].rotate == 0, "a removed camera's settings don't come back with its id"
    assert [loaded.camera_origin(name) for name in ("door", "cat", "bird", "yard", "old")] == [
        "config",
        "api",
        "command line",
        "config",
        "operator",
    ]
    assert [camera.kind for camera in cameras.values()].count("mock") == 2


def test_removed_camera_stays_away(tmp_path: Path) -> None:
    loaded = load(tmp_path, toml='[cameras.door]\nurl = "push:"\n')
    assert loaded.with_changes(Changes(removed=frozenset({"door"}))).settings.cameras == {}
    assert set(loaded.with_changes(Changes()).settings.cameras) == {"door"}


def test_kept_changes_that_no_longer_fit_are_left_out_with_a_warning(tmp_path: Path) -> None:
    loaded = load(tmp_path, toml='[cameras.door]\nurl = "push:"\n').with_changes(
        Changes(
            settings={"stream.fps": 1000, "stream.buffer": 3},
            cameras={
                "gone": {"name": "Of a camera that is no longer in the file"},
                "door": {"rotate": 45, "name": "Door"},
            },
        )
    )
    assert loaded.settings.stream.fps == 0
    assert loaded.settings.stream.buffer == 3
    assert set(loaded.settings.cameras) == {"door"}
    assert (loaded.settings.cameras["door"].rotate, loaded.settings.cameras["door"].name) == (0, "Door")
    assert len(loaded.warnings) == 3


@pytest.mark.parametrize(
    ("toml", "line", "key", "value", "accepted"),
    [
        ("[server]\nport = 70000\n", 2, "server.port", 70000, "a whole number from 0 to 65535"),
        ('[server]\n\nhost = "a b"\n', 3, "server.host", "a b", "an IP address or a host name, without a port"),
        ('[server]\nlisten = ["5000"]\n', 2, "server.listen", "5000", "HOST:PORT"),
        ("[server]\nprot = 1\n", 2, "server.prot", 1, "there is no such setting; did you mean server.port?"),
        ("port = 1\n", 1, "port", 1, "there is no such setting; did you mean server.port?"),
        ("[sever]\nport = 1\n", 2, "sever.port", 1, "did you mean server.port?"),
        ('[stream]\npreset = "fast"\n', 2, "stream.preset", "fast", '"proxied", "local", "high-quality", "mobile"'),
        ("[stream]\nstall_timeout_s = 3\n", 2, "stream.stall_timeout_s", 3, "a number from 5 to 60"),
        ("[stream]\nfps = nan\n", 2, "stream.fps", None, "a number from 0 to 240"),
        ("stream = 3\n", 1, "stream", 3, "there is no such setting"),
        ('[cameras]\ndoor = "push:"\n', 2, "cameras.door", "push:", "a camera is a table: [cameras.door]"),
        ('[cameras.Door]\nurl = "push:"\n', 2, "cameras.Door", "Door", "1 to 63 of a-z, 0-9, - and _"),
        ('[cameras.door]\nname = "x"\n', 2, "cameras.door.url", None, "it is missing; give a camera URL"),
        ('[cameras.door]\nurl = "ftp://x"\n', 2, "cameras.door.url", "ftp://x", "a camera URL: http://"),
        ('[cameras.door]\nurll = "push:"\n', 2, "cameras.door.urll", "push:", "did you mean url?"),
        ('[cameras.door]\nurl = "push:"\nmasks = [[0, 0, 2, 1]]\n', 3, "cameras.door.masks", None, "as fractions"),
        ('[cameras.door]\nurl = "push:"\nmasks = [[0.5, 0, 0.6, 1]]\n', 3, "cameras.door.masks", None, "at most 1"),
        ('[cameras.door]\nurl = "push:"\npublish_from = ["x"]\n', 3, "cameras.door.publish_from", "x", "a network"),
        ("[server]\nhost = 0.0.0.0\n", 2, "this", "host = 0.0.0.0", "; texts need quotes"),
        ("[server]\nhost = localhost\n", 2, "this", "host = localhost", "; texts need quotes"),
        ('[camera.door]\nurl = "http://u:pw@h/"\n', 1, "camera.door", "{…}", "did you mean cameras.door?"),
        ('[camera]\nurl = "push:"\n', 2, "camera.url", "push:", "a camera is a table: [cameras.door]"),
        ("[server]\nport == 1\n", 2, "this", "port == 1", "it is not TOML: Invalid value"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, toml: str, line: int, key: str, value: Any, accepted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, toml=toml)
    error = caught.value
    assert error.where == f"{tmp_path / 'framecast.toml'}, line {line}"
    assert error.key == key
    assert accepted in error.accepted
    if value is not None:
        assert error.value == value
    assert "\n" not in str(error)


def test_mistakes_elsewhere_name_the_variable_or_option(tmp_path: Path) -> None:
    for arguments, where in [
        ({"environ": {"STREAM_FPS": "fast"}}, "STREAM_FPS (environment)"),
        ({"environ": {"FRAMECAST_CAMERAS": "push:"}}, "FRAMECAST_CAMERAS (environment)"),
        ({"dotenv": "JPEG_QUALITY=0"}, f"JPEG_QUALITY in {tmp_path / '.env'}"),
        ({"dotenv": 'OTHER="a\nFRAMECAST_PORT="80'}, f"{tmp_path / '.env'}, line 2"),
        ({"options": {"server.port": -1}}, "--port"),
        ({"options": {"log.level": "loud"}}, "--log-level"),
        ({"cameras": ["Door=push:"]}, "--camera"),
        ({"cameras": ["door=gopher:"]}, "--camera door"),
    ]:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, **arguments)
        assert caught.value.where == where


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for file in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(ConfigError, match="it can't be read"):
            config.load(file=file, folder=tmp_path, environ={})
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="TOML is UTF-8"):
        config.load(file=binary, folder=tmp_path, environ={})


def test_a_place_that_can_not_be_looked_into_holds_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As the home of root is for whom root made way; a name too long is the same to everybody, root too.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ("x" * 300)))
    assert load(environ={}, folder=tmp_path).file is None


def test_config_file_is_found(tmp_path: Path) -> None:
    named = tmp_path / "named.toml"
    named.write_text("[server]\nport = 1\n")
    assert load(tmp_path, environ={"FRAMECAST_CONFIG": str(named)}).settings.server.port == 1
    assert load(tmp_path, dotenv=f"FRAMECAST_CONFIG={named}").settings.server.port == 1
    (tmp_path / "framecast.toml").write_text("[server]\nport = 2\n")
    assert load(tmp_path).settings.server.port == 2


def test_unknown_variables_of_ours_are_warnings(tmp_path: Path) -> None:
    loaded = load(tmp_path, environ={"FRAMECAST_PROT": "1", "FRAMECAST_PORT": "tcp://10.0.0.1:80", "CAMERA": "x"})
    assert loaded.settings.server.port == 8080
    assert loaded.warnings == ("FRAMECAST_PROT (environment) is no setting; did you mean FRAMECAST_PORT?",)


def test_dotenv_dialect(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        '# comment\nA=1\nexport B = two words  # note\nC="a \\"q\\"\\nb # no"   # yes\n'
        "D='x # y'\nE=\nF=http://h/#fragment\nG= # only a comment\nnot a line\nH=a'b\n"
    )
    assert read_dotenv(file) == {
        "A": "1",
        "B": "two words",
        "C": 'a "q"\nb # no',
        "D": "x # y",
        "E": "",
        "F": "http://h/#fragment",
        "G": "",
        "H": "a'b",
    }
    assert read_dotenv(tmp_path / "none") == {}


def test_settings_changed_at_run_time_are_checked() -> None:
    assert config.check_settings({"stream.fps": 5}) == {"stream.fps": 5}
    for values, key in [
        ({"stream.fsp": 1}, "stream.fsp"),
        ({"server.port": 1}, "server.port"),
        ({"stream.fps": "x"}, "stream.fps"),
    ]:
        with pytest.raises(ConfigError) as caught:
            config.check_settings(values)
        assert caught.value.key == key


def test_loopback_only(tmp_path: Path) -> None:
    for host, listen, loopback in [
        ("localhost", [], True),
        ("::1", ["127.0.0.2:1"], True),
        ("0.0.0.0", [], False),
        ("127.0.0.1", ["192.168.1.2:80"], False),
        ("::", [], False),
        ("camera.example", [], False),
    ]:
        loaded = load(tmp_path, options={"server.host": host, "server.listen": listen})
        assert loaded.settings.listens_on_loopback_only is loopback


def test_a_camera_may_differ_from_the_rest(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        toml="[stream]\nfps = 5\ngrace_s = 9\n"
        '[cameras.a]\nurl = "push:"\npolicy = "always"\ngrace_s = 0\nstall_timeout_s = 20\npreset = "high-quality"\n'
        '[cameras.b]\nurl = "push:"\n',
    ).settings
    a, b = (settings.stream_options(settings.cameras[name]) for name in "ab")
    assert (a.policy, a.grace_s, a.stall_timeout_s, a.fps) == ("always", 0, 20, 20)
    assert a.rendition == Rendition(width_px=1280, quality=90)
    assert (b.policy, b.grace_s, b.stall_timeout_s, b.fps, b.rendition) == ("on_demand", 9, 10, 5, SOURCE)


def test_masks_of_a_camera_that_left_the_file_keep_nobody_from_starting() -> None:
    changes = Changes(cameras={"gone": {"masks": [[0.0, 0.0, 0.5, 0.5]], "rotate": 90}}, views={"gone": (0, "none")})
    configuration = config.defaults().with_changes(changes)
    assert configuration.settings.cameras == {}
    assert len(configuration.warnings) == 1


def test_masks_that_are_no_longer_accepted_hide_everything() -> None:
    """Forgetting them, as other stale changes are, would show what somebody wanted hidden."""
    changes = Changes(cameras={"yard": {"url": "push:", "masks": [[0.5, 0.5, 3.0, 3.0]]}})
    configuration = config.defaults().with_changes(changes)
    assert configuration.settings.cameras["yard"].masks == [(0.0, 0.0, 1.0, 1.0)]
    assert configuration.warnings
