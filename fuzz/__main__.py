"""The command: ``python -m fuzz [--seconds N] [--jobs N] [TARGET …]``, ``python -m fuzz --replay TARGET FILE``."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from fuzz.corpus import COUNTS, OUT, add_counts
from fuzz.targets import TARGETS
from fuzz.worker import Report, turn

TURN_S = 2.0
"""So long a process stays with a target before it goes on to another."""
SECONDS = " seconds"
"""Follows a target's name where its CPU time over all runs is counted."""


def main() -> int:
    """Runs it; the exit status is 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Feed damaged bytes to every parser.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of: {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=60, help="how long, all targets together (default: 60)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes (default: up to 2)")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers (default: the clock)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input on one target")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: no such target; there are {', '.join(TARGETS)}")
    if options.replay is not None:
        if len(names) != 1:
            parser.error("--replay wants exactly one target")
        print(TARGETS[names[0]].run(options.replay.read_bytes()))
        return 0
    seed = time.time_ns() if options.seed is None else options.seed
    return report(run(names, options.seconds, max(1, options.jobs), seed))


def run(names: list[str], seconds: float, jobs: int, seed: int) -> list[Report]:
    """All turns of this run, each at what had the least time so far, over all runs.

    Counts are added up as turns end, so that an interrupted run counts too.
    """
    reports: list[Report] = []
    started = time.monotonic()
    length = min(TURN_S, seconds * jobs / len(names))
    context = multiprocessing.get_context("spawn")
    # One pool per job: a target's session stays where it was.
    pools = [ProcessPoolExecutor(1, mp_context=context) for _ in range(jobs)]
    sums = add_counts({})
    spent = {name: sums.get(name + SECONDS, 0.0) for name in names}
    running: dict[Future[Report], tuple[int, str]] = {}
    try:
        while True:
            left = seconds - (time.monotonic() - started)
            for index in set(range(jobs)) - {index for index, _ in running.values()}:
                if left > 0.05:
                    taken = {name for _, name in running.values()}
                    name = min(set(names) - taken or names, key=spent.__getitem__)
                    running[pools[index].submit(turn, name, seed + index, min(length, left))] = index, name
            if not running:
                return reports
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                result = future.result()
                reports.append(result)
                spent[result.target] += result.seconds
                add_counts({result.target: result.inputs, result.target + SECONDS: result.seconds})
    except KeyboardInterrupt:
        return reports
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)


def report(reports: list[Report]) -> int:
    """Prints what was done and found."""
    inputs: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    findings: dict[tuple[str, str], str] = {}
    for one in reports:
        inputs[one.target] += one.inputs
        seconds[one.target] += one.seconds
        for kind, path in one.findings.items():
            findings.setdefault((one.target, kind), path)
    sums = add_counts({})
    print(f"{'target':<12}{'inputs':>12}{'per second':>12}{'all runs':>14}{'minutes':>10}")
    for name in sorted(inputs):
        rate = inputs[name] / max(seconds[name], 1e-9)
        minutes = sums.get(name + SECONDS, 0) / 60
        print(f"{name:<12}{inputs[name]:>12,}{rate:>12,.0f}{sums.get(name, 0):>14,}{minutes:>10.1f}")
    print(f"{'total':<12}{inputs.total():>12,}{'':>12}{sum(sums.get(name, 0) for name in TARGETS):>14,}")
    for (name, kind), path in findings.items():
        print(f"FOUND {name}: {kind}\n      {path}")
    print(f"{len(findings)} findings; inputs are in {OUT}, counts in {COUNTS}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
