"""Independent Poisson input to every cell."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from cortexmg.part import PerCell, quantity
from cortexmg.stimuli.stimulus import Arrivals, Stimulus

FEW, MOST = 8, 24  # arrivals counted in one step of one cell, for small and large means


class Poisson(Stimulus):
    """Arrivals at one kind of receptor, at random times, independent between cells.

    `rate` is that of all sources of a cell together. Counts per step are exact up to 24.
    """

    target: str = eqx.field(static=True)
    receptor: str = eqx.field(static=True)
    rate: PerCell = quantity("Hz", low=0.0)
    weight: PerCell = quantity("nS", low=0.0)

    def init(self, n: int, key: Key[Array, ""]) -> None:
        del n, key

    def step(
        self, state: None, step: Int[Array, ""], key: Key[Array, ""], n: int, dt: float
    ) -> tuple[None, Arrivals]:
        uniform = jax.random.uniform(jax.random.fold_in(key, step), (n,), jnp.float32)
        counts = _poisson(uniform, jnp.asarray(self.rate, jnp.float32) * (dt * 1e-3))
        return state, Arrivals(self.receptor, self.weight * counts)

    def check(self, n: int, dt: float) -> None:
        mean = np.max(np.asarray(self.rate)) * dt * 1e-3
        if mean > 5.0:
            raise ValueError(
                f"Poisson.rate of {np.max(np.asarray(self.rate)):g} Hz means {mean:.1f} arrivals "
                f"per step of {dt:g} ms, expected at most 5: use a smaller dt, or "
                f"OrnsteinUhlenbeckConductance."
            )


def _poisson(uniform: Array, mean: Array) -> Array:
    """Counts with this mean, one for each uniform number: the inverse of the distribution."""

    def up_to(most: int):
        def invert():
            probability = jnp.exp(-mean)
            below, counts = probability, (uniform >= probability).astype(uniform.dtype)
            for k in range(1, most):
                probability = probability * mean / k
                below = below + probability
                counts = counts + (uniform >= below)
            return counts

        return invert

    # With a mean of 0.4 more than 8 arrivals have a probability of 5e-10, below the 6e-8 between
    # neighbouring uniform numbers.
    return jax.lax.cond(jnp.max(mean) <= 0.4, up_to(FEW), up_to(MOST))
