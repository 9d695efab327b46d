"""Random numbers per cell: they follow from key, step and the number of the cell alone.

They are drawn by blocks of cells, each with a key of its own, so that part of a population can draw
its numbers without the rest.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt32

BLOCK = 256  # cells


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
    key = jax.random.fold_in(key, step)
    blocks = first // BLOCK + jnp.arange(-(-n // BLOCK))
    return jax.vmap(jax.random.fold_in, (None, 0))(key, blocks.astype(jnp.uint32))
