"""Fluctuating current and conductance: Ornstein-Uhlenbeck processes, one per cell."""

import abc
from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Key

from cortexmg import noise
from cortexmg.membrane import Current, Pathway
from cortexmg.part import PerCell, quantity
from cortexmg.stimuli.stimulus import Moment, Stimulus


class _Fluctuation(Stimulus):
    """A process of mean 0 and standard deviation 1 for each cell: exact for any dt.

    Uhlenbeck and Ornstein (1930, doi:10.1103/PhysRev.36.823).
    """

    if TYPE_CHECKING:  # fields of the final classes
        tau: PerCell

    def init(self, n: int, key: Key[Array, ""]) -> Array:
        before = jnp.uint32(2**32 - 1)  # a number that no step has
        return noise.normal(key, before, n, jnp.int32(0))

    def step(self, state: Array, at: Moment) -> tuple[Array, Current | Pathway]:
        keep = jnp.exp(-at.dt / self.tau)
        change = noise.normal(at.key, at.step, at.n, at.first)
        state = keep * state + jnp.sqrt(1.0 - keep**2) * change
        return state, self.effect(state)

    @abc.abstractmethod
    def effect(self, x: Array) -> Current | Pathway:
        """What the process does to each cell."""


class OrnsteinUhlenbeckCurrent(_Fluctuation):
    """Gaussian current with an exponential correlation in time, independent between cells."""

    target: str = eqx.field(static=True)
    mean: PerCell = quantity("pA", 0.0)
    sd: PerCell = quantity("pA", 100.0, low=0.0)
    tau: PerCell = quantity("ms", 5.0, above=0.0)

    def effect(self, x: Array) -> Current:
        return Current(self.mean + self.sd * x)


class OrnsteinUhlenbeckConductance(_Fluctuation):
    """Fluctuating conductance that stands for the synapses of cells outside the network.

    Destexhe et al. (2001, doi:10.1016/S0306-4522(01)00344-X). Negative values are cut to 0, so
    that the mean exceeds `mean` where sd is not small beside it.
    """

    target: str = eqx.field(static=True)
    mean: PerCell = quantity("nS", 10.0, low=0.0)
    sd: PerCell = quantity("nS", 2.0, low=0.0)
    tau: PerCell = quantity("ms", 3.0, above=0.0)
    e: PerCell = quantity("mV", 0.0)

    def effect(self, x: Array) -> Pathway:
        return Pathway(jnp.maximum(self.mean + self.sd * x, 0.0), self.e)
