"""Spikes that wait until the shortest delay of a projection has passed, kept as bits."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from cortexmg.compaction import TILE, pack, unpack, words_for
from cortexmg.projection import Projection
from cortexmg.releases import Certain
from cortexmg.spiking import Spikes, no_derivative

AXIS = "cells"  # of the devices among which cells are divided


class Split(NamedTuple):
    """How populations are divided among devices: each has an equal part of every one."""

    parts: int = 1
    whole: tuple[tuple[str, int], ...] = ()  # cells of each population, all parts together

    def everywhere(self, mine: Array) -> Array:
        """What all devices have, one after the other; inside `shard_map` if there are several."""
        return mine if self.parts == 1 else jax.lax.all_gather(mine, AXIS, tiled=True)

    def part(self) -> Array:
        """The number of this device."""
        return jnp.int32(0) if self.parts == 1 else jax.lax.axis_index(AXIS)


WHOLE = Split()  # one device has all cells


class Waiting(NamedTuple):
    """Spikes of one population in its last steps; step k is in slot k mod slots."""

    fired: UInt32[Array, " slots*words"]
    near: UInt32[Array, " slots*words"] | None  # None where input is summed exactly
    amount: Float[Array, " slots*n"] | None
    late: Int[Array, " sent"] | None  # how many were not delivered in time; None: no queue


def counters(words: int, at_once: int, late: Any = 0) -> Int[Array, " sent"]:
    """Of spikes that were not delivered in time, in a queue of so many words per step."""
    return jnp.zeros(-(-words // TILE) * at_once, jnp.int32).at[0].set(late)


def steps(delay: float, dt: float) -> int:
    """A delay (ms) to the nearest whole number of steps, at least one."""
    return max(1, round(delay / dt))


def wait(p: Projection, dt: float) -> int:
    """For how many steps all spikes of a projection wait."""
    return steps(p.connectivity.delay_min, dt)


def depart(
    waiting: dict[str, Waiting], spikes: dict[str, Spikes], step: Int[Array, ""], split: Split
) -> dict[str, Waiting]:
    """The spikes of this step take the place of those for which all delays have passed."""
    after = {}
    for pre, w in waiting.items():
        new = spikes[pre]
        if w.late is not None:
            after[pre] = _queued(w, new, step, split)
            continue
        fired = split.everywhere(pack(new.fired))
        slot = step % (w.fired.shape[0] // fired.shape[0])
        fired = _put(w.fired, fired, slot)
        if w.amount is None or w.near is None:
            after[pre] = w._replace(fired=no_derivative(fired, new.amount))
        else:
            near, amount = split.everywhere(pack(new.near)), split.everywhere(new.amount)
            near, amount = _put(w.near, near, slot), _put(w.amount, amount, slot)
            after[pre] = Waiting(fired, near, amount, None)
    return after


def _queued(w: Waiting, new: Spikes, step: Array, split: Split) -> Waiting:
    """The same in a queue, on a GPU as a single kernel."""
    # Barrier: the voltage would be copied, and compared with the threshold again.
    fired = split.everywhere(pack(jax.lax.optimization_barrier(new.fired)))
    rows = w.fired.reshape(-1, fired.shape[0])
    mine = jnp.arange(rows.shape[0])[:, None] == step % rows.shape[0]
    return w._replace(fired=jnp.where(mine, fired, rows).reshape(-1))


def due(w: Waiting, p: Projection, n: int, step: Array, dt: float, blocks: int) -> Spikes:
    """The spikes of the `n` presynaptic cells for which the shortest delay has just passed.

    `fired` and `near` are packed, and without cells that make no contacts.
    """
    c, words = p.connectivity, blocks * words_for(n // blocks)
    slot = (step - 1 - wait(p, dt)) % (w.fired.shape[0] // words)
    has_row = np.zeros((blocks, n // blocks), bool)
    has_row.reshape(-1)[c.senders] = True
    mask = jnp.concatenate([pack(jnp.asarray(block)) for block in has_row])
    fired = _get(w.fired, slot, words) & mask
    if w.amount is None or w.near is None:
        if type(p.release) is Certain:
            return Spikes(jnp.ones(1), fired, fired)  # one amount for all: none is looked up
        amount = unpack(fired, n, blocks)[c.senders].astype(jnp.result_type(float))
        return Spikes(amount, fired, fired)
    amount = _get(w.amount, slot, n)[c.senders]
    return Spikes(amount, fired, _get(w.near, slot, words) & mask)


def _get(ring: Array, slot: Array, size: int) -> Array:
    return jax.lax.dynamic_slice(ring, (slot * size,), (size,))


def _put(ring: Array, new: Array, slot: Array) -> Array:
    return jax.lax.dynamic_update_slice(ring, new, (slot * new.shape[0],))
