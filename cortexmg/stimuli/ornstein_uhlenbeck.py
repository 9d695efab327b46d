"""Fluctuating current and conductance: Ornstein-Uhlenbeck processes, one per cell."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from cortexmg import noise
from cortexmg.membrane import Current, Pathway
from cortexmg.part import PerCell, quantity
from cortexmg.stimuli.stimulus import Stimulus


def _fluctuate(x: Array, tau: PerCell, change: Array, dt: float) -> Array:
    """A process of mean 0 and standard deviation 1 after `dt`: exact for any dt.

    Uhlenbeck and Ornstein (1930, doi:10.1103/PhysRev.36.823).
    """
    keep = jnp.exp(-dt / tau)
    return keep * x + jnp.sqrt(1.0 - keep**2) * change


def _start(n: int, key: Key[Array, ""]) -> Array:
    before = jnp.uint32(2**32 - 1)  # a number that no step has
    return noise.normal(key, before, n, jnp.int32(0))


class OrnsteinUhlenbeckCurrent(Stimulus):
    """Gaussian current with an exponential correlation in time, independent between cells."""

    target: str = eqx.field(static=True)
    mean: PerCell = quantity("pA", 0.0)
    sd: PerCell = quantity("pA", 100.0, low=0.0)
    tau: PerCell = quantity("ms", 5.0, above=0.0)

    def init(self, n: int, key: Key[Array, ""]) -> Array:
        return _start(n, key)

    def step(
        self,
        state: Array,
        step: Int[Array, ""],
        key: Key[Array, ""],
        n: int,
        dt: float,
        first: Any = 0,
    ) -> tuple[Array, Current]:
        state = _fluctuate(state, self.tau, noise.normal(key, step, n, first), dt)
        return state, Current(self.mean + self.sd * state)


class OrnsteinUhlenbeckConductance(Stimulus):
    """Fluctuating conductance that stands for the synapses of cells outside the network.

    Destexhe et al. (2001, doi:10.1016/S0306-4522(01)00344-X). Negative values are cut to 0, so
    that the mean exceeds `mean` where sd is not small beside it.
    """

    target: str = eqx.field(static=True)
    mean: PerCell = quantity("nS", 10.0, low=0.0)
    sd: PerCell = quantity("nS", 2.0, low=0.0)
    tau: PerCell = quantity("ms", 3.0, above=0.0)
    e: PerCell = quantity("mV", 0.0)

    def init(self, n: int, key: Key[Array, ""]) -> Array:
        return _start(n, key)

    def step(
        self,
        state: Array,
        step: Int[Array, ""],
        key: Key[Array, ""],
        n: int,
        dt: float,
        first: Any = 0,
    ) -> tuple[Array, Pathway]:
        state = _fluctuate(state, self.tau, noise.normal(key, step, n, first), dt)
        return state, Pathway(jnp.maximum(self.mean + self.sd * state, 0.0), self.e)
