"""The host side of a run: compiled pieces one after the other, what they recorded, and Ctrl-C."""

import signal
import threading
import time
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cortexmg.devices import (
    Devices,
    joined_state,
    mesh_of,
    partitioned_by_gspmd,
    placed,
    stacked_states,
)
from cortexmg.frames import (
    Plan,
    compiled,
    compiled_on,
    initial,
    members_axes,
    plan_of,
    whole_steps,
)
from cortexmg.network import Network, State
from cortexmg.parameters import path_name
from cortexmg.part import Scalar, quantities, shown
from cortexmg.progress import Progress
from cortexmg.selfcheck import check_arithmetic
from cortexmg.waiting import AXIS

CELL_STEPS = 5e7  # per compiled piece: about half a second on one core


@dataclass(frozen=True)
class Run:
    """What a run recorded, and the state it ended in; `run[name]` is a recording."""

    recordings: dict[str, Any]
    state: State
    start: Scalar  # ms
    stop: Scalar  # ms
    seconds: float  # wall time, with compilation
    complete: bool  # False if it was interrupted

    def __getitem__(self, name: str) -> Any:
        return self.recordings[name]


class HostLoop:
    """Pieces of a run, one compiled call each; recordings are unpacked while the next one runs."""

    def __init__(
        self,
        network,
        values,
        duration,
        dt,
        record,
        state,
        key,
        progress,
        exact,
        devices: Devices = 1,
    ):
        self.plan: Plan = plan_of(record, dt)
        self.frame = self.plan[0][0]
        self.steps = frames_in(duration, dt, self.plan) * self.frame
        network.check(dt)
        check_arithmetic()
        self.network, self.record, self.dt = arrays(network), record, dt
        self.values = {k: jnp.asarray(v, jnp.result_type(float)) for k, v in values.items()}
        self.swept = bool(values) or key.ndim > 0
        self.members = next((v.shape[0] for v in values.values()), key.shape[0] if key.ndim else 1)
        self.key_axis = 0 if key.ndim else None
        if state is None:
            start = initial(self.key_axis, self.swept, exact)
            self.state = start(self.network, self.values, key, dt=dt)
        else:
            self.state = resumed(self.network, state, dt, exact)
        self.first = int(self.state.step)
        self.parts = 1
        if mesh := None if self.swept else mesh_of(devices, sum(network.sizes.values())):
            self.parts = mesh.size
            self.state = _on(mesh)(self.network, self.state)
            self.stacked, self.mesh = placed(network, mesh), mesh
        self.progress = Progress(progress, duration, self.members)
        self.pieces: list[dict[str, list]] = [
            {name: [] for name in record} for _ in range(self.members)
        ]

    def run(self) -> list[Run]:
        began, done, most = time.perf_counter(), 0, self._most()
        pending, interrupted = None, _Interrupt()
        with interrupted, self.progress:
            while done < self.steps and not interrupted.asked:
                frames = min(most, (self.steps - done) // self.frame)
                self.state, saved, healthy = self._call(frames, most)
                if pending:
                    self._keep(*pending)
                pending = (saved, healthy, done, frames)
                done += frames * self.frame
            if pending:
                self._keep(*pending)
        seconds = time.perf_counter() - began
        return [self._result(m, done, seconds) for m in range(self.members)]

    def _call(self, frames: int, most: int):
        fixed = {"plan": self.plan, "dt": self.dt, "most": most}
        if self.parts > 1:
            call = compiled_on(self.mesh)
            with partitioned_by_gspmd():
                return call(self.stacked, self.state, self.record, frames, **fixed)
        call = compiled(jax.default_backend(), self.key_axis, self.swept)
        return call(self.network, self.values, self.state, self.record, frames, **fixed)

    def _most(self) -> int:
        cells = sum(p.n for p in self.network.populations.values()) * self.members
        steps = min(max(CELL_STEPS / cells, 20), 20_000)
        return max(1, int(steps) // self.frame)

    def _keep(self, saved, healthy, done: int, frames: int) -> None:
        """Move the recordings of a piece to the host."""
        self._raise_if_sick(healthy, done, frames)
        for name, r in self.record.items():
            steps = next(s for s, names in self.plan if name in names)
            count = frames * self.frame // steps
            for m in range(self.members):
                mine = jax.tree.map(
                    lambda x, m=m, count=count: np.asarray(x[m] if self.swept else x)[:count],
                    saved[name],
                )
                piece = r.piece(mine, self.first + done, steps, self.dt, self.parts)
                self.pieces[m][name].append(piece)
        self.progress.show((done + frames * self.frame) * self.dt)

    def _raise_if_sick(self, healthy, done: int, frames: int) -> None:
        for name, ok in healthy.items():
            if np.all(ok):
                continue
            begin = (self.first + done) * self.dt
            end = begin + frames * self.frame * self.dt
            v = np.asarray(self.state.populations[name].v)
            if self.parts > 1:
                v = v.reshape(-1)
            cell = int(np.argwhere(~np.isfinite(v))[0][-1])
            which = f", cell {cell} first of {np.sum(~np.isfinite(v))}"
            if self.swept:
                m = int(np.flatnonzero(~np.asarray(ok))[0])
                which += f", in run {m} ({ {k: float(v[m]) for k, v in self.values.items()} })"
            raise FloatingPointError(
                f"The voltage of population {name!r} stopped being finite between {begin:g} and "
                f"{end:g} ms{which}. Use a smaller dt (now {self.dt:g} ms), or look for weights "
                f"and currents that are too large."
            )

    def _result(self, m: int, done: int, seconds: float) -> Run:
        start, stop = self.first * self.dt, (self.first + done) * self.dt
        recordings = {
            name: r.result(_join(self.pieces[m][name]), self.network, start, stop)
            for name, r in self.record.items()
            if self.pieces[m][name]
        }
        state = self.state
        if self.parts > 1:
            state = _together(self.parts)(self.network, state)
        if self.swept:
            axes = members_axes(self.key_axis)
            state = State._make(
                x if axis is None else jax.tree.map(lambda leaf: leaf[m], x)
                for x, axis in zip(self.state, axes, strict=True)
            )
        return Run(recordings, state, start, stop, seconds, done == self.steps)


class _Interrupt:
    """Ctrl-C asks the loop to end after the piece at hand; a second one ends it at once."""

    def __init__(self):
        self.asked = False
        self._main = threading.current_thread() is threading.main_thread()

    def __enter__(self):
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_):
        if self._main:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@cache
def _on(mesh: Mesh):
    """A jitted `stacked_states` that puts each part on its device."""
    return jax.jit(
        partial(stacked_states, parts=mesh.size),
        out_shardings=NamedSharding(mesh, PartitionSpec(AXIS)),
    )


@cache
def _together(parts: int):
    return jax.jit(partial(joined_state, parts=parts))


def frames_in(duration: float, dt: float, plan: Plan) -> int:
    """How many times the longest interval of the recorders fits into `duration`."""
    steps, frame = whole_steps(duration, dt, "duration"), plan[0][0]
    if steps % frame:
        raise ValueError(
            f"duration of {duration:g} ms is not a whole number of the longest recorder "
            f"interval, {frame * dt:g} ms: change one of them."
        )
    return steps // frame


def arrays(network: Network) -> Network:
    """All numbers as arrays of the default precision, so that none is compiled into the program.

    Also whole ones where a quantity is asked for: they may be too large for integers.
    """
    known = quantities(network)

    def array(path, x):
        if isinstance(x, Tracer):
            return x
        kind = np.asarray(x).dtype.kind if not isinstance(x, jax.Array) else x.dtype.kind
        real = kind == "f" or (kind in "iu" and path_name(path) in known)
        return jnp.asarray(x, jnp.result_type(float)) if real else jnp.asarray(x)

    return jax.tree_util.tree_map_with_path(array, network)


def resumed(network: Network, state: Any, dt: float, exact: bool) -> State:
    """A copy of the state, which a run gives away; raises unless it is one of `network` at `dt`.

    What is underway goes on as exact or differentiable as the run needs it.
    """
    if not isinstance(state, State):
        raise TypeError(f"state must be the state of a run (run.state), got {shown(state)}.")
    if not isinstance(state.dt, Tracer) and abs(float(state.dt) - dt) > 1e-6 * dt:
        raise ValueError(
            f"state was made with dt = {float(state.dt):g} ms, got dt = {dt:g} ms: what is on its "
            f"way is laid out in steps, so go on with the same dt."
        )
    given = _shapes(state)
    was_exact = state.underway.exact
    expected = _shapes(jax.eval_shape(lambda key: network.init(key, dt, was_exact), state.key))
    for name in sorted(given.keys() | expected.keys()):
        if given.get(name) != expected.get(name):
            raise ValueError(
                f"state is not one of this network: {name} is {given.get(name, 'missing')}, "
                f"expected {expected.get(name, 'none')}. Go on with the network that it came from."
            )
    return jax.tree.map(jnp.copy, network.adopted(state, exact))


def _shapes(state: State) -> dict[str, str]:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {path_name(path): f"{x.dtype}{list(x.shape)}" for path, x in leaves}


def _join(pieces: list) -> Any:
    return jax.tree.map(lambda *x: np.concatenate(x), *pieces)
