"""Programs compiled for GPUs and TPUs that are not here, from shapes alone."""

DIFFERENTIATED = 20  # steps of a derivative
# The compiler of a v5e needs 20 MB at a time for a derivative, and gives itself 16 of 128.
OPTIONS = {"tpu": {"xla_tpu_scoped_vmem_limit_kib": "32768"}}
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

    network = outline.outline(choice.MODELS[model], n)
    platform, devices = topology(name)
    return network, outline.compiled_step(network, dt, platform, devices[0])


def gradient(name: str, model: str, n: int, dt: float):
    """The program of the derivative of a mean voltage after some steps by all ions outside."""
    import jax
    from jax.sharding import SingleDeviceSharding

    from cortexmg import choice, outline

    network, (platform, devices) = outline.outline(choice.MODELS[model], n), topology(name)
    given = _placed(network, SingleDeviceSharding(devices[0]))
    traced = jax.jit(_derivative(network, dt)).trace(given.environment, given)
    lowered = traced.lower(lowering_platforms=(platform,))
    return network, lowered.compile(compiler_options=OPTIONS.get(platform))


def gradients(name: str, model: str, n: int, dt: float):
    """The same on four devices, which differentiate a run each, with ions of its own."""
    import jax
    from jax.sharding import NamedSharding, PartitionSpec as P

    from cortexmg import choice, outline
    from cortexmg.split import AXIS

    network, (platform, mesh) = outline.outline(choice.MODELS[model], n), _mesh(name)
    runs = jax.vmap(_derivative(network, dt), in_axes=(0, None))
    specs = P(AXIS), P()
    every = jax.shard_map(runs, mesh=mesh, in_specs=specs, out_specs=P(AXIS), check_vma=False)
    ions, shared = (NamedSharding(mesh, spec) for spec in specs)
    given = _placed(network.environment, ions, mesh.size), _placed(network, shared)
    return network, jax.jit(every).trace(*given).lower(lowering_platforms=(platform,)).compile()


def several(name: str, model: str, n: int, dt: float):
    """The program of a run of a network on four devices."""
    import jax
    import numpy as np
    from jax.sharding import NamedSharding, PartitionSpec as P

    from cortexmg import choice, compaction, division, outline, programs
    from cortexmg.split import AXIS

    network, (platform, mesh) = choice.MODELS[model](n), _mesh(name)
    network = network.with_queue(compaction.AT_ONCE)
    parts = outline.shapes(division.stacked_networks(network, 4, range(4)))
    parts = jax.eval_shape(lambda network: network.in_steps(dt), parts)
    state = outline.state_of(outline.shapes(network), dt)
    states = jax.eval_shape(lambda s: division.stacked_states(network, s, 4), state)
    there, everywhere = NamedSharding(mesh, P(AXIS)), NamedSharding(mesh, P())
    frames = _placed(jax.ShapeDtypeStruct((), np.int32), everywhere)
    given = _placed(parts, there), _placed(states, there), {}, frames
    traced = programs.compiled_on(mesh).trace(*given, plan=((1, ()),), dt=dt, most=1000)
    return outline.shapes(network), traced.lower(lowering_platforms=(platform,)).compile()


def _derivative(network, dt: float):
    import equinox as eqx
    import jax

    from cortexmg import recorders, simulate

    duration = DIFFERENTIATED * dt
    record = {"v": recorders.Probe(next(iter(network.populations)), every=duration)}

    def loss(environment, network):
        network = eqx.tree_at(lambda n: n.environment, network, environment)
        return simulate(network, duration, dt, record=record, gradients=True)["v"].values.mean()

    return jax.grad(loss)


def _mesh(name: str):
    """Four of a device, and their platform."""
    import numpy as np
    from jax.sharding import Mesh

    from cortexmg.split import AXIS

    platform, devices = topology(name, 4)
    return platform, Mesh(np.array(devices), (AXIS,))


def _placed(tree, where, *first: int):
    """Shapes that lie there, with other sizes first."""
    import jax

    def placed(x):
        return jax.ShapeDtypeStruct((*first, *x.shape), x.dtype, sharding=where)

    return jax.tree.map(placed, tree)
