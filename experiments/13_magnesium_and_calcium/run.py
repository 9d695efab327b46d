"""Which sensitivities to magnesium and calcium give `cortex` the published findings?

Twelve numbers, within the ranges of the literature, are fitted to findings under ten conditions,
from the default values and from others drawn from their priors. Then the default and the fitted
networks are compared with noise, wirings and findings that no fit saw. `--quick` makes two steps
with a tiny network. A fit that was interrupted goes on.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from findings import AMPA, CA, CONDITIONS, FITTED, MEASURES, MG, bounds_of, findings, targets
from table import tables

import cortexmg as cx
from cortexmg import models, results
from cortexmg.aim import aim_of
from cortexmg.bounds import Coordinates
from cortexmg.estimators.estimator import mean_over_seeds, variance_of_mean
from cortexmg.models.cortex import OUTSIDE
from cortexmg.protocol import Protocol, keys_of

TIMES = {"duration": 1200.0, "settle": 400.0, "dt": 0.1}
QUICK = {"duration": 100.0, "settle": 50.0, "dt": 0.1}
FULL = {f"stimuli/outside {p}/rate": rate for p, (rate, _) in OUTSIDE.items()}
UNSEEN = {  # of slices whose input from outside has receptors of its own
    "slice, 0 Mg, 1.3 Ca": {MG: 0.05, CA: 1.3},
    "the same, no AMPA": {MG: 0.05, CA: 1.3, AMPA: 0.0},
    "slice, 1.3 Mg, 2 Ca": {MG: 1.3, CA: 2.0},
    "1 Mg, 1.3 Ca": {MG: 1.0, CA: 1.3, **FULL},
    "1 Mg, 2.5 Ca": {MG: 1.0, CA: 2.5, **FULL},
}


def drawn(network: cx.Network, key: int) -> dict[str, float]:
    """Where a fit begins: at the default values, or at others drawn from the priors."""
    c = Coordinates(network, bounds_of(network))
    if key == 0:
        return c.named(c.start)
    u = np.random.default_rng([13, key]).normal(c.prior_mean, c.prior_sd)
    return c.named(np.clip(u, c.low, c.high))


def fitted(network: cx.Network, key: int, times: dict, steps: int, folder: Path) -> cx.Fit:
    """One fit."""
    return cx.fit(
        network,
        bounds_of(network),
        targets(),
        start=drawn(network, key),
        optimiser=cx.gauss_newton(damping=1e-2),  # priors alone tell most of the numbers
        steps=steps,
        seeds=4,
        key=key,
        folder=folder / f"start_{key}",
        progress=True,
        **times,
    )


def measured(
    network: cx.Network, us: list[np.ndarray], conditions: dict, times: dict, seeds: int
) -> tuple[Protocol, np.ndarray]:
    """Statistics of runs with noise that no fit saw, at several coordinates, [seed, where, q]."""
    c = Coordinates(network, bounds_of(network))
    protocol = Protocol(network, c, MEASURES, conditions, **times)
    rows = np.broadcast_to(np.array(us), (seeds, len(us), c.size))
    return protocol, protocol.run(rows, keys_of(1313, 0, seeds))


def validated(network: cx.Network, us: list[np.ndarray], times: dict, seeds: int) -> dict:
    """Statistics and losses of the targets at several coordinates."""
    protocol, found = measured(network, us, CONDITIONS, times, seeds)
    aim, (mean, error) = aim_of(protocol, targets()), _mean_and_error(found)
    half = [[aim.loss(mean_over_seeds(x[k::2])) for k in (0, 1)] for x in found.swapaxes(0, 1)]
    return {
        "statistics": list(map(str, protocol.statistics)),
        "mean": mean,
        "error": error,
        "loss": [aim.loss(x) for x in mean],
        "loss of halves": half,
        "slices that burst": _share_that_burst(protocol, found),
    }


def unseen(n: int, us: list[np.ndarray], times: dict, seeds: int) -> dict:
    """What no fit was told of: statistics of slices and of more calcium."""
    protocol, found = measured(models.cortex_slice(n), us, UNSEEN, times, seeds)
    mean, error = _mean_and_error(found)
    return {"statistics": list(map(str, protocol.statistics)), "mean": mean, "error": error}


def _share_that_burst(protocol: Protocol, found: np.ndarray) -> dict[str, list[float]]:
    """The share of the seeds of which chi is above a half, by condition; a silent one has none."""
    return {
        s.condition: np.mean(found[..., i] > 0.5, axis=0).tolist()
        for i, s in enumerate(protocol.statistics)
        if s.measure == "chi"
    }


def _mean_and_error(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return mean_over_seeds(found), np.sqrt(variance_of_mean(found))


def values_of(network: cx.Network, fits: list[cx.Fit]) -> list[dict]:
    """Each fitted number beside its default, range and prior."""
    c, known = Coordinates(network, bounds_of(network)), cx.parameters(network)
    rows = []
    for i, (name, path, unit) in enumerate(FITTED):
        b, place = bounds_of(network)[path], c.places[i]
        rows.append(
            {
                "name": name,
                "path": path,
                "unit": unit,
                "default": float(known[place.paths[0]].value),
                "range": [float(b.low), float(b.high)],
                "prior": b.prior,
                "fitted": [float(f.values[path]) for f in fits],
                "e-folds, s.d.": [float(f.sd[i]) for f in fits],
                "moved, prior s.d.": [
                    float((f.coordinates[i] - c.prior_mean[i]) / c.prior_sd[i]) for f in fits
                ],
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--starts", type=int, default=2)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    n, times, seeds = (40, QUICK, 2) if args.quick else (400, TIMES, 12)
    if args.quick:
        args.starts, args.steps, args.out = 1, 2, Path(tempfile.mkdtemp())
    network, began = models.cortex(n), time.process_time()
    fits = [fitted(network, k, times, args.steps, args.out) for k in range(args.starts)]
    us = [Coordinates(network, bounds_of(network)).start, *(f.coordinates for f in fits)]
    others = {"fresh noise": (network, seeds), "another wiring": (models.cortex(n, 1), seeds)}
    if not args.quick:
        others["1,000 cells"] = models.cortex(1000, 2), 4
    account = results.account(network, command="13", times=times, steps=args.steps) | {
        "values": values_of(network, fits),
        "fits": [_described(f) for f in fits],
        "validation": {k: validated(x, us, times, s) for k, (x, s) in others.items()},
        "unseen": unseen(n, us, times, seeds),
        "findings": [f._asdict() for f in findings()],
        "CPU s": time.process_time() - began,
    }
    account = results.plain(account)
    print(tables(account, [f.correlation for f in fits]))
    arrays = {f"correlation {i}": f.correlation for i, f in enumerate(fits)}
    arrays |= {f"{k} {i}": x for i, f in enumerate(fits) for k, x in f.curve.items()}
    results.save(args.out / "summary", arrays, account)
    if args.quick:
        shutil.rmtree(args.out)


def _described(fit: cx.Fit) -> dict:
    kept = ("loss", "statistics", "warnings", "ended", "runs", "seconds", "sd", "labels")
    return {k: getattr(fit, k) for k in kept} | {"losses": fit.curve["loss"]}


if __name__ == "__main__":
    main()
