"""docs/protocol.md and docs/operations.md name every route, error, message, metric and log line there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from framecast.core.rendition import QUALITIES, SIZES_BYTES, WIDTHS_PX
from framecast.output.mjpeg import EARLY_HEADERS
from framecast.service.access.rights import Right
from framecast.service.api import query
from framecast.service.api.metrics import exposition
from framecast.service.api.publish import REPLACED_CODE, SILENT_CODE
from framecast.service.api.table import make_table
from framecast.service.front import authority
from tests.service.serving import jpeg, serving

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
SOURCES = "\n".join(path.read_text() for path in (ROOT / "src" / "framecast").rglob("*.py"))


async def test_every_route_is_documented_with_its_right(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        real = {
            (f"{route.method} {route.path.replace(':path}', '}')}", route.right.value)
            for route in make_table(server.service).routes
        }
    rows = re.findall(rf"^\| `([A-Z]+ /[^`]*)` \| ({'|'.join(Right)}) \|", PROTOCOL, re.MULTILINE)
    assert set(rows) == real


async def test_every_metric_is_documented_with_its_labels(tmp_path: Path) -> None:
    pushed_on = {"url": "push:", "restream": ["rtmp://127.0.0.1:9/live/x"]}
    authority.init(tmp_path / "data")
    options = {"server.tls_port": 0, "events.webhooks": ["http://127.0.0.1:9/"]}
    async with serving(tmp_path, {"cam": pushed_on}, options=options) as server:
        await server.push(jpeg(1))
        camera = server.camera()
        camera.stream.refused["x"] += 1
        camera.stream.quirks["x"] += 1
        camera.sound.microphone.refuse("x")
        server.service.supervisor.failures["x"] += 1
        text = exposition(server.service, server.service.cameras).decode()
        server.service.supervisor.failures.clear()
    real = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    rows = re.findall(r"^\| `(framecast_\w+)` \|([^|]*)\|", OPERATIONS, re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == real


def test_every_error_code_is_documented() -> None:
    codes = set(re.findall(r'(?:ApiError|Refused)\(\s*\d+,\s*"(\w+)"', SOURCES))
    codes |= set(re.findall(r'bad_request\([^()]*, "(\w+)"\)', SOURCES))
    assert len(codes) > 20
    assert not {code for code in codes if f"`{code}`" not in PROTOCOL}


def test_every_parameter_is_documented() -> None:
    for name in (*query.WATCH, "advance"):
        assert re.search(rf"^\| `{name}` \|", PROTOCOL, re.MULTILINE), name
    assert "max_age" in PROTOCOL
    assert ", ".join(map(str, WIDTHS_PX)) in PROTOCOL
    assert ", ".join(map(str, QUALITIES)) in PROTOCOL
    assert ", ".join(f"{size:,}" for size in SIZES_BYTES) in PROTOCOL
    assert EARLY_HEADERS.decode().replace("\r\n", "\\r\\n") in PROTOCOL


def test_every_message_of_the_dashboard_is_documented() -> None:
    folder = ROOT / "src" / "framecast" / "service" / "api"
    source = "".join((folder / name).read_text() for name in ("dashboard.py", "interest.py"))
    kinds = set(re.findall(r'"type": "(\w+)"', source)) | set(re.findall(r'kind == "(\w+)"', source))
    assert kinds == set(re.findall(r'"type": "(\w+)"', PROTOCOL))


def test_close_codes_are_documented() -> None:
    for code in (REPLACED_CODE, SILENT_CODE):
        assert re.search(rf"^\| {code} \|", PROTOCOL, re.MULTILINE)


def test_documented_log_lines_are_those_of_the_program() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| [^|]*\|$", OPERATIONS.partition("## Logs")[2].partition("## Numbers")[0], re.MULTILINE
    )
    assert len(rows) > 10
    for row in rows:
        words = re.split(r"URL|ADDRESS|CAMERA|\bN\b|\d[\d.]*|\(dialect\)|\(…\)|\{…\}|…|\(total: |\(frame |\)|\\", row)
        for piece in words:
            if len(piece.strip(" .:|")) > 3:
                assert piece.strip(" .:|") in SOURCES, (row, piece)
