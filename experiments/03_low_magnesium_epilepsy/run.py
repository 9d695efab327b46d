"""Epileptiform activity without magnesium: what abolishes it, and how fast does it spread?

Slices: `cortex` in fluid without magnesium (0.05 mM of it are left), a fifth of the input from
outside left, which has receptors of its own: with NMDA, AMPA or GABA_A receptors blocked, how often
does the network burst? On a sheet: how fast does activity spread that a kick has started, with and
without inhibition? Run with --quick for a small version.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

import cortexmg as cx
from cortexmg import models, plots, recorders, results, statistics, stimuli
from cortexmg.models.cortex import sheet_of

HERE = Path(__file__).parent
SETTLE, MG = 500.0, "environment/ions/mg/outside"
BLOCKED = {
    "nothing": (),
    "NMDA": ("nmda",),
    "AMPA": ("ampa",),
    "GABA_A": ("gaba_a",),
    "nothing, 1 mM Mg": (),
}
SPREAD = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]  # mM


def pharmacology(n: int, seeds: int, duration: float) -> list[dict]:
    """Bursts of each slice with each kind of receptor blocked."""
    rows = []
    for seed in range(seeds):
        network = models.cortex_slice(n, seed, ca=1.3)
        gains = [f"populations/{p}/receptors/{r}/gain" for p in "EI" for r in ("nmda", "ampa")]
        gains += [f"populations/{p}/receptors/gaba_a/gain" for p in "EI"]
        known = cx.parameters(network)
        values: Mapping = {
            name: [0.0 if name.split("/")[3] in b else known[name].value for b in BLOCKED.values()]
            for name in gains
        } | {MG: [1.0 if "1 mM" in name else 0.05 for name in BLOCKED]}
        runs = cx.sweep(
            network,
            values,
            SETTLE + duration,
            record={"E": recorders.Spikes("E")},
            key=jax.random.key(seed, impl="threefry2x32"),
        )
        for name, run in zip(BLOCKED, runs, strict=True):
            trains = run["E"].between(run.start + SETTLE, run.stop)
            found = statistics.bursts(trains)
            lengths = found.stops - found.starts
            rows.append(
                {
                    "blocked": name,
                    "seed": seed,
                    "rate": statistics.mean_rate(trains),
                    "per minute": found.per_minute,
                    "ms": float(lengths.mean()) if lengths.size else None,
                    "peak Hz": float(found.peak_rates.mean()) if lengths.size else None,
                }
            )
    return rows


def spread(n: int, seed: int, gaba: float) -> list[dict]:
    """Speed of the front that a kick in the middle of a sheet starts, at each magnesium."""
    network = models.cortex_slice(n, seed, drive=0.1, ca=1.3, wiring="distance")
    sheet, cells = sheet_of(network.sizes), network.populations["E"].n
    side = sheet.width
    places = sheet.positions(cells)
    distance = sheet.distance(places, np.full_like(places, side / 2))
    kick = stimuli.step_current("E", np.where(distance < 150.0, 2000.0, 0.0), 50.0, 70.0)
    network = replace(network, stimuli={**network.stimuli, "kick": kick})
    gains = {f"populations/{p}/receptors/gaba_a/gain": [gaba] * len(SPREAD) for p in "EI"}
    runs = cx.sweep(
        network, {MG: SPREAD, **gains}, 250.0, record={"E": recorders.Spikes("E")}, key=seed
    )
    rows = []
    for mg, run in zip(SPREAD, runs, strict=True):
        trains, first = run["E"].between(50.0, 250.0), np.full(cells, np.inf)
        np.minimum.at(first, trains.ids, trains.times)
        ring = (distance > 250.0) & (distance < 0.45 * side)
        reached = ring & np.isfinite(first)
        share = reached.sum() / ring.sum()
        # Where the front has passed, most cells fire, and the later the farther away they are.
        slope = np.polyfit(distance[reached], first[reached], 1)[0] if share > 0.8 else np.inf
        rows.append(
            {"mg": mg, "seed": seed, "gaba": gaba, "share": float(share), "mm/s": 1.0 / slope}
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    rows = pharmacology(*((400, 1, 500.0) if quick else (1000, 20, 5000.0)))
    print(
        f"{'blocked':18s}{'slices that burst':>19s}{'per minute':>14s}{'ms':>8s}{'rate (Hz)':>11s}"
    )
    for name in BLOCKED:
        found = [r for r in rows if r["blocked"] == name]
        share = np.mean([r["per minute"] > 0 for r in found])
        mean, sd = (f([r["per minute"] for r in found]) for f in (np.mean, np.std))
        length = np.mean([r["ms"] for r in found if r["ms"]] or [np.nan])
        rate = np.mean([r["rate"] for r in found])
        print(f"{name:18s}{share:19.2f}{mean:9.1f} +-{sd:3.0f}{length:8.0f}{rate:11.2f}")
    n, seeds = (2000, 1) if quick else (16_000, 5)
    fronts = [r for seed in range(seeds) for gaba in (1.0, 0.0) for r in spread(n, seed, gaba)]
    speeds = {}
    for gaba, name in ((1.0, "with inhibition"), (0.0, "without")):
        speeds[name] = np.array(
            [[r["mm/s"] for r in fronts if (r["mg"], r["gaba"]) == (mg, gaba)] for mg in SPREAD]
        )
        print(
            f"{name:16s}"
            + "".join(
                f"  {mg:g} mM: {x.mean():.1f}" for mg, x in zip(SPREAD, speeds[name], strict=True)
            )
        )
    if quick:
        return
    out = HERE / "results"
    out.mkdir(exist_ok=True)
    figure = plots.against(SPREAD, speeds, "[Mg²⁺]ₒ (mM)", "speed of the front (mm/s)")
    plots.save(figure, out / "speed.png")
    account = {"versions": results.versions(), "commit": results.commit()}
    account |= {"pharmacology": rows, "fronts": fronts}
    (out / "epilepsy.json").write_text(json.dumps(account, indent=1))


if __name__ == "__main__":
    main()
