"""The sum over the contacts of active cells that delivery and its derivatives are."""

from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cortexmg.compaction import next_active
from cortexmg.rows import Contacts

OUTSIDE = np.int32(2**31 - 1)  # beyond the end of every array
SHORT = 256  # contacts: of rows up to here several are visited together


class Layout(NamedTuple):
    """How the arrays of a delivery are laid out; fixed when it is compiled."""

    n_pre: int  # cells whose flags are packed
    blocks: int  # of cells that are packed by themselves
    first: int  # the cell to which the first row belongs
    row: int  # contacts handled at once
    base: int  # where in the inbox the first slot begins
    slots: int
    n_post: int  # length of a slot


def _at(array, member, index):
    """Where the entry `index` of a member lies in an array [members or 1, size], flattened."""
    return index if array.shape[0] == 1 else member * array.shape[1] + index


def _shared(new, share):
    """What contacts deliver of `new`, where each has a share of its own."""
    return new if share is None else new * share


def _each_row(active, rows, visit, carry, form):
    """`carry` after a visit to every piece of `row` contacts of every active cell.

    A visit gets so many cells `together`: of each the member, the number of the row, and contacts.
    Where the same cells are active in all members, a visit is for `every` one of them.
    """
    members, (n_pre, blocks, first, row, *_) = active.shape[0], form.layout
    together, every = form.together, form.every
    active = active.reshape(members * blocks, -1)

    def some(state):
        word, carry = state
        word, ids, found = next_active(active, word, n_pre // blocks)

        def piece(state):
            # One cursor of two numbers: every number that a loop carries costs a kernel per visit.
            cursor, carry = state
            k, offset = cursor[0], cursor[1]
            visited, left = [], jnp.int32(0)
            for r in range(together):
                there, one = k + r < found, ids[k + r]
                member, cell = (every, one) if members == 1 else jnp.divmod(one, n_pre)
                i = jnp.where(there, cell - first, 0)
                contacts = rows.contacts(i, offset, row)
                if together > 1:
                    contacts = contacts._replace(mine=contacts.mine & there)
                visited.append((member, i, contacts))
                left = jnp.maximum(left, jnp.where(there, rows.length(i) - offset, 0))
            carry = visit(carry, visited)
            next_cells, next_piece = jnp.stack([k + together, 0]), jnp.stack([k, offset + row])
            return jnp.where(left <= row, next_cells, next_piece), carry

        start = (jnp.zeros(2, jnp.int32), carry)
        return word, jax.lax.while_loop(lambda state: state[0][0] < found, piece, start)[1]

    return jax.lax.while_loop(lambda s: s[0] < active.size, some, (jnp.int32(0), carry))[1]


class _Form:
    """T for the arrays at hand: what a piece of a row reads, and where it writes."""

    def __init__(self, known, onto, step, layout, every):
        self.known, self.onto, self.step, self.layout = known, onto, step, layout
        self.every = every  # of the members for which a visit is, or 0

    def places(self, array, member, c: Contacts):
        """Where contacts lie in an array over slots and targets."""
        inside = self.layout.base + c.targets
        if self.layout.slots > 1:
            slot = (
                self.step[member if self.step.shape[0] > 1 else 0] + c.delays.astype(jnp.int32)
            ) % self.layout.slots
            inside = slot * self.layout.n_post + inside
        return _at(array, member, inside)

    def x(self, member, i):
        x = self.known["x"]
        return x.reshape(-1)[_at(x, member, i if x.shape[1] > 1 else 0)]

    def w(self, member, first):
        w = self.known["w"]
        if w.shape[1] == 1:  # one weight for all contacts
            return w.reshape(-1)[_at(w, member, 0)]
        return self._piece(w.reshape(-1), _at(w, member, first))

    def y(self, member, c: Contacts):
        y = self.known["y"]
        return y.reshape(-1).at[self.places(y, member, c)].get(mode="promise_in_bounds")

    def amount(self, member, i, first, share=None):
        """What contacts deliver, one number for each or one for all."""
        new = _shared(self.x(member, i) * self.w(member, first), share)
        whole = jnp.issubdtype(self.onto.dtype, jnp.integer)
        return jnp.rint(new).astype(self.onto.dtype) if whole else new

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
        several = self.layout.row <= SHORT and "y" not in self.known and jnp.ndim(self.every) == 0
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
        return total.at[places].add(new, mode="drop")

    def add_to_x(self, total, visited):
        ((member, i, c),) = visited
        new = _shared(self.w(member, c.first) * self.y(member, c), c.share)
        new = jnp.sum(jnp.where(c.mine, new, 0.0), axis=-1, keepdims=jnp.ndim(member) > 0)
        return total.at[_at(self.onto, member, i)].add(new, mode="promise_in_bounds")

    def add_to_w(self, total, visited):
        ((member, i, c),) = visited
        new = _shared(self.x(member, i) * self.y(member, c), c.share)
        new = jnp.where(c.mine, new, 0.0)
        if self.onto.shape[1] == 1:
            return total.at[_at(self.onto, member, 0)].add(jnp.sum(new))
        start = _at(self.onto, member, c.first)
        return jax.lax.dynamic_update_slice(total, self._piece(total, start) + new, (start,))

    def _piece(self, array, first):
        return jax.lax.dynamic_slice(array, (first,), (self.layout.row,))


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
    form, rows = _Form(known, onto, step, layout, every), jax.tree.unflatten(tree, leaves)
    if out == "y":
        form.same_for_all  # noqa: B018 - before the loop, not in it
    visit = {"y": form.add_to_y, "x": form.add_to_x, "w": form.add_to_w}[out]
    total = _each_row(active, rows, visit, onto.reshape(-1), form)
    return total.reshape(onto.shape)
