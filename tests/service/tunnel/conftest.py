"""What holds for all tests of tunnels."""

from __future__ import annotations

import pytest

from framecast.service.tunnel import tunnel as tunnels


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new name is known at once here."""
    monkeypatch.setattr(tunnels, "LOOK_AGAIN_S", (0.0, 0.1, 0.2, 0.5))
    monkeypatch.setattr(tunnels, "ANSWER_S", 0.1)
