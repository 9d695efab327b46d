"""Spreading depolarisation on a sheet: does it move there as it does on a cable?

Voxels of 50 um, one cell each, 1.5 mm to a side. At time 0 potassium is high in a quarter of a disc
in one corner. Run with --quick for less.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from run import DT, OUTSIDE, PUMP, RECORD, SIZE, START, pumps, tissue

import cortexmg as cx
from cortexmg import plots, results
from cortexmg.drawing import PAGE, axes_grid, new_figure, style

OUT = Path(__file__).parent / "results"
SIDE, RADIUS = 30, 300.0  # voxels, um
MG = [0.05, 1.0, 4.0]  # mM
SHOWN = [5.0, 15.0, 25.0, 35.0]  # s, at 1 mM


def waves(seeds: int, duration: float) -> tuple[list[dict], np.ndarray]:
    """The speed and potassium of each wave, and potassium in [waves, times, y, x]."""
    network, (x, y) = tissue(SIDE, SIDE), np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    away = np.hypot(x, y) * SIZE
    spot = np.where(away < RADIUS, 40.0, 4.0).reshape(-1)
    cases = [{"mg": m, "seed": s} for s in range(seeds) for m in MG]
    cells = network.populations["cells"]
    values = {
        OUTSIDE: [c["mg"] for c in cases],
        START: np.stack([spot] * len(cases)),
        PUMP: np.stack([pumps(cells, cells.n, c["seed"]) for c in cases]),
    }
    runs = cx.sweep(network, values, duration, DT, record=RECORD)
    for case, run in zip(cases, runs, strict=True):
        case |= {"mm/min": speed(run, away), "k max": float(run["k"].values.max())}
    return cases, np.stack([run["k"].values.reshape(-1, SIDE, SIDE) for run in runs])


def speed(run: cx.Run, away: np.ndarray) -> float:
    """Of the front at 15 mM (mm/min), by all voxels 0.6 to 1.4 mm from the corner.

    Not a number if it does not pass all of them.
    """
    above, path = run["k"].values > 15.0, ((away > 600.0) & (away < 1400.0)).reshape(-1)
    if not above[:, path].any(axis=0).all():
        return float("nan")
    arrived = run["k"].t[above.argmax(axis=0)][path]
    return float(60.0 / np.polyfit(away.reshape(-1)[path], arrived, 1)[0])


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
    cases, potassium = waves(*((1, 3e3) if quick else (3, 60e3)))
    print(*cases, sep="\n")
    if quick:
        return
    times = [round(10 * t) - 1 for t in SHOWN]
    draw(potassium[MG.index(1.0), times], OUT / "sheet.png")
    account = {"versions": results.versions(), "commit": results.commit(), "waves": cases}
    (OUT / "sheet.json").write_text(json.dumps(account, indent=1))


if __name__ == "__main__":
    main()
