"""Do ions that move turn bursts without magnesium into seizures?

Slices of cortex in which sodium, potassium and chloride move, along a ladder of magnesium, in baths
of 3.5 and 5 mM potassium: how often does the network discharge, for how long, how high does
potassium rise, and does it need NMDA or AMPA receptors? And if contacts between E cells also
depress for seconds (`--slow`)? Run with --quick for a small version.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np

import cortexmg as cx
from cortexmg import episodes, models, plots, recorders, results, statistics

HERE = Path(__file__).parent
MAGNESIUM = [0.02, 0.05, 0.1, 0.5, 1.0]  # mM
SETTLE, SHOWN = 500.0, 40e3  # ms
IONS = "environment/ions"
COLUMNS = (
    "rate", "per minute", "median s", "longest s", "episodes", "first at s", "longest series s",
    "highest K", "block s",
)  # fmt: skip
# Bath and magnesium (mM), and which receptors are blocked.
CASES = [dict(bath=k, mg=mg, blocked="nothing") for k in (3.5, 5.0) for mg in MAGNESIUM]
CASES += [dict(bath=3.5, mg=0.02, blocked=blocked) for blocked in ("nmda", "ampa")]


def measure(n: int, key: int, duration: float, slow: bool) -> tuple[list[dict], list]:
    """Discharges and potassium of each case, and the runs."""
    options = {"drive": 0.1, "slow_depression": True} if slow else {}
    network = models.cortex_slice(n, key, ca=1.3, ions=True, **options)
    record: dict[str, recorders.Recorder] = {p: recorders.Spikes(p) for p in "EI"}
    record["k"] = recorders.Probe("E", "tissues/space/felt/k", [0], every=50.0)
    record["v"] = recorders.Probe("E", every=50.0)
    values = {
        f"{IONS}/mg/outside": [c["mg"] for c in CASES],
        f"{IONS}/k/outside": [c["bath"] for c in CASES],
    }
    for population, receptor in product("EI", ("nmda", "ampa")):
        gain = float(network.populations[population].receptors[receptor].gain)
        left = [gain * (c["blocked"] != receptor) for c in CASES]
        values[f"populations/{population}/receptors/{receptor}/gain"] = left
    runs = cx.sweep(network, values, duration, record=record, key=100 + key, progress=True)
    each = zip(CASES, runs, strict=True)
    return [c | {"key": key} | found(run, duration) for c, run in each], runs


def found(run: cx.Run, duration: float) -> dict:
    """Discharges of a run; those of more than 2 s are seizures."""
    trains = run["E"].between(SETTLE, duration)
    # Recorded seizures have discharges at 3 to 10 Hz, these slices at 1 to 2: what is one discharge
    # depends on the pause that it may have, so their series are measured too.
    bursts, series = episodes.discharges(trains), episodes.discharges(trains, episodes.SERIES)
    lengths = bursts.stops - bursts.starts
    long = bursts.starts[lengths > episodes.SEIZURE]
    return {
        "rate": statistics.mean_rate(trains),
        "per minute": bursts.per_minute,
        "median s": 1e-3 * float(np.median(lengths)) if lengths.size else 0.0,
        "longest s": 1e-3 * float(lengths.max(initial=0.0)),
        "episodes": int(long.size),
        "first at s": 1e-3 * float(long[0]) if long.size else float("nan"),
        "longest series s": 1e-3 * float((series.stops - series.starts).max(initial=0.0)),
        "highest K": float(run["k"].values.max()),
        # For how long more than half of the E cells are above -40 mV, firing or not.
        "block s": 0.05 * float(np.sum(np.mean(run["v"].values > -40.0, axis=1) > 0.5)),
    }


def draw(runs: list[cx.Run], end: str) -> None:
    """Potassium and rates of E cells in the beginning, at each magnesium in 3.5 mM potassium."""
    labels = [f"{mg:g} mM Mg" for mg in MAGNESIUM]
    shown, edges = runs[: len(labels)], np.arange(0.0, SHOWN + 1.0, 100.0)
    t = shown[0]["k"].t[: int(SHOWN / 50.0)]
    k = np.stack([run["k"].values[: t.size, 0] for run in shown], axis=1)
    plots.save(
        plots.traces(t, k, labels, ylabel="[K⁺]ₒ (mM)"), HERE / f"results/potassium{end}.png"
    )
    rates = [np.histogram(run["E"].times, edges)[0] / (0.1 * run["E"].n) for run in shown]
    figure = plots.traces(edges[1:], np.stack(rates, axis=1), labels, ylabel="rate of E (Hz)")
    plots.save(figure, HERE / f"results/seizures{end}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--slow", action="store_true", help="with slow depression")
    quick, slow = (getattr(parser.parse_args(), name) for name in ("quick", "slow"))
    end = "_slow" if slow else ""
    n, keys, duration = (200, 1, 1e3) if quick else (400, 3, 120e3)
    rows: list[dict] = []
    for key in range(keys):
        more, runs = measure(n, key, duration, slow)
        rows += more
        if not key and not quick:
            draw(runs, end)
    for case in CASES:
        same = [r for r in rows if case.items() <= r.items()]
        each = {x: [r[x] for r in same] for x in COLUMNS}
        cells = [f"{x} {np.mean(y):.3g} +- {np.std(y):.2g}" for x, y in each.items()]
        print(*case.values(), *cells, sep="; ")
    if not quick:
        results.write(HERE / f"results/potassium{end}.json", n=n, rows=rows)


if __name__ == "__main__":
    main()
