"""Spikes on their way: from the end of a step until they arrive at receptors.

Spikes wait, as bits, until the shortest delay of a projection has passed. Then they are written
into the input of the receptors, or, where contacts differ in delay, into a ring of inputs to come.
Input is summed exactly, in whole numbers of a quantum: the order of contacts does not matter, and
so neither does the number of devices. Where derivatives are wanted it is summed in floating point.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from cortexmg.compaction import unpack, words_for
from cortexmg.contraction import Sent
from cortexmg.derivatives import kept
from cortexmg.environment import Environment
from cortexmg.events import deliver
from cortexmg.exact_sums import Inputs, number_kind, quanta, quantum_for
from cortexmg.form import Layout
from cortexmg.part import PerCell
from cortexmg.projection import Projection
from cortexmg.shadows import followed
from cortexmg.slots import put, read
from cortexmg.together import deliver_together
from cortexmg.waiting import Links, Waiting, bathing, check_size, contacts, delay_range, due, wait

SEPARATOR = "\n"  # between the names of transmitters that share a ring; not in any of them


class Underway(NamedTuple):
    """All that has been sent and has not arrived yet."""

    waiting: dict[str, Waiting]  # by presynaptic population
    rings: Inputs  # where delays differ: slot k mod slots arrives in step k; nS or quanta
    quanta: Inputs  # nS, powers of 2; empty if input is summed in floating point
    amounts: dict[str, Array]  # of spikes in a queue, by projection; where amounts differ
    shadows: dict[str, Array] = {}  # of the weights of contacts, in a run with derivatives

    @property
    def queued(self) -> bool:
        """Whether spikes wait in a queue."""
        return any(w.late is not None for w in self.waiting.values())

    @property
    def exact(self) -> bool:
        """Whether input is summed in whole numbers."""
        return all(w.amount is None for w in self.waiting.values())


class _Lane(NamedTuple):
    """Where the input of one population from one transmitter is collected."""

    base: int  # where it begins, in an array shared with the other lanes of one slot
    slots: int  # steps to come that it must hold, with the present one


def nothing_underway(links: Links, exact: bool) -> Underway:
    """The state at time 0."""
    waiting = {}
    for pre in sorted({p.pre for p in links.projections.values()}):
        slots, n = 1 + links.longest_wait(pre), links.sizes[pre]
        check_size(pre, slots, n)
        bits = jnp.zeros(slots * words_for(n), jnp.uint32)
        waiting[pre] = Waiting(bits, None, None, None)
        if not exact:
            waiting[pre] = Waiting(bits, bits, jnp.zeros(slots * n), None)
    rings: Inputs = {}
    for (post, transmitter), lane in _lanes(links).items():
        if lane.slots > 1:
            zeros = jnp.zeros(lane.slots * links.sizes[post], number_kind(exact))
            rings.setdefault(post, {})[transmitter] = zeros
    return Underway(waiting, rings, quanta(links.projections) if exact else {}, {})


def arrive(
    links: Links,
    underway: Underway,
    releases: dict[str, Any],
    env: Environment,
    step: Int[Array, ""],
    key: Key[Array, ""],
) -> tuple[Inputs, dict[str, Any], Underway]:
    """What arrives in this step (nS), the releases after it, and what is still underway."""
    exact, after, waiting = underway.exact, {}, dict(underway.waiting)
    lanes, sizes, shadows = _lanes(links), links.sizes, dict(underway.shadows)
    inboxes = _inboxes(underway.rings, lanes, sizes, exact)
    alike: dict[Any, tuple[Array, list[Sent]]] = {}  # of projections with the same spikes
    for name, p in sorted(links.projections.items()):
        lane, c, waited = lanes[p.post, p.transmitter], p.connectivity, wait(p, links.dt)
        then = step - 1 - waited  # when the spikes were fired that are due
        spikes, waiting[p.pre] = due(waiting[p.pre], p, then, links)
        fluid = bathing(env, p, links)
        after[name], amount = p.release.step(releases[name], spikes.amount, fluid, links.dt)
        scale = p.strength / underway.quanta[p.post][p.transmitter] if exact else p.strength
        rows = contacts(links, name, amount, then, key)
        n_pre, blocks = links.padded(p.pre), links.split.parts
        layout = Layout(n_pre, blocks, c.senders.start, c.row, *lane, c.n_post)
        of = p.post, p.transmitter if lane.slots > 1 else None
        if exact:
            same = p.pre, waited, c.senders.start, c.n_senders
            _, sent = alike.setdefault(same, (spikes.fired, []))
            sent.append(Sent(of, *_released(p, amount, scale, exact), rows, layout))
            continue
        who = {"fired": spikes.fired, "near": spikes.near, "step": step, "layout": layout}
        if name in shadows:
            pair = inboxes[of], shadows[name]
            inboxes[of], shadows[name] = followed(*pair, amount * scale, rows, **who)
            constant = jax.lax.stop_gradient(c.weights)
            p = eqx.tree_at(lambda p: p.connectivity.weights, p, constant)
        inboxes[of] = deliver(inboxes[of], *_released(p, amount, scale, exact), rows, **who)
    for fired, sent in alike.values():
        inboxes |= deliver_together(inboxes, sent, fired=fired, step=step)
    arrived, rings = _taken_out(inboxes, lanes, sizes, underway.quanta, step)
    return arrived, after, Underway(waiting, rings, underway.quanta, underway.amounts, shadows)


def _taken_out(
    inboxes: dict[Any, Array],
    lanes: dict[tuple[str, str], _Lane],
    sizes: dict[str, int],
    units: Inputs,
    step: Array,
) -> tuple[Inputs, Inputs]:
    """What arrives in this step (nS), and the rings with its slot emptied."""
    arrived: Inputs = {name: {} for name in sizes}
    rings: Inputs = {}
    for (post, transmitter), lane in lanes.items():
        if lane.slots == 1:
            inbox = inboxes[post, None][lane.base : lane.base + sizes[post]]
            # Barrier: what follows would be derived within the sum over lanes, element by element.
            inbox = inbox if units else jax.lax.optimization_barrier(inbox)
        else:
            ring, inbox = read(inboxes[post, transmitter], step % lane.slots, sizes[post])
            rings.setdefault(post, {})[transmitter] = put(ring, jnp.zeros_like(inbox), step)
        unit = units[post][transmitter] if units else 1.0
        arrived[post][transmitter] = kept(inbox * unit)
    return arrived, rings


def _inboxes(
    rings: Inputs, lanes: dict[tuple[str, str], _Lane], sizes: dict[str, int], exact: bool
) -> dict[Any, Array]:
    """Rings by population and transmitter; by None, what arrives now of all transmitters."""
    found: dict[Any, Array] = {(post, t): ring for post in rings for t, ring in rings[post].items()}
    count = dict.fromkeys(sizes, 0)
    for (post, _), lane in lanes.items():
        count[post] += lane.slots == 1
    # An array per population, for separate zeros are copied.
    return found | {
        (post, None): jnp.zeros(count[post] * n, number_kind(exact)) for post, n in sizes.items()
    }


def exactly(
    underway: Underway, projections: dict[str, Projection], sizes: dict[str, int]
) -> Underway:
    """The same, summed in the quanta that these projections need from here on."""
    found, rings = quanta(projections), {}
    for post, by_name in underway.rings.items():
        rings[post] = {}
        for name, ring in by_name.items():
            # A ring can be that of several transmitters, one after the other in every slot.
            parts = ring.reshape(-1, name.count(SEPARATOR) + 1, sizes[post])
            for i, t in enumerate(name.split(SEPARATOR)):
                old = underway.quanta[post][t] if underway.exact else jnp.ones(())
                found[post][t] = _enough(underway.exact, old, found[post][t], parts[:, i])
                part = jnp.rint(parts[:, i] * (old / found[post][t])).astype(parts.dtype)
                # In floating point whole numbers above 2^24 would lose digits even times 1.
                same = underway.exact & (old == found[post][t])
                parts = parts.at[:, i].set(jnp.where(same, parts[:, i], part))
            rings[post][name] = parts.astype(number_kind(True)).reshape(-1)
    waiting = {pre: w._replace(near=None, amount=None) for pre, w in underway.waiting.items()}
    return Underway(waiting, rings, found, underway.amounts)


def _enough(exact: bool, old: Array, new: Array, underway: Array) -> Array:
    """A quantum that serves for what will be sent and for what is underway."""
    # With other weights than before, what is underway must fit as well. A quantum twice as large
    # as needed leaves that room: it is kept, so that nothing is rounded again.
    most = jnp.max(underway)
    changed = 2.0 * jnp.maximum(new, quantum_for(most * old))
    room = most <= jnp.iinfo(number_kind(True)).max // 2
    return jnp.where(exact & room & (new <= old) & (old <= 2.0 * new), old, changed)


def in_floating_point(underway: Underway, sizes: dict[str, int]) -> Underway:
    """The same, summed in floating point and with derivatives from here on."""
    if not underway.exact:
        return underway
    waiting = {}
    for pre, w in underway.waiting.items():
        words = w.fired.reshape(-1, words_for(sizes[pre]))
        amount = jnp.concatenate([unpack(x, sizes[pre]) for x in words]).astype(float)
        waiting[pre] = Waiting(w.fired, w.fired, amount, None)
    rings = {
        post: {t: ring * underway.quanta[post][t] for t, ring in by_transmitter.items()}
        for post, by_transmitter in underway.rings.items()
    }
    return Underway(waiting, rings, {}, {})


def _lanes(links: Links) -> dict[tuple[str, str], _Lane]:
    slots: dict[tuple[str, str], int] = {}
    sizes = links.sizes
    for p in links.projections.values():
        place = (p.post, p.transmitter)
        slots[place] = max(slots.get(place, 1), delay_range(p, links.dt) + 1)
        check_size(p.post, slots[place], sizes[p.post])
    lanes, filled = {}, dict.fromkeys(sizes, 0)
    for (post, transmitter), count in sorted(slots.items()):
        lanes[post, transmitter] = _Lane(filled[post] if count == 1 else 0, count)
        filled[post] += sizes[post] if count == 1 else 0
    return lanes


def _released(p: Projection, amount: PerCell, scale: Any, exact: bool) -> tuple[Array, Array]:
    """What the cells of a projection release, and the weights, in units of 1 / scale."""
    weights = p.connectivity.weights
    # A factor on every stored weight would cost a pass over all contacts in every step.
    if jnp.ndim(weights):
        amount = amount * scale
    elif exact:
        weights = weights * scale
    else:
        # The weight of all is part of the amounts: one visit to a row gives both derivatives.
        amount, weights = amount * (weights * scale), 1.0
    return amount, jnp.asarray(weights, amount.dtype)
