"""What does depression that lasts for seconds do to events and bursts?

`cortex` whose contacts between E cells also depress slowly, along ladders of magnesium and of
calcium, with all its input from outside; and slices with and without slow depression, with a
tenth and a fifth of it. Run with --quick for a small version.
"""

import argparse
from pathlib import Path

import numpy as np

import cortexmg as cx
from cortexmg import ladder, models, plots, recorders, results, statistics
from cortexmg.spike_trains import SpikeTrains

HERE = Path(__file__).parent
MAGNESIUM = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.3, 2.0, 3.0, 4.0]  # mM
CALCIUM = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.75, 2.0]  # mM
LADDERS = {"mg": MAGNESIUM, "ca": CALCIUM}
OUTSIDE = "environment/ions/{}/outside"
SLICES = {
    "slow depression": {"slow_depression": True, "drive": 0.1},
    "without": {"drive": 0.2},
}
BATHS = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0]  # mM magnesium of slices, with 1.3 mM calcium
SHOWN = 20e3  # ms
COLUMNS = ("rate E", "rate I", "CV E", "corr E", "chi E", "per second", "burst ms", "longest ms")
SLICE_COLUMNS = ("rate E", "per second", "burst ms", "longest ms", "peak Hz", "interval CV")


def bursts_of(trains: SpikeTrains, duration: float) -> dict[str, float]:
    """How often, for how long and how regularly the network bursts in `duration` ms."""
    found = statistics.bursts(trains)
    lengths, intervals = found.stops - found.starts, np.diff(found.starts)
    return {
        "per second": 1e3 * lengths.size / duration,
        "burst ms": float(np.median(lengths)) if lengths.size else float("nan"),
        "longest ms": float(lengths.max(initial=0.0)),
        "peak Hz": float(np.mean(found.peak_rates)) if lengths.size else float("nan"),
        "interval CV": float(intervals.std() / intervals.mean()) if lengths.size > 2 else np.nan,
    }


def in_vivo(n: int, key: int, settle: float, duration: float) -> list[dict]:
    """Statistics of the network with all its input along both ladders."""
    network, rows = models.cortex(n, key, slow_depression=True), []
    for ion, values in LADDERS.items():
        runs = ladder.run_ladder(
            network, values, parameter=OUTSIDE.format(ion), duration=duration, settle=settle,
            key=100 + key,
        )  # fmt: skip
        for value, run in zip(values, runs, strict=True):
            trains = run["E"].between(settle, settle + duration)
            row = ladder.summary(run, network, settle) | bursts_of(trains, duration)
            rows.append({"ion": ion, "mM": value, "key": key, **row})
    return rows


def in_slices(n: int, key: int, settle: float, duration: float) -> tuple[list[dict], dict]:
    """Bursts of slices at each magnesium, and the runs at 0.1 mM."""
    rows, shown = [], {}
    for kind, options in SLICES.items():
        network = models.cortex_slice(n, key, ca=1.3, **options)
        record = {"E": recorders.Spikes("E")}
        values = {OUTSIDE.format("mg"): BATHS}
        runs = cx.sweep(network, values, settle + duration, record=record, key=300 + key)
        for mg, run in zip(BATHS, runs, strict=True):
            trains = run["E"].between(settle, settle + duration)
            row = {"rate E": statistics.mean_rate(trains)} | bursts_of(trains, duration)
            rows.append({"kind": kind, "mM": mg, "key": key, **row})
        shown[kind] = runs[BATHS.index(0.1)]
    return rows, shown


def show(rows: list[dict], case: dict, values: list[float], columns: tuple[str, ...]) -> None:
    """Print mean and standard deviation over keys of each statistic along a ladder."""
    print(f"\n{' '.join(map(str, case.values())):14s}" + "".join(f"{x:>20g}" for x in values))
    for column in columns:
        cells = []
        for x in values:
            same = [r[column] for r in rows if r.items() >= (case | {"mM": x}).items()]
            found = np.array(same)[np.isfinite(same)]
            cells.append(f"{found.mean():.3g} +- {found.std():.2g}" if found.size else "-")
        print(f"{column:14s}" + "".join(f"{x:>20s}" for x in cells))


def draw(runs: dict[str, cx.Run]) -> None:
    """Rates of E cells of slices at 0.1 mM."""
    edges = np.arange(0.0, SHOWN + 1.0, 50.0)
    rates = [np.histogram(r["E"].times, edges)[0] / (0.05 * r["E"].n) for r in runs.values()]
    figure = plots.traces(edges[1:], np.stack(rates, axis=1), list(runs), ylabel="rate of E (Hz)")
    plots.save(figure, HERE / "results/slices.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    n, keys, settle, duration = (200, 1, 100.0, 400.0) if quick else (2000, 3, 20e3, 5e3)
    ladders, slices = [], []
    for key in range(keys):
        ladders += in_vivo(n, key, settle, duration)
        print(key, "in vivo", flush=True)
    n, keys, settle, duration = (100, 1, 100.0, 400.0) if quick else (1000, 5, 2e3, 30e3)
    for key in range(keys):
        more, runs = in_slices(n, key, settle, duration)
        slices += more
        print(key, "slices", flush=True)
        if not key and not quick:
            draw(runs)
    for ion, values in LADDERS.items():
        show(ladders, {"ion": ion}, values, COLUMNS)
    for kind in SLICES:
        show(slices, {"kind": kind}, BATHS, SLICE_COLUMNS)
    if not quick:
        results.write(HERE / "results/slow_depression.json", ladders=ladders, slices=slices)


if __name__ == "__main__":
    main()
