"""Delayed-rectifier potassium current of cortical cells."""

import math

import equinox as eqx
import jax.numpy as jnp

from cortexmg.channels.channel import OneGate
from cortexmg.environment import Environment
from cortexmg.membrane import Pathway
from cortexmg.numerics import bounded_exp, linoid
from cortexmg.part import PerCell, quantity


class Potassium(OneGate):
    """Delayed rectifier with n^4 gating, at 36 degrees. The state is n, its open fraction.

    Rates of Traub and Miles (1991, Neuronal Networks of the Hippocampus, Cambridge), shifted by
    `v_t` as in Pospischil et al. (2008, doi:10.1007/s00422-008-0263-8).
    """

    ion = "k"
    largest_dt = 0.1

    g_max: PerCell = quantity("nS", 1448.0, low=0.0)
    e: PerCell | None = quantity("mV", -100.0, optional=True)
    v_t: PerCell = quantity("mV", -55.0)  # moves all rates along the voltage axis
    shut: bool = eqx.field(static=True, default=False)  # start with all gates at 0
    screening: PerCell = quantity("1", 0.5, low=0.0, high=1.0)  # share of the surface shift

    def init(self, v: PerCell, env: Environment) -> PerCell:
        return jnp.zeros_like(v) if self.shut else super().init(v, env)

    def pathway(self, state: PerCell, v: PerCell, env: Environment) -> Pathway:
        del v
        return Pathway(self.g_max * state**4, self.reversal(env))

    def rates(self, v: PerCell) -> tuple[PerCell, PerCell]:
        u = v - self.v_t
        # A power of one exponential, which takes longer than it does.
        root = bounded_exp((10.0 - u) / 40.0, power=8)
        return 0.16 * linoid((15.0 - u) / 5.0, math.e * root**8), 0.5 * root
