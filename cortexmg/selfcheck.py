"""The start-up check: does this JAX compute right numbers on this device?

JAX 0.10.2 to 0.11.2 add wrongly on the CPU, silently (jax#39103, jax#39741).
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

KNOWN_BAD = ("0.10.2", "0.11.0", "0.11.1", "0.11.2")
CURE = 'install another release: python -m pip install "jax>=0.12"'


@cache
def check_arithmetic() -> float:
    """Largest deviation of whole-number array patterns from NumPy: 0, or an error is raised.

    Every number below stays under 2^24, so that float32 holds each one exactly.
    """
    if jax.__version__ in KNOWN_BAD:
        raise RuntimeError(f"JAX {jax.__version__} is known to compute wrong numbers; {CURE}.")
    rng = np.random.default_rng(0)
    matrix = rng.integers(-8, 8, (64, 256)).astype(np.float32)
    ids = rng.integers(0, 256, 4096).astype(np.int32)
    patterns = {
        "sum of a broadcast": (
            lambda m: jnp.sum(jnp.broadcast_to(m[:, None], (64, 32, 256)), axis=(1, 2)),
            lambda m: 32 * m.sum(1),
        ),
        "mapped matrix-vector product": (
            lambda m: jax.vmap(lambda row: jnp.sum((m[:, :8] @ row[:8]) ** 2))(m),
            lambda m: ((m[:, :8] @ m[:, :8].T) ** 2).sum(0),
        ),
        "gather and sum": (
            lambda m: m[:, ids].reshape(64, 64, 64).sum(2),
            lambda m: m[:, ids].reshape(64, 64, 64).sum(2),
        ),
        "scatter": (
            lambda m: jnp.zeros(256).at[ids].add(jnp.tile(m[0], 16)),
            lambda m: np.bincount(ids, np.tile(m[0], 16), 256),
        ),
        "running sum": (lambda m: jnp.cumsum(m, 1), lambda m: np.cumsum(m, 1)),
    }
    right = {name: np.asarray(numpy(matrix), np.float64) for name, (_, numpy) in patterns.items()}
    together = jax.jit(lambda m: {name: jax_way(m) for name, (jax_way, _) in patterns.items()})
    for _ in range(5):
        for name, result in together(matrix).items():
            wrong = np.max(np.abs(np.asarray(result, np.float64) - right[name]))
            if wrong != 0:
                raise RuntimeError(
                    f"JAX {jax.__version__} computes wrong numbers on this "
                    f"{jax.default_backend()}: {name} is off by {wrong:g}; {CURE}."
                )
    return 0.0
