"""Do magnesium, calcium and noradrenaline decide between the slow oscillation and waking?

`up_down` asleep (no activity of the locus coeruleus, as in a slice) and awake, in the fluids of
slices, and along magnesium at half the activity and with noradrenaline held. An UP state is a
period in which the rate of E cells, a moving mean of 50 ms, is above 1 Hz: pauses below 100 ms do
not end it, and shorter periods do not count (`episodes.up_states`). Run with --quick for a small
version.
"""

import argparse
from pathlib import Path

import jax
import numpy as np

import cortexmg as cx
from cortexmg import episodes, models, plots, recorders, results, statistics
from cortexmg.factors import SympatheticRelease
from cortexmg.simulate import Run
from cortexmg.starting import start

HERE = Path(__file__).parent
SETTLE = 1500.0  # ms
CONDITIONS = {  # activity of the locus coeruleus, Mg and Ca (mM)
    "asleep 1/1.2": (0.0, 1.0, 1.2),
    "asleep 1/1.0": (0.0, 1.0, 1.0),
    "asleep 2/2": (0.0, 2.0, 2.0),
    "awake 1/1.2": (1.0, 1.0, 1.2),
    "awake 2/2": (1.0, 2.0, 2.0),
}
MAGNESIUM = (0.25, 0.5, 0.75, 1.0, 2.0)  # mM
LADDER = {f"half {mg:g}/1.2": (0.5, mg, 1.2) for mg in MAGNESIUM}
SHOWN = {"up": "UP (s)", "down": "DOWN (s)", "share": "time up", "v up": "Vm UP"}
SHOWN |= {"v down": "Vm DOWN", "rate": "rate", "cv": "CV", "correlation": "corr."}


def simulate(conditions: dict, n: int, seed: int, duration: float) -> dict[str, Run]:
    """Every condition, each on the same wiring with the same noise."""
    network = models.up_down(n, seed)
    activity, mg, ca = np.array(list(conditions.values())).T
    values = {
        "tissues/noradrenaline/activity": activity[:, None],
        "environment/ions/mg/outside": mg,
        "environment/ions/ca/outside": ca,
    }
    cells = range(0, network.populations["E"].n, 16)
    record: dict[str, recorders.Recorder] = {
        "E": recorders.Spikes("E"),
        "v": recorders.Probe("E", "v", cells, every=10.0),
    }
    key = jax.random.key(seed, impl="threefry2x32")
    runs = cx.sweep(network, values, SETTLE + duration, dt=0.1, record=record, key=key)
    return dict(zip(conditions, runs, strict=True))


def held() -> dict:
    """The ladder with noradrenaline held at 0.5 of waking, by an activity for each release."""
    release = SympatheticRelease()
    return {f"held {m:g}/1.2": (0.5 / float(release(cx.acsf(m, 1.2))), m, 1.2) for m in MAGNESIUM}


def measure(run: Run) -> dict[str, float]:
    """UP and DOWN states after the network has settled; those cut at an end have no duration."""
    trains = run["E"].between(run.start + SETTLE, run.stop)
    found = episodes.up_states(trains)
    t, v = run["v"].t, run["v"].values
    up = np.any([(t > a) & (t <= b) for a, b in zip(found.starts, found.stops, strict=True)], 0)
    up, later = np.broadcast_to(up, t.shape), t > trains.start
    whole = (found.starts > trains.start) & (found.stops < run.stop)
    seconds = {
        "up": (found.stops - found.starts)[whole],
        "down": found.starts[1:] - found.stops[:-1],
    }
    return {
        "per s": 1e3 * np.sum(found.starts > trains.start) / trains.duration,
        **{name: 1e-3 * x.mean() if x.size else np.nan for name, x in seconds.items()},
        "share": np.sum(found.stops - found.starts) / trains.duration,
        "v up": _median(v[up & later]),
        "v down": _median(v[~up & later]),
        "rate": statistics.mean_rate(trains),
        "cv": statistics.mean_cv(trains, 10),
        "correlation": statistics.pairwise_correlation(trains),
    }


def _median(v: np.ndarray) -> float:
    return float(np.median(v)) if v.size else np.nan


def draw(runs: dict[str, Run], out: Path) -> None:
    """Rate of E cells and the potential of one, over time."""
    rates, potentials = [], []
    for run in runs.values():
        late = run["v"].t > SETTLE
        hz = statistics.population_rate(run["E"], 10.0)
        rates.append(hz[late])
        potentials.append(run["v"].values[late, 0])
    t = run["v"].t[late] - SETTLE
    for name, signals, unit in (
        ("rate", rates, "Rate of E cells (Hz)"),
        ("potential", potentials, "Membrane potential (mV)"),
    ):
        figure = plots.traces(t, np.stack(signals, 1), list(runs), ylabel=unit)
        plots.save(figure, out / f"{name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    start()
    n, seeds, duration = (1000, 1, 2000.0) if quick else (4000, 5, 10_000.0)
    kinds = {"conditions": CONDITIONS, "ladder": LADDER, "held": held()}
    tables: dict[str, dict[str, list]] = {kind: {c: [] for c in kinds[kind]} for kind in kinds}
    drawn: dict[str, Run] = {}
    for seed in range(seeds):
        for kind, conditions in kinds.items():
            runs = simulate(conditions, n, seed, duration)
            drawn = drawn or {c: runs[c] for c in CONDITIONS if c != "asleep 1/1.0"}
            for name, run in runs.items():
                tables[kind][name].append(measure(run))
    print(f"{'':14s}{'UP per s':>16s}" + "".join(f"{x:>16s}" for x in SHOWN.values()))
    for name, rows in {k: v for table in tables.values() for k, v in table.items()}.items():
        print(f"{name:14s}" + "".join(_cell([r[k] for r in rows]) for k in ("per s", *SHOWN)))
    if quick:
        return
    out = HERE / "results"
    results.write(out / "up_down.json", tables=results.plain(tables))
    draw(drawn, out)


def _cell(values: list[float]) -> str:
    """Mean and s.d. over the seeds that have a value."""
    x = np.array(values)[np.isfinite(values)]
    return f"{x.mean():10.2f}+-{x.std():4.2f}" if x.size else f"{'-':>16s}"


if __name__ == "__main__":
    main()
