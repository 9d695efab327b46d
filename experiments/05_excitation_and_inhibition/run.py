"""How does magnesium move the balance of excitation and inhibition, and through which mechanism?

Mean conductances onto E cells of `cortex` along a ladder of magnesium. Each is a product: spikes of
the presynaptic cells, transmitter per spike (release), and what opens of the receptors that hold
transmitter (the block of NMDA receptors, the potentiation of GABA_A receptors). Each term is
measured in the same run, relative to 1 mM. Run with --quick for a small version.
"""

import argparse
from pathlib import Path

import numpy as np

import cortexmg as cx
from cortexmg import models, plots, recorders, results, statistics

HERE = Path(__file__).parent
MAGNESIUM = [0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0, 1.3, 2.0, 3.0]  # mM
REFERENCE = MAGNESIUM.index(1.0)
SETTLE = 500.0  # ms
RECEPTORS = {"ampa": "E", "nmda": "E", "gaba_a": "I"}  # onto E cells, from which cells


def measure(n: int, key: int, duration: float, **options) -> dict[str, np.ndarray]:
    """Conductances (nS) and their terms at each concentration, by name."""
    # Input from outside goes to receptors that are not recorded, so that contacts are seen alone.
    network = models.cortex_slice(n, key, drive=1.0, **options)
    record: dict[str, recorders.Recorder] = {p: recorders.Spikes(p) for p in network.populations}
    record |= {r: recorders.Conductance("E", r, every=1.0) for r in RECEPTORS}
    values = {"environment/ions/mg/outside": MAGNESIUM}
    runs = cx.sweep(network, values, SETTLE + duration, record=record, key=100 + key)
    found: dict[str, list[float]] = {}
    for run in runs:
        rates = {
            p: statistics.mean_rate(run[p].between(run.start + SETTLE, run.stop))
            for p in network.populations
        }
        for receptor, pre in RECEPTORS.items():
            later = run[receptor].t > run.start + SETTLE
            opened, bound = (
                float(np.mean(x[later]))
                for x in (run[receptor].values.open, run[receptor].values.bound)
            )
            terms = {"": opened, " rate": rates[pre], " release": bound / rates[pre]}
            for term, value in {**terms, " opening": opened / bound}.items():
                found.setdefault(receptor + term, []).append(value)
    return {name: np.array(x) for name, x in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    n, keys, duration = (400, 1, 500.0) if quick else (2000, 5, 3000.0)
    kinds = {"all": {}, "block alone": {"mechanisms": ()}}
    tables = {}
    for kind, options in kinds.items():
        each = [measure(n, key, duration, **options) for key in range(keys)]
        table = {name: np.stack([x[name] for x in each], axis=1) for name in each[0]}
        table["E/I"] = (table["ampa"] + table["nmda"]) / table["gaba_a"]
        tables[kind] = table
        print(f"\n{kind:16s}" + "".join(f"{mg:8g}" for mg in MAGNESIUM))
        for name, values in table.items():
            relative = "" if name in RECEPTORS or name == "E/I" else "x"
            mean = values.mean(axis=1)
            mean = mean / mean[REFERENCE] if relative else mean
            print(f"{name:16s}" + "".join(f"{x:8.3f}" for x in mean) + f"  {relative}")
    if quick:
        return
    out = HERE / "results"
    results.write(out / "balance.json", mg=MAGNESIUM, tables=tables)
    ratios = {kind: table["E/I"] for kind, table in tables.items()}
    figure = plots.against(MAGNESIUM, ratios, "[Mg²⁺]ₒ (mM)", "E/I conductance onto E cells")
    plots.save(figure, out / "ratio.png")
    shown = {
        "NMDA: block": "nmda opening",
        "E: release": "ampa release",
        "I: release": "gaba_a release",
        "I: GABA_A": "gaba_a opening",
        "E: rate": "ampa rate",
        "I: rate": "gaba_a rate",
    }
    terms = {k: tables["all"][name] / tables["all"][name][REFERENCE] for k, name in shown.items()}
    figure = plots.against(MAGNESIUM, terms, "[Mg²⁺]ₒ (mM)", "relative to 1 mM")
    plots.save(figure, out / "terms.png")


if __name__ == "__main__":
    main()
