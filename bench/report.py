"""The table on the terminal, and the table and plot of `docs/performance.md`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.results import Measure, load_results
from bench.scenarios import SCENARIOS

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
PLOT = DOCUMENT.with_suffix(".svg")
BEGIN = "<!-- figures: written by `python -m bench report` -->"
END = "<!-- end of figures -->"

_HEAD = ("measure", "Framecast", "beside it", "ratio", "target", "")
_VERDICT = {True: "held", False: "**missed**", None: ""}


def _cells(measure: Measure) -> tuple[str, ...]:
    return (measure.what, measure.ours, measure.beside, measure.ratio, measure.target, _VERDICT[measure.ok])


def print_table(measures: Sequence[Measure]) -> None:
    """Measures in columns."""
    rows = [_HEAD, *(tuple(cell.replace("*", "") for cell in _cells(measure)) for measure in measures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def write_document() -> None:
    """Replaces what lies between the two marks in `docs/performance.md`, and the plot beside it.

    Raises:
        RuntimeError: There are no results yet.
    """
    found = {result["name"]: result for result in load_results()}
    results = [found[name] for name in SCENARIOS if name in found]
    if not results:
        raise RuntimeError("no results yet: run `make bench` first")
    text = DOCUMENT.read_text()
    if BEGIN not in text or END not in text:
        raise RuntimeError(f"{DOCUMENT} lacks the marks {BEGIN} and {END}")
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    plotted = _plot(results)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{_figures(results, plotted)}\n{END}{after}")


def _figures(results: list[dict[str, Any]], plotted: bool) -> str:
    hardware = results[0]["hardware"]
    when = time.strftime("%-d %B %Y", time.gmtime(max(result["when"] for result in results)))
    lines = [
        f"{when}, on {hardware['cpu']}, {hardware['memory']}, {hardware['system']}"
        + (" (a quick run)." if any(result["quick"] for result in results) else "."),
        "",
        "| measure | Framecast | beside it | ratio | target | |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        for measure in result["measures"]:
            cells = _cells(Measure(**measure))
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines.append("")
    for result in results:
        lines += result["notes"]
    if plotted:
        lines += ["", f"![CPU and latency over viewers and cameras]({PLOT.name})"]
    return "\n".join(lines) + "\n"


def _plot(results: list[dict[str, Any]]) -> bool:
    """CPU over viewers, latency over viewers, CPU over cameras; False without the scaling scenario's points."""
    series = {name: points for result in results for name, points in result["series"].items()}
    if not series:
        return False
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "framecast", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    panels = (
        ("CPU over viewers", "viewers of 25 KB x 30 fps", "cores"),
        ("latency p99 over viewers", "viewers of 25 KB x 30 fps", "latency p99, ms"),
        ("CPU over cameras", "cameras x 10 fps x 10 viewers", "cores"),
    )
    figure, axes = pyplot.subplots(1, len(panels), figsize=(11, 3.2), layout="constrained")
    for axis, (prefix, across, up) in zip(axes, panels, strict=True):
        for name, colour in (("Framecast", "#1a6fb0"), ("C relay", "#888888")):
            points = series.get(f"{prefix}, {name}", [])
            axis.plot([x for x, _ in points], [y for _, y in points], "o-", ms=3, lw=1.2, color=colour, label=name)
        axis.set_xlabel(across)
        axis.set_ylabel(up)
        axis.set_xlim(left=0)
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    figure.savefig(PLOT, metadata={"Date": None})
    pyplot.close(figure)
    return True
