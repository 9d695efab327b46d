"""Does calcium make up for magnesium where sodium, potassium and chloride move?

Slices in which ions move, in the fluids of Isaev et al. (2012): in how many of them does a seizure
begin, with all mechanisms? A seizure is a discharge, or a series of discharges, of more than 2 s.
And with variants (--kind): contacts between E cells that also depress for seconds ("slow"), and
other laws of release, whose numbers are the least certain here. Run with --quick for a small
version.
"""

import argparse
from pathlib import Path

import numpy as np
from run import FLUIDS, SETTLE

import cortexmg as cx
from cortexmg import episodes, models, recorders, results, statistics

OUT = Path(__file__).parent / "results"
SEIZURE = 1e-3 * episodes.SEIZURE  # s
COLUMNS = ("longest s", "longest series s", "shorter per minute", "rate", "highest K")
LAW = "projections/{}/release/factors/ions/{}"
PATHWAYS = [f"{pre} to {post}" for pre in "EI" for post in "EI"]
# Options of the network, and numbers of the laws of release that differ.
KINDS: dict[str, tuple[dict, dict]] = {
    "all": ({}, {}),
    "slow": ({"drive": 0.1, "slow_depression": True}, {}),
    "no_release": ({"mechanisms": ("gaba", "surface", "calcium")}, {}),
    # mM, in place of 2.97: magnesium competes less.
    "k_mg_10": ({}, {LAW.format(pathway, "k_mg"): 10.0 for pathway in PATHWAYS}),
    # The share of the steep curve between E cells, in place of 1; 0.5 is that of other contacts.
    **{f"steep_{x:g}": ({}, {LAW.format("E to E", "steep"): x}) for x in (0.5, 0.7, 0.8, 0.9)},
}


def measure(n: int, key: int, duration: float, kind: str) -> list[dict]:
    """Discharges in each fluid, of a slice with a wiring and a noise of its own."""
    options, laws = KINDS[kind]
    network = cx.with_parameters(models.cortex_slice(n, key, ions=True, **options), laws)
    fluids = np.array(list(FLUIDS.values())).T
    values = {
        f"environment/ions/{ion}/outside": x
        for ion, x in zip(("mg", "ca", "k"), fluids, strict=True)
    }
    record: dict[str, recorders.Recorder] = {"E": recorders.Spikes("E")}
    record["k"] = recorders.Probe("E", "tissues/space/felt/k", [0], every=50.0)
    runs = cx.sweep(network, values, duration, record=record, key=200 + key)
    rows = []
    for name, run in zip(FLUIDS, runs, strict=True):
        trains = run["E"].between(SETTLE, duration)
        # What a seizure is depends on the pause that it may have, so both are counted.
        lengths, series = (
            1e-3 * (found.stops - found.starts)
            for found in (episodes.discharges(trains), episodes.discharges(trains, episodes.SERIES))
        )
        rows.append(
            {
                "fluid": name,
                "key": key,
                "seizures": int(np.sum(lengths > SEIZURE)),
                "series": int(np.sum(series > SEIZURE)),
                "longest s": float(lengths.max(initial=0.0)),
                "longest series s": float(series.max(initial=0.0)),
                "shorter per minute": 6e4 * float(np.sum(lengths <= SEIZURE)) / (duration - SETTLE),
                "rate": statistics.mean_rate(trains),
                "highest K": float(run["k"].values.max()),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--kind", choices=KINDS, default="all")
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    quick, kind = given.quick, given.kind
    n, keys, duration = (100, 1, 1000.0) if quick else (400, given.seeds, 20_000.0)
    rows: list[dict] = []
    for key in range(keys):
        rows += measure(n, key, duration, kind)
        print(key, [r["seizures"] for r in rows[-len(FLUIDS) :]], flush=True)
    for fluid in FLUIDS:
        same = [r for r in rows if r["fluid"] == fluid]
        share = [float(np.mean([r[x] > 0 for r in same])) for x in ("seizures", "series")]
        each = {x: [r[x] for r in same] for x in COLUMNS}
        cells = [f"{x} {np.mean(y):.3g} +- {np.std(y):.2g}" for x, y in each.items()]
        print(fluid, f"seizures, series in {share}", *cells, sep="; ")
    if not quick:
        results.write(OUT / f"seizures_{kind}.json", n=n, rows=rows)


if __name__ == "__main__":
    main()
