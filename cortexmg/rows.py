"""What all wiring has in common, and what delivery reads of it: rows of contacts, by piece."""

import abc
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Int, Integer

from cortexmg.part import Part

MANY = 16  # rows, from which on they are read ahead
LINES = 2048  # of the cache, that are read at the same time
LOOKED_AT_ONCE = 1 << 22  # contacts that are looked at together where wiring is divided


class Contacts(NamedTuple):
    """A piece of a row; after the last contact of the cell come others, which are not its own."""

    mine: Bool[Array, "*n row"]
    targets: Int[Array, "*n row"]  # all of them cells of the population
    delays: Integer[Array, "..."]  # steps, one for each or one for all
    first: Any  # where the piece begins in an array with one entry per contact, or where each is
    share: Any = None  # of what the cell releases, one for each; None: each releases all of it


def piece(array: Array, first: Int[Array, ""] | int, length: int) -> Array:
    """So many entries from `first` on, all of them in the array.

    To look whether an index is negative would take half of the instructions of a delivery.
    """
    return jax.lax.dynamic_slice(array, (first,), (length,), allow_negative_indices=False)


def entry(array: Array, i: Int[Array, ""] | int) -> Array:
    """The entry with this number, one of the array."""
    return piece(array, i, 1).reshape(())


def _several(array: Array, i: Int[Array, "*n"]) -> Array:
    """The entries with these numbers, all of them of the array."""
    return array.at[i].get(mode="promise_in_bounds", wrap_negative_indices=False)


