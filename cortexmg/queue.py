"""Delivery of spikes in fixed numbers per step, for GPUs and TPUs.

A loop whose length depends on the spikes waits for the host in every round. Here, of every tile of
128 cells at most `at_once` deliver their spikes in a step, all together. Spikes beyond that wait
in a queue: the delay of their contacts leaves time, because contacts are delivered as soon as their
cell has fired, into a ring of inputs to come. Those for which the time is over are counted.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from cortexmg.compaction import TILE, first_active, pack, unpack, words_for
from cortexmg.environment import Environment
from cortexmg.exact_sums import Inputs, number_kind, quanta
from cortexmg.form import OUTSIDE
from cortexmg.projection import Projection
from cortexmg.releases import Certain
from cortexmg.rows import Wiring
from cortexmg.slots import put
from cortexmg.spiking import Spikes
from cortexmg.transmission import SEPARATOR, Underway
from cortexmg.waiting import (
    Links,
    Waiting,
    bathing,
    check_size,
    contacts,
    counters,
    delay_range,
    wait,
    with_row,
)


class _Lane(NamedTuple):
    """Where the input of one population from one transmitter is collected, in a ring for all."""

    ring: str  # the name of the ring
    slots: int  # steps to come that it holds, with the present one
    width: int  # of a slot
    base: int  # where it begins in a slot


class Taken(NamedTuple):
    """Spikes taken from a queue."""

    cell: Int[Array, " sent"]
    step: Int[Array, " sent"]  # in which it fired
    there: Bool[Array, " sent"]  # which there are


def _lanes(links: Links) -> dict[tuple[str, str], _Lane]:
    lanes, projections, dt = {}, links.projections.values(), links.dt
    for post in sorted({p.post for p in projections}):
        onto = [p for p in projections if p.post == post]
        slots = 1 + max(wait(p, dt) + delay_range(p, dt) for p in onto)
        transmitters, n = sorted({p.transmitter for p in onto}), links.sizes[post]
        check_size(post, slots * len(transmitters), n)
        ring = SEPARATOR.join(transmitters)
        for i, transmitter in enumerate(transmitters):
            lanes[post, transmitter] = _Lane(ring, slots, n * len(transmitters), n * i)
    return lanes


def nothing_queued(links: Links) -> Underway:
    """The state at time 0."""
    waiting, amounts, rings = {}, {}, {}
    for pre in sorted({p.pre for p in links.projections.values()}):
        sent, n = links.sent_by(pre), links.sizes[pre]
        slots, words = 1 + min(wait(p, links.dt) for p in sent.values()), words_for(n)
        check_size(pre, slots, n)
        waiting[pre] = Waiting(
            jnp.zeros(slots * words, jnp.uint32), None, None, counters(words, links.at_once)
        )
        for name, p in sent.items():
            _check_together(name, words * links.at_once // TILE, p.connectivity.longest)
            if type(p.release) is not Certain:
                amounts[name] = jnp.zeros(slots * p.connectivity.n_senders)
    for (post, _), lane in _lanes(links).items():
        rings[post] = {lane.ring: jnp.zeros(lane.slots * lane.width, number_kind(True))}
    return Underway(waiting, rings, quanta(links.projections), amounts)


def _check_together(name: str, cells: int, longest: int) -> None:
    """Raise if what is delivered together could not be numbered."""
    if cells * longest >= 2**31:
        raise ValueError(
            f"Projection {name!r} would deliver {cells:,} rows of up to {longest:,} contacts "
            f"together, 2^31 contacts or more: lower at_once, or split cells with very many "
            f"contacts off into a projection of their own."
        )


def _taken(links: Links, pre: str, w: Waiting, step: Int[Array, ""]) -> tuple[Taken, Waiting]:
    """The spikes of a population that are delivered now, oldest first, and the others."""
    n, words = links.sizes[pre], words_for(links.sizes[pre])
    queue = w.fired.reshape(-1, links.split.parts * words)
    slots = queue.shape[0]
    found, left = first_active(queue, step % slots, links.at_once)
    cell = found.cell(words, n)
    sent = Taken(cell, step - slots + found.row, found.there)
    return sent, w._replace(fired=left.reshape(-1), late=w.late + found.more)  # pyright: ignore


def arrive_at_once(
    links: Links,
    underway: Underway,
    releases: dict[str, Any],
    env: Environment,
    step: Int[Array, ""],
    key: Key[Array, ""],
) -> tuple[Inputs, dict[str, Any], Underway]:
    """What arrives in this step (nS), the releases after it, and what is still underway."""
    lanes = _lanes(links)
    rings = _emptied(underway.rings, lanes, step)
    waiting, sent = {}, {}
    for pre, w in underway.waiting.items():
        sent[pre], waiting[pre] = _taken(links, pre, w, step)
    after, amounts = dict(releases), dict(underway.amounts)
    for name, p in sorted(links.projections.items()):
        fluid = bathing(env, p, links)
        if name in amounts:
            new = _newest(underway.waiting[p.pre], p, links, step)
            after[name], new = p.release.step(releases[name], new, fluid, links.dt)
            amount = amounts[name] = put(amounts[name], new, step - 1)
        else:
            amount = p.release.step(None, jnp.ones(1), fluid, links.dt)[1]
        unit, lane = underway.quanta[p.post][p.transmitter], lanes[p.post, p.transmitter]
        ring = rings[p.post][lane.ring]
        rows = contacts(links, name, amount, sent[p.pre].step, key)
        given = p, rows, ring, lane, sent[p.pre], amount, unit
        rings[p.post][lane.ring] = _add(*given, 1 + wait(p, links.dt))
    arrived = _arriving(rings, lanes, links.sizes, underway.quanta, step)
    return arrived, after, Underway(waiting, rings, underway.quanta, amounts)


def enqueue(
    waiting: dict[str, Waiting], spikes: dict[str, Spikes], step: Int[Array, ""], links: Links
) -> dict[str, Waiting]:
    """The spikes of this step in the place of those that are late, on a GPU as a single kernel.

    Several devices exchange them in every step: a GPU would wait for the host at a branch, and of a
    volley of all cells a few of every tile are delivered in each step, for which the queue needs
    all of the delay.
    """
    after, parts = {}, links.split.parts
    for pre, w in waiting.items():
        # Barrier: the voltage would be copied, and compared with the threshold again.
        fired = links.split.everywhere(pack(jax.lax.optimization_barrier(spikes[pre].fired)))
        # Others would take room in the queue, those too that fill up the last device.
        senders = [p.connectivity.senders for p in links.sent_by(pre).values()]
        fired = fired & with_row(senders, links.padded(pre), parts)
        rows = w.fired.reshape(-1, fired.shape[0])
        mine = jnp.arange(rows.shape[0])[:, None] == step % rows.shape[0]
        after[pre] = w._replace(fired=jnp.where(mine, fired, rows).reshape(-1))
    return after


def _emptied(
    rings: Inputs, lanes: dict[tuple[str, str], _Lane], step: Array
) -> dict[str, dict[str, Array]]:
    """The rings with what arrived in the step before taken out of them.

    Not at the end of that step: XLA may empty a slot before the cells have read it, for which it
    copies the ring.
    """
    found = {post: dict(by_transmitter) for post, by_transmitter in rings.items()}
    for (post, _), lane in lanes.items():
        if lane.base == 0:  # once for each ring
            empty = jnp.zeros(lane.width, found[post][lane.ring].dtype)
            found[post][lane.ring] = put(found[post][lane.ring], empty, step - 1)
    return found


def _arriving(
    rings: Inputs,
    lanes: dict[tuple[str, str], _Lane],
    sizes: dict[str, int],
    units: Inputs,
    step: Array,
) -> Inputs:
    """What is in the slots of this step (nS)."""
    arrived: Inputs = {name: {} for name in sizes}
    for (post, transmitter), lane in lanes.items():
        ring = rings[post][lane.ring].reshape(lane.slots, lane.width)
        begin = step % lane.slots, jnp.int32(lane.base)
        inbox = jax.lax.dynamic_slice(ring, begin, (1, sizes[post]))[0]
        arrived[post][transmitter] = inbox * units[post][transmitter]
    return arrived


def _newest(w: Waiting, p: Projection, links: Links, step: Array) -> Array:
    """1 for each cell with a row that fired in the last step, else 0."""
    parts = links.split.parts
    queue = w.fired.reshape(-1, parts * words_for(links.sizes[p.pre]))
    fired = unpack(queue[(step - 1) % queue.shape[0]], links.padded(p.pre), parts)
    return fired[p.connectivity.senders].astype(jnp.result_type(float))


def _add(
    p: Projection,
    rows: Any,
    ring: Array,
    lane: _Lane,
    sent: Taken,
    amounts: Array,
    unit: Any,
    least: int,
) -> Array:
    """The ring with the contacts of the spikes of one projection, in multiples of `unit` (nS).

    Spikes arrive at `least` so many steps after that in which they were fired.
    """
    c = p.connectivity
    row = sent.cell - c.senders.start
    there = sent.there & (row >= 0) & (row < c.n_senders)
    row = jnp.where(there, row, 0)
    contacts = rows.of_rows(row, jnp.int32(0), c.longest)
    scale = p.strength / unit
    if jnp.ndim(c.weights):
        weights = jnp.asarray(c.weights).at[contacts.first].get(mode="clip")
        new = _of(amounts, sent, row, c) * scale * weights
    else:
        new = _of(amounts, sent, row, c) * (c.weights * scale)
    new = new if contacts.share is None else new * contacts.share
    step = sent.step[:, None] + least + contacts.delays.astype(jnp.int32)
    place = step % lane.slots * lane.width + lane.base + contacts.targets
    place = jnp.where(contacts.mine & there[:, None], place, OUTSIDE)
    new = jnp.broadcast_to(jnp.rint(new).astype(ring.dtype), place.shape)
    return ring.at[place.reshape(-1)].add(new.reshape(-1), mode="drop")


def _of(amounts: Array, sent: Taken, row: Array, c: Wiring) -> Array:
    """The amount of each spike for all its contacts."""
    if amounts.shape[0] == 1:
        return amounts
    slot = sent.step % (amounts.shape[0] // c.n_senders)
    return amounts[slot * c.n_senders + row][:, None]
