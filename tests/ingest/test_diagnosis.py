"""The table of codes: what the documentation holds, and that nothing that is counted is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from framecast.core import errors
from framecast.core.errors import BadStatus, Misuse, ProtocolError, Unreachable
from framecast.ingest import codes, diagnosis, recognise
from framecast.ingest.http_connection import ConnectFailed
from framecast.mock.dialects import TABLE
from framecast.mock.faults import KINDS
from framecast.wire.jpeg import Fault

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "devices.md").read_text()


def test_the_page_holds_the_table() -> None:
    found = re.search(r"<!-- codes: [^\n]* -->\n(.*)\n<!-- end of codes -->", PAGE, re.DOTALL)
    assert found is not None
    assert found[1] == codes.reference(), "put in the output of framecast.ingest.codes.reference()"


def test_everything_counted_is_explained() -> None:
    counted = {fault.value for fault in Fault}
    counted |= {kind.code for kind in KINDS if kind.code}
    counted |= {error.cause for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "cause")}
    for path in (ROOT / "src" / "framecast").rglob("*.py"):
        text = path.read_text()
        counted |= set(re.findall(r'\b(?:quirks|faults|refused)\["([a-z0-9_]+)"\]', text))
        counted |= set(re.findall(r'\b(?:quirk|fault|_drop)\("([a-z0-9_]+)"', text))
    assert counted <= codes.QUIRKS.keys() | codes.FAULTS.keys() | codes.SOUND.keys()


def test_every_firmware_is_on_the_page() -> None:
    names = {value for name, value in vars(recognise).items() if name.isupper() and isinstance(value, str)}
    names -= {recognise.GENERIC, recognise.STILL}
    for name in names:
        assert name.split()[0] in PAGE
    for dialect in TABLE:
        if not dialect.pushes:
            assert dialect.path in PAGE


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectFailed("x", "dns"), "dns"),
        (ConnectFailed("x", "refused"), "connection_refused"),
        (ConnectFailed("x", "no_route"), "no_route"),
        (ConnectFailed("x", "timeout"), "timeout"),
        (ConnectFailed("x", "lost"), "lost"),
        (ConnectFailed("x", "silent"), "silent"),
        (ConnectFailed("x", "tls"), "tls"),
        (Unreachable("x"), "unreachable"),
        (BadStatus("x", 401), "unauthorized"),
        (BadStatus("x", 403), "forbidden"),
        (BadStatus("x", 404), "not_found"),
        (BadStatus("x", 503), "busy"),
        (BadStatus("x", 500), "camera_error"),
        (BadStatus("x", 418), "no_stream"),
        (ProtocolError("is no HTTP"), "no_http"),
        (ProtocolError("is text"), "no_stream"),
        (Misuse("x"), "forbidden_address"),
    ],
)
def test_errors_have_their_explanation(error: errors.DeviceError | Misuse, code: str) -> None:
    problem = diagnosis.explain_error(error)
    assert problem.code == code
    assert problem.title == str(error)
    assert problem.advice
