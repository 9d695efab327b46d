"""What a step consists of on GPUs and TPUs that are not here: compiled for them from shapes alone.

usage: JAX_PLATFORMS=cpu python benchmarks/accelerators.py [--devices h100 v5e ...]
           [--sizes cobahh:1000000 cortex:1000000] [--rate 10] [--out results/accelerators.jsonl]

Nothing is run, so these are facts about programs and not timings. The environment needs compilers
for the devices, 1 GB of them, but no driver; `ptxas` of CUDA 13 must be on the PATH:

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

ROOT = Path(__file__).parent.parent
DT = {"cobahh": 0.1, "ei_nmda": 0.1, "cortex": 0.05}  # ms
TPUS = {"v5e": "v5e:2x2", "v5p": "v5p:2x2x1", "v6e": "v6e:2x4"}
# What XLA asks about a GPU, from the data sheets and tuning guides of NVIDIA: capability, streaming
# multiprocessors, lanes, threads and shared memory (bytes) of each, of that for one block, level-2
# cache (bytes), clock (GHz). Memory and bandwidth are those of cortexmg.hardware.
GPUS = {
    "t4": ((7, 5), 40, 64, 1024, 65536, 65536, 4194304, 1.59),
    "a100": ((8, 0), 108, 64, 2048, 167936, 166912, 41943040, 1.41),
    "h100": ((9, 0), 132, 128, 2048, 233472, 232448, 52428800, 1.755),
    "b200": ((10, 0), 148, 128, 2048, 233472, 232448, 132644864, 1.965),
}
TARGET = """gpu_device_info {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {shared}
  threads_per_core_limit: {threads}
  core_count: {cores}
  fpus_per_core: {lanes}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: {bandwidth:.0f}
  l2_cache_size: {cache}
  clock_rate_ghz: {clock}
  device_memory_size: {memory:.0f}
  shared_memory_per_block_optin: {block}
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 8 patch: 0 }}
device_description_str: "{name}"
"""


def topology(name: str):
    """The platform of a device, and one such device to compile for."""
    from jax.experimental import topologies

    from cortexmg.hardware import DEVICES

    if name in TPUS:
        found = topologies.get_topology_desc(platform="tpu", topology_name=TPUS[name])
        return "tpu", found.devices[0]
    (major, minor), cores, lanes, threads, shared, block, cache, clock = GPUS[name]
    about = DEVICES[name]
    config = TARGET.format(
        name=about.name, memory=about.memory, bandwidth=about.bandwidth, major=major, minor=minor,
        cores=cores, lanes=lanes, threads=threads, shared=shared, block=block, cache=cache,
        clock=clock,
    )  # fmt: skip
    found = topologies.get_topology_desc(
        platform="cuda", topology_name=name, target_config=config, topology="1x1x1"
    )
    return "cuda", found.devices[0]


def one(name: str, model: str, n: int, rate: float) -> dict:
    """What a step of a model of `n` cells consists of on one device; in this process."""
    from cortexmg import choice, outline, plan, results
    from cortexmg.hardware import DEVICES

    network, dt = outline.outline(choice.builder_of(model, n), n), DT[model]
    began = time.perf_counter()
    program = outline.compiled_step(network, dt, *topology(name))
    seconds, hlo = time.perf_counter() - began, program.as_text()
    f = plan.forecast(network, {}, dt, rate, DEVICES[name], program=program)
    memory = program.memory_analysis()
    return {
        "device": name,
        "model": model,
        "n": n,
        "contacts": f.contacts,
        "dt": dt,
        "rate_hz": rate,
        "kernels": f.step.kernels,
        "loops": f.step.all_loops,
        "loop_kernels": _kernels(f.step.loops),
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


def _kernels(loops) -> int:
    """Kernels of one iteration of every loop, those inside of others too."""
    return sum(loop.kernels + _kernels(loop.loops) for loop in loops)


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


def in_a_process_of_its_own(name: str, model: str, n: int, rate: float) -> dict:
    """The row of one device, or a row with the last lines that the compiler wrote."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1"}
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        if name in GPUS:
            env["XLA_FLAGS"] = f"--xla_dump_to={folder} --xla_dump_emitter_re=.*"
        words = [sys.executable, __file__, "--one", name, model, str(n), str(rate)]
        run = subprocess.run(words, capture_output=True, text=True, env=env)
        if run.returncode:
            said = run.stderr.strip().splitlines()[-3:]
            return {"device": name, "model": model, "n": n, "failed": " / ".join(said)}
        return json.loads(run.stdout.splitlines()[-1]) | atomics(Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", nargs="+", default=[*GPUS, *TPUS], choices=[*GPUS, *TPUS])
    parser.add_argument("--sizes", nargs="+", default=["cobahh:1000000", "cortex:1000000"])
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/accelerators.jsonl")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, model, n, rate = options.one
        print(json.dumps(one(name, model, int(n), float(rate))))
        return
    for size in options.sizes:
        model, n = size.split(":")
        for name in options.devices:
            row = in_a_process_of_its_own(name, model, int(n), options.rate)
            print(json.dumps(row), flush=True)
            with open(options.out, "a") as out:
                out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
