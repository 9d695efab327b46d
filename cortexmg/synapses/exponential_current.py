"""Current that jumps and decays: input that does not depend on the voltage."""

import equinox as eqx
import jax.numpy as jnp

from cortexmg.environment import Environment
from cortexmg.membrane import Current
from cortexmg.numerics import relax
from cortexmg.part import PerCell, Scalar, quantity
from cortexmg.synapses.synapse import Synapse


class ExponentialCurrent(Synapse):
    """Current that jumps by w * gain pA with each arrival and decays exponentially.

    Here a weight of 1 means 1 pA, not 1 nS. A gain below 0 makes arrivals inhibitory, as weights
    themselves are never negative. The state is the mean current in the step (pA, inward is
    positive), so that an arrival carries the charge w * gain * tau at any step. Rotter and
    Diesmann (1999, doi:10.1007/s004220050570).

    With a `tau` far below the step, arrivals are jumps of the voltage by w * gain * tau / C ("delta
    synapses"). They happen within the step after the delay, at whose end the threshold is looked
    at: networks whose simulator looks at it at once have delays one step longer.
    """

    conducts = False

    tau: PerCell = quantity("ms", 0.5, above=0.0)
    gain: PerCell = quantity("1", 1.0)
    transmitter: str = eqx.field(static=True, default="glutamate")

    def init(self, v: PerCell, env: Environment) -> PerCell:
        del env
        return jnp.zeros_like(v)

    def step(
        self, state: PerCell, arrivals: PerCell, v: PerCell, env: Environment, dt: Scalar
    ) -> PerCell:
        del v, env
        # The mean of exp(-t/tau) over the step of the arrival. Its value at the middle, which
        # conductances use, is of second order too, but lacks (dt/tau)^2 / 24 of the charge.
        mean = -jnp.expm1(-dt / self.tau) * self.tau / dt
        return relax(state, 0.0, self.tau, dt) + mean * self.gain * arrivals

    def bound(self, state: PerCell) -> PerCell:
        return jnp.abs(state)

    def pathway(self, state: PerCell, v: PerCell, env: Environment) -> Current:
        del v, env
        return Current(state)
