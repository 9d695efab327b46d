"""What a step consists of on GPUs and TPUs that are not here: compiled for them from shapes alone.

usage: JAX_PLATFORMS=cpu python benchmarks/accelerators.py [--devices h100 v5e ...]
           [--programs step:cobahh:1000000 ...] [--rate 10] [--out results/accelerators.jsonl]

A program is the step of a model on one device ("step") or on four ("several", of a network that is
built), or the derivative of 20 steps on one ("gradient") or on four ("gradients": each has the
whole network and a run of its own, as in a fit). Nothing is run, so these are facts about programs
and not timings. The environment needs compilers for the devices, 1 GB of them, but no driver;
`ptxas` of CUDA 13 must be on the PATH:

    python3.12 -m venv accelerators && . accelerators/bin/activate
    pip install . "jax[tpu]==0.12.0.1"
    pip install --no-deps jax-cuda13-plugin==0.12.0.1 jax-cuda13-pjrt==0.12.0.1
    pip install nvidia-cuda-nvcc     # only where there is no ptxas

The compilers abort their process when they are not content, so each compilation has its own.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deviceless import DIFFERENTIATED, GPUS, TPUS, gradient, gradients, several, step

ROOT = Path(__file__).parent.parent
PROGRAMS = [
    "step:cobahh:1000000",
    "step:cortex:1000000",
    "gradient:cortex:1000000",
    "gradients:cortex:1000000",
    "several:cobahh:20000",
    "several:cortex:20000",
    "several:cobahh:1000000",
    "several:cortex:1000000",
]
PATIENCE = 1500  # s, for one program; a step of cortex for a v5e takes 800
DT = {"cobahh": 0.1, "ei_nmda": 0.1, "cortex": 0.05}  # ms
WHAT = {
    "step": "A step",
    "several": "A step on four devices",
    "gradient": "The derivative of 20 steps",
    "gradients": "The derivative of 20 steps on four devices, of a run on each,",
}
COLUMNS = {
    "device": "device",
    "kernels": "kernels",
    "loops": "loops on data",
    "branches": "branches",
    "atomics": "atomics in them, float, integer and compare-and-swap",
    "moved_mb": "MB per step",
    "argument_mb": "arguments (MB)",
    "temp_mb": "temporaries (MB)",
    "roofline_s": "bandwidth (s per simulated second)",
    "kernel_s": "kernels (s per simulated second)",
    "compile_s": "compilation (s)",
    "date": "date",
    "commit": "commit",
}


def one(what: str, name: str, model: str, n: int, rate: float) -> dict:
    """What a step of a model of `n` cells consists of; in this process."""
    from cortexmg import kernels, plan, results
    from cortexmg.hardware import DEVICES

    dt, began = DT[model], time.perf_counter()
    program_of = {"step": step, "gradient": gradient, "gradients": gradients, "several": several}
    network, program = program_of[what](name, model, n, dt)
    seconds, hlo = time.perf_counter() - began, program.as_text()
    f = plan.forecast(network, {}, dt, rate, DEVICES[name], program=program)
    if what.startswith("gradient"):  # forwards, forwards again, and backwards
        f = f._replace(step=kernels.work_of_program(hlo, DIFFERENTIATED))
    memory = program.memory_analysis()
    return {
        "what": what,
        "device": name,
        "model": model,
        "n": n,
        "contacts": f.contacts,
        "dt": dt,
        "rate_hz": rate,
        "kernels": f.step.kernels,
        "loops": f.step.all_loops,
        "branches": f.step.branches,
        "custom_calls": sorted(set(re.findall(r'custom_call_target="([^"]+)"', hlo))),
        "moved_mb": f.step.moved / 1e6,
        "delivered_mb": f.delivered / 1e6,
        "argument_mb": memory.argument_size_in_bytes / 1e6,
        "temp_mb": memory.temp_size_in_bytes / 1e6,
        "roofline_s": f.moving,
        "kernel_s": f.launching,
        "compile_s": seconds,
        "date": time.strftime("%Y-%m-%d"),
        "commit": results.commit(),
        "versions": results.versions(),
    }


def atomics(folder: Path) -> dict[str, int | None]:
    """Atomic operations in the PTX of all kernels: additions of floats and of whole numbers.

    A compare-and-swap is what an addition becomes for which there is no instruction. None where
    there is no PTX.
    """
    files = [f.read_text(errors="replace") for f in folder.rglob("*.ptx")]
    text = "\n".join(files)
    added = re.findall(r"\b(?:atom|red)\.[\w.:]*\badd\.(?:noftz\.)?([a-z]+)\d+", text)
    floats = sum(kind in ("f", "bf") for kind in added)
    swapped = len(re.findall(r"\batom\.[\w.:]*\bcas\b", text))
    found = {"float_atomics": floats, "integer_atomics": len(added) - floats}
    found["compare_and_swap"] = swapped
    return found if files else dict.fromkeys(found)


def in_a_process_of_its_own(what: str, name: str, model: str, n: int, rate: float) -> dict:
    """The row of one device, or a row with the last lines that the compiler wrote."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1"}
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        if name in GPUS:
            env["XLA_FLAGS"] = f"--xla_dump_to={folder} --xla_dump_emitter_re=.*"
        words = [sys.executable, __file__, "--one", what, name, model, str(n), str(rate)]
        row = {"what": what, "device": name, "model": model, "n": n}
        try:
            run = subprocess.run(words, capture_output=True, text=True, env=env, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return row | {"failed": f"compiling took more than {PATIENCE} s"}
        if run.returncode:
            return row | {"failed": " / ".join(run.stderr.strip().splitlines()[-3:])}
        return json.loads(run.stdout.splitlines()[-1]) | atomics(Path(folder))


def table(rows: list[dict]) -> str:
    """A table for each program and network, of the newest row of each device."""
    from cortexmg import bench

    newest = {(row["what"], row["model"], row["n"], row["device"]): row for row in rows}
    parts = []
    for what, model, n in dict.fromkeys(key[:3] for key in newest):
        mine = [row for key, row in newest.items() if key[:3] == (what, model, n)]
        good = [_shown(row) for row in mine if "failed" not in row]
        if good:
            which = f"{WHAT[what]} of `{model}({n:,})`, {good[0]['contacts']:,} contacts"
            parts.append(f"{which}, steps of {good[0]['dt']:g} ms:")
            parts.append(bench.table(good, COLUMNS))
        parts += [f"{r['device']} failed: {r['failed']}" for r in mine if "failed" in r]
    return "\n\n".join(parts)


def _shown(row: dict) -> dict:
    kinds = ("float_atomics", "integer_atomics", "compare_and_swap")
    counted = ", ".join(str(row[k]) for k in kinds if row.get(k) is not None)
    commit, plus, edited = (row["commit"] or "unknown").partition("+")
    return row | {"atomics": counted or None, "commit": commit[:12] + plus + edited}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", nargs="+", default=[*GPUS, *TPUS], choices=[*GPUS, *TPUS])
    parser.add_argument("--programs", nargs="+", default=PROGRAMS, help="WHAT:MODEL:CELLS")
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/accelerators.jsonl")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        what, name, model, n, rate = options.one
        print(json.dumps(one(what, name, model, int(n), float(rate))))
        return
    for program in options.programs:
        what, model, n = program.split(":")
        for name in options.devices:
            row = in_a_process_of_its_own(what, name, model, int(n), options.rate)
            print(json.dumps(row), flush=True)
            with open(options.out, "a") as out:
                out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
