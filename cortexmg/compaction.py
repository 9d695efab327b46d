"""Finding the active cells: their ids from flags, without a pass over cells per event."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, UInt32


def _nth_set_bit(word, r):
    """Position of the r-th (from 0) set bit of each uint32 word."""
    position = jnp.zeros_like(r)
    for width in (16, 8, 4, 2, 1):
        low = (word >> position.astype(jnp.uint32)) & jnp.uint32((1 << width) - 1)
        count = jax.lax.population_count(low).astype(jnp.int32)
        above = r >= count
        r = jnp.where(above, r - count, r)
        position = jnp.where(above, position + width, position)
    return position


def pack(flags: Bool[Array, " n"]) -> UInt32[Array, " words"]:
    """Flags as bits of uint32 words: of W words, word k holds cells k, k + W, k + 2 W, ...

    In this order packing is 32 shifts and additions of contiguous vectors, whatever n is.
    """
    n = flags.shape[0]
    words = -(-n // 32)
    total = jnp.zeros(words, jnp.uint32)
    for bit, first in enumerate(range(0, n, words)):
        part = flags[first : first + words].astype(jnp.uint32) << jnp.uint32(bit)
        total = total + jnp.pad(part, (0, words - part.shape[0]))
    return total


def active_cells(flags: Bool[Array, " n"]) -> tuple[Int[Array, " ids"], Int[Array, ""]]:
    """Ids of the set flags in the order of `pack`, then anything; and how many there are."""
    # Active cells found per iteration; in a large network more of them, for each iteration touches
    # the whole list.
    size = 64 if flags.shape[0] < 2**15 else 256
    words = pack(flags)
    count = jax.lax.population_count(words).astype(jnp.int32)
    upto = jnp.cumsum(count)
    total = upto[-1]

    def chunk(carry):
        i, ids = carry
        slot = i * size + jnp.arange(size, dtype=jnp.int32)
        k = jnp.searchsorted(upto, slot, side="right", method="scan_unrolled").astype(jnp.int32)
        k = jnp.minimum(k, words.shape[0] - 1)
        found = _nth_set_bit(words[k], slot - (upto[k] - count[k])) * words.shape[0] + k
        return i + 1, jax.lax.dynamic_update_slice(ids, found, (i * size,))

    # Slots beyond the last active cell hold ids that may lie past the end; they are not used.
    ids = jnp.zeros(flags.shape[0] + size, jnp.int32)
    return jax.lax.while_loop(lambda c: c[0] * size < total, chunk, (jnp.int32(0), ids))[1], total
