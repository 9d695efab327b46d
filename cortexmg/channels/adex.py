"""The two mechanisms that make a leaky integrator an adaptive exponential one."""

import jax.numpy as jnp
from jaxtyping import Array, Bool

from cortexmg.channels.channel import Channel, Ungated
from cortexmg.environment import Environment
from cortexmg.factors import Factor, product
from cortexmg.membrane import Current
from cortexmg.numerics import relax
from cortexmg.part import PerCell, Scalar, members, quantity


class Upstroke(Ungated):
    """Exponential current that starts a spike: g delta exp((v - v_t) / delta).

    Brette and Gerstner (2005, doi:10.1152/jn.00686.2005).
    """

    largest_dt = 0.1

    g: PerCell = quantity("nS", 30.0, above=0.0)  # the leak
    delta: PerCell = quantity("mV", 2.0, above=0.0)
    v_t: PerCell = quantity("mV", -50.4)
    screening: PerCell = quantity("1", 1.0, low=0.0, high=1.0)  # share of the surface shift

    def pathway(self, state: None, v: PerCell, env: Environment) -> Current:
        del state, env
        # The spike rule cuts the voltage a few delta above v_t; beyond 10 delta nothing is left
        # to tell apart, and an unbounded exponential would overflow.
        drive = jnp.minimum((v - self.v_t) / self.delta, 10.0)
        return Current(self.g * self.delta * jnp.exp(drive))


class Adaptation(Channel):
    """Adaptation current: tau dw/dt = a (v - e) - w, and w grows by b with every spike.

    Brette and Gerstner (2005, doi:10.1152/jn.00686.2005). The state is w (pA).
    """

    largest_dt = 1.0

    a: PerCell = quantity("nS", 4.0)
    b: PerCell = quantity("pA", 80.5)
    tau: PerCell = quantity("ms", 144.0, above=0.0)
    e: PerCell = quantity("mV", -70.6)
    factors: dict[str, Factor] = members()  # of b

    def init(self, v: PerCell, env: Environment) -> PerCell:
        del env
        return self.a * (v - self.e)

    def step(self, state: PerCell, v: PerCell, env: Environment, dt: Scalar) -> PerCell:
        del env
        return relax(state, self.a * (v - self.e), self.tau, dt)

    def pathway(self, state: PerCell, v: PerCell, env: Environment) -> Current:
        del v, env
        return Current(-state)

    def spiked(self, state: PerCell, fired: Bool[Array, " n"], env: Environment) -> PerCell:
        return state + jnp.where(fired, self.b * product(self.factors, env), 0.0)
