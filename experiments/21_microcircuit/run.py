"""Does the cortical microcircuit fire as published, and how fast does it run?

Rates and irregularity of the 8 populations, build and compile time, real-time factor and peak
memory, at the scales given. Run with --quick for a small version.
"""

import argparse
import resource
import time
from pathlib import Path

from cortexmg import bench, models, recorders, results, simulate, statistics

HERE = Path(__file__).parent
DT, SETTLE = 0.1, 1000.0  # ms


def measure(scale: float, key: int, duration: float, settle: float = SETTLE) -> dict:
    """Speed and statistics of one circuit after `settle` ms."""
    record = {name: recorders.Spikes(name) for name in models.microcircuit(0.001).populations}
    seconds: dict[str, float] = {}

    def timed(name, call, *args, **options):
        wall, cpu = time.perf_counter(), time.process_time()
        result = call(*args, **options)
        seconds[name] = time.perf_counter() - wall
        seconds[name + " cpu"] = time.process_time() - cpu
        return result

    network = timed("build", models.microcircuit, scale, key)

    def run(name, duration, state=None):
        options = {"dt": DT, "record": record, "state": state, "key": key}
        return timed(name, simulate, network, duration, **options)

    first = run("first step, with compilation", DT)
    again = run("first step that goes on", DT, first.state)  # compiles a little more
    settled = run("settle", settle, again.state)
    measured = run("measured", duration, settled.state)
    return {
        "simulator": "cortexmg", "scale": scale, "seed": key, "duration": duration,
        "contacts": sum(p.connectivity.n_contacts for p in network.projections.values()),
        "seconds": seconds,
        "real_time_factor": 1e3 * seconds["measured"] / duration,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "rate": {name: statistics.mean_rate(measured[name]) for name in record},
        "cv": {name: statistics.mean_cv(measured[name]) for name in record},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--duration", type=float, default=5000.0, help="ms")
    a = parser.parse_args()
    for seed in [1] if a.quick else a.seeds:
        row = measure(0.02, 1, 200.0, 100.0) if a.quick else measure(a.scale, seed, a.duration)
        show(row)
        if not a.quick:
            bench.append(HERE / "results/runs.jsonl", row | results.origin())


def show(row: dict) -> None:
    print(f"scale {row['scale']:g}, seed {row['seed']}: {row['real_time_factor']:.3g} x real time")
    for name in row["rate"]:
        print(f"  {name:5s} {row['rate'][name]:7.3f} Hz  CV {row['cv'][name]:.3f}")
    for name, value in row["seconds"].items():
        print(f"  {name}: {value:.1f} s")


if __name__ == "__main__":
    main()
