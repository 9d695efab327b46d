"""Delivery of spikes in fixed numbers per step, for GPUs and TPUs.

A loop whose length depends on the spikes waits for the host in every round. Here the contacts of
at most `at_once` cells of a population are delivered in a step, all together. Spikes beyond that
wait in a queue: the delay of their contacts leaves time, because contacts are delivered as soon as
their cell has fired, into a ring of inputs to come. Those for which the time is over are counted.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from cortexmg.compaction import first_active, unpack, words_for
from cortexmg.contraction import OUTSIDE
from cortexmg.environment import Environment
from cortexmg.projection import Projection
from cortexmg.quanta import Inputs
from cortexmg.transmission import Lane, Underway, delays_left, lanes_of, take_slot
from cortexmg.waiting import Split, Waiting, wait


class Sent(NamedTuple):
    """Spikes taken from a queue."""

    cell: Int[Array, " at_once"]
    step: Int[Array, " at_once"]  # in which it fired
    there: Bool[Array, " at_once"]  # which there are


def at_once_for(n: int) -> int:
    """How many of `n` cells are served at once unless somebody says otherwise.

    At 0.1 ms and 10 Hz one cell in 1,000 fires in a step; 16 times as many is room for bursts.
    """
    return max(256, n // 64)


def taken(
    w: Waiting, n: int, blocks: int, step: Int[Array, ""], at_once: int
) -> tuple[Sent, Waiting]:
    """The spikes of a population of `n` that are delivered now, oldest first, and the others."""
    words = words_for(n // blocks)
    queue = w.fired.reshape(-1, blocks * words)
    slots = queue.shape[0]
    order = (step + jnp.arange(slots)) % slots  # of age; what fired in step s is in s mod slots
    word, bit, there, left = first_active(queue[order].reshape(-1), at_once)
    left = left.reshape(queue.shape)
    age, word = word // (blocks * words), word % (blocks * words)
    cell = word // words * (n // blocks) + word % words + bit * words
    late = jnp.sum(jax.lax.population_count(left[0]).astype(jnp.int32))
    back = (jnp.arange(slots) - step) % slots
    waiting = w._replace(fired=left[back].reshape(-1), late=w.late + late)
    return Sent(cell, step - slots + age, there), waiting


def arrive_at_once(
    underway: Underway,
    releases: dict[str, Any],
    projections: dict[str, Projection],
    sizes: dict[str, int],
    env: Environment,
    step: Int[Array, ""],
    dt: float,
    split: Split,
    at_once: int,
) -> tuple[Inputs, dict[str, Any], Underway]:
    """What arrives in this step (nS), the releases after it, and what is still underway."""
    lanes = lanes_of(projections, sizes, dt, early=True)
    rings = {post: dict(by_transmitter) for post, by_transmitter in underway.rings.items()}
    waiting, sent = {}, {}
    for pre, w in underway.waiting.items():
        n = split.parts * sizes[pre]
        sent[pre], waiting[pre] = taken(w, n, split.parts, step, min(at_once, n))
    after, amounts = dict(releases), dict(underway.amounts)
    for name in sorted(projections):
        p = projections[name]
        if name in amounts:
            new = _newest(underway.waiting[p.pre], p, split, sizes, step)
            after[name], new = p.release.step(releases[name], new, env, dt)
            amounts[name] = _put(amounts[name], new, step - 1)
        unit = underway.quanta[p.post][p.transmitter]
        rings[p.post][p.transmitter] = _add(
            p, rings[p.post][p.transmitter], lanes[p.post, p.transmitter], sent[p.pre],
            amounts.get(name), unit, dt,
        )  # fmt: skip
    arrived: Inputs = {name: {} for name in sizes}
    for post, transmitter in lanes:
        inbox, rings[post][transmitter] = take_slot(rings[post][transmitter], sizes[post], step)
        arrived[post][transmitter] = inbox * underway.quanta[post][transmitter]
    return arrived, after, Underway(waiting, rings, underway.quanta, amounts)


def _newest(w: Waiting, p: Projection, split: Split, sizes: dict[str, int], step: Array) -> Array:
    """1 for each cell with a row that fired in the last step, else 0."""
    n, words = split.parts * sizes[p.pre], split.parts * words_for(sizes[p.pre])
    queue = w.fired.reshape(-1, words)
    fired = unpack(queue[(step - 1) % queue.shape[0]], n, split.parts)
    return fired[p.connectivity.senders].astype(jnp.result_type(float))


def _put(ring: Array, new: Array, step: Array) -> Array:
    slot = step % (ring.shape[0] // new.shape[0])
    return jax.lax.dynamic_update_slice(ring, new, (slot * new.shape[0],))


def _add(
    p: Projection, ring: Array, lane: Lane, sent: Sent, amounts: Array | None, unit: Any, dt: float
) -> Array:
    """The ring with the contacts of the spikes of one projection, in multiples of `unit` (nS)."""
    c = p.connectivity
    row = sent.cell - c.senders.start
    there = sent.there & (row >= 0) & (row < c.n_senders)
    row = jnp.where(there, row, 0)
    contacts = c.rows(delays_left(p, dt)).whole_rows(row, c.longest)
    scale = p.strength / unit
    if jnp.ndim(c.weights):
        weights = jnp.asarray(c.weights).at[contacts.first].get(mode="clip")
        new = (1.0 if amounts is None else _of(amounts, sent, row, c.n_senders)) * scale * weights
    else:
        weight = c.weights * scale
        new = weight if amounts is None else _of(amounts, sent, row, c.n_senders) * weight
    step = sent.step[:, None] + 1 + wait(p, dt) + contacts.delays.astype(jnp.int32)
    place = step % lane.slots * c.n_post + contacts.targets
    place = jnp.where(contacts.mine & there[:, None], place, OUTSIDE)
    new = jnp.broadcast_to(jnp.rint(new).astype(ring.dtype), place.shape)
    return ring.at[place.reshape(-1)].add(new.reshape(-1), mode="drop")


def _of(amounts: Array, sent: Sent, row: Array, n: int) -> Array:
    """The amounts of spikes, [at_once, 1]."""
    slot = sent.step % (amounts.shape[0] // n)
    return amounts[slot * n + row][:, None]
