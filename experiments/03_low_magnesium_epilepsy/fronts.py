"""Fronts of activity on a sheet of cortex."""

from dataclasses import replace

import numpy as np

import cortexmg as cx
from cortexmg import models, recorders, stimuli
from cortexmg.models.cortex import sheet_of

MG = "environment/ions/mg/outside"
SPREAD = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]  # mM
# By how much contacts from E to I cells and from I to E cells are stronger, both at once.
STRONGER = [1.0, 2.0, 2.5, 3.0, 3.5, 4.0]
PATHS = [f"projections/{p}/strength" for p in ("E to I", "I to E")]
RINGS = np.arange(275.0, 900.0, 50.0)  # um from the middle of a sheet of 2 mm


def kicked(n: int, seed: int, pA: float, until: float) -> tuple[cx.Network, np.ndarray]:
    """A sheet, a current into its middle from 50 ms on, and how far E cells are from it (um)."""
    network = models.cortex_slice(n, seed, drive=0.1, ca=1.3, wiring="distance")
    sheet, cells = sheet_of(network.sizes), network.populations["E"].n
    places = sheet.positions(cells)
    distance = sheet.distance(places, np.full_like(places, sheet.width / 2))
    kick = stimuli.StepCurrent("E", np.where(distance < 150.0, pA, 0.0), 50.0, until)
    return replace(network, stimuli={**network.stimuli, "kick": kick}), distance


def spread(
    n: int, seed: int, values: dict[str, list[float]], until: float = 250.0, pA: float = 2000.0
) -> list[dict]:
    """The front that a kick in the middle of a sheet starts, for each of the values."""
    network, distance = kicked(n, seed, pA, 70.0)
    record = {"E": recorders.Spikes("E")}
    rows = []
    for run in cx.sweep(network, values, until, record=record, key=seed):
        trains, first = run["E"].between(50.0, until), np.full(distance.size, np.inf)
        np.minimum.at(first, trains.ids, trains.times)
        outer = (distance > RINGS[0]) & (distance < RINGS[-1])
        reached = np.isfinite(first)
        share = reached[outer].mean()
        # Half of the cells of a ring that fire have done so when the front has reached it.
        rings = [reached & (np.abs(distance - x) < 25.0) for x in RINGS]
        arrived = np.array([np.median(first[ring]) if ring.any() else np.nan for ring in rings])
        slope, r = np.inf, None
        if share > 0.2 and np.isfinite(arrived).all():
            slope = np.polyfit(RINGS, arrived, 1)[0]
            r = float(np.corrcoef(RINGS, arrived)[0, 1])
        rows.append({"seed": seed, "share": float(share), "mm/s": 1.0 / slope, "r": r})
    return rows


def fronts(n: int, seeds: int) -> dict[str, list[dict]]:
    """Fronts with and without inhibition along magnesium, and at 0.05 mM along inhibition.

    The last also without a kick: what input from outside does by itself.
    """
    gains = [f"populations/{p}/receptors/gaba_a/gain" for p in "EI"]
    names = ("with inhibition", "without inhibition", "more inhibition", "no kick")
    found: dict[str, list[dict]] = {name: [] for name in names}
    for seed in range(seeds):
        for name, gain in zip(names[:2], (1.0, 0.0), strict=True):
            values = {MG: SPREAD, **{path: [gain] * len(SPREAD) for path in gains}}
            rows = spread(n, seed, values)
            found[name] += [{"mg": mg, **r} for mg, r in zip(SPREAD, rows, strict=True)]
        values = {MG: [0.05] * len(STRONGER), **{path: STRONGER for path in PATHS}}
        for name, pA in zip(names[2:], (2000.0, 0.0), strict=True):
            rows = spread(n, seed, values, 1500.0, pA)
            found[name] += [{"stronger": x, **r} for x, r in zip(STRONGER, rows, strict=True)]
    return found
