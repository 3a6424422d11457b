"""What looks at the pictures, as files: which there are to be had, and which are here."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from framecast.service.access.rights import Right
from framecast.service.front.bodies import json_response
from framecast.service.front.routing import Call, Route
from framecast.service.service import Service
from framecast.vision import catalog


def routes(service: Service) -> list[Route]:
    """The routes of this module."""

    def look() -> dict[str, Any]:
        settings = service.settings
        wanted = settings.vision.model
        where = catalog.folders(settings.server.data, settings.vision.model_dir)
        found = catalog.find(wanted, "objects", where) if wanted != catalog.PEOPLE else None
        reason = found.reason if isinstance(found, catalog.MissingModel) else ""
        return {"models": catalog.entries(where), "wanted": wanted, "reason": reason}

    async def show(_: Call) -> web.StreamResponse:
        return json_response(await asyncio.to_thread(look))

    return [
        Route(
            "GET",
            "/api/v1/models",
            Right.OPERATE,
            show,
            "The models that find things and faces: those that can be installed, and those that are here.",
            tag="server",
        )
    ]
