"""Slow potassium current that makes regular-spiking cells adapt."""

import jax.numpy as jnp

from cortexmg.channels.channel import Channel
from cortexmg.environment import Environment
from cortexmg.membrane import Pathway
from cortexmg.numerics import bounded_exp, relax
from cortexmg.part import PerCell, Scalar, quantity


class MCurrent(Channel):
    """Muscarine-sensitive potassium current, at 36 degrees. The state is p, its open fraction.

    Pospischil et al. (2008, doi:10.1007/s00422-008-0263-8).
    """

    ion = "k"
    largest_dt = 1.0

    g_max: PerCell = quantity("nS", 20.3, low=0.0)
    e: PerCell | None = quantity("mV", -100.0, optional=True)
    tau_max: PerCell = quantity("ms", 1000.0, above=0.0)
    screening: PerCell = quantity("1", 0.0, low=0.0, high=1.0)  # share of the surface shift

    def init(self, v: PerCell, env: Environment) -> PerCell:
        del env
        return self._kinetics(v)[0]

    def step(self, state: PerCell, v: PerCell, env: Environment, dt: Scalar) -> PerCell:
        del env
        return relax(state, *self._kinetics(v), dt)

    def pathway(self, state: PerCell, v: PerCell, env: Environment) -> Pathway:
        del v
        return Pathway(self.g_max * state, self.reversal(env))

    def _kinetics(self, v: PerCell) -> tuple[PerCell, PerCell]:
        """Steady state, and time constant (ms)."""
        open_to_closed = bounded_exp((v + 35.0) / 10.0)
        up = jnp.sqrt(open_to_closed)  # exp((v + 35) / 20)
        return open_to_closed / (1.0 + open_to_closed), self.tau_max / (3.3 * up + 1.0 / up)
