"""What a run begins with, numbers and a state of time 0 or of another run, and what it gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from cortexmg.network import Network, State
from cortexmg.noise import is_key
from cortexmg.parameters import path_name
from cortexmg.part import Scalar, quantities, shown


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
        if name not in self.recordings:
            raise KeyError(f"Nothing was recorded as {name!r}, only {sorted(self.recordings)}.")
        return self.recordings[name]

    def __repr__(self) -> str:
        return (
            f"Run({self.start} to {self.stop} ms, recordings={sorted(self.recordings)}, "
            f"complete={self.complete})"
        )


def arrays_of(runs: Run | Sequence[Run]) -> dict[str, np.ndarray]:
    """What a run, or each of several, has recorded, as one array for each name."""
    one = isinstance(runs, Run)
    if not one and not all(isinstance(run, Run) for run in runs):
        raise TypeError(f"arrays must be a dict of arrays, a run or runs, got {shown(runs)}.")
    recorded = runs.recordings if one else [run.recordings for run in runs]
    leaves = jax.tree_util.tree_leaves_with_path(recorded)
    return {path_name(path): np.asarray(x) for path, x in leaves}


@partial(jax.jit, static_argnames=("dt", "exact"))
def initial(network: Network, key: Any, *, dt: float, exact: bool) -> State:
    """The state at time 0."""
    return network.init(key, dt, exact)


@partial(jax.jit, static_argnames="exact")
def _adopted(network: Network, state: State, exact: bool) -> State:
    return network.adopted(state, exact)


def checked(network: Network, state: Any, dt: float) -> State:
    """The state, with no late spikes; raises unless it is one of `network` at `dt`.

    Stimuli may have come or changed their kind, which begin as at time 0, or gone.
    """
    if not isinstance(state, State):
        raise TypeError(
            f"state must be the state of one run (run.state), got {shown(state)}: go on from those "
            f"of several runs by a `simulate` for each."
        )
    if not isinstance(state.dt, Tracer) and abs(float(state.dt) - dt) > 1e-6 * dt:
        raise ValueError(
            f"state was made with dt = {float(state.dt):g} ms, got dt = {dt:g} ms: what is on its "
            f"way is laid out in steps, so go on with the same dt."
        )
    if network.projections and state.underway.queued != bool(network.at_once):
        raise ValueError(
            f"state holds spikes that are delivered {_how(state.underway.queued)}, but this run "
            f"delivers them {_how(bool(network.at_once))}: go on with the same at_once, and "
            f"without gradients=True from a run that had a queue."
        )
    if state.populations.keys() != network.populations.keys():
        raise ValueError(
            f"state has the populations {sorted(state.populations)}, but those of this network are "
            f"{sorted(network.populations)}: go on with the network that it came from."
        )
    begun = network.begin_stimuli(state.key)
    state = state._replace(
        underway=network.counted_anew(state.underway),
        stimuli={name: _if_alike(state.stimuli.get(name), new) for name, new in begun.items()},
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
    return state


def _if_alike(old: Any, new: Any) -> Any:
    """The old state of a stimulus, or the new one if it is of another kind."""
    same = jax.tree.structure(old) == jax.tree.structure(new)
    return old if same and jax.tree.map(jnp.shape, old) == jax.tree.map(jnp.shape, new) else new


def _how(queued: bool) -> str:
    return "together, from a queue (at_once)" if queued else "one after the other"


def _shapes(state: State) -> dict[str, str]:
    # With None, the state of parts that have none: what is compiled knows which there are.
    leaves = jax.tree_util.tree_leaves_with_path(state, is_leaf=lambda x: x is None)
    return {
        path_name(path): "without state" if x is None else f"{x.dtype}{list(x.shape)}"
        for path, x in leaves
    }


def dtype_in(network: Network) -> Callable[[Any, Any], np.dtype]:
    """The type that an array of the network, given with its path, has in a run.

    A quantity is real, whole numbers too: they may be too large for integers.
    """
    known = quantities(network)

    def dtype(path, x):
        given = x.dtype if hasattr(x, "dtype") else np.result_type(x)
        real = given.kind == "f" or (given.kind in "iu" and path_name(path) in known)
        return jnp.result_type(float) if real else jax.dtypes.canonicalize_dtype(given)

    return dtype


def arrays(network: Network) -> Network:
    """All numbers as arrays of the default precision, so that none is compiled into the program."""
    dtype = dtype_in(network)

    def array(path, x):
        if isinstance(x, Tracer):
            return x
        x = x if isinstance(x, jax.Array) else np.asarray(x)
        # Not jnp.asarray, which compiles a program for every shape. What the caller writes into an
        # array later must not change a network.
        may_alias = isinstance(x, jax.Array)
        return jax.device_put(x.astype(dtype(path, x), copy=False), may_alias=may_alias)

    return jax.tree_util.tree_map_with_path(array, network)


def first_state(network: Network, state: State | None, key: Array, dt: float, exact: bool) -> State:
    """The state with which a run begins: the one given, or that of the network at time 0.

    Its noise is that of `key`. What is underway in it goes on as exact or differentiable as the run
    needs it. Raises unless it is a state of `network` at `dt`.
    """
    if state is None:
        return initial(network, key, dt=dt, exact=exact)
    if isinstance(state, State):
        state = state._replace(key=key)  # with which stimuli begin that have come
    return _adopted(network, checked(network, state, dt), exact)


def key_for(key: Any, state: Any) -> Array:
    """The key of a run, or keys of several: the one given, that of its state, or of seed 0.

    Raises: as `key_of`.
    """
    if key is None and isinstance(state, State):
        return state.key
    key = key.tolist() if isinstance(key, np.ndarray) else key
    if isinstance(key, list | tuple) and key and all(isinstance(k, int | np.integer) for k in key):
        return jnp.stack([key_of(k) for k in key])
    return key_of(0 if key is None else key)


def key_of(key: Any) -> Array:
    """A key of JAX, of which a whole number is a seed.

    Raises: TypeError or ValueError for anything else.
    """
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        # Of a longer one, JAX keeps the last 32 bits in single precision, and all in double.
        if not 0 <= key < 2**32:
            raise ValueError(
                f"key must be a whole number from 0 to 2^32 - 1, got {shown(key)}: others would "
                f"repeat the noise of one of these."
            )
        return jax.random.key(key, impl="threefry2x32")
    if not is_key(key):
        raise TypeError(
            f"key must be a whole number or a jax.random.key, or for a sweep a list of numbers or "
            f"an array of keys, got {shown(key)}."
        )
    return key
