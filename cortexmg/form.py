"""What a delivery reads of its arrays and where it writes: for one visit to a row or for many.

With it `contraction.py` goes from row to row, as a CPU does, and `rounds.py` takes many at once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cortexmg.rows import Contacts, entry

OUTSIDE = np.int32(2**31 - 1)  # beyond the end of every array
EVEN = jax.lax.RoundingMethod.TO_NEAREST_EVEN


class Layout(NamedTuple):
    """How the arrays of a delivery are laid out; fixed when it is compiled."""

    n_pre: int  # cells whose flags are packed
    blocks: int  # of cells that are packed by themselves
    first: int  # the cell to which the first row belongs
    row: int  # contacts handled at once
    base: int  # where in the inbox the first slot begins
    slots: int
    n_post: int  # length of a slot


def at(array, member, index):
    """Where the entry `index` of a member lies in an array [members or 1, size], flattened."""
    return index if array.shape[0] == 1 else member * array.shape[1] + index


def entry_of(array, member, i):
    """The entry `i` of a member, or of each of them."""
    place = at(array, member, i)
    return array.reshape(-1)[place] if jnp.ndim(place) else entry(array.reshape(-1), place)


def with_share(new, share):
    """What contacts deliver of `new`, where each has a share of its own."""
    return new if share is None else new * share


class Form:
    """T for the arrays at hand: what a piece of a row reads, and where it writes.

    Members, rows and contacts are those of one visit, or arrays of many side by side.
    """

    def __init__(self, known, onto, step, layout):
        self.known, self.onto, self.step, self.layout = known, onto, step, layout

    def places(self, array, member, c: Contacts):
        """Where contacts lie in an array over slots and targets."""
        base, slots, n = self.layout.base, self.layout.slots, self.layout.n_post
        inside = base + c.targets if base else c.targets
        if slots > 1:
            step = self.step[member] if self.step.shape[0] > 1 else self.step[0]
            now = jax.lax.rem(step, jnp.int32(slots)).astype(jnp.uint32)
            # Less than twice the slots; of less than once the difference is a huge whole number.
            slot = now + c.delays.astype(jnp.uint32)
            inside = jnp.minimum(slot, slot - jnp.uint32(slots)).astype(jnp.int32) * n + inside
        return at(array, member, inside)

    def x(self, member, i):
        x = self.known["x"]
        return entry_of(x, member, i if x.shape[1] > 1 else 0)

    def w(self, member, first):
        w = self.known["w"]
        place = at(w, member, first if w.shape[1] > 1 else 0)
        return w.reshape(-1).at[place].get(mode="clip")

    def y(self, member, c: Contacts):
        y = self.known["y"]
        return y.reshape(-1).at[self.places(y, member, c)].get(mode="promise_in_bounds")

    def amount(self, member, i, first, share=None):
        """What contacts deliver, one number for each or one for all."""
        new = with_share(self.x(member, i) * self.w(member, first), share)
        whole = jnp.issubdtype(self.onto.dtype, jnp.integer)
        return jax.lax.round(new, EVEN).astype(self.onto.dtype) if whole else new
