"""Random numbers per cell: they follow from key, step and the number of the cell alone.

They are drawn by blocks of cells, each with a key of its own, so that part of a population can draw
its numbers without the rest.
"""

import zlib
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer, Key, UInt32

BLOCK = 256  # cells


def stream(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """The random stream of a member: it follows from its name, not from its place in a dict."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()) & 0x7FFFFFFF)


def normal(
    key: Key[Array, ""], step: Int[Array, ""] | UInt32[Array, ""], n: int, first: Any
) -> Float[Array, " n"]:
    """Standard normal numbers for `n` cells from `first` on, the first cell of a block."""
    draw = jax.vmap(lambda k: jax.random.normal(k, (BLOCK,), float))
    return draw(_keys(key, step, n, first)).reshape(-1)[:n]


def bits(
    key: Key[Array, ""], step: Int[Array, ""] | UInt32[Array, ""], n: int, first: Any
) -> UInt32[Array, " n"]:
    """32 random bits for each of `n` cells, of which two cells of a block share a word.

    One reads it from the top, the other from the middle: to be compared with bounds. What follows
    from the bits of one cell is exact; the lower half matters too rarely, in about one of 10^4
    cells, for a correlation to be seen.
    """
    draw = jax.vmap(lambda k: jax.random.bits(k, (BLOCK // 2,), jnp.uint32))
    # Barrier: what is read twice would be computed twice.
    words = jax.lax.optimization_barrier(draw(_keys(key, step, n, first)))
    turned = (words << 16) | (words >> 16)
    half = BLOCK // 2
    both = jnp.pad(words, ((0, 0), (0, half))) + jnp.pad(turned, ((0, 0), (half, 0)))
    # And this one keeps the division by the size of a block out of the loop over cells.
    return jax.lax.optimization_barrier(both).reshape(-1)[:n]


def _keys(key, step, n: int, first) -> Key[Array, " blocks"]:
    # Barrier: XLA would make a kernel of each of the twenty words that rounds take from the key,
    # each of them with all rounds by which the key of the stream has been found.
    key = jax.random.fold_in(jax.lax.optimization_barrier(key), step)
    blocks = first // BLOCK + jnp.arange(-(-n // BLOCK))
    return jax.vmap(jax.random.fold_in, (None, 0))(key, blocks.astype(jnp.uint32))


def philox(key: UInt32[Array, " 2"], *counter: Integer[Array, "..."]) -> list[Array]:
    """Four words of random bits from up to four words of a counter.

    Philox4x32-10: Salmon et al. (2011, doi:10.1145/2063384.2063405). `jax.random` has it too, but
    takes one word at a time of what its numbers follow from.
    """
    a, b, c, d = (*(jnp.asarray(x, jnp.uint32) for x in counter), *[jnp.uint32(0)] * 4)[:4]
    first, second = key[0], key[1]
    for _ in range(10):
        high, higher = _mulhi(0xD2511F53, a), _mulhi(0xCD9E8D57, c)
        a, b, c, d = (
            higher ^ b ^ first,
            c * jnp.uint32(0xCD9E8D57),
            high ^ d ^ second,
            a * jnp.uint32(0xD2511F53),
        )
        first, second = first + jnp.uint32(0x9E3779B9), second + jnp.uint32(0xBB67AE85)
    return list(jnp.broadcast_arrays(a, b, c, d))


def _mulhi(a: int, b: Array) -> Array:
    return jax.lax.mulhi(jnp.full_like(b, a), b)
