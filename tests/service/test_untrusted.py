"""Whatever comes from outside ends in a value or in our own error, never in anything else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.core.errors import ConfigError, Misuse
from framecast.service import config
from framecast.service.access.keyring import Keyring
from framecast.service.access.rights import Credential, credential
from framecast.service.access.sites import host_allowed, origin_allowed
from framecast.service.accounts import tokenapi
from framecast.service.cameras.reach import url_refusal
from framecast.service.config.models import CameraConfig
from framecast.service.config.sections import NetworkSettings
from framecast.service.config.sources import read_dotenv
from framecast.service.config.urls import mask_url
from framecast.service.store.state import State

# JSON may hold lone surrogates, which UTF-8 can't.
TEXTS = st.text(max_size=30) | st.text(st.characters(categories=["Cs", "L"]), max_size=5)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
URLS = st.tuples(
    st.sampled_from(
        ["http://", "https://", "rtsp://", "HTTP://", "http:", "file:", "v4l2:/dev/", "mock:?", "push:", ""]
    ),
    st.text(max_size=30) | st.text("abc.:/@[]%?#&=0123456789- ", max_size=40),
).map("".join)


@given(st.dictionaries(st.sampled_from([*CameraConfig.model_fields, "other"]), JSON | URLS, max_size=5))
def test_camera_fields(fields: dict[str, Any]) -> None:
    try:
        camera = config.check_camera(fields)
    except ConfigError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
    else:
        assert camera.kind in {"pull", "push", "rtsp", "file", "v4l2", "mock"}
        url_refusal(camera.url, NetworkSettings())
        config.check_camera(camera.model_dump(mode="json"))


@given(URLS)
def test_urls(url: str) -> None:
    mask_url(url)
    try:
        camera = config.check_camera({"url": url})
    except ConfigError:
        return
    assert not any(char in camera.url for char in "\r\n\0")
    assert isinstance(url_refusal(camera.url, NetworkSettings()), str)
    assert config.check_camera({"url": camera.url}) == camera


@given(
    st.dictionaries(st.sampled_from(["stream.fps", "stream.buffer", "log.level", "server.port", "x", "x.y.z"]), JSON)
)
def test_changed_settings(values: dict[str, Any]) -> None:
    try:
        config.check_settings(values)
    except ConfigError as error:
        assert "\n" not in str(error)


@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(["[server]", "[stream]", "[cameras.a]", 'url = "push:"', "port = 1", "fps = 2", "x", "[", "="]),
        max_size=6,
    ).map(lambda lines: "\n".join(lines).encode())
)
def test_files(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "any.toml"
        file.write_bytes(data)
        try:
            config.load(file=file, folder=folder, environ={})
        except ConfigError as error:
            assert "\n" not in str(error)


@given(st.text(max_size=200))
def test_dotenv(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / ".env"
        file.write_text(text, encoding="utf-8", errors="replace")
        assert all(name.isidentifier() for name in read_dotenv(file))


@given(
    st.dictionaries(st.sampled_from(["Authorization", "X-API-Key", "token"]), st.text(max_size=40)),
    st.text(),
    st.text(),
)
def test_headers(headers: dict[str, str], host: str, origin: str) -> None:
    shown = credential(headers, {}, {})
    assert shown is None or isinstance(shown.secret, str)
    host_allowed(host)
    origin_allowed(origin, host)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """One for all requests: to open one costs more than all they do."""
    with State.open(tmp_path_factory.mktemp("state")) as state:
        yield state


@given(body=JSON)
def test_token_requests(state: State, body: Any) -> None:
    try:
        tokenapi.create(state.credentials, body)
    except Misuse as error:
        assert str(error)


@given(TEXTS)
def test_secrets(secret: str) -> None:
    assert Keyring().grant_of(Credential(secret, "header"), 0) is None
    assert Keyring().grant_of(Credential(secret, "cookie"), 0) is None
