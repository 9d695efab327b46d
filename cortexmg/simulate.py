"""Running a network: the host loop around the compiled frames."""

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Key

from cortexmg.frames import (
    Plan,
    Record,
    compiled,
    initial,
    members_axes,
    plan_of,
    run_frame,
    whole_steps,
)
from cortexmg.network import Network, State
from cortexmg.parameters import path_name, with_parameters
from cortexmg.part import Scalar, check_members, shown
from cortexmg.progress import Progress
from cortexmg.recorders import Recorder
from cortexmg.selfcheck import check_arithmetic

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


def simulate(
    network: Network,
    duration: float,
    *,
    dt: float = 0.05,
    record: Mapping[str, Recorder] | None = None,
    state: State | None = None,
    key: int | Key[Array, ""] = 0,
    progress: bool = False,
) -> Run:
    """Run `network` for `duration` ms in steps of `dt` ms.

    `state` goes on from an earlier run (whose key it keeps): the spikes are those of one long run.
    `key` seeds the noise. Ctrl-C ends the run early and returns what is recorded so far. Inside
    jit, grad and vmap the result holds traced arrays; there, nothing is checked while it runs.

    Raises: ValueError for times that do not fit and for a dt too large for the cells;
    FloatingPointError, naming population and time, if a voltage stops being finite.
    """
    record = _checked(record, network)
    if _traced(network) or _traced(state) or _traced(key):
        return _simulate_traced(network, duration, dt, record, state, key)
    key = _key(key)
    if key.ndim:
        raise ValueError(f"simulate needs one key, got {key.shape[0]}: sweep makes a run for each.")
    return _HostLoop(network, {}, duration, dt, record, state, key, progress).run()[0]


def sweep(
    network: Network,
    values: Mapping[str, ArrayLike | Sequence[float]],
    duration: float,
    *,
    dt: float = 0.05,
    record: Mapping[str, Recorder] | None = None,
    key: int | Key[Array, "..."] = 0,
    progress: bool = False,
) -> list[Run]:
    """Run `network` once for each entry of `values`, as one batched program.

    `values` maps parameter names to arrays of one length, the number of runs. All runs share the
    wiring, and the noise too unless `key` is an array of keys, one for each. Errors: as `simulate`.
    """
    values = {name: np.asarray(v) for name, v in values.items()}
    keys = _key(key)
    sizes = {name: v.shape[0] if v.ndim else 0 for name, v in values.items()}
    sizes |= {"key": keys.shape[0]} if keys.ndim else {}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise ValueError(
            f"sweep needs arrays of one length, one value for each run, got lengths {sizes}."
        )
    for i in range(next(iter(sizes.values()))):
        with_parameters(network, {name: v[i] for name, v in values.items()})
    record = _checked(record, network)
    return _HostLoop(network, values, duration, dt, record, None, keys, progress).run()


