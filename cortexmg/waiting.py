"""Spikes that wait until the shortest delay of a projection has passed, kept as bits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from cortexmg.compaction import pack, unpack, words_for
from cortexmg.projection import Projection
from cortexmg.releases import Certain
from cortexmg.spiking import Spikes, no_derivative


class Waiting(NamedTuple):
    """Spikes of one population in its last steps; step k is in slot k mod slots."""

    fired: UInt32[Array, " slots*words"]
    near: UInt32[Array, " slots*words"] | None  # None where input is summed exactly
    amount: Float[Array, " slots*n"] | None


def steps(delay: float, dt: float) -> int:
    """A delay (ms) to the nearest whole number of steps, at least one."""
    return max(1, round(delay / dt))


def wait(p: Projection, dt: float) -> int:
    """For how many steps all spikes of a projection wait."""
    return steps(p.connectivity.delay_min, dt)


def depart(
    waiting: dict[str, Waiting], spikes: dict[str, Spikes], step: Int[Array, ""]
) -> dict[str, Waiting]:
    """The spikes of this step take the place of those for which all delays have passed."""
    after = {}
    for pre, w in waiting.items():
        new, bits = spikes[pre], words_for(spikes[pre].fired.shape[0])
        slot = step % (w.fired.shape[0] // bits)
        if w.amount is None or w.near is None:
            fired = _put(w.fired, pack(new.fired), slot)
            after[pre] = Waiting(no_derivative(fired, new.amount), None, None)
        else:
            after[pre] = Waiting(
                _put(w.fired, pack(new.fired), slot),
                _put(w.near, pack(new.near), slot),
                _put(w.amount, new.amount, slot),
            )
    return after


def due(w: Waiting, p: Projection, n: int, step: Array, dt: float) -> Spikes:
    """The spikes of the presynaptic cells for which the shortest delay has just passed.

    `fired` and `near` are packed, and without cells that make no contacts.
    """
    c, words = p.connectivity, words_for(n)
    slot = (step - 1 - wait(p, dt)) % (w.fired.shape[0] // words)
    has_row = np.zeros(n, bool)
    has_row[c.senders] = True
    mask = pack(jnp.asarray(has_row))
    fired = _get(w.fired, slot, words) & mask
    if w.amount is None or w.near is None:
        if isinstance(p.release, Certain):
            return Spikes(jnp.ones(1), fired, fired)  # one amount for all: none is looked up
        amount = unpack(fired, n)[c.senders].astype(jnp.result_type(float))
        return Spikes(amount, fired, fired)
    amount = _get(w.amount, slot, n)[c.senders]
    return Spikes(amount, fired, _get(w.near, slot, words) & mask)


def _get(ring: Array, slot: Array, size: int) -> Array:
    return jax.lax.dynamic_slice(ring, (slot * size,), (size,))


def _put(ring: Array, new: Array, slot: Array) -> Array:
    return jax.lax.dynamic_update_slice(ring, new, (slot * new.shape[0],))
