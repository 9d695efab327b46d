"""How the time of a run grows with cells, and with spikes x contacts, over two decades each.

usage: taskset -c 0 python benchmarks/growth.py [--series cells contacts spikes] [--repetitions 5]

cells     COBAHH with 4,000 to 400,000 cells and 80 contacts onto each
contacts  10,000 integrate-and-fire cells that fire at 100 Hz, with 10 to 1,000 contacts of each
spikes    the same with 1,000 contacts of each, at 1 to 100 Hz

In the last two, Poisson input makes the cells fire, and the contacts are too weak to change when
(1e-6 nS), so that nothing but the number of deliveries changes. The same network without input,
which is silent, is timed as well (fixed_s): that is what steps cost that deliver nothing. The
networks of a series take turns in one process. Timing ends when results have arrived; compilation
is not in it. One JSON line per network is appended to results/growth.jsonl; report.py fits the
exponents.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from cortexmg import bench, models
from cortexmg.cells import leaky_integrate_and_fire
from cortexmg.environment import acsf
from cortexmg.network import Network
from cortexmg.projection import Projection
from cortexmg.stimuli import Poisson
from cortexmg.synapses import Exponential, Synapse
from cortexmg.wiring import fixed_out_degree

CELLS = (4000, 12_500, 40_000, 126_000, 400_000)
CONTACTS = (10, 32, 100, 316, 1000)
RATES = (1.0, 3.2, 10.0, 32.0, 100.0)  # Hz
N, DURATION, REFRACTORY = 10_000, 500.0, 5.0  # ms


def driven(n: int, contacts: int, rate: float) -> Network:
    """`n` cells that fire at about `rate` (Hz), once for each input that they do not sleep through.

    An input of 300 nS for 0.5 ms is enough to fire, and over when the cell can do so again.
    """
    receptors: dict[str, Synapse] = {"ampa": Exponential(0.5, 0.0, transmitter="glutamate")}
    cells = leaky_integrate_and_fire(n, receptors, refractory=REFRACTORY)
    wiring = fixed_out_degree(n, n, contacts, 1e-6, 1.5, key=1)
    projections = {"E": Projection("cells", "cells", "glutamate", wiring)}
    input_rate = rate / (1.0 - rate * REFRACTORY * 1e-3)
    outside = {"outside": Poisson("cells", "ampa", input_rate, 300.0)}
    return Network(acsf(), {"cells": cells}, projections, outside)


def seconds(networks: list[Network], durations: list[float], repetitions: int) -> list[dict]:
    """The least seconds per simulated second of each, and the mean rate; they take turns."""
    going = [bench.turns(n, d) for n, d in zip(networks, durations, strict=True)]
    for turns in going:
        next(turns)
    answers = [[next(turns) for turns in going] for _ in range(repetitions)]
    return [
        {
            "seconds": min(a["seconds"] for a in mine) / duration * 1e3,
            "median": float(np.median([a["seconds"] for a in mine])) / duration * 1e3,
            "rate_hz": float(np.mean([a["rate_hz"] for a in mine])),
        }
        for mine, duration in zip(zip(*answers, strict=True), durations, strict=True)
    ]


def over_cells(repetitions: int) -> list[dict]:
    durations = [bench.length(n) for n in CELLS]
    rows = seconds([models.cobahh(n) for n in CELLS], durations, repetitions)
    sizes = [{"model": "cobahh", "n": n, "contacts": 80} for n in CELLS]
    return [size | row for size, row in zip(sizes, rows, strict=True)]


def over_deliveries(pairs: list[tuple[int, float]], repetitions: int) -> list[dict]:
    """Numbers of contacts and rates (Hz), each also without input, as the fixed cost."""
    networks = [driven(N, *pair) for pair in pairs] + [driven(N, k, 0.0) for k, _ in pairs]
    timed = seconds(networks, [DURATION] * len(networks), repetitions)
    active, silent = timed[: len(pairs)], timed[len(pairs) :]
    return [
        {"model": "driven", "n": N, "contacts": k, "fixed_s": fixed["seconds"]} | row
        for (k, _), row, fixed in zip(pairs, active, silent, strict=True)
    ]


SERIES = {
    "cells": over_cells,
    "contacts": lambda r: over_deliveries([(k, 100.0) for k in CONTACTS], r),
    "spikes": lambda r: over_deliveries([(1000, rate) for rate in RATES], r),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", nargs="+", default=[*SERIES], choices=[*SERIES])
    parser.add_argument("--repetitions", type=int, default=5)
    default = Path(__file__).parent / "results" / "growth.jsonl"
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args()
    about = {"run": time.strftime("%Y-%m-%dT%H:%M:%S")} | bench.circumstances()
    for series in options.series:
        print(f"{series} ...", file=sys.stderr)
        for row in SERIES[series](options.repetitions):
            row |= {"series": series, "repetitions": options.repetitions}
            print(json.dumps(row), flush=True)
            bench.append(options.out, about | row)


if __name__ == "__main__":
    main()
