"""Running a network: once, or along values of its parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, Key

from cortexmg.derivatives import group_of, in_groups
from cortexmg.devices import Devices, mesh_of, platform_of, start
from cortexmg.frames import Plan, Record, plan_of, run_frame
from cortexmg.hostloop import HostLoop, Run, frames_in
from cortexmg.members import Members
from cortexmg.memory import check_memory, room_of, steps_at_once
from cortexmg.network import Network, State
from cortexmg.parameters import with_parameters
from cortexmg.part import check_members, shown
from cortexmg.processes import check_alike
from cortexmg.programs import ManyDevices, OneDevice
from cortexmg.progress import Progress
from cortexmg.queue import AT_ONCE
from cortexmg.recorders import Recorder
from cortexmg.selfcheck import check_arithmetic
from cortexmg.shadows import shadowed
from cortexmg.states import arrays, checked, initial, resumed
from cortexmg.tangents import Tangents


def simulate(
    network: Network,
    duration: float,
    dt: float = 0.05,
    *,
    record: Mapping[str, Recorder] | None = None,
    state: State | None = None,
    key: int | Key[Array, ""] = 0,
    progress: bool = False,
    gradients: bool | Tangents = False,
    devices: Devices = None,
    at_once: int | None = None,
) -> Run:
    """Run `network` for `duration` ms in steps of `dt` ms.

    `state` goes on from an earlier run (whose key it keeps): the spikes are those of one long run.
    `key` seeds the noise. Ctrl-C ends the run early and returns what is recorded so far. Inside
    jit, grad and vmap the result holds traced arrays; there, nothing is checked while it runs.

    Synaptic input is summed in whole numbers, exactly, which makes results independent of the
    order of contacts; `gradients` sums it in floating point, so that it can be differentiated.
    `Tangents` say what becomes of derivatives on their way through the run.

    `devices` are how many devices, or which ones, share the cells; the result is the same, bit for
    bit. By default these are all of an accelerator, and one of a CPU, which has one for each core
    unless JAX_NUM_CPU_DEVICES says otherwise. Several processes (after jax.distributed.initialize)
    make the same calls, share all their devices, and each gets the whole result.

    Spikes are delivered one after the other on a CPU. On an accelerator, whose loops wait for the
    host, those of `at_once` (8) of every 128 cells are delivered together in each step, and more
    wait as long as the delays of their contacts permit; the result is the same, bit for bit. (Only
    where a `state` goes on with other weights do spikes underway differ: those of a loop act with
    the new weights, those of a queue with the old.)

    Raises: ValueError for times that do not fit, for a dt too large for the cells, and if processes
    were not given the same;
    NotFinite, naming population and time, with all that was recorded before it and the state to go
    on from, if a voltage stops being finite; Late, in the same way, if spikes waited too long.
    """
    start()
    record = _checked(record, network)
    if _traced(network) or _traced(state) or _traced(key):
        if at_once or devices is not None:
            raise ValueError(
                f"at_once = {shown(at_once)} and devices = {shown(devices)} are not for runs "
                f"inside jit, grad or vmap, which are on one device and could not tell of late "
                f"spikes: leave them away there."
            )
        return _simulate_traced(network, duration, dt, record, state, key, gradients)
    key = _key(key)
    if key.ndim:
        raise ValueError(f"simulate needs one key, got {key.shape[0]}: sweep makes a run for each.")
    network = _with_queue(network, at_once, bool(gradients), state)
    plan = _planned(network, duration, dt, record)
    mesh = mesh_of(devices, 1)
    times = {"duration": duration, "dt": dt}
    check_alike(mesh, network=network, state=state, key=key, record=record, **times)
    _check_memory(network, record, duration, dt, plan, mesh, exact=not gradients)
    numbers = arrays(network)  # once: their wiring can be large
    begin = _beginning(numbers, state, key, dt, not gradients)
    program = ManyDevices(network, begin, dt, mesh) if mesh else OneDevice(numbers, begin, dt)
    del numbers, begin  # several devices have their parts of them now
    loop = HostLoop(program, network, plan, duration, dt)
    return loop.run(record, {}, Progress(progress and not jax.process_index(), duration, 1))[0]


def sweep(
    network: Network,
    values: Mapping[str, ArrayLike | Sequence[float]],
    duration: float,
    dt: float = 0.05,
    *,
    record: Mapping[str, Recorder] | None = None,
    state: State | None = None,
    key: int | Key[Array, "..."] = 0,
    progress: bool = False,
    devices: Devices = None,
    at_once: int | None = None,
) -> list[Run]:
    """Run `network` once for each entry of `values`, as one batched program.

    `values` maps parameter names to arrays of one length, the number of runs. All runs share the
    wiring, and the noise too unless `key` is an array of keys, one for each. With a `state` all go
    on from there, with the key of that run unless there is an array of them: a network that has
    settled is put into other fluids. They are spread over `devices`, by default all. `at_once` and
    errors: as `simulate`.
    """
    start()
    network = _with_queue(network, at_once, state=state)
    values = {name: np.asarray(v) for name, v in values.items()}
    keys = _key(key)
    sizes = {name: v.shape[0] if v.ndim else 0 for name, v in values.items()}
    sizes |= {"key": keys.shape[0]} if keys.ndim else {}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise ValueError(
            f"sweep needs arrays of one length, one value for each run, got lengths {sizes}."
        )
    for i in range(next(iter(sizes.values()))):
        with_parameters(network, {name: v[i] for name, v in values.items()}).check(dt)
    record = _checked(record, network)
    plan, size = _planned(network, duration, dt, record), next(iter(sizes.values()))
    mesh = mesh_of(devices, size)
    members = -(-size // mesh.size) * mesh.size if mesh else size  # the last again, to fill up
    _check_memory(network, record, duration, dt, plan, mesh, members=members)
    times = {"duration": duration, "dt": dt}
    check_alike(mesh, network=network, values=values, state=state, key=keys, record=record, **times)
    numbers = arrays(network)
    begin = None if state is None else checked(numbers, state, dt)
    program = Members(numbers, values, begin, keys, dt, mesh)
    del numbers, begin
    loop = HostLoop(program, network, plan, duration, dt)
    return loop.run(record, values, Progress(progress and not jax.process_index(), duration, size))


def _with_queue(
    network: Network, at_once: int | None, gradients: bool = False, state: Any = None
) -> Network:
    """The network as a run on these devices delivers its spikes, or as `state` did."""
    whole = isinstance(at_once, int | np.integer) and not isinstance(at_once, bool)
    if at_once is None:
        loop = jax.default_backend() == "cpu"
        if isinstance(state, State):
            loop = not state.underway.queued
        at_once = 0 if gradients or loop else AT_ONCE
    elif not whole or not 0 <= at_once <= 128:
        raise ValueError(
            f"at_once must be a whole number from 0 to 128, how many of every 128 cells deliver "
            f"their spikes together (0: one after the other), got {shown(at_once)}."
        )
    elif at_once and gradients:
        raise ValueError(
            f"at_once = {at_once} is for exact sums, which have no derivative: leave it away with "
            f"gradients=True."
        )
    return network.with_queue(int(at_once)) if at_once else replace(network, at_once=0)


def _beginning(network: Network, state: State | None, key: Array, dt: float, exact: bool) -> State:
    if state is None:
        return initial(network, key, dt=dt, exact=exact)
    return resumed(network, state, dt, exact)


def _planned(network: Network, duration: float, dt: float, record: Record) -> Plan:
    """The plan of a run; before anything runs, times, network and machine are checked."""
    plan = plan_of(record, dt)
    frames_in(duration, dt, plan)
    network.check(dt)
    check_arithmetic()
    return plan


def _check_memory(network, record, duration, dt, plan: Plan, mesh: Mesh | None, **how) -> None:
    """Raise MemoryError if there is not enough, before anything is allocated."""
    cells, frame = sum(network.sizes.values()) * how.get("members", 1), plan[0][0]
    parts, most = mesh.size if mesh else 1, steps_at_once(cells, frame)
    kept = frames_in(duration, dt, plan)
    if parts > 1 and platform_of(mesh) != "cpu":  # the devices of a CPU share their memory
        how["copies"] = parts if "members" in how else 1  # each device of a sweep has all contacts
        check_memory(network, {}, dt, 1)  # a run is laid out on the first of them
    check_memory(network, record, dt, most, kept=kept, available=room_of(mesh), **how)


def _simulate_traced(network, duration, dt, record, state, key, gradients) -> Run:
    plan = plan_of(record, dt)
    frames = frames_in(duration, dt, plan)
    network.check(dt)
    network = arrays(network)
    first = 0 if state is None else state.step
    state = _beginning(network, state, _key(key), dt, not gradients)
    network = network.in_steps(dt)
    tangents = gradients if isinstance(gradients, Tangents) else Tangents()
    network = tangents.through(network)
    if gradients:
        shadows = shadowed(network.projections)
        state = state._replace(underway=state.underway._replace(shadows=shadows))
    group = group_of(frames * plan[0][0]) if gradients else 0

    def frame(state, _):
        return run_frame(network, state, record, plan, dt, group, tangents)

    state, saved = in_groups(frame, state, frames, group // plan[0][0])
    state = state._replace(underway=state.underway._replace(shadows={}))
    recordings = {}
    for name, r in record.items():
        steps = next(s for s, names in plan if name in names)
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), saved[name])
        recordings[name] = r.piece(flat, first, steps, dt)
    return Run(recordings, state, first * dt, first * dt + duration, 0.0, True)


def _checked(record: Any, network: Network) -> Record:
    """The recorders, of which each finds in `network` what it is to record."""
    record = {} if record is None else record
    check_members("record", record, Recorder)
    for r in record.values():
        r.check(network)
    return dict(record)


def _key(key: Any) -> Array:
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        # Of a longer one, JAX keeps the last 32 bits in single precision, and all in double.
        if not 0 <= key < 2**32:
            raise ValueError(
                f"key must be a whole number from 0 to 2^32 - 1, got {shown(key)}: others would "
                f"repeat the noise of one of these."
            )
        return jax.random.key(key, impl="threefry2x32")
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise TypeError(f"key must be a whole number or a jax.random.key, got {shown(key)}.")
    return key


def _traced(tree: Any) -> bool:
    return any(isinstance(x, Tracer) for x in jax.tree.leaves(tree))
