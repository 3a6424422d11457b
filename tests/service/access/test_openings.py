"""What is open to whom is said in the log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from framecast.service.operations import openings
from tests.service.serving import serving

pytestmark = pytest.mark.anyio

ALL = {"public": ["watch"], "publish_from": ["192.168.1.0/24"], "allow_query_key": True}


async def test_each_opening_says_what_it_opens_to_whom(tmp_path: Path) -> None:
    options = {"server.allowed_origins": ["https://home.example"]}
    async with serving(tmp_path, {"cam": {"url": "push:", **ALL}, "shut": "push:"}, options=options) as server:
        text = "\n".join(openings.of_all(server.service.settings))
    for words in ("anybody who can connect", "192.168.1.0/24", "tokens may stand in addresses", "https://home.example"):
        assert words in text
    assert "shut" not in text


async def test_a_change_that_opens_something_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path, tokens=True) as server:
        owner = await server.owner()
        for _ in range(2):
            with caplog.at_level(logging.WARNING):
                await server.json("PATCH", "/api/v1/cameras/cam", json=ALL, headers=owner)
        await server.json("POST", "/api/v1/cameras", status=201, headers=owner, json={"id": "b", "url": "push:", **ALL})
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([line for line in told if line.startswith("cam: ")]) == 3
    assert len([line for line in told if line.startswith("b: ")]) == 3
