"""Spreading depolarisation on a sheet: is it there as it is on a cable?

Voxels of 50 um, one cell each, 1.5 mm to a side. At time 0 potassium is high in a quarter of a disc
in one corner. Run with --quick for less.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from run import APPLIED, DT, OUTSIDE, PUMP, RECORD, SIZE, START, pumps, tissue

import cortexmg as cx
from cortexmg import plots, results
from cortexmg.drawing import PAGE, axes_grid, new_figure, style

OUT = Path(__file__).parent / "results"
SIDE, RADIUS = 30, 300.0  # voxels, um
MG = [0.05, 1.0, 4.0]  # mM
SHOWN = [5.0, 15.0, 25.0, 35.0]  # s, at 1 mM
AWAY = SIZE * np.hypot(*np.mgrid[:SIDE, :SIDE])  # um from the corner
PATH = ((AWAY > 600.0) & (AWAY < 1400.0)).reshape(-1)


def waves(cases: list[dict], duration: float) -> list[cx.Run]:
    """A run of the sheet for each of the cases (Mg and K in mM, seed)."""
    network = tissue(SIDE, SIDE)
    cells = network.populations["cells"]
    values = {
        OUTSIDE: [c["mg"] for c in cases],
        START: np.stack([np.where(AWAY < RADIUS, c["k"], 4.0).reshape(-1) for c in cases]),
        PUMP: np.stack([pumps(cells, cells.n, c["seed"]) for c in cases]),
    }
    return cx.sweep(network, values, duration, DT, record=RECORD)


def moving(seeds: int, duration: float) -> tuple[list[dict], np.ndarray]:
    """How fast waves are and how high potassium rises behind them; it in [waves, times, y, x]."""
    cases = [dict(mg=m, k=40.0, seed=s) for s in range(seeds) for m in MG]
    runs = waves(cases, duration)
    for case, run in zip(cases, runs, strict=True):
        case |= {"mm/min": speed(run), "k max": float(run["k"].values[:, PATH].max())}
    return cases, np.stack([run["k"].values.reshape(-1, SIDE, SIDE) for run in runs])


def thresholds(seeds: int, duration: float) -> list[dict]:
    """Which potassium starts a wave."""
    cases = [dict(mg=m, k=k, seed=s) for m, k, s in product(MG, APPLIED, range(seeds))]
    for case, run in zip(cases, waves(cases, duration), strict=True):
        begin = ((AWAY > RADIUS + 200.0) & (AWAY < RADIUS + 300.0)).reshape(-1)
        case["started"] = bool(run["k"].values[:, begin].max() > 30.0)
    return cases


def recovery(seeds: int, duration: float) -> list[dict]:
    """How long cells on the path stay depolarised, and where they are at the end (medians)."""
    cases = [dict(mg=m, k=40.0, seed=s) for m in (0.05, 1.0) for s in range(seeds)]
    for case, run in zip(cases, waves(cases, duration), strict=True):
        v, k = run["v"].values[:, PATH], run["k"].values[:, PATH]
        case |= {"s above -40 mV": float(np.median(0.1 * np.sum(v > -40.0, axis=0)))}
        case |= {"k end": float(np.median(k[-1])), "v end": float(np.median(v[-1]))}
    return cases


def speed(run: cx.Run) -> float:
    """Of the front at 15 mM (mm/min), by all voxels of the path; NaN if it does not pass all."""
    above = run["k"].values[:, PATH] > 15.0
    if not above.any(axis=0).all():
        return float("nan")
    arrived = run["k"].t[above.argmax(axis=0)]
    return float(60.0 / np.polyfit(AWAY.reshape(-1)[PATH], arrived, 1)[0])


def draw(images: np.ndarray, out: Path) -> None:
    figure, side = new_figure(PAGE, 0.25 * PAGE), SIDE * SIZE / 1e3
    with style():
        row = axes_grid(figure, 1, len(SHOWN))[0]
        for axes, t, image in zip(row, SHOWN, images, strict=True):
            shown = axes.imshow(image, vmin=4, vmax=70, origin="lower", extent=(0, side, 0, side))
            axes.set(title=f"{t:g} s", xlabel="mm", ylabel="mm" if t == SHOWN[0] else "")
        figure.colorbar(shown, ax=list(row), label="[K⁺]ₒ (mM)", shrink=0.8)
    plots.save(figure, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    cases, potassium = moving(*((1, 3e3) if quick else (3, 60e3)))
    started = thresholds(*((1, 1e3) if quick else (1, 45e3)))
    after = recovery(*((1, 1e3) if quick else (1, 240e3)))
    print(*cases, *started, *after, sep="\n")
    if quick:
        return
    times = [round(10 * t) - 1 for t in SHOWN]
    draw(potassium[MG.index(1.0), times], OUT / "sheet.png")
    results.write(OUT / "sheet.json", waves=cases, thresholds=started, recovery=after)


if __name__ == "__main__":
    main()