class Rows(NamedTuple):
    """Contacts sorted by presynaptic cell, padded with at least one `row` of inert ones."""

    starts: Int[Array, " rows"]
    targets: Integer[Array, " contacts"]
    delays: Int[Array, " contacts"] | Int[Array, " 1"]  # steps
    before: Int[Array, " rows"] | None = None  # contacts of each row on devices before this one

    def ahead(self, i: Int[Array, " n"], found: Int[Array, ""], row: int) -> Int[Array, ""]:
        """0, known when the first `found` of rows `i` have been read, if these are many.

        Of each row an entry per line of the cache, of many rows at the same time: memory is waited
        for once, and not for each row. The result is the sign of all targets, none of which is
        negative; a barrier keeps XLA from knowing so.
        """
        lines = np.arange(0, row, 64 // self.targets.dtype.itemsize, dtype=np.int32)
        together = min(i.shape[0], max(1, LINES // lines.size))

        def some(state):
            k, seen = state
            first = _several(self.starts, piece(i, k, together))
            entries = _several(self.targets, first[:, None] + lines).astype(jnp.int32)
            return k + together, seen | jnp.bitwise_or.reduce(entries, axis=None)

        read = jnp.where(found < MANY, 0, found)
        _, seen = jax.lax.while_loop(lambda s: s[0] < read, some, (jnp.int32(0), jnp.int32(0)))
        return jax.lax.optimization_barrier(seen) >> 31

    def length(self, i: Int[Array, ""]) -> Int[Array, ""]:
        """How many contacts row `i` has."""
        return entry(self.starts, i + 1) - entry(self.starts, i)

    def number(self, i: Int[Array, ""], offset: Int[Array, ""]) -> Int[Array, ""]:
        """The number of a contact of row `i` among those on all devices."""
        return offset if self.before is None else self.before[i] + offset

    def contacts(self, i: Int[Array, ""], offset: Int[Array, ""], row: int) -> Contacts:
        """`row` contacts of row `i`, from number `offset` on."""
        first = entry(self.starts, i) + offset
        mine = jnp.arange(row, dtype=jnp.int32) < entry(self.starts, i + 1) - first
        delays = self.delays if self.delays.shape[0] == 1 else piece(self.delays, first, row)
        targets = piece(self.targets, first, row).astype(jnp.int32)
        return Contacts(mine, targets, delays, first)

    def of_rows(self, i: Int[Array, " n"], offset: Int[Array, ""], row: int) -> Contacts:
        """`row` contacts of each of several rows, from number `offset` on, [n, row]."""
        number = offset + jnp.arange(row, dtype=jnp.int32)
        first = self.starts[i][:, None] + number

        def at(array):
            return array.at[first].get(mode="clip")

        delays = self.delays if self.delays.shape[0] == 1 else at(self.delays)
        mine = number < (self.starts[i + 1] - self.starts[i])[:, None]
        return Contacts(mine, at(self.targets).astype(jnp.int32), delays, first)


class Wiring(Part):
    """The contacts of one population onto another, found by presynaptic cell."""

    # Fields of each kind, in an order of its own: n_pre, n_post, weights (nS), delays (ms),
    # delay_min and delay_max (ms), row (contacts that delivery handles per iteration), longest (at
    # least the contacts of any row, or None), and sending (first cell with a row, how many rows).
    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    @abc.abstractmethod
    def n_contacts(self) -> int:
        """How many contacts there are (not inside jit)."""

    def with_longest(self) -> "Wiring":
        """The same with the length of the longest row known when it is compiled."""
        return self

    @abc.abstractmethod
    def rows(self, delays: Array) -> Any:
        """What delivery reads, with `delays` in steps: a pytree with the methods of `Rows`."""

    @abc.abstractmethod
    def heaviest(self) -> Any:
        """At least the sum of the weights (nS) onto any one cell."""

    @property
    def senders(self) -> slice:
        """The presynaptic cells that have a row."""
        first, rows = self.sending or (0, self.n_pre)
        return slice(first, first + rows)

    @property
    def n_senders(self) -> int:
        """How many presynaptic cells have a row."""
        return self.senders.stop - self.senders.start

    def among(self, n_pre: int, first: int = 0) -> "Wiring":
        """The same contacts where the presynaptic cells are part of a population of `n_pre`.

        They are its cells from `first` on; the others make no contacts.

        Raises: ValueError if they do not fit.
        """
        after = n_pre - first - self.n_pre
        if first < 0 or after < 0:
            raise ValueError(
                f"{self.n_pre} cells from number {first} on do not fit into a population of "
                f"{n_pre}."
            )
        here = self.senders
        sending = (first + here.start, here.stop - here.start)
        return replace(self, n_pre=n_pre, sending=sending)


def kind_of_targets(n_post: int) -> Any:
    """As what the targets of contacts onto so many cells are kept."""
    return np.uint16 if n_post <= 2**16 else np.int32


def narrow(targets: Any, n_post: int) -> Any:
    """Targets in two bytes each where that suffices: delivery waits for memory.

    To calculate with them, convert them first. What `Connectivity` refuses stays as it is.
    """
    array = isinstance(targets, np.ndarray | jax.Array) and not isinstance(targets, Tracer)
    if not array or targets.dtype != np.int32 or kind_of_targets(n_post) == np.int32:
        return targets
    right = not targets.size or (targets.min() >= 0 and targets.max() < n_post)
    return targets.astype(np.uint16) if right else targets


def in_rows(some: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """How many of some contacts are in each row."""
    count, filled = np.zeros(starts.size - 1, np.int32), np.diff(starts) > 0
    if filled.any():
        count[filled] = np.add.reduceat(some, starts[:-1][filled], dtype=np.int32)
    return count


def some_of(x: np.ndarray, some: np.ndarray, size: int, fill: Any) -> np.ndarray:
    """Those of `x`, in order, in an array of `size` that is filled up; `some` may be shorter.

    Block by block, because NumPy makes a list of eight bytes for each that it takes.
    """
    out, at = np.full(size, fill, x.dtype), 0
    for a in range(0, some.size, LOOKED_AT_ONCE):
        found = np.compress(some[a : a + LOOKED_AT_ONCE], x[a : a + LOOKED_AT_ONCE])
        out[at : at + found.size] = found
        at += found.size
    return out
