"""Fast sodium current of cortical cells."""

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from cortexmg.channels.channel import Channel
from cortexmg.environment import Environment
from cortexmg.membrane import Pathway
from cortexmg.numerics import bounded_exp, linoid, logistic, relax_gate
from cortexmg.part import PerCell, Scalar, quantity


class SodiumGates(NamedTuple):
    """Open fractions."""

    m: PerCell  # activation
    h: PerCell  # inactivation


class Sodium(Channel):
    """Transient sodium current with m^3 h gating, at 36 degrees.

    Rates of Traub and Miles (1991, Neuronal Networks of the Hippocampus, Cambridge), shifted by
    `v_t` as in Pospischil et al. (2008, doi:10.1007/s00422-008-0263-8).
    """

    ion = "na"
    largest_dt = 0.1

    g_max: PerCell = quantity("nS", 14476.0, low=0.0)
    e: PerCell | None = quantity("mV", 50.0, optional=True)
    v_t: PerCell = quantity("mV", -55.0)  # moves all rates along the voltage axis
    shut: bool = eqx.field(static=True, default=False)  # start with all gates at 0
    screening: PerCell = quantity("1", 1.0, low=0.0, high=1.0)  # share of the surface shift

    def init(self, v: PerCell, env: Environment) -> SodiumGates:
        del env
        if self.shut:
            return SodiumGates(jnp.zeros_like(v), jnp.zeros_like(v))
        (alpha_m, beta_m), (alpha_h, beta_h) = self.rates(v)
        return SodiumGates(alpha_m / (alpha_m + beta_m), alpha_h / (alpha_h + beta_h))

    def step(self, state: SodiumGates, v: PerCell, env: Environment, dt: Scalar) -> SodiumGates:
        del env
        m, h = self.rates(v)
        return SodiumGates(relax_gate(state.m, *m, dt), relax_gate(state.h, *h, dt))

    def pathway(self, state: SodiumGates, v: PerCell, env: Environment) -> Pathway:
        del v
        return Pathway(self.g_max * state.m**3 * state.h, self.reversal(env))

    def rates(self, v: PerCell) -> tuple[tuple[PerCell, PerCell], tuple[PerCell, PerCell]]:
        """(alpha, beta) of m and of h (1/ms)."""
        u = v - self.v_t
        # Powers of one exponential, which takes longer than they do.
        root = bounded_exp((u - 40.0) / 20.0, power=5)
        up, down = root**4, (math.exp(-27.0 / 20.0) / root) ** 5
        alpha_m = 1.28 * linoid((13.0 - u) / 4.0, down)
        beta_m = 1.4 * linoid((u - 40.0) / 5.0, up)
        alpha_h = 0.128 * bounded_exp((17.0 - u) / 18.0, power=4)
        beta_h = 4.0 * logistic((u - 40.0) / 5.0, up)
        return (alpha_m, beta_m), (alpha_h, beta_h)
