"""A network and its state divided among devices: equal parts of every population."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cortexmg.compaction import pack, unpack, words_for
from cortexmg.connectivity import Connectivity
from cortexmg.network import Network, State
from cortexmg.parameters import path_name
from cortexmg.part import Part, is_per_cell, quantities
from cortexmg.procedural import Procedural, procedural_parts
from cortexmg.rows import Wiring, in_rows, kind_of_targets, some_of
from cortexmg.split import Split
from cortexmg.transmission import Underway
from cortexmg.waiting import Waiting, anew
from cortexmg.wiring.layout import capacity_for, row_for

MULTIPLE = 256  # cells: a part has a multiple of them, which words of flags and vectors divide


def _part_size(n: int, parts: int) -> int:
    """Cells of a part, of which the last are filled up."""
    return -(-n // (parts * MULTIPLE)) * MULTIPLE


def stacked_networks(network: Network, parts: int, mine: Sequence[int]) -> Network:
    """Those of `parts` equal parts that are `mine`, along a new leading axis of every array."""
    split = Split(parts, tuple(sorted(network.sizes.items())))
    wirings = {
        name: _wiring_parts(p.connectivity, parts, mine) for name, p in network.projections.items()
    }
    networks = [
        _network_part(network, split, k, {name: w[k] for name, w in wirings.items()}) for k in mine
    ]
    return jax.tree.map(lambda *x: np.stack(x), *networks)


def _network_part(network: Network, split: Split, k: int, wirings: dict[str, Wiring]) -> Network:
    populations, stimuli, env = {}, {}, network.environment
    for name, p in network.populations.items():
        m = _part_size(p.n, split.parts)
        populations[name] = replace(_cells_part(p, p.n, m, k), n=m)
    for name, s in network.stimuli.items():
        n = network.populations[s.target].n
        stimuli[name] = _cells_part(s, n, _part_size(n, split.parts), k)
    projections = {
        name: replace(p, connectivity=wirings[name]) for name, p in network.projections.items()
    }
    for n in set(network.sizes.values()):
        env = _cells_part(env, n, _part_size(n, split.parts), k)
    return Network(
        env,
        populations,
        projections,
        stimuli,
        network.tissues,
        split=split,
        at_once=network.at_once,
    )


def _cells_part(part: Part, n: int, m: int, k: int) -> Any:
    """`part` with the numbers of cells k m to (k + 1) m; the last cell stands for those past n."""
    mine = np.minimum(np.arange(k * m, (k + 1) * m), n - 1)
    per_cell = {
        name
        for name, (owner, field) in quantities(part).items()
        if is_per_cell(field) and np.shape(getattr(owner, field.name)) == (n,) and n > 1
    }

    def take(path, x):
        return np.asarray(x)[mine] if path_name(path) in per_cell else x

    return jax.tree_util.tree_map_with_path(take, part)


def _wiring_parts(c: Wiring, parts: int, mine: Sequence[int]) -> dict[int, Wiring]:
    """The contacts onto my parts, in arrays as long as the longest of all parts needs.

    So one program fits all devices. Parts that are not mine are measured, one at a time.
    """
    m = _part_size(c.n_post, parts)
    if isinstance(c, Procedural):
        return {k: part for k, part in enumerate(procedural_parts(c, m, parts)) if k in mine}
    assert isinstance(c, Connectivity)
    kept, row, longest, contacts = {}, 0, 0, []
    before = np.zeros(c.starts.size - 1, np.int32)
    for k in range(parts):
        part = _wiring_part(c, m, k, before)
        before = before + np.diff(part.starts)
        row, longest = max(row, part.row), max(longest, part.with_longest().longest)
        contacts.append(part.n_contacts)
        if k in mine:
            kept[k] = part
    size = max(capacity_for(n, row) for n in contacts)
    known = c.longest and longest  # None if it was not known of the whole
    return {k: _longer(replace(part, longest=known), row, size) for k, part in kept.items()}


def _wiring_part(c: Connectivity, m: int, k: int, before: np.ndarray) -> Connectivity:
    """The contacts onto cells k m to (k + 1) m, of which each row has so many `before` them."""
    n, targets = c.n_contacts, np.asarray(c.targets)
    starts = np.asarray(c.starts)
    mine = (targets[:n] >= k * m) & (targets[:n] < (k + 1) * m)
    lengths = in_rows(mine, starts)
    row, upto = row_for(lengths), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    size, first = capacity_for(int(upto[-1]), row), min(k * m, c.n_post - 1)

    def chosen(x, fill):
        return some_of(np.asarray(x), mine, size, fill) if np.ndim(x) else x

    targets = chosen(targets, first)
    targets -= targets.dtype.type(first)
    return replace(
        c,
        starts=upto,
        targets=targets.astype(kind_of_targets(m), copy=False),
        weights=chosen(c.weights, 0.0),
        delays=chosen(c.delays, c.delay_min),
        n_post=m,
        row=row,
        sending=(c.senders.start, starts.size - 1),
        fan_in=c.fan_in,
        before=before,
    )


def _longer(w: Connectivity, row: int, size: int) -> Connectivity:
    """The same contacts in arrays of `size`, for pieces of `row`."""

    def fill(x, value):
        if not np.ndim(x):
            return x
        return np.concatenate([x, np.full(size - x.size, value, x.dtype)])

    return replace(
        w,
        targets=fill(w.targets, 0),
        weights=fill(w.weights, 0.0),
        delays=fill(w.delays, w.delay_min),
        row=row,
    )


def stacked_states(network: Network, state: State, parts: int) -> State:
    """What each device has of a state, along a new leading axis of every array."""

    def everyone(x):
        return jnp.broadcast_to(x, (parts, *x.shape))

    def cells(x, n):
        """[..., n] as [..., parts, m]."""
        if x.shape[-1:] != (n,):
            raise ValueError(
                f"Several devices need states that list cells along the last axis, got one of "
                f"shape {x.shape} of a population of {n}: change that, or run with devices=1."
            )
        m = _part_size(n, parts)
        more = [(0, 0)] * (x.ndim - 1) + [(0, parts * m - n)]
        return jnp.pad(x, more, mode="edge").reshape(*x.shape[:-1], parts, m)

    def ring(x, n):
        return jnp.swapaxes(cells(x.reshape(-1, n), n), 0, 1).reshape(parts, -1)

    def waiting(w: Waiting, n: int) -> Waiting:
        def bits(words):
            flags = jax.vmap(lambda x: unpack(x, n))(words.reshape(-1, words_for(n)))
            # Those that fill up have not fired: in a queue they would take room.
            flags = jnp.pad(flags, ((0, 0), (0, parts * _part_size(n, parts) - n)))
            by_part = flags.reshape(flags.shape[0], parts, -1)
            return everyone(jax.vmap(jax.vmap(pack))(by_part).reshape(-1))

        near = None if w.near is None else bits(w.near)
        amount = (
            None if w.amount is None else everyone(cells(w.amount.reshape(-1, n), n).reshape(-1))
        )
        late = anew(w, parts * words_for(_part_size(n, parts)), network.at_once)
        return Waiting(bits(w.fired), near, amount, None if late is None else everyone(late))

    return _converted(network, state, everyone, cells, ring, waiting)


def joined_state(network: Network, state: State, parts: int) -> State:
    """The state that `stacked_states` has divided."""

    def anyone(x):
        return x[0]

    def cells(x, n):
        """[..., parts, m] as [..., n]."""
        return x.reshape(*x.shape[:-2], -1)[..., :n]

    def ring(x, n):
        m = _part_size(n, parts)
        return cells(jnp.swapaxes(x.reshape(parts, -1, m), 0, 1), n).reshape(-1)

    def waiting(w: Waiting, n: int) -> Waiting:
        m = _part_size(n, parts)

        def own(rings, size):
            """From each device what it has put in itself, [slots, parts, size]."""
            k = jnp.arange(parts)
            return jnp.swapaxes(rings.reshape(parts, -1, parts, size)[k, :, k], 0, 1)

        def bits(words):
            flags = jax.vmap(jax.vmap(lambda x: unpack(x, m)))(own(words, words_for(m)))
            return jax.vmap(pack)(cells(flags, n)).reshape(-1)

        near = None if w.near is None else bits(w.near)
        amount = None
        if w.amount is not None:
            amount = cells(own(w.amount, m), n).reshape(-1)
        return Waiting(bits(w.fired), near, amount, anew(w, words_for(n), network.at_once))

    return _converted(network, state, anyone, cells, ring, waiting)


def _converted(network: Network, state: State, rest, cells, ring, waiting) -> State:
    """A state whose parts are each changed by the function for their kind."""
    sizes, underway = network.sizes, state.underway

    def by_cell(tree, n):
        return jax.tree.map(lambda x: cells(x, n), tree)

    return State(
        step=rest(state.step),
        populations={name: by_cell(p, sizes[name]) for name, p in state.populations.items()},
        underway=Underway(
            {pre: waiting(w, sizes[pre]) for pre, w in underway.waiting.items()},
            {
                post: {t: ring(x, sizes[post]) for t, x in by_transmitter.items()}
                for post, by_transmitter in underway.rings.items()
            },
            jax.tree.map(rest, underway.quanta),
            jax.tree.map(rest, underway.amounts),
        ),
        releases=jax.tree.map(rest, state.releases),
        stimuli={
            name: by_cell(x, sizes[network.stimuli[name].target])
            for name, x in state.stimuli.items()
        },
        tissues=jax.tree.map(rest, state.tissues),
        key=rest(state.key),
        dt=rest(state.dt),
    )
