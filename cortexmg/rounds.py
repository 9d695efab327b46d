"""The sum over the contacts of active cells in rounds, for GPUs and TPUs.

Where a loop over cells would wait for the host at every one, here a turn is for up to `AT_ONCE`
active cells of every 128 and a piece of all their rows, side by side: in most steps there is one.
It costs as much for one active cell as for many.
"""

import jax
import jax.numpy as jnp

from cortexmg.compaction import AT_ONCE, TILE, first_active
from cortexmg.form import OUTSIDE, Form, at, with_share


def contract_in_rounds(onto, a, b, active, near, step, *leaves, out, layout, tree):
    """As `contraction.contract`; only the order in which floating point is summed differs.

    Raises: ValueError where what is delivered in a turn could not be numbered.
    """
    del near
    known = dict(zip([k for k in "xwy" if k != out], (a, b), strict=True))
    rows, form = jax.tree.unflatten(tree, leaves), _SideBySide(known, onto, step, layout)
    add = {"y": form.add_to_y, "x": form.add_to_x, "w": form.add_to_w}[out]
    members, every = max(x.shape[0] for x in (onto, a, b)), None
    if members > active.shape[0]:
        every = jnp.arange(members, dtype=jnp.int32)[:, None, None]
    words, cells = active.shape[1] // layout.blocks, layout.n_pre // layout.blocks
    piece = layout.row + layout.row // 3  # the few rows that are longer would take a turn more
    _check_turn(active.size, piece, 1 if every is None else members)

    def turn(carry):
        words_left, offset, total = carry
        found, others = first_active(words_left[None], jnp.int32(0), AT_ONCE)
        member, cell = jnp.divmod(found.cell(words, cells), layout.n_pre)
        i = jnp.where(found.there, cell - layout.first, 0)
        contacts = rows.of_rows(i, offset, piece)
        contacts = contacts._replace(mine=contacts.mine & found.there[:, None])
        total = add(total, member[:, None] if every is None else every, i[:, None], contacts)
        end = offset + piece
        done = jnp.max(jnp.where(found.there, jax.vmap(rows.length)(i), 0)) <= end
        return jnp.where(done, others[0], words_left), jnp.where(done, 0, end), total

    start = active.reshape(-1), jnp.int32(0), onto.reshape(-1)
    _, _, total = jax.lax.while_loop(lambda carry: jnp.any(carry[0] != 0), turn, start)
    return total.reshape(onto.shape)


def _check_turn(words: int, piece: int, members: int) -> None:
    contacts = -(-words // TILE) * AT_ONCE * piece * members
    if contacts >= 2**31:
        raise ValueError(
            f"A derivative would deliver {contacts:,} contacts together, 2^31 or more: use smaller "
            f"populations, or differentiate fewer runs or parameters at once."
        )


class _SideBySide(Form):
    """Many visits at once."""

    def add_to_y(self, total, member, i, c):
        new = self.amount(member, i, c.first, c.share)
        return _added(total, self.places(self.onto, member, c), new, c.mine)

    def add_to_x(self, total, member, i, c):
        new = with_share(self.w(member, c.first) * self.y(member, c), c.share)
        new = jnp.sum(jnp.where(c.mine, new, 0.0), axis=-1, keepdims=True)
        some = jnp.any(c.mine, axis=-1, keepdims=True)
        return _added(total, at(self.onto, member, i), new, some)

    def add_to_w(self, total, member, i, c):
        new = with_share(self.x(member, i) * self.y(member, c), c.share)
        first = c.first if self.onto.shape[1] > 1 else 0
        return _added(total, at(self.onto, member, first), new, c.mine)


def _added(total, place, new, mine):
    """The total with all that is `mine` added in its places."""
    place = jnp.where(mine, place, OUTSIDE)
    shape = jnp.broadcast_shapes(place.shape, new.shape)
    place, new = (jnp.broadcast_to(x, shape).reshape(-1) for x in (place, new))
    return total.at[place].add(new, mode="drop", wrap_negative_indices=False)
