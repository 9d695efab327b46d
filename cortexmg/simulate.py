"""Running a network: once, or along values of its parameters."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, Key

from cortexmg.compaction import AT_ONCE
from cortexmg.devices import Devices, mesh_of, platform_of
from cortexmg.frames import Plan, Record, frames_in, plan_of
from cortexmg.hostloop import HostLoop
from cortexmg.members import Members
from cortexmg.memory import check_memory, room_of, steps_at_once
from cortexmg.network import Network, State, check_network
from cortexmg.parameters import stored, with_parameters
from cortexmg.part import as_python, check_members, shown
from cortexmg.processes import check_alike
from cortexmg.programs import ManyDevices, OneDevice
from cortexmg.progress import Progress
from cortexmg.recorders import Recorder
from cortexmg.selfcheck import check_arithmetic
from cortexmg.starting import start
from cortexmg.states import Run, arrays, checked, first_state, key_for
from cortexmg.tangents import Tangents
from cortexmg.traced import simulate_traced, traced


def simulate(
    network: Network,
    duration: float,
    dt: float = 0.05,
    *,
    record: Mapping[str, Recorder] | None = None,
    state: State | None = None,
    key: int | Key[Array, ""] | None = None,
    progress: bool = False,
    gradients: bool | Tangents = False,
    devices: Devices = None,
    at_once: int | None = None,
) -> Run:
    """Run `network` for `duration` ms in steps of `dt` ms.

    `state` goes on from an earlier run: the spikes are those of one long run. `key` seeds the
    noise: by default 0, or as in the run that is gone on from; another key makes it go on with
    other noise. Ctrl-C ends the run early and returns what is recorded so far. Inside
    jit, grad and vmap the result holds traced arrays; there, nothing is checked while it runs.

    Synaptic input is summed in whole numbers, exactly, which makes results independent of the
    order of contacts; `gradients` sums it in floating point, so that it can be differentiated.
    `Tangents` say what becomes of derivatives on their way through the run.

    `devices` are how many devices, or which ones, share the cells; the result is the same, bit for
    bit (but for sums in floating point, of `gradients`). By default these are all of an
    accelerator. Of a CPU, which has one for each core unless JAX_NUM_CPU_DEVICES says otherwise, it
    is one, but long runs of many cells (2e9 cells x steps) are shared by several (25,000 cells for
    each) if there is memory for what each needs. Several
    processes (after jax.distributed.initialize) make the same calls, share all their devices, and
    each gets the whole result.

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
    record, dt = _checked(record, network), as_python(dt)
    if not isinstance(gradients, bool | Tangents):
        raise TypeError(f"gradients must be True, False or Tangents, got {shown(gradients)}.")
    key = key_for(key, state)
    if key.ndim:
        raise ValueError(f"simulate needs one key, got {key.shape[0]}: sweep makes a run for each.")
    if traced(network, state, key):
        if at_once or devices is not None:
            raise ValueError(
                f"at_once = {shown(at_once)} and devices = {shown(devices)} are not for runs "
                f"inside jit, grad or vmap, which are on one device and could not tell of late "
                f"spikes: leave them away there."
            )
        return simulate_traced(network, duration, dt, record, state, key, gradients)
    network = _with_queue(network, at_once, bool(gradients), state)
    plan = _planned(network, duration, dt, record)
    cells = 0 if gradients else sum(network.sizes.values())  # derivatives' sums are not exact
    mesh = mesh_of(devices, 1, cells, round(duration / dt))
    times = {"duration": duration, "dt": dt}
    check_alike(mesh, network=network, state=state, key=key, record=record, **times)
    check = partial(_check_memory, network, record, duration, dt, plan, exact=not gradients)
    mesh = _with_room(check, mesh, optional=devices is None)
    numbers = arrays(network)  # once: their wiring can be large
    begin = first_state(numbers, state, key, dt, not gradients)
    numbers = network if mesh else numbers  # several devices get parts of what is on the host
    program = ManyDevices(numbers, begin, dt, mesh) if mesh else OneDevice(numbers, begin, dt)
    del numbers, begin  # they have their parts of them now
    loop = HostLoop(program, network, record, duration, dt, {})
    return loop.run(Progress(progress and not jax.process_index(), duration, 1))[0]


