"""Wall seconds per simulated second of the benchmark networks, on one thread.

usage: taskset -c 0 python benchmarks/speed.py [--reference PROGRAM] [--sizes cobahh:4000 ...]

With --reference, a compiled program that takes "MODEL N T_MS THREADS SEED" and prints a JSON line
with sim_s and rate_hz runs in turn with each repetition, so that both see the same machine. The
ratio is that of the medians. One JSON line per network is appended to results/speed.jsonl, from
which benchmarks/report.py makes the tables. Without a reference, `cortexmg bench` does the same.
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np

from cortexmg import bench, models

THEIRS = {"cobahh": "m1", "ei_nmda": "m2"}  # what the reference program calls them
SIZES = ["cobahh:4000", "cobahh:20000", "cobahh:100000", "ei_nmda:10000"]


def reference_run(program: str, model: str, n: int, duration: float) -> np.ndarray:
    """Seconds, and spikes per cell, of the reference program."""
    command = [program, THEIRS[model], str(n), f"{duration:g}", "1", "1"]
    line = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return np.array([line["sim_s"], line["rate_hz"] * duration * 1e-3])


def reference_seconds(program: str, model: str, n: int, duration: float) -> np.ndarray:
    """Seconds per simulated second, and rate (Hz), of the time after the transient."""
    long = reference_run(program, model, n, bench.TRANSIENT + duration)
    return (long - reference_run(program, model, n, bench.TRANSIENT)) / duration * 1e3


def compared(model: str, n: int, repetitions: int, reference: str) -> dict:
    """Times of one network in turn with those of the reference program."""
    theirs = []
    row = {"model": model} | bench.measured(
        getattr(models, model)(n),
        repetitions,
        lambda duration: theirs.append(reference_seconds(reference, model, n, duration)),
    )
    # The median: a difference of two times can be too small by chance.
    seconds, rate = np.median(theirs, axis=0)
    row |= {"reference_seconds": float(seconds), "reference_rate_hz": float(rate)}
    return row | {"ratio": row["median"] / row["reference_seconds"]} | bench.circumstances()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    options = parser.parse_args()
    for model, n in bench.parsed(options.sizes):
        if options.reference:
            row = compared(model, n, options.repetitions, options.reference)
        else:
            row = bench.in_a_process_of_its_own(model, n, options.repetitions)
        print(json.dumps(row), flush=True)
        bench.append(Path(__file__).parent / "results" / "speed.jsonl", row)


if __name__ == "__main__":
    main()
