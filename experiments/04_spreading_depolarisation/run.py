"""Spreading depolarisation: does magnesium set its threshold and its speed, and do cells recover?

Cells of Huebel and Dahlem with NMDA receptors that high potassium outside opens lie in voxels of 50
um (25 um for speeds), one each, of a cable, between which potassium diffuses (sheet.py has a
sheet). At time 0 it is high in a strip of 200 um. Pumps differ by 10 % between cells, by seed. Run
with --quick for less.
"""

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

import cortexmg as cx
from cortexmg import models, plots, recorders, results
from cortexmg.channels import AmbientNMDA
from cortexmg.environment import Environment
from cortexmg.sheet import Sheet
from cortexmg.tissues import Buffer, ExtracellularSpace, voxels_of

OUT = Path(__file__).parent / "results"
SIZE, FINE, STRIP, DT = 50.0, 25.0, 200.0, 0.05  # um, um, um, ms
MG = [0.05, 0.25, 0.5, 1.0, 2.0, 4.0]  # mM
APPLIED = [8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 25.0]  # mM
PUMP, NMDA = (f"populations/cells/channels/{c}" for c in ("pump/maximum", "nmda/g_max"))
START, OUTSIDE = "tissues/space/start", "environment/ions/mg/outside"
SEEN = {"k": "tissues/space/felt/k", "v": "v"}
RECORD = {name: recorders.Probe("cells", path, every=100.0) for name, path in SEEN.items()}


def tissue(columns: int, rows: int = 1, size: float = SIZE) -> cx.Network:
    """A sheet of cells at rest, one in each voxel, with 10 nS of NMDA receptors."""
    network = models.hubel_dahlem(n := columns * rows)
    cells = network.populations["cells"]
    channels = {**cells.channels, "nmda": AmbientNMDA(10.0)}
    channels["pump"] = replace(channels["pump"], maximum=pumps(cells, n, 0))
    voxels = voxels_of(Sheet(size * columns, size * rows), columns, rows)
    space = ExtracellularSpace(720.0, voxels, exchange=0.0, glia=Buffer(), start=np.full(n, 4.0))
    cells = replace(cells, channels=channels, v0=-67.19)
    env = Environment({**cx.acsf().ions, **network.environment.ions})
    return cx.Network(env, {"cells": cells}, tissues={"space": space})


def pumps(cells: cx.Population, n: int, seed: int) -> np.ndarray:
    """The maximum of each pump (pA)."""
    return np.mean(cells.channels["pump"].maximum) * np.random.default_rng(seed).normal(1.0, 0.1, n)


def waves(length: float, cases: list[dict], duration: float, size: float = SIZE) -> list[cx.Run]:
    """A run of a cable (um) for each of the cases (Mg and K in mM, NMDA in nS, seed)."""
    columns = round(length / size)
    network, strip = tissue(columns, 1, size), np.arange(columns) * size < STRIP
    values = {
        OUTSIDE: [c["mg"] for c in cases],
        START: np.stack([np.where(strip, c["k"], 4.0) for c in cases]),
        NMDA: [c["g"] for c in cases],
        PUMP: np.stack([pumps(network.populations["cells"], columns, c["seed"]) for c in cases]),
    }
    return cx.sweep(network, values, duration, DT, record=RECORD)


def speed(run: cx.Run, begin: int, end: int) -> float:
    """Of the front at 15 mM (mm/min) from voxel to voxel; not a number if it does not pass."""
    above = run["k"].values > 15.0
    if not above[:, [begin, end]].any(axis=0).all():
        return float("nan")
    first = run["k"].t[above.argmax(axis=0)]
    return float((end - begin) * FINE / (first[end] - first[begin]) * 60.0)


def thresholds(seeds: int, duration: float) -> list[dict]:
    """The least potassium that starts a wave."""
    cases = [dict(mg=m, k=k, g=10.0, seed=s) for m, k, s in product(MG, APPLIED, range(seeds))]
    cases += [dict(mg=1.0, k=k, g=0.0, seed=s) for k, s in product(APPLIED, range(seeds))]
    for case, run in zip(cases, waves(1000.0, cases, duration), strict=True):
        case["started"] = bool(run["k"].values[:, 14].max() > 30.0)
    return cases


def speeds(seeds: int, duration: float, nmda: list[float]) -> list[dict]:
    """How fast it runs, and how high potassium rises, for every strength of NMDA receptors."""
    several = [(10.0, s) for s in range(seeds)] + [(g, 0) for g in nmda]
    cases = [dict(mg=m, k=40.0, g=g, seed=s) for m, (g, s) in product(MG, several)]
    for case, run in zip(cases, waves(1500.0, cases, duration, FINE), strict=True):
        case |= {"mm/min": speed(run, 20, 50), "k max": float(run["k"].values[:, 40].max())}
    return cases


def recovery(seeds: int, duration: float) -> tuple[list[dict], np.ndarray, np.ndarray]:
    """How long cells in the middle stay depolarised, what follows, potassium in 3 places."""
    cases = [dict(mg=m, k=40.0, g=10.0, seed=s) for s in range(seeds) for m in (0.05, 1.0)]
    runs = waves(2000.0, cases, duration)
    for case, run in zip(cases, runs, strict=True):
        v, k = run["v"].values[:, 20], run["k"].values[:, 20]
        case |= {"s above -40 mV": float(0.1 * np.sum(v > -40.0)), "k max": float(k.max())}
        case |= {"k end": float(k[-1]), "v end": float(v[-1]), "k min": float(k.min())}
    return cases, runs[1]["k"].t, runs[1]["k"].values[:, [10, 20, 30]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    started = thresholds(*((1, 5e3) if quick else (3, 45e3)))
    moving = speeds(*((1, 5e3, []) if quick else (5, 60e3, [0.0, 1.0, 3.0, 30.0])))
    after, t, traces = recovery(*((1, 5e3) if quick else (3, 240e3)))
    print(*started, *moving, *after, sep="\n")
    if quick:
        return
    results.write(OUT / "waves.json", thresholds=started, speeds=moving, recovery=after)
    by_g = {}
    for g in (30.0, 10.0, 1.0, 0.0):
        found = [[c["mm/min"] for c in moving if (c["mg"], c["g"]) == (m, g)] for m in MG]
        by_g[f"{g:g} nS"] = np.array(found)
    plots.save(plots.against(MG, by_g, "[Mg²⁺]ₒ (mM)", "speed (mm/min)"), OUT / "speed.png")
    figure = plots.traces(t, traces, ["0.5 mm", "1 mm", "1.5 mm"], ylabel="[K⁺]ₒ (mM)")
    plots.save(figure, OUT / "recovery.png")


if __name__ == "__main__":
    main()
