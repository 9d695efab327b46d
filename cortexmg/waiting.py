"""Spikes that wait until the shortest delay of a projection has passed, kept as bits."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt32

from cortexmg.compaction import TILE, pack, unpack, words_for
from cortexmg.derivatives import kept
from cortexmg.environment import Environment
from cortexmg.noise import stream
from cortexmg.projection import Projection
from cortexmg.releases import Certain
from cortexmg.rows import piece
from cortexmg.slots import read
from cortexmg.spiking import Spikes, without_amount
from cortexmg.split import AXIS, Split

STEPS = jnp.dtype("uint16")  # of delays, once they are in steps
HALF = 0.501  # of a step: what is half way goes down, whatever its last digits


class Links(NamedTuple):
    """The projections of a network in steps of `dt`, and where on its devices their cells are."""

    projections: dict[str, Projection]
    sizes: dict[str, int]  # cells of each population on this device
    split: Split
    at_once: int  # see `Network`
    dt: float  # ms

    def padded(self, population: str) -> int:
        """Cells of a population on all devices, with those that fill up their parts."""
        return self.split.parts * self.sizes[population]

    def sent_by(self, pre: str) -> dict[str, Projection]:
        """The projections from one population."""
        return {name: p for name, p in self.projections.items() if p.pre == pre}

    def longest_wait(self, pre: str) -> int:
        """For how many steps spikes of a population wait at most."""
        return max(wait(p, self.dt) for p in self.sent_by(pre).values())


class Waiting(NamedTuple):
    """Spikes of one population in its last steps; step k is in slot k mod slots."""

    fired: UInt32[Array, " slots*words"]
    near: UInt32[Array, " slots*words"] | None  # None where input is summed exactly
    amount: Float[Array, " slots*n"] | None
    late: Int[Array, " sent"] | None  # how many were not delivered in time; None: no queue


def counters(words: int, at_once: int) -> Int[Array, " sent"]:
    """Of spikes that were not delivered in time, in a queue of so many words per step."""
    return jnp.zeros(-(-words // TILE) * at_once, jnp.int32)


def anew(w: Waiting, words: int, at_once: int) -> Array | None:
    """The counters of a queue, at 0; None if there is none."""
    return None if w.late is None else counters(words, at_once)


def steps(delay: float, dt: float) -> int:
    """A delay (ms) to the nearest whole number of steps, at least one."""
    return max(1, math.ceil(delay / dt - HALF))


def wait(p: Projection, dt: float) -> int:
    """For how many steps all spikes of a projection wait."""
    return steps(p.connectivity.delay_min, dt)


def delays_left(p: Projection, dt: float) -> Array:
    """Steps from the end of the wait to the arrival, for each contact or one for all."""
    if jnp.result_type(p.connectivity.delays) == STEPS:
        return jnp.atleast_1d(p.connectivity.delays)
    delays = jnp.ceil(jnp.atleast_1d(p.connectivity.delays) / dt - HALF) - wait(p, dt)
    return jnp.clip(delays, 0, delay_range(p, dt)).astype(STEPS)


def delay_range(p: Projection, dt: float) -> int:
    """By how many steps the delays of a projection differ at most."""
    found = steps(p.connectivity.delay_max, dt) - wait(p, dt)
    if found > jnp.iinfo(STEPS).max:
        raise ValueError(
            f"Delays onto population {p.post!r} differ by {found} steps, expected at most "
            f"{jnp.iinfo(STEPS).max}: use a larger dt or delays that are more alike."
        )
    return found


def check_size(population: str, slots: int, n: int) -> None:
    """Raise if delays are so long that places of steps and cells could not be numbered."""
    if slots * n >= 2**31:
        raise ValueError(
            f"Population {population!r} would need {slots} slots of {n} cells for its delays, 2^31 "
            f"entries or more: use shorter delays, a larger dt or smaller populations."
        )


def contacts(links: Links, name: str, amounts: Array, step: Array, key: Key[Array, ""]) -> Any:
    """The rows of a projection for spikes that were fired in `step` and release `amounts`.

    These can hold several steps, as `Release.varied` takes them.
    """
    p = links.projections[name]
    rows = p.connectivity.rows(delays_left(p, links.dt))
    if not p.release.varies:
        return rows
    amounts = amounts.reshape(-1, p.connectivity.n_senders)
    return p.release.varied(rows, amounts, step, stream(stream(key, "projections"), name))


def bathing(env: Environment, p: Projection, links: Links) -> Environment:
    """What bathes the presynaptic cells with a row, for their release."""
    n = links.sizes[p.pre]

    def of_rows(x):
        each = n > 1 and jnp.shape(x) == (n,)
        return links.split.everywhere(x)[p.connectivity.senders] if each else x

    return jax.tree.map(of_rows, env)


def depart(
    waiting: dict[str, Waiting],
    spikes: dict[str, Spikes],
    step: Int[Array, ""],
    links: Links,
) -> dict[str, Waiting]:
    """The spikes of this step take the place of those for which all delays have passed.

    Several devices exchange them once in the shortest delay, before the first are due; until then
    each knows only its own.
    """
    after, split = {}, links.split
    for pre, w in waiting.items():
        new = spikes[pre]
        fired = split.put(w.fired, pack(new.fired), step)
        if w.amount is None or w.near is None:
            after[pre] = w._replace(fired=without_amount(fired, new.amount))
        else:
            near = split.put(w.near, pack(new.near), step)
            after[pre] = Waiting(fired, near, split.put(w.amount, new.amount, step), None)
    if split.parts == 1 or not waiting:
        return after
    window = 1 + min(wait(p, links.dt) for p in links.projections.values())

    def exchanged():
        each = {
            pre: partial(_exchanged, 1 + links.longest_wait(pre), step, window, split)
            for pre in after
        }
        return {pre: jax.tree.map(each[pre], w) for pre, w in after.items()}

    return jax.lax.cond((step + 1) % window == 0, exchanged, lambda: after)


def _exchanged(slots: int, step: Array, window: int, split: Split, ring: Array) -> Array:
    """The ring with what other devices have put into it in the last `window` steps."""
    rows = ring.reshape(slots, split.parts, -1)
    last = (step - jnp.arange(window)) % slots
    everyone = jax.lax.all_gather(rows[last, split.part()], AXIS, axis=1)
    return rows.at[last].set(everyone).reshape(-1)


def due(w: Waiting, p: Projection, step: Array, links: Links) -> tuple[Spikes, Waiting]:
    """The spikes of `step` of the presynaptic cells of a projection, and what waits to go on with.

    `fired` and `near` are packed, and without cells that make no contacts.
    """
    c, n, blocks = p.connectivity, links.padded(p.pre), links.split.parts
    words = blocks * words_for(links.sizes[p.pre])
    slot = step % (w.fired.shape[0] // words)
    mask = with_row([c.senders], n, blocks)
    fired = piece(w.fired, slot * words, words) & mask
    if w.amount is None or w.near is None:
        if type(p.release) is Certain:
            return Spikes(jnp.ones(1), fired, fired), w  # one amount for all: none is looked up
        amount = unpack(fired, n, blocks)[c.senders].astype(jnp.result_type(float))
        return Spikes(amount, fired, fired), w
    ring, amount = read(w.amount, slot, n)
    # Of the rings the derivative keeps no more than this.
    found = kept(Spikes(amount[c.senders], fired, piece(w.near, slot * words, words) & mask))
    return found, w._replace(amount=ring)


def with_row(senders: list[slice], n: int, blocks: int) -> np.ndarray:
    """Packed flags of the cells of `n` that are among the `senders`, uint32[words]."""
    # On the host: packing is a hundred instructions, to be compiled for every projection.
    words = words_for(n // blocks)
    found = np.zeros((blocks, n // blocks), bool)
    for some in senders:
        found.reshape(-1)[some] = True
    room = np.zeros((blocks, 32 * words), np.uint32)
    room[:, : n // blocks] = found
    bits = room.reshape(blocks, 32, words) << np.arange(32, dtype=np.uint32)[:, None]
    return np.bitwise_or.reduce(bits, axis=1).reshape(-1)
