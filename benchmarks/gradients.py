"""Time and memory of derivatives, of cortexmg and of other simulators, taking turns in one run.

usage: python benchmarks/gradients.py [--peers brainpy=PYTHON jaxley=PYTHON] [--series ...]

peers      COBAHH with 1,000 cells and 80 contacts onto each, 100 ms: by the weights of both
           projections (as BrainPy) and by the weight of every contact (as Jaxley)
durations  the first of these for 100 to 1,600 ms, where memory is to grow with the square root
tangents   forward mode by 1 to 8 numbers at once, and for 400 ms
rates      10,000 cells with 1,000 contacts each that fire at 0 to 100 Hz, in reverse

PYTHON is that of the environment which has the peer (peers/gradients_*.py say how to make one).
Each row is a process of its own, bound to one core, that compiles and waits for its turns. In one
it computes the loss, and the loss with its derivative, for half a second; quoted are the least of
all turns. Compilation is not in them. Temporaries are what the compiled derivative allocates; peak
memory is that of the process, with its libraries and the compiler (see the row of 1 ms). One JSON
line for each row is appended to results/gradients.jsonl, and all are printed as a table.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

from speed import Simulator

from cortexmg import bench

HERE = Path(__file__).parent
DURATIONS, TANGENTS, RATES = (1, 100, 400, 1600), (1, 2, 4, 8), (0, 1, 10, 100)
PAUSE = 2.0  # s
COLUMNS = {
    "series": "series",
    "participant": "simulator",
    "what": "derivative",
    "duration": "duration (ms)",
    "forward_s": "forward (s)",
    "seconds": "with derivative (s)",
    "ratio": "ratio",
    "temporaries_mb": "temporaries (MB)",
    "peak_mb": "peak memory (MB)",
    "compile_s": "compilation (s)",
    "date": "date",
}


class Case(NamedTuple):
    """One row: who computes what, how many cells, for how long (ms)."""

    participant: str
    what: str
    n: int
    duration: float


def cases(series: str, peers: dict[str, str]) -> list[Case]:
    """The rows of a series, in the order of their turns."""
    if series == "peers":
        mine = [Case("cortexmg", what, 1000, 100.0) for what in ("weights", "contacts")]
        given = {"brainpy": "weights", "jaxley": "contacts"}
        return mine + [Case(name, given[name], 1000, 100.0) for name in peers]
    if series == "durations":
        return [Case("cortexmg", "weights", 1000, float(t)) for t in DURATIONS]
    if series == "tangents":
        alike = [Case("cortexmg", f"tangents-{p}", 1000, 100.0) for p in TANGENTS]
        return [*alike, Case("cortexmg", "tangents-1", 1000, 400.0)]
    return [Case("cortexmg", f"rate-{rate}", 10_000, 100.0) for rate in RATES]


def _rested(simulator: Simulator) -> dict:
    """Its turn, when the one before has freed its gigabytes, for which Jaxley needs the core."""
    time.sleep(PAUSE)
    return simulator.turn()


def measured(cases: list[Case], peers: dict[str, str], repetitions: int) -> list[dict]:
    """A row for each case; they take turns."""
    pythons, waiting = {"cortexmg": sys.executable} | peers, []
    try:
        for case in cases:
            print(f"{case} ...", file=sys.stderr)
            script = HERE / "peers" / f"gradients_{case.participant}.py"
            words = [case.what, str(case.n), f"{case.duration:g}", "1", "1"]
            command = [pythons[case.participant], str(script), *words]
            waiting.append(Simulator(case.participant, command, 1))
        answers = [[_rested(s) for s in waiting] for _ in range(repetitions)]
    finally:
        for s in waiting:
            s.end()
    rows = []
    for case, s, mine in zip(cases, waiting, zip(*answers, strict=True), strict=True):
        least = {k: min(a[k] for a in mine) for k in ("forward_s", "seconds")}
        row = case._asdict() | s.first | least | {"peak_mb": mine[-1]["peak_mb"]}
        row["ratio"] = row["seconds"] / row["forward_s"]
        rows.append(row | {"repetitions": repetitions})
    return rows


def shown(rows: list[dict]) -> list[dict]:
    """All rows but those of runs for comparison with peers in which there were none."""
    with_peers = {row["run"] for row in rows if row["participant"] != "cortexmg"}
    return [row for row in rows if row["series"] != "peers" or row["run"] in with_peers]


def table(rows: list[dict]) -> str:
    """Rows as Markdown."""
    return bench.table(rows, COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    known = ["peers", "durations", "tangents", "rates"]
    parser.add_argument("--series", nargs="+", default=known, choices=known)
    parser.add_argument("--peers", nargs="*", default=[])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "gradients.jsonl")
    options = parser.parse_args()
    peers = dict(peer.split("=", 1) for peer in options.peers)
    about = {"run": time.strftime("%Y-%m-%dT%H:%M:%S")} | bench.circumstances()
    found = []
    for series in options.series:
        for row in measured(cases(series, peers), peers, options.repetitions):
            found.append(about | {"series": series} | row)
            bench.append(options.out, found[-1])
            print(json.dumps(row), file=sys.stderr)
    print(table(found))


if __name__ == "__main__":
    main()
