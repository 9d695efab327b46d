"""Independent Poisson input to every cell."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from cortexmg import noise
from cortexmg.numerics import with_slope_of
from cortexmg.part import PerCell, count, quantity
from cortexmg.stimuli.stimulus import Arrivals, Firing, Moment, Stimulus, check_receptor

# Up to which mean counts larger than so many have a probability below 1e-9.
LARGEST_MEAN = {7: 0.29, 15: 2.09, 31: 8.68}


class Poisson(Stimulus):
    """Arrivals at one kind of receptor, at random times, independent between cells.

    With None for the receptor, and no weight, the cells themselves fire, in each step with the
    probability rate * dt: see `Firing`. `rate` has no derivative then, and `most` no meaning.

    `rate` is that of all sources of a cell together. Counts per step follow the Poisson
    distribution to 1e-9, up to `most` arrivals: 7 suffice for a mean of 0.29 per step, 15 for 2.09
    and 31 for 8.68.
    """

    target: str = eqx.field(static=True)
    receptor: str | None = eqx.field(static=True)
    rate: PerCell = quantity("Hz", low=0.0)
    weight: PerCell | None = quantity("nS", None, low=0.0, optional=True)
    most: int = count(7)

    def check_rules(self) -> None:
        check_receptor("Poisson", self.receptor, self.weight)
        if self.most not in LARGEST_MEAN:
            raise ValueError(f"Poisson.most must be one of {[*LARGEST_MEAN]}, got {self.most}.")

    def step(self, state: None, at: Moment) -> tuple[None, Arrivals | Firing]:
        bits = noise.bits(at.key, at.step, at.n, at.first)
        mean = jnp.asarray(self.rate, jnp.float32) * (at.dt * 1e-3)
        if self.receptor is None:
            return state, Firing(bits < (mean * 2.0**32).astype(jnp.uint32))
        assert self.weight is not None  # `check_rules` has refused it
        return state, Arrivals(self.receptor, self.weight * _poisson(bits, mean, self.most))

    def check(self, n: int, dt: float) -> None:
        mean = float(np.max(np.asarray(self.rate))) * dt * 1e-3
        if self.receptor is None and mean >= 1.0:
            raise ValueError(
                f"Poisson.rate of {np.max(np.asarray(self.rate)):g} Hz is {mean:.2g} spikes in a "
                f"step of {dt:g} ms, of which a cell has one at most: use a smaller dt."
            )
        if self.receptor is None or mean <= LARGEST_MEAN[self.most]:
            return
        enough = [most for most, largest in LARGEST_MEAN.items() if mean <= largest]
        remedy = (
            f"set Poisson.most to {enough[0]}" if enough else "use OrnsteinUhlenbeckConductance"
        )
        raise ValueError(
            f"Poisson.rate of {np.max(np.asarray(self.rate)):g} Hz means {mean:.2g} arrivals per "
            f"step of {dt:g} ms, expected at most {LARGEST_MEAN[self.most]} with most = "
            f"{self.most}: use a smaller dt, or {remedy}."
        )


def _poisson(bits: Array, mean: Array, most: int) -> Array:
    """Counts with this mean, one for each 32 random bits: the inverse of the distribution.

    The probability of at least k arrivals is a sum of positive terms, so that rare ones, at low
    rates and short steps, keep all their digits. Derivatives are those of what is expected.
    """
    bounds = list(_bounds(jax.lax.stop_gradient(mean), most))
    counts = jnp.zeros(bits.shape, jnp.int32)
    while bounds:  # a binary search takes half as long as adding up the comparisons
        half = len(bounds) // 2
        more = bits < bounds[half]
        counts = counts + jnp.where(more, half + 1, 0)
        bounds = [jnp.where(more, *x) for x in zip(bounds[half + 1 :], bounds[:half], strict=True)]
    return with_slope_of(counts.astype(jnp.float32), mean)


def _bounds(mean: Array, most: int) -> Array:
    """Below which random bits mean at least 1, 2, ... `most` arrivals, [most, *mean].

    On a CPU by loops: written out, XLA makes a kernel of each sum, all of which begin with the
    exponential. On others, where every round of a loop is a kernel, written out.
    """

    def times(p, x):
        p = p * mean * x
        return p, p

    def plus(total, p):
        total = total + p
        return total, total

    def summed(rounds: int) -> Array:
        inverse = 1.0 / jnp.arange(1, most + 1, dtype=mean.dtype)
        _, p = jax.lax.scan(times, jnp.exp(-mean), inverse, unroll=rounds)
        _, p = jax.lax.scan(plus, jnp.zeros_like(mean), p, reverse=True, unroll=rounds)
        return (p * 2.0**32).astype(jnp.uint32)

    return jax.lax.platform_dependent(cpu=lambda: summed(1), default=lambda: summed(most))