class _HostLoop:
    """Pieces of a run, one compiled call each; recordings are unpacked while the next one runs."""

    def __init__(self, network, values, duration, dt, record, state, key, progress):
        self.plan: Plan = plan_of(record, dt)
        self.frame = self.plan[0][0]
        self.steps = _frames(duration, dt, self.plan) * self.frame
        network.check(dt)
        check_arithmetic()
        self.network, self.record, self.dt = _arrays(network), record, dt
        self.values = {k: jnp.asarray(v, jnp.result_type(float)) for k, v in values.items()}
        self.swept = bool(values) or key.ndim > 0
        self.members = next((v.shape[0] for v in values.values()), key.shape[0] if key.ndim else 1)
        self.key_axis = 0 if key.ndim else None
        if state is None:
            self.state = initial(self.key_axis, self.swept)(self.network, self.values, key, dt=dt)
        else:
            self.state = _resumed(self.network, state, dt)
        self.first = int(self.state.step)
        self.progress = Progress(progress, duration, self.members)
        self.pieces: list[dict[str, list]] = [
            {name: [] for name in record} for _ in range(self.members)
        ]

    def run(self) -> list[Run]:
        began, done, most = time.perf_counter(), 0, self._most()
        call = compiled(jax.default_backend(), self.key_axis, self.swept)
        pending, interrupted = None, _Interrupt()
        with interrupted, self.progress:
            while done < self.steps and not interrupted.asked:
                frames = min(most, (self.steps - done) // self.frame)
                self.state, saved, healthy = call(
                    self.network, self.values, self.state, self.record, frames,
                    plan=self.plan, dt=self.dt, most=most,
                )  # fmt: skip
                if pending:
                    self._keep(*pending)
                pending = (saved, healthy, done, frames)
                done += frames * self.frame
            if pending:
                self._keep(*pending)
        seconds = time.perf_counter() - began
        return [self._result(m, done, seconds) for m in range(self.members)]

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
                piece = r.piece(mine, self.first + done, steps, self.dt)
                self.pieces[m][name].append(piece)
        self.progress.show((done + frames * self.frame) * self.dt)

    def _raise_if_sick(self, healthy, done: int, frames: int) -> None:
        for name, ok in healthy.items():
            if np.all(ok):
                continue
            begin = (self.first + done) * self.dt
            end = begin + frames * self.frame * self.dt
            which = ""
            if self.swept:
                m = int(np.flatnonzero(~np.asarray(ok))[0])
                which = f" in run {m} ({ {k: float(v[m]) for k, v in self.values.items()} })"
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


def _simulate_traced(network, duration, dt, record, state, key) -> Run:
    plan = plan_of(record, dt)
    frames = _frames(duration, dt, plan)
    network = _arrays(network)
    first = 0 if state is None else state.step
    state = network.init(_key(key), dt) if state is None else _resumed(network, state, dt)

    def frame(state, _):
        return run_frame(network, state, record, plan, dt)

    # The state at the beginning of each frame is kept for the backward pass, the rest is redone.
    state, saved = jax.lax.scan(jax.checkpoint(frame, prevent_cse=False), state, length=frames)
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


def _frames(duration: float, dt: float, plan: Plan) -> int:
    """How many times the longest interval of the recorders fits into `duration`."""
    steps, frame = whole_steps(duration, dt, "duration"), plan[0][0]
    if steps % frame:
        raise ValueError(
            f"duration of {duration:g} ms is not a whole number of the longest recorder "
            f"interval, {frame * dt:g} ms: change one of them."
        )
    return steps // frame


def _key(key: Any) -> Array:
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        # Counter-based like JAX's default, the same on every device, and twice as fast.
        return jax.random.key(key, impl="philox4x32")
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise TypeError(f"key must be a whole number or a jax.random.key, got {shown(key)}.")
    return key


def _traced(tree: Any) -> bool:
    return any(isinstance(x, Tracer) for x in jax.tree.leaves(tree))


def _arrays(network: Network) -> Network:
    """All numbers as arrays of the default precision, so that none is compiled into the program."""

    def array(x):
        if isinstance(x, Tracer):
            return x
        kind = np.asarray(x).dtype.kind if not isinstance(x, jax.Array) else x.dtype.kind
        return jnp.asarray(x, jnp.result_type(float)) if kind == "f" else jnp.asarray(x)

    return jax.tree.map(array, network)


def _resumed(network: Network, state: Any, dt: float) -> State:
    """A copy of the state, which a run gives away; raises unless it is one of `network` at `dt`."""
    if not isinstance(state, State):
        raise TypeError(f"state must be the state of a run (run.state), got {shown(state)}.")
    if not _traced(state.dt) and abs(float(state.dt) - dt) > 1e-6 * dt:
        raise ValueError(
            f"state was made with dt = {float(state.dt):g} ms, got dt = {dt:g} ms: what is on its "
            f"way is laid out in steps, so go on with the same dt."
        )
    given = _shapes(state)
    expected = _shapes(jax.eval_shape(lambda key: network.init(key, dt), state.key))
    for name in sorted(given.keys() | expected.keys()):
        if given.get(name) != expected.get(name):
            raise ValueError(
                f"state is not one of this network: {name} is {given.get(name, 'missing')}, "
                f"expected {expected.get(name, 'none')}. Go on with the network that it came from."
            )
    return jax.tree.map(jnp.copy, state)


def _shapes(state: State) -> dict[str, str]:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {path_name(path): f"{x.dtype}{list(x.shape)}" for path, x in leaves}


def _join(pieces: list) -> Any:
    return jax.tree.map(lambda *x: np.concatenate(x), *pieces)
