"""How good gradients are: estimators against the truth in nine networks.

Derivatives of rates, CV, synchrony and NMDA conductance by magnesium, calcium, NMDA weight, K_Mg of
release and drive, per unit of the logarithm of each. The truth is small differences over many
seeds. What results hold already is not run again. `--quick` takes two small networks and few
seeds; `--only HH-strong` one network.
"""

import argparse
import time
from binascii import crc32
from pathlib import Path

import numpy as np
from networks import COUPLINGS, KINDS, network
from open_loop import OpenLoop
from table import draw, draw_grades, table

import cortexmg as cx
from cortexmg import measures, results
from cortexmg.bounds import Coordinates
from cortexmg.estimators import Differences, Forward
from cortexmg.protocol import Protocol, keys_of

PARAMETERS = {
    "Mg": "environment/ions/mg/outside",
    "Ca": "environment/ions/ca/outside",
    "NMDA weight": "populations/E/receptors/nmda/gain",
    "K_Mg": "projections/*/release/factors/ions/k_mg",
    "drive": "stimuli/outside E/weight",
}
MEASURES = {
    "rate E": measures.Rate("E"),
    "rate I": measures.Rate("I"),
    "CV E": measures.CV("E"),
    "synchrony E": measures.Synchrony("E"),
    "NMDA nS": measures.MeanConductance("E", "nmda"),
}
TRUTH = "truth: differences, 4 points 0.1"
ESTIMATORS = {  # and of what share of the seeds
    TRUTH: (Differences(0.1, points=4), 1.0),
    "differences, one side 0.2": (Differences(0.2, points=1), 1.0),
    "differences, 0.1": (Differences(0.1), 1.0),
    "differences, 0.2": (Differences(0.2), 0.5),
    "differences, 0.3": (Differences(0.3), 0.4),
    "differences, orthogonal 0.1": (Differences(0.1, "orthogonal"), 0.4),
    "differences, 2 random pairs 0.1": (Differences(0.1, 2), 0.4),
    "open loop, closed by rates": (OpenLoop(), 0.4),
    "forward": (Forward(), 0.25),
    "forward, 1 mV": (Forward(cx.Tangents(width=1.0)), 0.25),
    "forward, damped 20 ms": (Forward(cx.Tangents(damping=20.0)), 0.25),
    "forward, horizon 20 ms": (Forward(cx.Tangents(horizon=20.0)), 0.25),
    "forward, escape noise 2 mV": (Forward(cx.Tangents(width=2.0, escape=10.0)), 0.25),
}
# ms. The start of a strongly coupled network has effects for 2 s: a burst of all cells, which
# ignites or does not from one side of a difference to the other, and is no part of what is asked.
SETTLE = {"feed-forward": 600.0, "weak": 600.0, "strong": 3000.0}
AT_A_TIME = 32  # seeds
BATCH = 4  # seeds of an estimate as a fit makes it


def protocol_of(kind: str, coupling: str, duration: float) -> Protocol:
    """The network with its parameters and measures."""
    made = network(kind, coupling)
    known = cx.parameters(made)
    bounds = {}
    for name in PARAMETERS.values():
        first = next(p for p in known if p == name or ("*" in name and p.endswith("/k_mg")))
        value = float(known[first].value)
        bounds[name] = cx.Bounds(value / 10, value * 10)
    how = {"duration": duration, "settle": SETTLE[coupling], "dt": 0.05 if kind == "HH" else 0.1}
    return Protocol(made, Coordinates(made, bounds), MEASURES, **how)


def estimates(
    protocol: Protocol, name: str, seeds: int, after: int = 0
) -> tuple[np.ndarray, float]:
    """Sensitivities of single seeds [seeds, q, p], and seconds of the processor per seed.

    They have other noise than the seeds that came before, `after` so many.
    """
    estimator, key = ESTIMATORS[name][0], crc32(name.encode()) % 10**6

    def run(seeds, key):
        keys = keys_of(key, after, seeds)
        return estimator.estimate(protocol, protocol.coordinates.start, keys, np.zeros_like)

    run(2, 0)
    began = time.process_time()
    found = run(seeds, key)
    seconds = (time.process_time() - began) / seeds
    return found.sensitivity, seconds


def measured(kind: str, coupling: str, most: int, truth: int, duration: float, data: dict):
    """What estimators give for one network, beside what is there, as it grows, and its account."""
    protocol = protocol_of(kind, coupling, duration)
    account = results.account(protocol.network, command="10", batch=BATCH)
    there = np.broadcast_to(protocol.coordinates.start, (8, 1, len(PARAMETERS)))

    def so_far() -> tuple:
        seeds = {name: len(data[name]) for name in ESTIMATORS if name in data}
        return {k: np.asarray(v) for k, v in data.items()}, account | {"seeds": seeds}

    times = np.array([protocol.settle, protocol.duration, protocol.dt])
    if not np.array_equal(data.setdefault("settle, duration, dt", times), times):
        raise SystemExit(f"{kind}-{coupling} was run with other times: delete its results first.")
    if "statistics" not in data:
        data["statistics"] = protocol.run(there, keys_of(7, 0, 8))[:, 0]
    for name, (_, share) in ESTIMATORS.items():
        if name not in data:
            seeds = max(2, round(most * share))
            data[name], data[f"{name}: seconds"] = estimates(protocol, name, seeds)
            print(f"{kind} {coupling} {name}: {data[f'{name}: seconds']:.2f} s", flush=True)
            yield so_far()
    while (before := len(data[TRUTH])) < truth:
        more, _ = estimates(protocol, TRUTH, min(AT_A_TIME, truth - before), before)
        data[TRUTH] = np.concatenate([data[TRUTH], more])
        yield so_far()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", help="KIND-COUPLING")
    parser.add_argument("--seeds", type=int, default=32)
    parser.add_argument("--truth", type=int, default=0, help="Seeds of the truth, if more.")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--draw", action="store_true", help="Only table and figure, from results.")
    args = parser.parse_args()
    pairs = [(kind, coupling) for kind in KINDS for coupling in COUPLINGS]
    if args.quick:
        pairs, args.seeds = [("LIF", "feed-forward"), ("LIF", "strong")], 8
    if args.only:
        pairs = [tuple(args.only.split("-", 1))]
    folder = args.out or Path(__file__).parent / "results"
    for kind, coupling in pairs if not args.draw else []:
        place = folder / f"{kind}_{coupling}"
        there = dict(results.load(place)[0]) if place.exists() else {}
        asked = args.seeds, args.truth, 200.0 if args.quick else 1000.0
        for found in measured(kind, coupling, *asked, there):
            results.save(place, *found)
    saved = {
        f"{kind}, {coupling}": results.load(place)[0]
        for kind in KINDS
        for coupling in COUPLINGS
        if (place := folder / f"{kind}_{coupling}").exists()
    }
    names = list(PARAMETERS), TRUTH, BATCH
    text = "\n".join(table(title, data, list(MEASURES), *names) for title, data in saved.items())
    (folder / "table.md").write_text(text + "\n")
    print(text)
    draw(saved, *names, folder)
    draw_grades(saved, list(MEASURES), *names, folder)


if __name__ == "__main__":
    main()
