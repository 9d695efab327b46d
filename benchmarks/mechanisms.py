"""What each mechanism costs: `cortex` with it, beside the block of NMDA receptors alone.

usage: python benchmarks/mechanisms.py [--cells 20000] [--repetitions 7] [--only release gaba_b]

Runs of all networks in turns, in one process; quoted is the least time of each. What they have in
addition is in NETWORKS; the ions of cells and tissue are beside a slice that holds them constant.
Rates differ, and with them what is delivered, so they are told as well. One JSON line for each is
appended to results/mechanisms.jsonl, of which report.py makes the table.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from cortexmg import bench
from cortexmg.factors import Arousal
from cortexmg.magnesium import SlowUnblock
from cortexmg.models import cortex, cortex_slice
from cortexmg.models.cortex import MECHANISMS, NMDA_RATIO
from cortexmg.network import Network
from cortexmg.population import Population
from cortexmg.releases import Binomial
from cortexmg.synapses import NMDA, nmda_of_subunits
from cortexmg.tissues import Noradrenaline

DURATION, TRANSIENT, DT = 100.0, 100.0, 0.05  # ms
COLUMNS = {
    "name": "besides the block",
    "beside": "compared with",
    "seconds": "minimum (s per simulated second)",
    "median": "median (s per simulated second)",
    "ratio": "ratio of minima",
    "rate_hz": "rate (Hz)",
}


def alone(n: int) -> Network:
    """With none of the mechanisms but the block, which is always there."""
    return cortex(n, mechanisms=())


def with_cells(change: Callable[[str, Population], Population], n: int) -> Network:
    """The same with both populations changed."""
    network = alone(n)
    cells = {name: change(name, p) for name, p in network.populations.items()}
    return replace(network, populations=cells)


def by_subunits(name: str, cells: Population) -> Population:
    others = {k: r for k, r in cells.receptors.items() if k != "nmda"}
    return replace(cells, receptors=others | nmda_of_subunits(gain=NMDA_RATIO[name]))


def slowly_unblocked(name: str, cells: Population) -> Population:
    nmda = NMDA(gain=NMDA_RATIO[name], block=SlowUnblock())
    return replace(cells, receptors=cells.receptors | {"nmda": nmda})


def aroused(name: str, cells: Population) -> Population:
    leak = replace(cells.channels["leak"], factors={"noradrenaline": Arousal(1.8)})  # pyright: ignore
    return replace(cells, channels=cells.channels | {"leak": leak})


def with_noradrenaline(n: int) -> Network:
    """Awake, so that the leak is what it was."""
    awake = Noradrenaline(np.array([1.0]), np.array([0.0]))
    return replace(with_cells(aroused, n), tissues={"noradrenaline": awake})


def binomial(n: int) -> Network:
    """Contacts between E cells release by chance, each on its own."""
    network = alone(n)
    p = network.projections["E to E"]
    contacts = replace(p, release=Binomial(p.release))
    return replace(network, projections=network.projections | {"E to E": contacts})


def awake_slice(n: int, ions: bool) -> Network:
    """With all of the input from outside, so that it fires as `cortex` does."""
    return cortex_slice(n, drive=1.0, mechanisms=(), ions=ions)


# By name: what each is compared with, and the network.
NETWORKS: dict[str, tuple[str, Callable[[int], Network]]] = {
    "block": ("block", alone),
    **{name: ("block", partial(cortex, mechanisms=(name,))) for name in MECHANISMS},
    "all four": ("block", cortex),
    "binomial release": ("block", binomial),
    "GluN2A and 2B, zinc": ("block", partial(with_cells, by_subunits)),
    "slow unblock": ("block", partial(with_cells, slowly_unblocked)),
    "GABA_B": ("block", partial(cortex, mechanisms=(), gaba_b=True)),
    "slow depression": ("block", partial(cortex, mechanisms=(), slow_depression=True)),
    "noradrenaline": ("block", with_noradrenaline),
    "slice": ("slice", partial(awake_slice, ions=False)),
    "ions in cells and tissue": ("slice", partial(awake_slice, ions=True)),
}


def measured(names: list[str], cells: int, repetitions: int) -> list[dict]:
    """A row for each network; they take turns."""
    going = {}
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        going[name] = bench.turns(NETWORKS[name][1](cells), DURATION, TRANSIENT, dt=DT)
        next(going[name])
    answers = [{name: next(turns) for name, turns in going.items()} for _ in range(repetitions)]
    rows = []
    for name in names:
        row = {"name": name, "beside": NETWORKS[name][0], "n": cells, "repetitions": repetitions}
        rows.append(row | bench.timed([turn[name] for turn in answers], DURATION))
    least = {row["name"]: row["seconds"] for row in rows}
    return [row | {"ratio": row["seconds"] / least[row["beside"]]} for row in rows]


def table(rows: list[dict]) -> str:
    """Rows as measured."""
    return bench.table(rows, COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--only", nargs="+", default=[*NETWORKS], choices=[*NETWORKS])
    default = Path(__file__).parent / "results" / "mechanisms.jsonl"
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args()
    about = {"run": time.strftime("%Y-%m-%dT%H:%M:%S")} | bench.circumstances()
    beside = [NETWORKS[name][0] for name in options.only]
    names = list(dict.fromkeys([*beside, *options.only]))
    for row in measured(names, options.cells, options.repetitions):
        print(json.dumps(row), flush=True)
        bench.append(options.out, about | row)


if __name__ == "__main__":
    main()
