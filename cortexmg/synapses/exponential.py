"""Conductance that jumps and decays: the classic synapse of benchmark networks."""

import equinox as eqx
import jax.numpy as jnp

from cortexmg.environment import Environment
from cortexmg.factors import Factor, product
from cortexmg.membrane import Pathway
from cortexmg.numerics import relax
from cortexmg.part import PerCell, Scalar, members, quantity
from cortexmg.synapses.synapse import Synapse


class Exponential(Synapse):
    """Conductance that jumps by w * gain nS with each arrival and decays exponentially.

    The state is the conductance (nS). Brette et al. (2007, doi:10.1007/s10827-007-0038-6).
    """

    tau: PerCell = quantity("ms", 5.0, above=0.0)
    e: PerCell = quantity("mV", 0.0)
    g0: PerCell = quantity("nS", 0.0, low=0.0)  # half a step before the beginning
    gain: PerCell = quantity("1", 1.0, low=0.0)
    transmitter: str = eqx.field(static=True, default="glutamate")
    factors: dict[str, Factor] = members()

    def init(self, v: PerCell, env: Environment) -> PerCell:
        del env
        return jnp.zeros_like(v) + self.g0

    def step(
        self, state: PerCell, arrivals: PerCell, v: PerCell, env: Environment, dt: Scalar
    ) -> PerCell:
        del v, env
        half = jnp.exp(-dt / 2 / self.tau)  # see TwoExponentialKinetics.step
        return relax(state, 0.0, self.tau, dt) + half * self.gain * arrivals

    def bound(self, state: PerCell) -> PerCell:
        return state

    def pathway(self, state: PerCell, v: PerCell, env: Environment) -> Pathway:
        del v
        return Pathway(state * product(self.factors, env), self.e)
