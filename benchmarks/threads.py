"""What a second core gives: to threads that share kernels, and to two CPU devices.

usage: python benchmarks/threads.py [--sizes cobahh:20000 ... cortex:100000] [--repetitions 5]

Each way is a process of its own, and the three of a network take turns as in speed.py; quoted is
the least of all turns. One core is meant: that process is bound to it. Threads share kernels from
100,000 cells on (`starting.LONG`), and what is the default is said in `devices.WORK`. Building,
compilation and the first 500 ms are not timed. One JSON line per network and way is appended to
results/threads.jsonl, of which report.py makes the table.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from speed import Simulator

from cortexmg import bench

HERE = Path(__file__).parent
SIZES = ["cobahh:20000", "cobahh:50000", "cobahh:100000", "cobahh:400000"]
SIZES += ["ei_nmda:50000", "cortex:100000"]
WAYS = {"one core": (1, ["1"]), "threads": (2, ["1"]), "2 devices": (2, ["2"])}
COLUMNS = {
    "model": "network",
    "n": "cells",
    "one core": "one core (s)",
    "threads": "two threads (s)",
    "2 devices": "two devices (s)",
    "gain threads": "gain by two threads",
    "gain 2 devices": "gain by two devices",
    "peak_mb": "peak memory (MB), each way",
    "compile_s": "compilation (s), each way",
}


def measured(model: str, n: int, repetitions: int) -> list[dict]:
    """A row for each way (s per simulated second); they take turns."""
    duration, waiting = bench.length(n), []
    script = str(HERE / "peers" / "with_cortexmg.py")
    try:
        for way, (threads, devices) in WAYS.items():
            print(f"{model} with {n:,} cells: {way} ...", file=sys.stderr)
            words = [model, str(n), f"{duration:g}", str(threads), "1", *devices]
            waiting.append(Simulator(way, [sys.executable, script, *words], threads))
        answers = [[s.turn() for s in waiting] for _ in range(repetitions)]
    finally:
        for s in waiting:
            s.end()
    rows = []
    for s, mine in zip(waiting, zip(*answers, strict=True), strict=True):
        about = {"model": model, "n": n, "duration": duration, "way": s.name, "threads": s.threads}
        last = {"peak_mb": mine[-1]["peak_mb"], "repetitions": repetitions}
        rows.append(about | bench.timed(mine, duration) | s.first | last)
    return rows


def table(rows: list[dict]) -> str:
    """A row for each network, with the gain of each way over one core."""
    found = []
    for model, n in dict.fromkeys((row["model"], row["n"]) for row in rows):
        mine = {row["way"]: row for row in rows if (row["model"], row["n"]) == (model, n)}
        seconds = {way: mine[way]["seconds"] for way in WAYS}
        gains = {f"gain {way}": seconds["one core"] / s for way, s in seconds.items()}
        each = {
            name: ", ".join(f"{mine[way][name]:.{digits}f}" for way in WAYS)
            for name, digits in (("peak_mb", 0), ("compile_s", 1))
        }
        found.append({"model": model, "n": n} | seconds | gains | each)
    return bench.table(found, COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="MODEL:CELLS")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "threads.jsonl")
    options = parser.parse_args()
    about = {"run": time.strftime("%Y-%m-%dT%H:%M:%S")} | bench.circumstances()
    for size in options.sizes:
        model, _, n = size.partition(":")
        for row in measured(model, int(n), options.repetitions):
            print(json.dumps(row), flush=True)
            bench.append(options.out, about | row)


if __name__ == "__main__":
    main()
