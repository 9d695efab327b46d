"""Does a network that several processes share do the same as on one, and how fast is it?

    python run.py                    # alone
    python run.py --here 2           # 2 processes on this machine
    srun python run.py --cluster     # each task of a Slurm job; on a TPU pod each worker, no srun

Equal fingerprints are equal spikes and voltages, bit for bit.
"""

import argparse
import json
import multiprocessing
import socket
import zlib
from pathlib import Path

import jax
import numpy as np

from cortexmg import bench, models, recorders, results, simulate, statistics

HERE = Path(__file__).parent
DT, SETTLE = 0.05, 100.0  # ms


def measure(cells: int, duration: float, key: int = 1) -> dict:
    """Speed and fingerprint of `cortex`, the same in all processes."""
    network = models.cortex(cells)
    record = {name: recorders.Spikes(name) for name in network.populations}
    settled = simulate(network, SETTLE, DT, record=record, key=key)
    run = simulate(network, duration, DT, record=record, state=settled.state, progress=True)
    fingerprint = 0
    for name in sorted(network.populations):
        for x in (run[name].times, run[name].ids, run.state.populations[name].v):
            fingerprint = zlib.crc32(np.ascontiguousarray(x).view(np.uint8), fingerprint)
    return {
        "cells": cells, "duration": duration, "seed": key,
        "processes": jax.process_count(), "devices": jax.device_count(),
        "device": jax.devices()[0].device_kind,
        "real_time_factor": 1e3 * run.seconds / duration,
        "rate": {name: statistics.mean_rate(run[name]) for name in record},
        "fingerprint": f"{fingerprint:08x}",
    }  # fmt: skip


def report(cells: int, duration: float, keep: bool) -> None:
    """Measure in all processes; the first one shows and keeps it."""
    row = measure(cells, duration)
    if jax.process_index():
        return
    print(json.dumps(row, indent=1))
    if keep:
        bench.append(HERE / "results/runs.jsonl", row | results.origin())


def one_of(processes: int, me: int, port: int, *options) -> None:
    """What each of several processes on this machine does."""
    jax.distributed.initialize(f"localhost:{port}", processes, me)
    report(*options)


def several(processes: int, *options) -> None:
    """Start processes on this machine and wait for them."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    start = multiprocessing.get_context("spawn").Process
    started = [
        start(target=one_of, args=(processes, me, port, *options)) for me in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    if any(process.exitcode for process in started):
        raise SystemExit("A process failed; what it wrote is above.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cluster", action="store_true", help="find the others by Slurm or TPU")
    parser.add_argument("--here", type=int, default=1, help="processes on this machine")
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--duration", type=float, default=500.0, help="ms")
    parser.add_argument("--quick", action="store_true", help="small, and nothing is kept")
    a = parser.parse_args()
    options = (2000, 100.0, False) if a.quick else (a.cells, a.duration, True)
    if a.here > 1:
        several(a.here, *options)
        return
    if a.cluster:
        jax.distributed.initialize()
    report(*options)


if __name__ == "__main__":
    main()
