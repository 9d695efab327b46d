"""Wall seconds per simulated second of the benchmark networks, on one thread.

usage: taskset -c 0 python benchmarks/speed.py [--reference PROGRAM] [--sizes m1:4000 m2:10000 ...]

With --reference, a compiled program that takes "MODEL N T_MS THREADS SEED" and prints a JSON line
with sim_s and rate_hz runs in turn with each repetition, so that both see the same machine. The
ratio is that of the medians. One JSON line per network is appended to results/speed.jsonl.
"""

import argparse
import json
import resource
import subprocess
import time
from pathlib import Path

import jax
import numpy as np

import cortexmg as cx
from cortexmg import models, recorders, results

MODELS = {"m1": models.cobahh, "m2": models.ei_nmda}
SIZES = ["m1:4000", "m1:20000", "m1:100000", "m2:10000"]
DT, TRANSIENT = 0.1, 500.0  # ms


def reference_run(program: str, model: str, n: int, duration: float) -> np.ndarray:
    """Seconds, and spikes per cell, of the reference program."""
    command = [program, model, str(n), f"{duration:g}", "1", "1"]
    line = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return np.array([line["sim_s"], line["rate_hz"] * duration * 1e-3])


def reference_seconds(program: str, model: str, n: int, duration: float) -> np.ndarray:
    """Seconds per simulated second, and rate (Hz), of the time after the transient."""
    long = reference_run(program, model, n, TRANSIENT + duration)
    return (long - reference_run(program, model, n, TRANSIENT)) / duration * 1e3


def bench(model: str, n: int, repetitions: int, reference: str | None) -> dict:
    """Times of one network, each repetition going on from the last."""
    duration = float(np.clip(round(6e6 / n, -2), 300.0, 1000.0))
    network = MODELS[model](n)
    record = {"n": recorders.PopulationRate("cells", every=50.0)}
    began = time.perf_counter()
    run = cx.simulate(network, 50.0, dt=DT, record=record)
    first = time.perf_counter() - began
    run = cx.simulate(network, TRANSIENT - 50.0, dt=DT, record=record, state=run.state)
    times, theirs, rates = [], [], []
    for _ in range(repetitions):
        run = cx.simulate(network, duration, dt=DT, record=record, state=run.state)
        times.append(run.seconds / duration * 1e3)
        rates.append(float(np.mean(run["n"].values)))
        if reference:
            theirs.append(reference_seconds(reference, model, n, duration))
    row = {
        "model": model,
        "n": n,
        "seconds": min(times),
        "median": float(np.median(times)),
        "rate_hz": float(np.mean(rates)),
        "first_call_s": first,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if reference:
        # The median: a difference of two times can be too small by chance.
        seconds, rate = np.median(theirs, axis=0)
        row |= {"reference_seconds": float(seconds), "reference_rate_hz": float(rate)}
        row["ratio"] = row["median"] / row["reference_seconds"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    options = parser.parse_args()
    for size in options.sizes:
        model, n = size.split(":")
        row = bench(model, int(n), options.repetitions, options.reference)
        print(json.dumps(row), flush=True)
        row |= {"date": time.strftime("%Y-%m-%d"), "commit": results.commit()}
        row |= {"device": str(jax.devices()[0]), "jax": jax.__version__}
        out = Path(__file__).parent / "results" / "speed.jsonl"
        out.parent.mkdir(exist_ok=True)
        with open(out, "a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
