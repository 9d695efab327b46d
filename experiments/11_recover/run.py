"""Can hidden magnesium sensitivities be recovered from firing statistics under four conditions?

Single parameters, all pairs of four, and eight at once, from starts 2 to 4 times off. Every fit is
a line in results/fits.jsonl. `--quick` makes two fits of single parameters in a small network.
"""

import argparse
import json
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
from problem import EIGHT, FOUR, SEEDS, TIMES, bounds_of, error, network, start_of, targets

import cortexmg as cx

SETS = [[k] for k in FOUR] + [list(p) for p in combinations(FOUR, 2)] + [list(EIGHT)]
STEPS = {1: 20, 2: 25, 8: 30}
CLOSE = {1: 0.05, 2: 0.10, 8: 0.10}


def one(net, names: list[str], aim: cx.Targets, key: int) -> dict:
    """A fit from one start, as a line of results."""
    began = time.perf_counter()
    fit = cx.fit(
        net,
        bounds_of(names),
        aim,
        start=start_of(names, key),
        seeds=SEEDS[len(names)],
        key=key,
        steps=STEPS[len(names)],
        **TIMES,
    )
    return {
        "names": names,
        "key": key,
        "error": error(fit, names),
        "sd": dict(zip(names, fit.sd.tolist(), strict=True)),
        "correlation": fit.correlation.round(3).tolist(),
        "loss": fit.loss,
        "steps": len(fit.curve["loss"]),
        "ended": fit.ended,
        "simulated": fit.seconds,
        "wall": time.perf_counter() - began,
    }


def table(lines: list[dict]) -> str:
    """How many starts came close, by set of parameters."""
    rows = ["| fitted | starts | within | median error | s.d. said | simulated s | wall s |"]
    rows.append("|---|---|---|---|---|---|---|")
    for names in SETS:
        found = [x for x in lines if x["names"] == names]
        if not found:
            continue
        errors = np.abs([[x["error"][k] for k in names] for x in found])
        sd = np.median([[x["sd"][k] for k in names] for x in found], axis=0)
        close = int(np.sum(np.all(errors < CLOSE[len(names)], axis=1)))
        rows.append(
            f"| {', '.join(names)} | {len(found)} | {close} within {100 * CLOSE[len(names)]:.0f} % "
            f"| {' / '.join(f'{100 * x:.1f} %' for x in np.median(errors, axis=0))} "
            f"| {' / '.join(f'{100 * x:.1f} %' for x in sd)} "
            f"| {np.mean([x['simulated'] for x in found]):.0f} "
            f"| {np.mean([x['wall'] for x in found]):.0f} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--sizes", default="1,2,8", help="How many parameters at once.")
    default = Path(__file__).parent / "results" / "fits.jsonl"
    parser.add_argument("--out", type=Path, default=default)
    args = parser.parse_args()
    net = network(100 if args.quick else 400)
    sizes = [1] if args.quick else [int(x) for x in args.sizes.split(",")]
    starts = 1 if args.quick else args.starts
    args.out.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(x) for x in args.out.read_text().splitlines()] if args.out.exists() else []
    for names in [s for s in SETS if len(s) in sizes][: 2 if args.quick else None]:
        aim = targets(net, names, 6 if args.quick else 48)
        for key in range(starts):
            if any(x["names"] == names and x["key"] == key for x in done):
                continue
            done.append(one(net, names, aim, key))
            print(done[-1]["names"], done[-1]["error"], done[-1]["ended"], file=sys.stderr)
            with args.out.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
    print(table(done))


if __name__ == "__main__":
    main()
