"""Epileptiform activity without magnesium: what abolishes it, and how fast does it spread?

Slices: `cortex` in fluid without magnesium (0.05 mM of it are left), a fifth of the input from
outside left, which has receptors of its own: with NMDA, AMPA or GABA_A receptors blocked, how often
does the network burst? On a sheet: how fast does activity spread that a kick has started, with and
without inhibition, and with more of it? Run with --quick for a small version.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from fronts import MG, SPREAD, STRONGER, fronts

import cortexmg as cx
from cortexmg import models, plots, recorders, results, statistics

HERE = Path(__file__).parent
SETTLE = 500.0  # ms
BLOCKED = {
    "nothing": (),
    "NMDA": ("nmda",),
    "AMPA": ("ampa",),
    "GABA_A": ("gaba_a",),
    "nothing, 1 mM Mg": (),
}


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
    moving = fronts(*((2000, 1) if quick else (16_000, 5)))
    speeds = {}
    for name, along, key in (
        ("with inhibition", SPREAD, "mg"),
        ("without inhibition", SPREAD, "mg"),
        ("more inhibition", STRONGER, "stronger"),
        ("no kick", STRONGER, "stronger"),
    ):
        speed, share = (
            np.array([[r[x] for r in moving[name] if r[key] == value] for value in along])
            for x in ("mm/s", "share")
        )
        speeds[name] = speed
        for value, x, y in zip(along, speed, share, strict=True):
            print(
                f"{name}, {value:g}: {x.mean():.1f} +- {x.std():.1f} mm/s, {y.mean():.2f} reached"
            )
    if quick:
        return
    out = HERE / "results"
    results.write(out / "epilepsy.json", pharmacology=rows, fronts=moving)
    more = {"0.05 mM": speeds.pop("more inhibition")}
    del speeds["no kick"]
    figure = plots.against(SPREAD, speeds, "[Mg²⁺]ₒ (mM)", "speed of the front (mm/s)")
    label = "contacts of inhibition, relative"
    figure_more = plots.against(STRONGER, more, label, "speed of the front (mm/s)")
    plots.save(figure_more, out / "inhibition.png")
    plots.save(figure, out / "speed.png")


if __name__ == "__main__":
    main()
