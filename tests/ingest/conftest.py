"""What the tests of several sources share."""

from __future__ import annotations

import pytest

from framecast.ingest import avoutlet


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture is left out when the machine stood still: what piled up meanwhile comes all at once."""
    monkeypatch.setitem(avoutlet._PLACES, "picture", 1000)
    monkeypatch.setattr("framecast.ingest.avsession.BACKLOG_PACKETS", 1_000_000)
