"""The start-up check: does this JAX compute right numbers on this device?

JAX 0.10.2 to 0.11.2 add wrongly on the CPU, silently (jax#39103, jax#39741).
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np

KNOWN_BAD = ("0.10.2", "0.11.0", "0.11.1", "0.11.2")
CURE = 'install another release: python -m pip install "jax>=0.12" "jaxlib>=0.12"'


def _patterns(ids: np.ndarray) -> dict[str, tuple[Callable, Callable]]:
    """Array patterns in JAX and in NumPy, functions of a matrix of whole numbers and of ones."""
    return {
        "sum of a broadcast": (
            lambda m, _: jnp.sum(jnp.broadcast_to(m[:, None], (64, 32, 256)), axis=(1, 2)),
            lambda m, _: 32 * m.sum(1),
        ),
        # The one that the known bad releases get wrong on two threads.
        "sum of a large broadcast": (
            lambda _, ones: jnp.sum(jnp.broadcast_to(ones, (2, 1024, 1024))),
            lambda _, ones: 2 * 1024 * ones.sum(),
        ),
        "mapped matrix-vector product": (
            lambda m, _: jax.vmap(lambda row: jnp.sum((m[:, :8] @ row[:8]) ** 2))(m),
            lambda m, _: ((m[:, :8] @ m[:, :8].T) ** 2).sum(0),
        ),
        "gather and sum": (
            lambda m, _: m[:, ids].reshape(64, 64, 64).sum(2),
            lambda m, _: m[:, ids].reshape(64, 64, 64).sum(2),
        ),
        "scatter": (
            lambda m, _: jnp.zeros(256).at[ids].add(jnp.tile(m[0], 16)),
            lambda m, _: np.bincount(ids, np.tile(m[0], 16), 256),
        ),
        "running sum": (lambda m, _: jnp.cumsum(m, 1), lambda m, _: np.cumsum(m, 1)),
    }


@cache
def check_arithmetic() -> None:
    """Raise unless array patterns of whole numbers are, to the last digit, those of NumPy.

    Every number stays under 2^24, so that float32 holds each one exactly.

    Raises: RuntimeError for a release known to be wrong, and for a wrong result.
    """
    for package, release in (("JAX", jax.__version__), ("jaxlib", version("jaxlib"))):
        if release in KNOWN_BAD:
            raise RuntimeError(f"{package} {release} is known to compute wrong numbers; {CURE}.")
    rng = np.random.default_rng(0)
    matrix = rng.integers(-8, 8, (64, 256)).astype(np.float32)
    ones = np.ones((1024, 1), np.float32)
    patterns = _patterns(rng.integers(0, 256, 4096).astype(np.int32))
    right = {name: np.asarray(f(matrix, ones), np.float64) for name, (_, f) in patterns.items()}
    together = jax.jit(lambda *a: {name: f(*a) for name, (f, _) in patterns.items()})
    for _ in range(10):
        for name, result in together(matrix, ones).items():
            wrong = np.max(np.abs(np.asarray(result, np.float64) - right[name]))
            if wrong != 0:
                raise RuntimeError(
                    f"JAX {jax.__version__} computes wrong numbers on this "
                    f"{jax.default_backend()}: {name} is off by {wrong:g}; {CURE}."
                )
