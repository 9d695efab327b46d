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

    `rate` is that of all sources of a cell together. Counts per step follow the Poisson
    distribution to 2e-10, up to 24 arrivals.
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
        bits = jax.random.bits(jax.random.fold_in(key, step), (n,), jnp.uint32)
        counts = _poisson(bits, jnp.asarray(self.rate, jnp.float32) * (dt * 1e-3))
        return state, Arrivals(self.receptor, self.weight * counts)

    def check(self, n: int, dt: float) -> None:
        mean = np.max(np.asarray(self.rate)) * dt * 1e-3
        if mean > 5.0:
            raise ValueError(
                f"Poisson.rate of {np.max(np.asarray(self.rate)):g} Hz means {mean:.1f} arrivals "
                f"per step of {dt:g} ms, expected at most 5: use a smaller dt, or "
                f"OrnsteinUhlenbeckConductance."
            )


def _poisson(bits: Array, mean: Array) -> Array:
    """Counts with this mean, one for each 32 random bits: the inverse of the distribution.

    The probability of at least k arrivals is a sum of positive terms, so that rare ones, at low
    rates and short steps, keep all their digits.
    """

    def up_to(most: int):
        def invert():
            probabilities = [jnp.exp(-mean)]
            for k in range(1, most + 1):
                probabilities.append(probabilities[-1] * mean / k)
            at_least, counts = 0.0, jnp.zeros(bits.shape, jnp.int32)
            for probability in reversed(probabilities[1:]):
                at_least = at_least + probability
                counts = counts + (bits < (at_least * 2.0**32).astype(jnp.uint32))
            return counts.astype(jnp.float32)

        return invert

    # With a mean of 0.4 more than 8 arrivals have a probability of 5e-10, near the 2e-10 of a bit.
    return jax.lax.cond(jnp.max(mean) <= 0.4, up_to(FEW), up_to(MOST))
