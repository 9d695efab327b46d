"""Can the published rates of the microcircuit be fitted by its external drives and inhibition?

Eight drives, one per population, and one factor on all inhibitory weights, from values up to 20 %
off, in the circuit of Potjans and Diesmann (2014) at a reduced size. `--quick` fits two drives of a
tiny circuit.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import cortexmg as cx
from cortexmg import fit_plots, measures, models, plots, results
from cortexmg.models.microcircuit import POPULATIONS, RATES

INHIBITION = "projections/*I to */strength"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--scale", type=float, default=0.04)
    parser.add_argument("--key", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    results.check_folder(args.out)
    if args.quick:
        args.scale = 0.01
    network = models.microcircuit(args.scale)
    known = cx.parameters(network)
    drives = {f"stimuli/outside {p}/rate": p for p in POPULATIONS[: 2 if args.quick else None]}
    published = {name: float(known[name].value) for name in drives} | {INHIBITION: 1.0}
    rng = np.random.default_rng([12, args.key])
    start = {name: x * rng.uniform(0.8, 1.2) for name, x in published.items()}
    bounds = {name: cx.Bounds(x / 2, x * 2) for name, x in published.items()}
    targets = cx.Targets(
        {f"rate {p}": measures.Rate(p) for p in POPULATIONS},
        [cx.Target(f"rate {p}", r) for p, r in zip(POPULATIONS, RATES, strict=True)],
    )
    began = time.perf_counter()
    fit = cx.fit(
        network,
        bounds,
        targets,
        start=start,
        steps=2 if args.quick else 12,
        seeds=2,
        duration=100.0 if args.quick else 800.0,
        settle=100.0 if args.quick else 200.0,
        dt=0.1,
        key=args.key,
        progress=True,
    )
    print(fit)
    off = {name: float(x / published[name]) for name, x in fit.values.items()}
    print("relative to the published circuit:", {k: round(v, 3) for k, v in off.items()})
    account = results.account(
        network,
        command="12",
        scale=args.scale,
        key=args.key,
        start=start,
        found=off,
        statistics=fit.statistics,
        sd=dict(zip(fit.labels, fit.sd.tolist(), strict=True)),
        warnings=fit.warnings,
        runs=fit.runs,
        simulated=fit.seconds,
        wall=time.perf_counter() - began,
    )
    drawn = fit_plots.report(fit)
    figures = {"figure.png": lambda path: plots.save(drawn, path)}
    results.save(args.out, {f"curve {k}": v for k, v in fit.curve.items()}, account, figures)


if __name__ == "__main__":
    main()
