"""The dashboard asks for metrics and labels that there are, and is laid out as Grafana wants it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DASHBOARD = json.loads((Path(__file__).parents[3] / "deploy" / "grafana.json").read_text())
OPERATIONS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
SAMPLES = {
    name: set(re.findall(r"`(\w+)`", labels))
    for name, labels in re.findall(r"^\| `(framecast_\w+)` \|([^|]*)\|", OPERATIONS, re.MULTILINE)
}
"""Every sample of /metrics with its labels: tests/test_docs_routes.py holds the table to what the server tells."""
SCRAPED = {"instance", "job"}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    """All that the dashboard asks Prometheus."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["definition"]


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_what_is_asked_for_is_there(expression: str) -> None:
    names = re.findall(r"\b(framecast_\w+)", expression)
    assert names
    for name in names:
        assert name in SAMPLES, f"/metrics has no {name}"
    labels = set(re.findall(r'(\w+)\s*(?:=~|!=|=)\s*"', expression))
    for group in re.findall(r"(?:by|ignoring|without) \(([^)]*)\)", expression):
        labels |= {label.strip() for label in group.split(",")}
    known = SCRAPED.union(*(SAMPLES[name] for name in names))
    assert labels <= known, expression


def test_vectors_are_matched_where_prometheus_allows_it() -> None:
    for expression in expressions():
        for before in re.findall(r"(\S+ \S+) (?:ignoring|on) \(", expression):
            assert re.fullmatch(r".*[})] [-+*/]", before), f"a number has no labels to be matched: {expression}"


def test_counters_are_asked_for_their_rise() -> None:
    for expression in expressions():
        for name in re.findall(r"framecast_\w+_total(?=\{[^}]*\}(?!\[))", expression):
            assert expression.startswith("label_values("), f"{name} only ever rises: {expression}"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["title"] and panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    legend = "".join(target["legendFormat"] for target in panel["targets"])
    for label in re.findall(r"{{(\w+)}}", legend):
        expression = panel["targets"][0]["expr"]
        assert re.search(rf"by \([^)]*\b{label}\b|^framecast_\w+{{", expression), "a label that is summed away"


def test_the_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_variables_are_those_that_are_used() -> None:
    used = set(re.findall(r"\$\{?([a-z]+)\b", json.dumps(DASHBOARD)))
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == used
