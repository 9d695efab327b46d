"""Glia, which take up potassium."""

import abc
from typing import Any

import jax.numpy as jnp

from cortexmg.numerics import Total, add, bounded_exp, rounded
from cortexmg.part import Part, Scalar, quantity
from cortexmg.tissues.voxels import PerVoxel


class Glia(Part):
    """Cells that take potassium from the space outside."""

    @abc.abstractmethod
    def init(self, k: PerVoxel) -> Any:
        """The state before anything has been taken up."""

    @abc.abstractmethod
    def step(self, state: Any, k: PerVoxel, dt: Scalar) -> tuple[Any, PerVoxel]:
        """The state after `dt` at `k` mM outside, and what that takes up in it (mM)."""


class Uptake(Glia):
    """Uptake at `rate` / (1 + exp((half - [K]o) / slope)), for ever.

    Cressman et al. (2009, J Comput Neurosci 26:159); Barreto and Cressman (2011, J Biol Phys
    37:361).
    """

    rate: Scalar = quantity("mM/ms", 0.066667, low=0.0)
    half: Scalar = quantity("mM", 18.0, low=0.0)
    slope: Scalar = quantity("mM", 2.5, above=0.0)

    def init(self, k: PerVoxel) -> None:
        del k

    def step(self, state: None, k: PerVoxel, dt: Scalar) -> tuple[None, PerVoxel]:
        return state, dt * self.rate / (1.0 + bounded_exp((self.half - k) / self.slope))


class Buffer(Glia):
    """A `capacity` that binds potassium where there is much, and gives it back within hours.

    Huebel and Dahlem (2014, PLoS Comput Biol 10:e1003941). The state is what is bound (mM of the
    space outside), a `Total`: what returns in a millisecond is 1e-6 of it.
    """

    capacity: Scalar = quantity("mM", 500.0, above=0.0)
    rate: Scalar = quantity("1/ms", 5e-8, low=0.0)  # of giving back, and most per mM of binding
    half: Scalar = quantity("mM", 15.0, low=0.0)
    slope: Scalar = quantity("mM", 1.09, above=0.0)

    def init(self, k: PerVoxel) -> Total:
        return Total(jnp.zeros_like(k), jnp.zeros_like(k))

    def step(self, state: Total, k: PerVoxel, dt: Scalar) -> tuple[Total, PerVoxel]:
        held = state.value
        bind = self.rate / (1.0 + bounded_exp((self.half - k) / self.slope))  # 1/ms/mM
        bound, freed = rounded(dt * bind * k * (self.capacity - held), dt * self.rate * held)
        return add(state, bound - freed), bound - freed
