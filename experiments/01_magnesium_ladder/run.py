"""What does each mechanism of magnesium do to a cortical network, alone and together?

`cortex` along a ladder of magnesium with the NMDA block alone, with one further mechanism at a
time, with all of them, with all but without NMDA receptors, and with all and noradrenaline. Run
with --quick for a small version.
"""

import argparse
from pathlib import Path

import numpy as np
from networks import CALCIUM, network_of

import cortexmg as cx
from cortexmg import factors, ladder, plots, results, statistics
from cortexmg.factors import calcium_block, hill_release
from cortexmg.models.cortex import MECHANISMS

HERE = Path(__file__).parent
MAGNESIUM = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.3, 2.0, 3.0, 4.0]  # mM
SETTLE = 500.0  # ms
CONDITIONS = {
    "block": {"mechanisms": ()},
    **{f"block, {name}": {"mechanisms": (name,)} for name in MECHANISMS},
    "block, calcium but its block": {"mechanisms": ("calcium",), "unblocked": True},
    "all": {},
    "all, no NMDA": {"nmda": 0.0},
    "all, noradrenaline": {"aroused": True},
}


def measure(n: int, key: int, duration: float, options: dict) -> tuple[list[dict], list]:
    """Statistics of one network at each concentration, and its runs."""
    network = network_of(n, key, **options)
    runs = ladder.run_ladder(network, MAGNESIUM, duration=duration, settle=SETTLE, key=100 + key)
    rows = []
    for mg, run in zip(MAGNESIUM, runs, strict=True):
        trains = run["E"].between(run.start + SETTLE, run.stop)
        found = statistics.bursts(trains)
        lengths = found.stops - found.starts
        row = ladder.summary(run, network, SETTLE)
        row["burst ms"] = float(lengths.mean()) if lengths.size else float("nan")
        row["longest ms"] = float(lengths.max()) if lengths.size else 0.0
        row["burst Hz"] = float(found.peak_rates.mean()) if lengths.size else float("nan")
        rows.append({"mg": mg, "key": key, **row})
    return rows, runs


def single_factors() -> dict[str, list[float]]:
    """What each mechanism multiplies, relative to 1 mM magnesium at the same calcium."""
    reference = {"ca_ref": CALCIUM, "mg_ref": 1.0}
    laws = {
        "release, steep": hill_release.steep(**reference),
        "release, shallow": hill_release.shallow(**reference),
        "release, mean": hill_release.intermediate(**reference),
        "release, classic": factors.DodgeRahamimoff(**reference),
        "GABA_A": factors.GABAPotentiation(),
        "N-type calcium": calcium_block.high_voltage(mg_ref=1.0),
        "noradrenaline": factors.SympatheticRelease(**reference),
    }
    baths = [cx.acsf(mg=mg, ca=CALCIUM) for mg in MAGNESIUM]
    found = {name: [float(law(env)) for env in baths] for name, law in laws.items()}
    block = cx.magnesium.jahr_stevens()
    for v in (-65.0, -40.0):
        rest = block.unblocked(None, v, cx.acsf(mg=1.0))
        found[f"NMDA at {v:g} mV"] = [float(block.unblocked(None, v, e) / rest) for e in baths]
    found["shift (mV)"] = [float(cx.surface.Screening().shift(env)) for env in baths]
    return found


def by_condition(rows: dict[str, list[dict]], column: str) -> dict[str, np.ndarray]:
    """A statistic of every condition, [concentrations, keys]."""
    table = {}
    for name, found in rows.items():
        table[name] = np.array([[r[column] for r in found if r["mg"] == mg] for mg in MAGNESIUM])
    return table


def show(rows: dict[str, list[dict]], column: str) -> None:
    """Print the mean over keys of a statistic, conditions by concentrations."""
    print(f"\n{column:30s}" + "".join(f"{mg:8g}" for mg in MAGNESIUM))
    for name, values in by_condition(rows, column).items():
        print(f"{name:30s}" + "".join(f"{x:8.2f}" for x in np.nanmean(values, axis=1)))


def draw(rows: dict[str, list[dict]], runs: list, out: Path) -> None:
    """Rasters with all mechanisms, and the conditions that differ most."""
    chosen = {
        "block": rows["block"],
        "+ release": rows["block, release"],
        "+ surface": rows["block, surface"],
        "all": rows["all"],
        "no NMDA": rows["all, no NMDA"],
    }
    columns = {"rate of E (Hz)": "rate E", "synchrony of E": "chi E", "bursts/min": "bursts/min E"}
    panels = {label: by_condition(chosen, column) for label, column in columns.items()}
    rasters = [{p: run[p] for p in ("E", "I")} for run in runs]
    figure = plots.ladder(rasters, MAGNESIUM, panels, window=(SETTLE, SETTLE + 1000.0))
    plots.save(figure, out / "ladder.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    n, keys, duration = (400, 1, 500.0) if quick else (2000, 5, 2500.0)
    rows: dict[str, list[dict]] = {}
    shown = []
    for name, options in CONDITIONS.items():
        rows[name] = []
        for key in range(keys):
            found, runs = measure(n, key, duration, options)
            rows[name] += found
            shown = runs if name == "all" and not key else shown
        print(name, "done", flush=True)
    for column in ("rate E", "rate I", "chi E", "corr E", "bursts/min E", "burst ms", "burst Hz"):
        show(rows, column)
    print("\nfactors, relative to 1 mM")
    for name, values in single_factors().items():
        print(f"{name:30s}" + "".join(f"{x:8.2f}" for x in values))
    if quick:
        return
    out = HERE / "results"
    results.write(out / "ladder.json", n=n, factors=single_factors(), rows=rows)
    draw(rows, shown, out)


if __name__ == "__main__":
    main()
