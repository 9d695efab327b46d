"""The same circuit in NEST: rates and speed. Needs `pip install '.[reference]'`.

`python nest_reference.py --scale 0.1 --seeds 1` adds one line to `results/runs.jsonl`. One thread;
the numbers are those of `cortexmg.models.microcircuit`.
"""

import argparse
import importlib
import json
import math
import resource
import time
from pathlib import Path

import nest
import numpy as np

from cortexmg import statistics
from cortexmg.spike_trains import SpikeTrains

m = importlib.import_module("cortexmg.models.microcircuit")  # the module, not the function
STEP = 0.1  # ms


def cells(scale: float) -> list:
    """The populations, at their initial voltages."""
    made, dc = [], m.compensation(scale)
    for i, size in enumerate(m.SIZES):
        group = nest.Create("iaf_psc_exp", max(1, round(size * scale)))
        group.set(
            C_m=m.CAPACITANCE, tau_m=m.TAU_MEMBRANE, E_L=-65.0, V_reset=-65.0, V_th=-50.0,
            t_ref=2.0, tau_syn_ex=m.TAU_SYNAPSE, tau_syn_in=m.TAU_SYNAPSE, I_e=dc[i],
        )  # fmt: skip
        group.V_m = nest.random.normal(*m.V0[i])
        made.append(group)
    return made


def contacts(pre: str, post: str, scale: float) -> dict:
    """Weights and delays of one projection."""
    sign, delay = (1.0 if pre.endswith("E") else -1.0), m.DELAYS[pre[-1]]
    weight = sign * m.peak_current(pre, post) / math.sqrt(scale)
    draw = nest.random.normal(mean=weight, std=0.1 * abs(weight))
    low, high = (0.0, np.inf) if sign > 0 else (-np.inf, 0.0)
    return {
        "weight": nest.math.redraw(draw, min=low, max=high),
        "delay": nest.math.redraw(
            nest.random.normal(mean=delay, std=0.5 * delay), min=m.SHORTEST_DELAY, max=np.inf
        ),
    }


def connect(groups: list, scale: float) -> None:
    numbers = np.rint(m.contact_numbers() * scale**2).astype(int)
    for i, post in enumerate(m.POPULATIONS):
        # One synapse model holds at most 2^27 connections.
        nest.CopyModel("static_synapse", f"onto {post}")
        for j, pre in enumerate(m.POPULATIONS):
            if numbers[i, j]:
                rule = {"rule": "fixed_total_number", "N": int(numbers[i, j])}
                draws = contacts(pre, post, scale) | {"synapse_model": f"onto {post}"}
                nest.Connect(groups[j], groups[i], rule, draws)
        rate = round(m.OUTSIDE_CONTACTS[i] * scale) * m.OUTSIDE_RATE
        outside = nest.Create("poisson_generator", params={"rate": rate})
        weight = m.peak_current("E", "") / math.sqrt(scale)
        nest.Connect(outside, groups[i], syn_spec={"weight": weight, "delay": 1.5})


def measure(scale: float, seed: int, settle: float, duration: float) -> dict:
    """Speed and statistics after `settle` ms, as `measure` in run.py."""
    nest.ResetKernel()
    nest.set(local_num_threads=1, resolution=STEP, rng_seed=seed)
    clock = [(time.perf_counter(), time.process_time())]
    groups = cells(scale)
    connect(groups, scale)
    recorders = [nest.Create("spike_recorder", params={"start": settle}) for _ in groups]
    for group, recorder in zip(groups, recorders, strict=True):
        nest.Connect(group, recorder)
    nest.Prepare()
    for part in (0.0, settle, duration):
        if part:
            nest.Run(part)
        clock.append((time.perf_counter(), time.process_time()))
    nest.Cleanup()
    seconds = {}
    for name, before, after in zip(("build", "settle", "measured"), clock, clock[1:], strict=False):
        seconds |= {name: after[0] - before[0], f"{name} cpu": after[1] - before[1]}
    pairs = zip(m.POPULATIONS, groups, recorders, strict=True)
    trains = {name: spikes(group, r, settle, settle + duration) for name, group, r in pairs}
    return {
        "simulator": f"NEST {nest.__version__}", "scale": scale, "seed": seed, "duration": duration,
        "contacts": int(np.rint(m.contact_numbers() * scale**2).sum()), "seconds": seconds,
        "real_time_factor": 1e3 * seconds["measured"] / duration,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "rate": {name: statistics.mean_rate(x) for name, x in trains.items()},
        "cv": {name: statistics.mean_cv(x) for name, x in trains.items()},
    }  # fmt: skip


def spikes(group, recorder, start: float, stop: float) -> SpikeTrains:
    # Without events, the ids are floats.
    times, ids = (np.asarray(recorder.events[name]) for name in ("times", "senders"))
    ids = ids.astype(np.int64) - group[0].global_id
    order = np.lexsort((ids, times))
    return SpikeTrains(ids[order], times[order], len(group), start, stop)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--settle", type=float, default=1000.0, help="ms")
    parser.add_argument("--duration", type=float, default=5000.0, help="ms")
    a = parser.parse_args()
    nest.verbosity = nest.VerbosityLevel.ERROR
    for seed in a.seeds:
        line = json.dumps(measure(a.scale, seed, a.settle, a.duration), default=float)
        print(line)
        with (Path(__file__).parent / "results" / "runs.jsonl").open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
