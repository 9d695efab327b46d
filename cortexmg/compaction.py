"""Spikes as bits: packing flags into words, and the ids of the cells whose bit is set."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, UInt32


def words_for(n: int) -> int:
    """How many words hold the flags of `n` cells."""
    return -(-n // 32)


def pack(flags: Bool[Array, " n"]) -> UInt32[Array, " words"]:
    """Flags as bits of uint32 words: of W words, word k holds cells k, k + W, k + 2 W, ...

    In this order packing is 32 shifts and additions of contiguous vectors, whatever n is.
    """
    n = flags.shape[0]
    words = words_for(n)
    total = jnp.zeros(words, jnp.uint32)
    for bit, first in enumerate(range(0, n, words)):
        part = flags[first : first + words].astype(jnp.uint32) << jnp.uint32(bit)
        total = total + jnp.pad(part, (0, words - part.shape[0]))
    return total


def unpack(words: UInt32[Array, " words"], n: int, blocks: int = 1) -> Bool[Array, " n"]:
    """The flags of `n` cells, from the words that `pack` has made of each of equal `blocks`."""
    one = words.reshape(blocks, 1, -1)
    bits = (one >> jnp.arange(32, dtype=jnp.uint32)[:, None]) & jnp.uint32(1)
    return bits.reshape(blocks, -1)[:, : n // blocks].reshape(-1) != 0


FOUND_AT_ONCE = 256  # active cells found at a time, give or take a word


def next_active(
    words: UInt32[Array, "members words"], k: Int[Array, ""], n: int
) -> tuple[Int[Array, ""], Int[Array, " ids"], Int[Array, ""]]:
    """The cells whose bits are set from word `k` on: the next word, their ids, and how many.

    An id is member * n + cell. The search ends after `FOUND_AT_ONCE` cells or all words. XLA:CPU
    compiles loops as small as these into a single kernel; finding the k-th active cell by rank
    took three times as long.
    """
    per_member, flat = words.shape[1], words.reshape(-1)

    def bit(carry):
        word, cell, found, ids = carry
        lowest = 31 - jax.lax.clz(word & (~word + 1)).astype(jnp.int32)
        ids = jax.lax.dynamic_update_slice(ids, (cell + lowest * per_member)[None], (found,))
        return word & (word - 1), cell, found + 1, ids

    def search(carry):
        k, found, ids = carry
        cell = k // per_member * n + k % per_member if words.shape[0] > 1 else k
        _, _, found, ids = jax.lax.while_loop(lambda c: c[0] != 0, bit, (flat[k], cell, found, ids))
        return k + 1, found, ids

    def more(carry):
        return (carry[0] < flat.shape[0]) & (carry[1] < FOUND_AT_ONCE)

    start = (k, jnp.int32(0), jnp.zeros(FOUND_AT_ONCE + 32, jnp.int32))
    k, found, ids = jax.lax.while_loop(more, search, start)
    return k, ids, found


TILE = 4  # words from which a fixed number of cells is taken
# So many of a tile of 128 cells: at 40 Hz one in two fires in a step of 0.1 ms. That 17 fire in two
# steps, after which the shortest delay in a queue is over, happens in one of 10^14 such steps.
AT_ONCE = 8


class Found(NamedTuple):
    """Set bits of words in a fixed number per tile; all arrays are [most * tiles]."""

    row: Int[Array, " found"]  # from the first one that was searched
    word: Int[Array, " found"]
    bit: Int[Array, " found"]
    there: Bool[Array, " found"]  # which there are
    more: Bool[Array, " found"]  # for each that was left in the first row, up to `most`

    def cell(self, words: int, cells: int) -> Int[Array, " found"]:
        """Their numbers, where each block of so many `cells` is packed into `words` by itself."""
        return self.word // words * cells + self.word % words + self.bit * words


def first_active(
    words: UInt32[Array, "rows words"], first: Int[Array, ""], most: int
) -> tuple[Found, UInt32[Array, "rows words"]]:
    """The first `most` set bits of each tile, and the words with the others.

    The search begins with row `first` and goes around. A tile is every word whose number is the
    same modulo a part of their number. There is no loop whose length depends on the bits, for
    devices on which such a loop waits for the host, and no sum across tiles.
    """
    rows, n = words.shape
    tiles = -(-n // TILE)
    order = (first + jnp.arange(rows)) % rows
    searched = jnp.pad(words, ((0, 0), (0, tiles * TILE - n)))[order].reshape(-1)
    rank, tile = jnp.divmod(jnp.arange(most * tiles, dtype=jnp.int32), tiles)
    place = nth = end = jnp.zeros_like(rank)
    chosen, more = place.astype(jnp.uint32), place > 0
    for i in range(rows * TILE):
        word, begin = searched.at[i * tiles + tile].get(mode="promise_in_bounds"), end
        end = begin + jax.lax.population_count(word).astype(jnp.int32)
        here = (begin <= rank) & (rank < end)
        place, nth = jnp.where(here, i, place), jnp.where(here, rank - begin, nth)
        chosen = jnp.where(here, word, chosen)
        more = rank + most < end if i == TILE - 1 else more
    bit, there = _nth_bit(chosen, nth), rank < end
    last = [jnp.tile(x[-tiles:], TILE)[:n] for x in (place, bit, there)]
    found = Found(place // TILE, place % TILE * tiles + tile, bit, there, more)
    return found, _after(words, first, tiles, *last)


def _after(words: UInt32[Array, "rows words"], first, tiles: int, place, bit, there):
    """The words without the bits up to the one that was found last in each tile."""
    row = (jnp.arange(words.shape[0])[:, None] - first) % words.shape[0]
    here = row * TILE + jnp.arange(words.shape[1]) // tiles  # when it was searched
    above = (words >> bit.astype(jnp.uint32) >> 1) << bit.astype(jnp.uint32) << 1
    rest = jnp.where(here > place, words, jnp.where(here == place, above, 0))
    return jnp.where(there, rest, 0).astype(jnp.uint32)


def _nth_bit(words: UInt32[Array, "*n"], nth: Int[Array, "*n"]) -> Int[Array, "*n"]:
    """Where the set bit with this number from below lies in each word, by halving."""
    place = jnp.zeros_like(nth)
    for half in (16, 8, 4, 2, 1):
        low = words & jnp.uint32((1 << half) - 1)
        below = jax.lax.population_count(low).astype(jnp.int32)
        above = nth >= below
        words = jnp.where(above, words >> half, low)
        nth, place = nth - jnp.where(above, below, 0), place + jnp.where(above, half, 0)
    return place