def sweep(
    network: Network,
    values: Mapping[str, ArrayLike | Sequence[float]],
    duration: float,
    dt: float = 0.05,
    *,
    record: Mapping[str, Recorder] | None = None,
    state: State | None = None,
    key: int | Key[Array, "..."] | Sequence[int] | None = None,
    progress: bool = False,
    devices: Devices = None,
    at_once: int | None = None,
) -> list[Run]:
    """Run `network` once for each entry of `values`, as one batched program.

    `values` maps parameter names to arrays of one length, the number of runs. All runs share the
    wiring, and the noise too unless `key` is a list of seeds, or an array of keys, one for each.
    With a `state` all go on from there, with the key of that run unless another is given: a network
    that has settled is put into other fluids. They are spread over `devices`, by default all.
    `at_once` and errors: as `simulate`. Warns if what varies makes no difference.
    """
    start()
    record, dt = _checked(record, network), as_python(dt)
    network = _with_queue(network, at_once, state=state)
    if not isinstance(values, Mapping):
        raise TypeError(f"values must be a dict from names to arrays, got {shown(values)}.")
    if traced(network, values, state, key):
        raise TypeError("sweep cannot be used inside jit, grad or vmap: use vmap of simulate.")
    values = {name: np.asarray(v) for name, v in values.items()}
    keys = key_for(key, state)
    sizes = {name: v.shape[0] if v.ndim else 0 for name, v in values.items()}
    sizes |= {"key": keys.shape[0]} if keys.ndim else {}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise ValueError(
            f"sweep needs arrays of one length, one value for each run, got lengths {sizes}."
        )
    for i in range(next(iter(sizes.values()))):
        with_parameters(network, {name: v[i] for name, v in values.items()}).check(dt)
    values = {name: stored(network, name, v) for name, v in values.items()}
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
    loop = HostLoop(program, network, record, duration, dt, values)
    runs = loop.run(Progress(progress and not jax.process_index(), duration, size))
    _warn_if_alike(values, runs)
    return runs


def _warn_if_alike(values: dict[str, np.ndarray], runs: list[Run]) -> None:
    """Warn if something varies and all runs are alike: nothing in the network reads it."""
    vary = [name for name, v in values.items() if np.any(v != v[0])]
    if not vary or not all(run.complete for run in runs):
        return
    first = jax.tree.leaves((runs[0].state.populations, runs[0].recordings))
    for run in runs[1:]:
        mine = jax.tree.leaves((run.state.populations, run.recordings))
        if not all(np.array_equal(x, y) for x, y in zip(mine, first, strict=True)):
            return
    warnings.warn(
        f"{' and '.join(vary)} made no difference: all runs recorded the same and ended in the "
        f"same state. Either nothing in this network depends on it (cortexmg.mechanisms lists what "
        f"does on ions), or the runs are too short.",
        stacklevel=3,
    )


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


def _planned(network: Network, duration: float, dt: float, record: Record) -> Plan:
    """The plan of a run; before anything runs, times, network and machine are checked."""
    plan = plan_of(record, dt)
    frames_in(duration, dt, plan)
    network.check(dt)
    check_arithmetic()
    return plan


def _with_room(
    check: Callable[[Mesh | None], None], mesh: Mesh | None, optional: bool
) -> Mesh | None:
    """The devices of a run that fits there; one of a CPU if several are optional and too many."""
    try:
        check(mesh)
    except MemoryError:
        if mesh is None or not optional or platform_of(mesh) != "cpu" or jax.process_count() > 1:
            raise
        check(None)
        return None
    return mesh


def _check_memory(network, record, duration, dt, plan: Plan, mesh: Mesh | None, **how) -> None:
    """Raise MemoryError if there is not enough, before anything is allocated."""
    cells, frame = sum(network.sizes.values()) * how.get("members", 1), plan[0][0]
    parts, most = mesh.size if mesh else 1, steps_at_once(cells, frame)
    kept = frames_in(duration, dt, plan)
    if parts > 1 and platform_of(mesh) == "cpu":  # whose devices share their memory
        how["copies"] = 1 if "members" in how else 2  # the parts as they are cut, and as arrays
    elif parts > 1:
        how["copies"] = parts if "members" in how else 1  # each device of a sweep has all contacts
        check_memory(network, {}, dt, 1)  # a run is laid out on the first of them
    check_memory(network, record, dt, most, kept=kept, available=room_of(mesh), **how)


def _checked(record: Any, network: Network) -> Record:
    """The recorders, of which each finds in `network` what it is to record."""
    check_network(network)
    record = {} if record is None else record
    check_members("record", record, Recorder)
    for r in record.values():
        r.check(network)
    return dict(record)
