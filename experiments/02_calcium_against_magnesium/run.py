"""Does calcium make up for magnesium, and does calcium alone make a network synchronous?

Slices: `cortex` with little input from outside, in fluid without magnesium (0.05 mM of it are left)
and with 1, 2 or 3 mM calcium: in how many of them does the network burst? In vivo: `cortex` with
all its input between 1 and 2 mM calcium. Run with --quick for a small version.
"""

import argparse
from pathlib import Path

import jax
import numpy as np

import cortexmg as cx
from cortexmg import ladder, models, plots, recorders, results, statistics

HERE = Path(__file__).parent
SETTLE = 500.0  # ms
MG, CA = (f"environment/ions/{ion}/outside" for ion in ("mg", "ca"))
# [Mg]o, [Ca]o, [K]o in mM; 0.05 mM of magnesium is what "no magnesium" fluid still holds.
FLUIDS = {
    "1.3 Mg, 2 Ca": (1.3, 2.0, 3.5),
    "0 Mg, 1 Ca": (0.05, 1.0, 3.5),
    "0 Mg, 2 Ca": (0.05, 2.0, 3.5),
    "0 Mg, 3 Ca": (0.05, 3.0, 3.5),
    "0 Mg, 3 Ca, 5 K": (0.05, 3.0, 5.0),
}
LADDER = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.75, 2.0]  # mM calcium
PUBLISHED = {"0 Mg, 1 Ca": 1.0, "0 Mg, 2 Ca": 0.67, "0 Mg, 3 Ca": 0.0, "0 Mg, 3 Ca, 5 K": 0.0}


def slice_parameters(network: cx.Network, fluid: str, drive: float) -> dict[str, np.ndarray]:
    """The numbers of a slice: its fluid, the input that is left, and potassium's reversals."""
    mg, ca, k = FLUIDS[fluid]
    # The cells have published reversals, which hold for 3.5 mM outside; four fifths of the leak
    # are potassium, if the rest is sodium.
    shift = 26.64 * np.log(k / 3.5)
    values = {MG: mg, CA: ca}
    for name, p in cx.parameters(network).items():
        if name.startswith("stimuli") and name.endswith("rate"):
            values[name] = drive * float(p.value)
        if name.endswith(tuple(f"channels/{c}/e" for c in ("k", "m", "ahp", "leak"))):
            values[name] = float(p.value) + (0.8 if "leak" in name else 1.0) * shift
    return values


def bursting(n: int, seeds: int, drives: list[float], duration: float, **options) -> list[dict]:
    """Whether each slice bursts, and how: a network and its noise for each seed."""
    rows = []
    cases = [(fluid, drive) for drive in drives for fluid in FLUIDS]
    for seed in range(seeds):
        network = models.cortex_slice(n, seed, drive=1.0, **options)
        each = [slice_parameters(network, fluid, drive) for fluid, drive in cases]
        values = {name: np.array([x[name] for x in each]) for name in each[0]}
        record: dict[str, recorders.Recorder] = {"E": recorders.Spikes("E")}
        key = jax.random.key(seed, impl="threefry2x32")
        runs = cx.sweep(network, values, SETTLE + duration, record=record, key=key)
        for (fluid, drive), run in zip(cases, runs, strict=True):
            trains = run["E"].between(run.start + SETTLE, run.stop)
            found = statistics.bursts(trains)
            row = {"fluid": fluid, "drive": drive, "seed": seed, "bursts": int(found.starts.size)}
            row["rate"] = statistics.mean_rate(trains)
            row["length"] = float(np.mean(found.stops - found.starts)) if found.starts.size else 0.0
            rows.append(row)
    return rows


def probabilities(rows: list[dict], drives: list[float]) -> dict[str, np.ndarray]:
    """Fraction of slices with at least one burst, by fluid, at each drive."""
    return {
        fluid: np.array(
            [
                np.mean([r["bursts"] > 0 for r in rows if (r["fluid"], r["drive"]) == (fluid, d)])
                for d in drives
            ]
        )
        for fluid in FLUIDS
    }


def calcium_ladder(n: int, seeds: int, duration: float, **options) -> list[dict]:
    """Statistics of the network with all its input, at 1 mM magnesium."""
    rows = []
    for seed in range(seeds):
        network = models.cortex(n, seed, **options)
        runs = ladder.run_ladder(
            network, LADDER, parameter=CA, duration=duration, settle=SETTLE, key=100 + seed
        )
        rows += [
            {"ca": ca, "seed": seed, **ladder.summary(run, network, SETTLE)}
            for ca, run in zip(LADDER, runs, strict=True)
        ]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    size = (400, 2, [0.1, 0.2], 500.0) if quick else (1000, 20, [0.1, 0.125, 0.15, 0.2], 3000.0)
    kinds = {"all": {}, "without release": {"mechanisms": ("gaba", "surface", "calcium")}}
    slices, found = {}, {}
    for kind, options in kinds.items():
        slices[kind] = bursting(*size, **options)
        found[kind] = probabilities(slices[kind], size[2])
        print(f"{kind:18s}" + "".join(f"{d:8g}" for d in size[2]) + "   published", flush=True)
        for fluid, p in found[kind].items():
            published = PUBLISHED.get(fluid, 0.0)
            print(f"{fluid:18s}" + "".join(f"{x:8.2f}" for x in p) + f"{published:12.2f}")
    n, seeds, duration = (400, 1, 500.0) if quick else (2000, 5, 2000.0)
    ladders = {k: calcium_ladder(n, seeds, duration, **o) for k, o in kinds.items()}
    chi = {}
    for kind, table in ladders.items():
        for column in ("rate E", "chi E", "corr E"):
            values = np.array([[r[column] for r in table if r["ca"] == ca] for ca in LADDER])
            print(f"{kind}, {column}: " + " ".join(f"{x:.3f}" for x in values.mean(axis=1)))
            chi |= {f"{kind}": values} if column == "chi E" else {}
    if quick:
        return
    out = HERE / "results"
    results.write(out / "calcium.json", slices=slices, ladders=ladders)
    figure = plots.against(LADDER, chi, "[Ca²⁺]ₒ (mM)", "synchrony of E cells", log=False)
    plots.save(figure, out / "synchrony.png")
    for kind, p in found.items():
        figure = plots.against(size[2], p, "input from outside", "slices that burst", log=False)
        plots.save(figure, out / f"slices_{kind.replace(' ', '_')}.png")


if __name__ == "__main__":
    main()
