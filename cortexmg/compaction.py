"""Spikes as bits: packing flags into words, and the ids of the cells whose bit is set."""

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


AT_ONCE = 256  # active cells found at a time, give or take a word


def next_active(
    words: UInt32[Array, "members words"], k: Int[Array, ""], n: int
) -> tuple[Int[Array, ""], Int[Array, " ids"], Int[Array, ""]]:
    """The cells whose bits are set from word `k` on: the next word, their ids, and how many.

    An id is member * n + cell. The search ends after `AT_ONCE` cells or all words. XLA:CPU
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
        return (carry[0] < flat.shape[0]) & (carry[1] < AT_ONCE)

    start = (k, jnp.int32(0), jnp.zeros(AT_ONCE + 32, jnp.int32))
    k, found, ids = jax.lax.while_loop(more, search, start)
    return k, ids, found


def first_active(
    words: UInt32[Array, " words"], most: int
) -> tuple[Int[Array, " most"], Int[Array, " most"], Bool[Array, " most"], UInt32[Array, " words"]]:
    """Word and bit of the first set bits, which of the `most` there are, and all other bits.

    Only whole words are taken, so that up to 31 fewer than `most` may be found. Without a loop
    whose length depends on the bits, for devices on which such a loop waits for the host.
    """
    counts = jax.lax.population_count(words).astype(jnp.int32)
    ends = jnp.cumsum(counts)
    fits = ends <= most
    rank = jnp.arange(most, dtype=jnp.int32)
    word = jnp.searchsorted(ends, rank, side="right", method="scan_unrolled").astype(jnp.int32)
    word = jnp.minimum(word, words.shape[0] - 1)
    there = (rank < ends[-1]) & fits[word]
    bit = _nth_bit(words[word], rank - (ends[word] - counts[word]))
    return word, bit, there, jnp.where(fits, jnp.uint32(0), words)


def _nth_bit(words: UInt32[Array, " n"], nth: Int[Array, " n"]) -> Int[Array, " n"]:
    """Where the set bit with this number from below lies in each word, by halving."""
    place = jnp.zeros_like(nth)
    for half in (16, 8, 4, 2, 1):
        low = words & jnp.uint32((1 << half) - 1)
        below = jax.lax.population_count(low).astype(jnp.int32)
        above = nth >= below
        words = jnp.where(above, words >> half, low)
        nth, place = nth - jnp.where(above, below, 0), place + jnp.where(above, half, 0)
    return place
