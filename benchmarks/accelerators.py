"""What a step consists of on GPUs and TPUs that are not here: compiled for them from shapes alone.

usage: JAX_PLATFORMS=cpu python benchmarks/accelerators.py [--devices h100 v5e ...]
           [--programs step:cobahh:1000000 ...] [--rate 10] [--out results/accelerators.jsonl]

A program is the step of a model on one device ("step") or on four ("several", of a network that is
built), or the derivative of 20 steps ("gradient"). Nothing is run, so these are facts about
programs and not timings. The environment needs compilers for the devices, 1 GB of them, but no
driver; `ptxas` of CUDA 13 must be on the PATH:

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
PROGRAMS = [
    "step:cobahh:1000000",
    "step:cortex:1000000",
    "gradient:cortex:1000000",
    "several:cobahh:20000",
    "several:cortex:20000",
]
PATIENCE = 1500  # s, for one program; a step of cortex for a v5e takes 800
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


def topology(name: str, count: int = 1):
    """The platform of a device, and so many of them to compile for."""
    from jax.experimental import topologies

    from cortexmg.hardware import DEVICES

    if name in TPUS:
        found = topologies.get_topology_desc(platform="tpu", topology_name=TPUS[name])
        return "tpu", found.devices[:count]
    (major, minor), cores, lanes, threads, shared, block, cache, clock = GPUS[name]
    about = DEVICES[name]
    config = TARGET.format(
        name=about.name, memory=about.memory, bandwidth=about.bandwidth, major=major, minor=minor,
        cores=cores, lanes=lanes, threads=threads, shared=shared, block=block, cache=cache,
        clock=clock,
    )  # fmt: skip
    found = topologies.get_topology_desc(
        platform="cuda", topology_name=name, target_config=config, topology=f"1x1x{count}"
    )
    return "cuda", found.devices


def step(name: str, model: str, n: int, dt: float):
    """A network of shapes and the program of its run on one device."""
    from cortexmg import choice, outline

    network = outline.outline(choice.builder_of(model, n), n)
    platform, devices = topology(name)
    return network, outline.compiled_step(network, dt, platform, devices[0])


def gradient(name: str, model: str, n: int, dt: float):
    """The program of the derivative of a mean voltage after 20 steps by all ions outside."""
    import equinox as eqx
    import jax
    from jax.sharding import SingleDeviceSharding

    from cortexmg import choice, outline, recorders, simulate

    network, (platform, devices) = outline.outline(choice.builder_of(model, n), n), topology(name)
    record = {"v": recorders.Probe(next(iter(network.populations)), every=20 * dt)}

    def loss(environment, network):
        network = eqx.tree_at(lambda n: n.environment, network, environment)
        return simulate(network, 20 * dt, dt, record=record, gradients=True)["v"].values.mean()

    where = SingleDeviceSharding(devices[0])
    given = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), network)
    traced = jax.jit(jax.grad(loss)).trace(given.environment, given)
    return network, traced.lower(lowering_platforms=(platform,)).compile()


def several(name: str, model: str, n: int, dt: float):
    """The program of a run of a network on four devices."""
    import jax
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    from cortexmg import choice, division, outline, programs, queue
    from cortexmg.waiting import AXIS

    platform, devices = topology(name, 4)
    mesh, network = Mesh(np.array(devices), (AXIS,)), choice.builder_of(model, n)(n=n)
    network = network.with_queue(queue.AT_ONCE)
    parts = outline.shapes(division.stacked_networks(network, 4, range(4)))
    parts = jax.eval_shape(lambda network: network.in_steps(dt), parts)
    state = outline.state_of(outline.shapes(network), dt)
    states = jax.eval_shape(lambda s: division.stacked_states(network, s, 4), state)
    there, everywhere = (NamedSharding(mesh, PartitionSpec(*x)) for x in ([AXIS], []))

    def placed(tree, where):
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), tree)

    frames = placed(jax.ShapeDtypeStruct((), np.int32), everywhere)
    traced = programs.compiled_on(mesh).trace(
        placed(parts, there), placed(states, there), {}, frames, plan=((1, ()),), dt=dt, most=1000
    )
    return outline.shapes(network), traced.lower(lowering_platforms=(platform,)).compile()


def one(what: str, name: str, model: str, n: int, rate: float) -> dict:
    """What a step of a model of `n` cells consists of; in this process."""
    from cortexmg import plan, results
    from cortexmg.hardware import DEVICES

    dt, began = DT[model], time.perf_counter()
    network, program = {"step": step, "gradient": gradient, "several": several}[what](
        name, model, n, dt
    )
    seconds, hlo = time.perf_counter() - began, program.as_text()
    f = plan.forecast(network, {}, dt, rate, DEVICES[name], program=program)
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
