"""Every route there is."""

from __future__ import annotations

from framecast.service.api import (
    access,
    audit,
    cameras,
    coded,
    compat,
    dashboard,
    deliveries,
    events,
    history,
    hls,
    links,
    looks,
    models,
    pages,
    people,
    publish,
    push,
    rules,
    secure,
    selftest,
    settings,
    sound,
    system,
    talk,
    tunnel,
    watch,
    whep,
)
from framecast.service.front.routing import Route, Table
from framecast.service.service import Service


def make_table(service: Service) -> Table:
    """The whole table; the reference is made from it, and a test walks it."""
    rows: list[Route] = [
        *pages.routes(service),
        *cameras.routes(service),
        *settings.routes(service),
        *watch.routes(service),
        *looks.routes(service),
        *models.routes(service),
        *coded.routes(service),
        *hls.routes(service),
        *whep.routes(service),
        *publish.routes(service),
        *sound.routes(service),
        *talk.routes(service),
        *dashboard.routes(service),
        *history.routes(service),
        *events.routes(service),
        *rules.routes(service),
        *compat.routes(service),
        *secure.routes(service),
        *access.routes(service),
        *audit.routes(service),
        *people.routes(service),
        *tunnel.routes(service),
        *selftest.routes(service),
        *deliveries.routes(service),
        *push.routes(service),
    ]
    rows += links.routes(service, rows)
    return Table([*rows, *system.routes(service, rows)])
