"""`python -m bench [NAME…] [--quick] [--realtime] [--json FILE]`, `python -m bench report`."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from dataclasses import asdict

from bench.parts import Pace, build, hardware
from bench.report import print_table, write_document
from bench.scenarios import SCENARIOS


def main() -> int:
    """Exit status 1 when a target was missed or a scenario failed, 2 for a wrong name."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SCENARIOS)}, report; all by default")
    parser.add_argument("--quick", action="store_true", help="coarser and shorter, about two minutes")
    parser.add_argument("--realtime", action="store_true", help="run before all other programs (root only)")
    parser.add_argument("--json", metavar="FILE", help="also write all results there")
    options = parser.parse_args()
    unknown = set(options.names) - set(SCENARIOS) - {"report"}
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)} and report")
    if options.names == ["report"]:
        write_document()
        return 0

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    build()
    if options.realtime:
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        except PermissionError:
            parser.error("--realtime needs the right to set priorities (root)")
    pace = Pace.hurried() if options.quick else Pace()
    results, failed = [], []
    for line in hardware().values():
        print(line)
    for name in [name for name in options.names if name != "report"] or list(SCENARIOS):
        from_s = time.monotonic()
        print(f"\n{name} …", flush=True)
        try:
            result = SCENARIOS[name](pace)
        except RuntimeError as error:
            print(f"{name} failed: {error}", file=sys.stderr)
            failed.append(name)
            continue
        result.save()
        results.append(result)
        print_table(result.measures)
        for note in result.notes:
            print(note)
        print(f"({time.monotonic() - from_s:.0f} s)", flush=True)
    measures = [measure for result in results for measure in result.measures]
    print("\nAll measures")
    print_table(measures)
    if options.json:
        with open(options.json, "w") as file:
            json.dump([asdict(result) for result in results], file, indent=1)
    if "report" in options.names:
        write_document()
    missed = [measure.what for measure in measures if measure.ok is False]
    print(f"\n{sum(measure.ok is True for measure in measures)} targets held, {len(missed)} missed" + _listed(missed))
    if failed:
        print(f"Failed to run: {', '.join(failed)}")
    return 1 if missed or failed else 0


def _listed(names: list[str]) -> str:
    return "".join(f"\n  missed: {name}" for name in names)


if __name__ == "__main__":
    sys.exit(main())
