"""How the time of a run grows with cells and spikes x contacts, and compilation with projections.

usage: taskset -c 0 python benchmarks/growth.py [--series cells contacts ...] [--repetitions 5]

cells        COBAHH with 4,000 to 400,000 cells and 80 contacts onto each
contacts     10,000 integrate-and-fire cells that fire at 100 Hz, with 10 to 1,000 contacts of each
spikes       the same with 1,000 contacts of each, at 1 to 100 Hz
projections  2 to 8 populations of integrate-and-fire cells, each with contacts onto all of them,
             of 100 and of 10,000 cells

In contacts and spikes, Poisson input makes the cells fire, and the contacts are too weak to change
when (1e-6 nS), so that nothing but the number of deliveries changes. The same network without
input, which is silent, is timed as well (fixed_s): that is what steps cost that deliver nothing.
The networks of a series take turns in one process. Timing ends when results have arrived;
compilation is not in it. For projections it is what is timed, in seconds of the processor. One JSON
line per network is appended to results/growth.jsonl, of which report.py makes the tables.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

from cortexmg import bench, models, outline
from cortexmg.cells import leaky_integrate_and_fire
from cortexmg.distributions import Normal
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
POPULATIONS, SIZES = (2, 4, 8), (100, 10_000)
DELIVERIES = "deliveries per second"
COLUMNS = {
    "series": "series",
    "model": "network",
    "n": "cells",
    "contacts": "contacts of a cell",
    "rate_hz": "rate (Hz)",
    "seconds": "minimum (s)",
    "fixed_s": "silent (s)",
}
COMPILED = {
    "populations": "populations",
    "projections": "projections",
    "n": "cells",
    "compile_s": "tracing and compilation (s)",
    "lines": "lines of the program",
}


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


def pairwise(populations: int, n: int) -> Network:
    """Populations of `n` cells, a projection for each pair, with contacts as in the microcircuit.

    Every contact has a weight and a delay of its own.
    """
    receptors: dict[str, Synapse] = {"ampa": Exponential(0.5, 0.0, transmitter="glutamate")}
    cells = {str(k): leaky_integrate_and_fire(n, receptors) for k in range(populations)}
    weight, delay = Normal(0.1, 0.01), Normal(1.5, 0.75, 0.1)
    projections = {}
    for i, (pre, post) in enumerate((a, b) for a in cells for b in cells):
        wiring = fixed_out_degree(n, n, 10, weight, delay, key=i)
        projections[f"{pre} to {post}"] = Projection(pre, post, "glutamate", wiring)
    return Network(acsf(), cells, projections)


def seconds(networks: list[Network], durations: list[float], repetitions: int) -> list[dict]:
    """The least seconds per simulated second of each, and the mean rate; they take turns."""
    going = [bench.turns(n, d) for n, d in zip(networks, durations, strict=True)]
    for turns in going:
        next(turns)
    answers = [[next(turns) for turns in going] for _ in range(repetitions)]
    return [
        bench.timed(mine, duration)
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


def over_projections(repetitions: int) -> list[dict]:
    """Seconds of the processor from shapes to a compiled step, with nothing kept from before."""
    rows = []
    for populations in POPULATIONS:
        for n in SIZES:
            network = outline.shapes(pairwise(populations, n))
            times, lines = zip(*[compiling(network) for _ in range(repetitions)], strict=True)
            row = {"model": "pairwise", "populations": populations, "projections": populations**2}
            row |= {"n": populations * n, "compile_s": float(np.median(times))}
            rows.append(row | {"lines": lines[-1]})
    return rows


def compiling(network: Network) -> tuple[float, int]:
    """Seconds of the processor that the step of a network of shapes takes, and its lines."""
    jax.clear_caches()
    began = time.process_time()
    program = outline.compiled_step(network, bench.DT)
    return time.process_time() - began, program.as_text().count("\n")


SERIES = {
    "cells": over_cells,
    "contacts": lambda r: over_deliveries([(k, 100.0) for k in CONTACTS], r),
    "spikes": lambda r: over_deliveries([(1000, rate) for rate in RATES], r),
    "projections": over_projections,
}


def size(row: dict, by: str) -> float:
    """What time is to be proportional to, of a row: cells or deliveries per second."""
    return row["n"] * (1.0 if by == "cells" else row["contacts"] * row["rate_hz"])


def exponent(rows: list[dict], by: str, *, without_fixed: bool = False) -> float:
    """The slope of log time against log size; nan where the fixed cost leaves no time."""
    times = np.array([r["seconds"] - (r["fixed_s"] if without_fixed else 0.0) for r in rows])
    if np.any(times <= 0.0):
        return float("nan")
    return float(np.polyfit(np.log([size(r, by) for r in rows]), np.log(times), 1)[0])


def table(rows: list[dict]) -> str:
    """Exponents of each series of runs, and the times they are fitted to."""
    parts = []
    for series in dict.fromkeys(row["series"] for row in rows):
        mine = [row for row in rows if row["series"] == series]
        by = "cells" if series == "cells" else DELIVERIES
        ends = sorted(size(row, by) for row in mine)
        said = f"- {series}: from {ends[0]:,.0f} to {ends[-1]:,.0f} {by}, time grows with the"
        said += f" power {exponent(mine, by):.3f}"
        if series == "cells":  # which fire at different rates
            said += f", and with the power {exponent(mine, DELIVERIES):.3f} of {DELIVERIES}; from"
            said += f" {mine[1]['n']:,} cells on {exponent(mine[1:], by):.3f} and"
            said += f" {exponent(mine[1:], DELIVERIES):.3f}"
        if all("fixed_s" in row for row in mine):
            less = exponent(mine, by, without_fixed=True)
            said += f", and {less:.3f} without what the silent network takes"
        parts.append(said + ".")
    figure = "![Growth of the time](results/growth.png)"
    return "\n\n".join([*parts, bench.table(rows, COLUMNS), figure])


def compilation(rows: list[dict]) -> str:
    """What a projection costs to compile, and the times that this follows from."""
    slopes = []
    for n in dict.fromkeys(row["n"] // row["populations"] for row in rows):
        mine = [row for row in rows if row["n"] == n * row["populations"]]
        x, y = ([row[k] for row in mine] for k in ("projections", "compile_s"))
        slopes.append(f"{np.polyfit(x, y, 1)[0]:.2f} s with {n:,} cells in each population")
    said = f"Each projection takes {' and '.join(slopes)}."
    return f"{said}\n\n{bench.table(rows, COMPILED)}"


def figure(rows: list[dict]) -> Figure:
    """Time against size, a panel per series; dashed is proportional to it."""
    names = list(dict.fromkeys(row["series"] for row in rows))
    drawn = Figure(figsize=(9.0, 3.2), layout="constrained")
    for axes, name in zip(drawn.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        by = "cells" if name == "cells" else DELIVERIES
        mine = sorted((r for r in rows if r["series"] == name), key=lambda r: size(r, by))
        x, y = np.array([size(r, by) for r in mine]), np.array([r["seconds"] for r in mine])
        axes.loglog(x, y, "o-", label="whole run")
        if all("fixed_s" in r for r in mine):
            axes.loglog(x, y - [r["fixed_s"] for r in mine], "s-", label="without fixed cost")
        axes.loglog(x, y[-1] * x / x[-1], "--", color="0.6", label="proportional")
        axes.set(title=name, xlabel=by, ylabel="s per simulated second")
        axes.legend(fontsize=7, frameon=False)
    return drawn


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
