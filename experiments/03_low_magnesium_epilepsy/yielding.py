"""Does inhibition that wears out hold a front for seconds, and how fast is the front then?

A sheet without magnesium (0.05 mM), of whose middle a current makes the cells fire on and on.
Contacts from E to I cells and from I to E cells are stronger, and those from I to E cells also
depress for seconds, with the numbers of `releases.SlowDepression`. Run with --quick for less.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from fronts import MG, PATHS, RINGS, kicked

import cortexmg as cx
from cortexmg import plots, recorders, results
from cortexmg.drawing import PAGE, axes_grid, new_figure, style
from cortexmg.releases import SlowDepression

OUT = Path(__file__).parent / "results"
STRONGER = [3.0, 4.0, 5.0, 6.0, 7.0]
KICK, BIN, FIRING = 50.0, 20.0, 10.0  # ms, ms, Hz


def runs(n: int, seed: int, until: float) -> tuple[list[dict], np.ndarray]:
    """What becomes of the front at each strength, and the rate of E cells in [runs, rings, bins].

    It is held until it reaches the first ring. It has reached one when cells there fire above 10 Hz
    in two bins, one after the other.
    """
    network, distance = kicked(n, seed, 1000.0, until)
    contacts = network.projections["I to E"]
    worn = replace(contacts, release=SlowDepression(contacts.release))
    network = replace(network, projections={**network.projections, "I to E": worn})
    values = {MG: [0.05] * len(STRONGER), **{path: STRONGER for path in PATHS}}
    made = cx.sweep(network, values, until, record={"E": recorders.Spikes("E")}, key=seed)
    rates = np.stack([by_ring(run["E"], distance, until) for run in made])
    rows = []
    for stronger, hz in zip(STRONGER, rates, strict=True):
        there = (hz[:, :-1] > FIRING) & (hz[:, 1:] > FIRING)
        reached, arrived = there.any(axis=1), 1e-3 * (BIN * there.argmax(axis=1) - KICK)
        row = {"seed": seed, "stronger": stronger, "reached": float(reached.mean())}
        # A front that needs only a few bins for all rings is too fast to be measured in them.
        slow = reached.all() and np.ptp(arrived) > 5e-3 * BIN
        speed = float(1.0 / np.polyfit(1e-3 * RINGS, arrived, 1)[0]) if slow else None
        held = float(arrived[0]) if reached[0] else None
        rows.append(row | {"held s": held, "mm/s": speed})
    return rows, rates


def by_ring(trains, distance: np.ndarray, until: float) -> np.ndarray:
    """The rate of E cells in rings of 50 um, [rings, bins] (Hz)."""
    bins, found = np.arange(0.0, until + 0.5 * BIN, BIN), []
    for x in RINGS:
        ring = np.abs(distance - x) < 25.0
        count = np.histogram(trains.times[ring[trains.ids]], bins)[0]
        found.append(1e3 * count / (BIN * max(ring.sum(), 1)))
    return np.stack(found)


def draw(rates: np.ndarray, until: float, out: Path) -> None:
    figure = new_figure(PAGE, 0.25 * PAGE)
    with style():
        row = axes_grid(figure, 1, len(STRONGER))[0]
        for axes, stronger, hz in zip(row, STRONGER, rates, strict=True):
            extent = (0, 1e-3 * until, 1e-3 * (RINGS[0] - 25.0), 1e-3 * (RINGS[-1] + 25.0))
            shown = axes.imshow(hz, vmin=0, vmax=80, origin="lower", aspect="auto", extent=extent)
            axes.set(title=f"{stronger:g} times", xlabel="s", ylabel="mm" if axes is row[0] else "")
        figure.colorbar(shown, ax=list(row), label="rate of E (Hz)", shrink=0.8)
    plots.save(figure, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    n, seeds, until = (1000, 1, 500.0) if quick else (16_000, 3, 16e3)
    rows: list[dict] = []
    for seed in range(seeds):
        more, rates = runs(n, seed, until)
        rows += more
        if not quick and not seed:
            draw(rates, until, OUT / "yielding.png")
    print(*rows, sep="\n")
    if not quick:
        results.write(OUT / "yielding.json", n=n, rows=rows)


if __name__ == "__main__":
    main()
