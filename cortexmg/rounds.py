"""The sum over the contacts of active cells in rounds, for GPUs and TPUs.

Where a loop over cells would wait for the host at every one, here a turn is for up to `AT_ONCE`
active cells of every 128 and a piece of all their rows, side by side: in most steps there is one.
"""

import jax
import jax.numpy as jnp

from cortexmg.compaction import AT_ONCE, first_active
from cortexmg.contraction import OUTSIDE, Form, at, shared


def contract_in_rounds(onto, a, b, active, near, step, *leaves, out, layout, tree):
    """As `contraction.contract`; only the order in which floating point is summed differs."""
    del near
    known = dict(zip([k for k in "xwy" if k != out], (a, b), strict=True))
    rows, form = jax.tree.unflatten(tree, leaves), _SideBySide(known, onto, step, layout, 0)
    add = {"y": form.add_to_y, "x": form.add_to_x, "w": form.add_to_w}[out]
    every = None
    if (members := max(x.shape[0] for x in (onto, a, b))) > active.shape[0]:
        every = jnp.arange(members, dtype=jnp.int32)[:, None, None]

    def turn(carry):
        words, offset, total = carry
        found, left = first_active(words[None], jnp.int32(0), AT_ONCE)
        member, cell = _cells(found, active.shape, layout)
        i = jnp.where(found.there, cell - layout.first, 0)
        contacts = rows.of_rows(i, offset, layout.row)
        contacts = contacts._replace(mine=contacts.mine & found.there[:, None])
        visit = member[:, None] if every is None else every, i[:, None], contacts
        total = add(total, [visit])
        longest = jnp.max(jnp.where(found.there, jax.vmap(rows.length)(i), 0))
        end = offset + layout.row
        done = longest <= end
        return jnp.where(done, left[0], words), jnp.where(done, 0, end), total

    start = active.reshape(-1), jnp.int32(0), onto.reshape(-1)
    _, _, total = jax.lax.while_loop(lambda carry: jnp.any(carry[0] != 0), turn, start)
    return total.reshape(onto.shape)


def _cells(found, shape: tuple[int, int], layout):
    """Of set bits of the words of all members, the member and the cell."""
    words, cells = shape[1] // layout.blocks, layout.n_pre // layout.blocks
    block, word = jnp.divmod(found.word, words)
    member, block = jnp.divmod(block, layout.blocks)
    return member, block * cells + found.bit * words + word


class _SideBySide(Form):
    """T where a visit is for many cells: members, rows and contacts are arrays."""

    def w(self, member, first):
        w = self.known["w"]
        place = at(w, member, first if w.shape[1] > 1 else 0)
        return w.reshape(-1).at[place].get(mode="clip")

    def add_to_y(self, total, visited):
        ((member, i, c),) = visited
        new = self.amount(member, i, c.first, c.share)
        return _added(total, self.places(self.onto, member, c), new, c.mine)

    def add_to_x(self, total, visited):
        ((member, i, c),) = visited
        new = shared(self.w(member, c.first) * self.y(member, c), c.share)
        new = jnp.sum(jnp.where(c.mine, new, 0.0), axis=-1, keepdims=True)
        return _added(total, at(self.onto, member, i), new, c.mine[:, :1])

    def add_to_w(self, total, visited):
        ((member, i, c),) = visited
        new = shared(self.x(member, i) * self.y(member, c), c.share)
        first = c.first if self.onto.shape[1] > 1 else 0
        return _added(total, at(self.onto, member, first), new, c.mine)


def _added(total, place, new, mine):
    """The total with all that is `mine` added in its places."""
    place = jnp.where(mine, place, OUTSIDE)
    shape = jnp.broadcast_shapes(place.shape, new.shape)
    place, new = (jnp.broadcast_to(x, shape).reshape(-1) for x in (place, new))
    return total.at[place].add(new, mode="drop", wrap_negative_indices=False)
