"""What a run begins with: the numbers of its network, and the state of time 0 or of another run."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from cortexmg.network import Network, State
from cortexmg.parameters import path_name
from cortexmg.part import quantities, shown


@partial(jax.jit, static_argnames=("dt", "exact"))
def initial(network: Network, key: Any, *, dt: float, exact: bool) -> State:
    """The state at time 0."""
    return network.init(key, dt, exact)


@partial(jax.jit, static_argnames="exact")
def _adopted(network: Network, state: State, exact: bool) -> State:
    return network.adopted(state, exact)


def resumed(network: Network, state: Any, dt: float, exact: bool) -> State:
    """The state to go on from; raises unless it is one of `network` at `dt`.

    What is underway goes on as exact or differentiable as the run needs it.
    """
    return _adopted(network, checked(network, state, dt), exact)


def checked(network: Network, state: Any, dt: float) -> State:
    """The state, with no late spikes; raises unless it is one of `network` at `dt`.

    Stimuli may have come or changed their kind, which begin as at time 0, or gone.
    """
    if not isinstance(state, State):
        raise TypeError(f"state must be the state of a run (run.state), got {shown(state)}.")
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


def arrays(network: Network) -> Network:
    """All numbers as arrays of the default precision, so that none is compiled into the program.

    Also whole ones where a quantity is asked for: they may be too large for integers.
    """
    known = quantities(network)

    def array(path, x):
        if isinstance(x, Tracer):
            return x
        x = x if isinstance(x, jax.Array) else np.asarray(x)
        real = x.dtype.kind == "f" or (x.dtype.kind in "iu" and path_name(path) in known)
        x = x.astype(jnp.result_type(float), copy=False) if real else x
        # Not jnp.asarray, which compiles a program for every shape. What the caller writes into an
        # array later must not change a network.
        return jax.device_put(x, may_alias=isinstance(x, jax.Array))

    return jax.tree_util.tree_map_with_path(array, network)


def beginning(network: Network, state: State | None, key: Array, dt: float, exact: bool) -> State:
    """The state with which a run begins: the one given, or that of the network at time 0."""
    if state is None:
        return initial(network, key, dt=dt, exact=exact)
    return resumed(network, state, dt, exact)


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
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise TypeError(f"key must be a whole number or a jax.random.key, got {shown(key)}.")
    return key
