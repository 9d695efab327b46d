"""Random numbers: they follow from key, step and the number of the cell alone.

All come from one generator without a state, so that part of a population, on any device, can draw
its numbers without the rest.
"""

import math
import zlib
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt32

Step = Int[Array, ""] | UInt32[Array, ""]
ROUNDS = 13
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)


def is_key(x: Any) -> TypeGuard[Array]:
    """Whether this is a random key of JAX, or an array of them."""
    return jnp.issubdtype(getattr(x, "dtype", np.dtype("O")), jax.dtypes.prng_key)


def threefry(key: Any, first: Any, second: Any) -> tuple[UInt32[Array, "*n"], UInt32[Array, "*n"]]:
    """Two words of random bits from the two words of a key and two of a counter.

    Threefry-2x32 with 13 rounds, the fewest that pass all of BigCrush: Salmon et al. (2011,
    doi:10.1145/2063384.2063405). It adds, rotates and combines bits, 16 cells at a time in a vector
    unit; a word takes half of the time of Philox, which multiplies. `jax.random` has 20 rounds, on
    a CPU in a loop of kernels; written out, they are part of the kernel that uses them.
    """
    low, high = key[0], key[1]
    words = low, high, low ^ high ^ jnp.uint32(0x1BD11BDA)
    a, b = jnp.asarray(first, jnp.uint32) + low, jnp.asarray(second, jnp.uint32) + high
    for k in range(ROUNDS):
        a, turn = a + b, ROTATIONS[k % 8]
        b = a ^ ((b << turn) | (b >> (32 - turn)))
        if k % 4 == 3:
            turns = k // 4 + 1
            a, b = a + words[turns % 3], b + words[(turns + 1) % 3] + jnp.uint32(turns)
    return a, b


def stream(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """The random stream of a member: it follows from its name, not from its place in a dict."""
    words = threefry(words_of(key), zlib.crc32(name.encode()), 0)
    return jax.random.wrap_key_data(jnp.stack(words), impl="threefry2x32")


def words_of(key: Key[Array, ""]) -> UInt32[Array, " 2"]:
    """What a key of any kind is here: its first two words."""
    return jax.random.key_data(key)[:2]


def bits(key: Key[Array, ""], step: Step, n: int, first: Any) -> UInt32[Array, " n"]:
    """32 random bits for each of `n` cells from number `first` on."""
    cells = jnp.asarray(first, jnp.uint32) + jnp.arange(n, dtype=jnp.uint32)
    return threefry(words_of(key), cells, step)[0]


def normal(key: Key[Array, ""], step: Step, n: int, first: Any) -> Float[Array, " n"]:
    """Standard normal numbers for `n` cells from number `first` on."""
    floats = jnp.result_type(float)
    exact = min(jnp.finfo(floats).nmant, 31)
    # An odd number of 2^-exact: between -1 and 1, of which the inverse would be infinite.
    odd = ((bits(key, step, n, first) >> (32 - exact)) << 1) | jnp.uint32(1)
    return math.sqrt(2.0) * jax.lax.erf_inv(odd.astype(floats) * 2.0**-exact - 1.0)
