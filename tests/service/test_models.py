"""The list of models over the API, and who may see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.serving import serving
from tests.vision import tinymodel

pytestmark = pytest.mark.anyio


async def test_models_are_listed_without_their_places(tmp_path: Path) -> None:
    async with serving(tmp_path, options={"vision.model": "tiny"}) as server:
        before = await server.json("GET", "/api/v1/models")
        assert before["wanted"] == "tiny"
        assert "there is no model 'tiny'" in before["reason"]
        assert not any(row["installed"] for row in before["models"])
        folder = server.service.settings.server.data / "models"
        tinymodel.write(folder / "tiny.onnx")
        after = await server.json("GET", "/api/v1/models")
        assert after["reason"] == ""
        assert [(row["name"], row["listed"]) for row in after["models"] if row["installed"]] == [("tiny", False)]
        assert str(folder) not in str(after)
