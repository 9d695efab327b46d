"""Does potassium turn bursts without magnesium into seizures?

Slices of cortex in which potassium gathers outside the cells, along a ladder of magnesium: how long
are the episodes of firing, how often do they come, and how high does potassium rise? Run with
--quick for a small version.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import cortexmg as cx
from cortexmg import models, plots, recorders, results, statistics

HERE = Path(__file__).parent
MAGNESIUM = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]  # mM
SETTLE = 2000.0  # ms


def measure(n: int, key: int, duration: float, potassium: bool) -> tuple[list[dict], list]:
    """Episodes and potassium at each concentration, and the runs."""
    network = models.cortex_slice(n, key, ca=1.3, potassium=potassium)
    record: dict[str, recorders.Recorder] = {p: recorders.Spikes(p) for p in "EI"}
    if potassium:
        record["k"] = recorders.Probe("E", "tissues/potassium/felt", [0], every=10.0)
    values = {"environment/ions/mg/outside": MAGNESIUM}
    runs = cx.sweep(network, values, SETTLE + duration, record=record, key=100 + key, progress=True)
    rows = []
    for mg, run in zip(MAGNESIUM, runs, strict=True):
        trains = run["E"].between(run.start + SETTLE, run.stop)
        # An episode goes on while the population fires above 5 Hz, with pauses below 200 ms.
        found = statistics.bursts(trains, bin=20.0, smoothing=100.0, over_median=0.0,
                                  least_rate=5.0, gap=200.0)  # fmt: skip
        lengths = found.stops - found.starts
        rows.append(
            {
                "mg": mg,
                "key": key,
                "rate": statistics.mean_rate(trains),
                "per minute": found.per_minute,
                "longest s": 1e-3 * float(lengths.max(initial=0.0)),
                "above 2 s": int(np.sum(lengths > 2000.0)),
                "highest K": float(run["k"].values.max()) if potassium else 3.5,
            }
        )
    return rows, runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    n, keys, duration = (200, 1, 1000.0) if quick else (500, 3, 6000.0)
    rows: dict[str, list[dict]] = {"fixed": [], "moves": []}
    shown = []
    for key in range(keys):
        for name in rows:
            found, runs = measure(n, key, duration, name == "moves")
            rows[name] += found
            shown = runs if name == "moves" and not key else shown
    for name, found in rows.items():
        print(f"\npotassium {name}" + "".join(f"{mg:>16g}" for mg in MAGNESIUM))
        for column in ("rate", "per minute", "longest s", "above 2 s", "highest K"):
            each = [[r[column] for r in found if r["mg"] == mg] for mg in MAGNESIUM]
            cells = "".join(f"{np.mean(x):9.2f} +-{np.std(x):4.1f}" for x in each)
            print(f"{column:15s}{cells}")
    if quick:
        return
    out = HERE / "results"
    out.mkdir(exist_ok=True)
    t, labels = shown[0]["k"].t, [f"{mg:g} mM Mg" for mg in MAGNESIUM]
    k = np.stack([run["k"].values[:, 0] for run in shown], axis=1)
    plots.save(plots.traces(t, k, labels, ylabel="[K⁺]ₒ (mM)"), out / "potassium.png")
    account = {"versions": results.versions(), "commit": results.commit(), "n": n, "rows": rows}
    (out / "potassium.json").write_text(json.dumps(account, indent=1))


if __name__ == "__main__":
    main()
