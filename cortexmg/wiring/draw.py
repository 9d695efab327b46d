"""Random numbers for wiring, and what the rules check before they draw."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import UInt32

from cortexmg.noise import is_key
from cortexmg.part import shown, whole
from cortexmg.wiring.layout import capacity_for

Key = int | jax.Array

# Contacts drawn at once. Memory for drawing is about 30 times this in bytes. It is part of what a
# key means: another value gives other wiring for the rules that draw again.
DRAWN_AT_ONCE = 2**19
REDRAWS = 1000


class Streams(NamedTuple):
    """Independent generators for what one key determines."""

    contacts: np.random.Generator
    weights: np.random.Generator
    delays: np.random.Generator


def streams(key: Key) -> Streams:
    """The generators of a key: an int of at least 0, or a single JAX key."""
    parts = np.random.SeedSequence(_entropy(key)).spawn(3)
    return Streams(*(np.random.Generator(np.random.Philox(part)) for part in parts))


def seed_of(key: Key) -> UInt32[np.ndarray, " 2"]:
    """The seed of a counter-based generator that follows from a key."""
    return np.random.SeedSequence(_entropy(key)).generate_state(2, np.uint32)


def generator(key: int, own: int) -> np.random.Generator:
    """Random numbers of a model, which follow from its key and a number of its own."""
    return np.random.default_rng(np.random.SeedSequence([whole("key", key, 0), own]))


def _entropy(key: Key) -> int | list[int]:
    if is_key(key) and key.ndim == 0:
        return np.ravel(jax.random.key_data(key)).tolist()
    if isinstance(key, int | np.integer) and not isinstance(key, bool) and key >= 0:
        return int(key)
    raise TypeError(
        f"key must be a whole number of at least 0 or a JAX key, got {shown(key)}: give an "
        f"int, or jax.random.key(...)."
    )


def blocks(rows: int, row_length: int, entries: int = DRAWN_AT_ONCE) -> Iterator[slice]:
    """Slices over `rows`, each of about so many `entries`."""
    step = max(1, entries // max(1, row_length))
    for first in range(0, rows, step):
        yield slice(first, min(first + step, rows))


def row_blocks(starts: np.ndarray, entries: int = DRAWN_AT_ONCE) -> Iterator[slice]:
    """Slices over rows: each of at most so many contacts, or of one row that has more."""
    last = 0
    while (first := last) < starts.size - 1:
        full = np.searchsorted(starts, int(starts[first]) + entries, side="right") - 1
        last = max(first + 1, int(full))
        yield slice(first, last)


def settle(
    block: np.ndarray, propose: Callable[[np.ndarray], np.ndarray], multiple: bool
) -> np.ndarray:
    """`block` after every entry that is not allowed has been drawn again until it is.

    Not allowed are negative entries and, unless `multiple`, repetitions within a row. What is
    allowed stays, so a row without repetitions holds the first k distinct values of one stream of
    independent draws: exactly sampling one after the other without replacement.
    `propose(rows)` draws one new entry for each of these rows of the block.
    """
    pending = np.arange(len(block))
    for _ in range(REDRAWS):
        part = block[pending]
        if not multiple:
            part.sort(axis=1)
        wrong = part < 0
        if not multiple:
            wrong[:, 1:] |= part[:, 1:] == part[:, :-1]
        again = wrong.any(axis=1)
        part[wrong] = propose(pending[np.nonzero(wrong)[0]])
        block[pending] = part
        pending = pending[again]
        if not pending.size:
            return block
    raise ValueError(
        f"{pending.size} of {len(block)} cells lack contacts after {REDRAWS} draws: the kernel is "
        f"much narrower than the lattice or much wider than the open sheet, or k exceeds the cells "
        f"within its reach. Change its scale, lower k, allow multiple=True or make the sheet "
        f"periodic."
    )


def checked_ends(n_pre: int, n_post: int, self_contacts: bool = True) -> tuple[int, int]:
    """Both; raises unless they are sizes and, without self-contacts, those of one population."""
    n_pre, n_post = whole("n_pre", n_pre, 1), whole("n_post", n_post, 1)
    check_flag("self_contacts", self_contacts)
    if not self_contacts and n_pre != n_post:
        raise ValueError(
            f"self_contacts=False needs a population that contacts itself, got n_pre = {n_pre} and "
            f"n_post = {n_post}: use self_contacts=True between populations."
        )
    return n_pre, n_post


def checked_degree(k: int, available: int, multiple: bool, low: int = 0) -> int:
    """`k`; raises unless a cell can have so many contacts with `available` others."""
    k = whole("k", k, low)
    check_flag("multiple", multiple)
    if k > available and not (multiple and available):
        raise ValueError(
            f"k = {k} contacts per cell need as many cells at the other end, but only {available} "
            f"are available: lower k or allow multiple=True or self_contacts=True."
        )
    return k


def check_total(n_contacts: int) -> None:
    """Raise before drawing if there would be too many contacts to number."""
    capacity_for(n_contacts, 8)


def check_flag(name: str, value: bool) -> None:
    """Raise unless `value` is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {shown(value)}.")
