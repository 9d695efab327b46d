"""The sum over the contacts of active cells that delivery and its derivatives are, row by row.

One row after the other is the fastest on a CPU; `rounds.py` is the same for GPUs and TPUs.
"""

from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from cortexmg.compaction import next_active
from cortexmg.form import OUTSIDE, Form, Layout, at, entry_of, with_share
from cortexmg.rows import Rows, entry, piece

SHORT = 256  # contacts: of rows up to here several are visited together
CACHED = 2**17  # contacts: wiring up to here is in the cache, and read one row at a time
FAR, VERY_FAR = 2**20, 2**25  # contacts: short and long rows of wiring from here on are read ahead


def _searched(active, layout, deliver, carry):
    """`carry` after `deliver` got the ids of all active cells, some at a time."""
    active = active.reshape(active.shape[0] * layout.blocks, -1)

    def some(state):
        word, carry = state
        word, ids, found = next_active(active, word, layout.n_pre // layout.blocks)
        return word, deliver(carry, ids, found)

    return jax.lax.while_loop(lambda s: s[0] < active.size, some, (jnp.int32(0), carry))[1]


def _each_row(visit, rows, form, members, total, ids, found):
    """`total` after a visit to every piece of `row` contacts of the active cells found.

    A visit gets so many cells `together`: of each the member, the number of the row, and contacts.
    Where the same cells are active in all members, a visit is for `every` one of them.
    """
    (n_pre, _, first, row, *_), together, every = form.layout, form.together, form.every
    if form.far:
        ids = ids + rows.ahead(jnp.maximum(ids - first, 0), found, row)

    def some_pieces(state):
        # One cursor of two numbers: every number that a loop carries costs a kernel per visit.
        cursor, total = state
        k, offset = cursor[0], cursor[1]
        visited, left = [], jnp.int32(0)
        for r in range(together):
            there, one = k + r < found, entry(ids, k + r)
            member, cell = (every, one) if members == 1 else jnp.divmod(one, n_pre)
            i = jax.lax.select(there, cell - first, jnp.zeros_like(cell))
            contacts = rows.contacts(i, offset, row)
            if together > 1:
                contacts = contacts._replace(mine=contacts.mine & there)
            visited.append((member, i, contacts))
            left = jnp.maximum(left, jnp.where(there, rows.length(i) - offset, 0))
        total = visit(total, visited)
        next_cells, next_piece = jnp.stack([k + together, 0]), jnp.stack([k, offset + row])
        return jnp.where(left <= row, next_cells, next_piece), total

    start = (jnp.zeros(2, jnp.int32), total)
    return jax.lax.while_loop(lambda state: state[0][0] < found, some_pieces, start)[1]


class _RowByRow(Form):
    """The same for one visit after the other, or for every member at once."""

    def __init__(self, known, onto, step, layout, every, cached=False, far=False):
        super().__init__(known, onto, step, layout)
        self.every = every  # of the members for which a visit is, or 0
        self.cached, self.far = cached, far  # where the wiring is

    def w(self, member, first):
        w = self.known["w"]
        if w.shape[1] == 1:  # one weight for all contacts
            return entry_of(w, member, 0)
        return piece(w.reshape(-1), at(w, member, first), self.layout.row)

    @cached_property
    def same_for_all(self):
        """What every contact delivers, if that is the same; outside the loop, or None."""
        x, w = self.known["x"], self.known["w"]
        if x.size > 1 or w.size > 1:
            return None
        new = jnp.broadcast_to(self.amount(0, 0, 0), self.together * self.layout.row)
        return jax.lax.optimization_barrier(new)  # else every visit would make it anew

    @property
    def together(self):
        """How many cells a visit is for: several, if one has few contacts, to y of one member."""
        # They are fetched at the same time. From the cache that gains nothing, and each is code.
        several = (
            not self.cached
            and self.layout.row <= SHORT
            and "y" not in self.known
            and jnp.ndim(self.every) == 0
        )
        return 4 if several else 1

    def add_to_y(self, total, visited):
        # What lies outside is dropped: a mask on the places alone is cheaper than one on both.
        places = [jnp.where(c.mine, self.places(self.onto, m, c), OUTSIDE) for m, _, c in visited]
        shape = places[0].shape
        new = self.same_for_all if visited[0][2].share is None else None
        if new is None:
            each = [self.amount(m, i, c.first, c.share) for m, i, c in visited]
            new = jnp.concatenate([jnp.broadcast_to(x, shape).reshape(-1) for x in each])
        places = jnp.concatenate([x.reshape(-1) for x in places])
        return total.at[places].add(new, mode="drop", wrap_negative_indices=False)

    def add_to_x(self, total, visited):
        ((member, i, c),) = visited
        new = with_share(self.w(member, c.first) * self.y(member, c), c.share)
        new = jnp.sum(jnp.where(c.mine, new, 0.0), axis=-1, keepdims=jnp.ndim(member) > 0)
        return total.at[at(self.onto, member, i)].add(new, mode="promise_in_bounds")

    def add_to_w(self, total, visited):
        ((member, i, c),) = visited
        new = with_share(self.x(member, i) * self.y(member, c), c.share)
        new = jnp.where(c.mine, new, 0.0)
        if self.onto.shape[1] == 1:
            return total.at[at(self.onto, member, 0)].add(jnp.sum(new))
        start = at(self.onto, member, c.first)
        new = piece(total, start, self.layout.row) + new
        return jax.lax.dynamic_update_slice(total, new, (start,), allow_negative_indices=False)


def contract(onto, a, b, active, near, step, *leaves, out, layout, tree):
    """`onto` plus the derivative of T by x, w or y, given the other two in that order.

    `leaves` and `tree` are the rows of contacts as a flattened pytree.

    All but the wiring has a leading axis of members, B of them, or 1 where they share the array.
    Inside, arrays are flat: XLA scatters those fastest.
    """
    del near
    known = dict(zip([k for k in "xwy" if k != out], (a, b), strict=True))
    every = jnp.int32(0)
    if (members := max(x.shape[0] for x in (onto, a, b))) > active.shape[0]:
        if out == "w" or onto.shape[0] == 1 or 1 not in known["w"].shape:
            # A sum over members, or weights that a visit reads as one piece: one after the other.
            active, step = (jnp.broadcast_to(x, (members, *x.shape[1:])) for x in (active, step))
        else:
            every = jnp.arange(members, dtype=jnp.int32)[:, None]
    form, rows = _RowByRow(known, onto, step, layout, every), jax.tree.unflatten(tree, leaves)
    if out == "y":
        form.same_for_all  # noqa: B018 - before the loop, not in it
    visit = {"y": form.add_to_y, "x": form.add_to_x, "w": form.add_to_w}[out]
    deliver = partial(_each_row, visit, rows, form, active.shape[0])
    return _searched(active, layout, deliver, onto.reshape(-1)).reshape(onto.shape)


class Sent(NamedTuple):
    """What the active cells of a population deliver through one projection, without members."""

    inbox: Any  # which array it is written into: its number, or key
    amounts: Any
    weights: Any
    rows: Any
    layout: Layout


def contract_together(inboxes, sent: list[Sent], active, step):
    """The inboxes after each delivery of the same cells, which are searched for once."""
    visits = []
    for s in sent:
        known = {"x": s.amounts[None], "w": s.weights[None]}
        size = s.rows.targets.size if isinstance(s.rows, Rows) else CACHED + 1
        form = _RowByRow(
            known,
            inboxes[s.inbox][None],
            step[None],
            s.layout,
            jnp.int32(0),
            cached=size <= CACHED,
            far=size >= (FAR if s.layout.row <= SHORT else VERY_FAR) and isinstance(s.rows, Rows),
        )
        form.same_for_all  # noqa: B018 - before the loop, not in it
        visits.append((s.inbox, partial(_each_row, form.add_to_y, s.rows, form, 1)))

    def deliver(totals, ids, found):
        totals = list(totals)
        for k, visit in visits:
            totals[k] = visit(totals[k], ids, found)
        return totals

    return _searched(active[None], sent[0].layout, deliver, list(inboxes))
