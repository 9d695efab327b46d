"""GABA_B receptors: slow inhibition through a G protein."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from cortexmg.environment import Environment
from cortexmg.factors import Factor, product
from cortexmg.membrane import Pathway
from cortexmg.numerics import relax, relax_gate
from cortexmg.part import PerCell, Scalar, members, quantity
from cortexmg.permeation import POTASSIUM
from cortexmg.synapses.synapse import Synapse


class GABABState(NamedTuple):
    """Bound receptors (fraction) and activated G protein."""

    r: PerCell
    g: PerCell


class GABAB(Synapse):
    """Potassium conductance g_max * G^4 / (G^4 + k_d), G driven by the bound receptors.

    Destexhe and Sejnowski (1995, doi:10.1073/pnas.92.21.9515), rates of Destexhe, Mainen and
    Sejnowski (1998). Their transmitter pulse (0.5 mM for 0.3 ms) binds here in one instant.
    The receptors of a cell are one pool that saturates: an arrival of weight g_max is one pulse
    over all of them, a smaller one binds proportionally fewer. With `e=None` it reverses with
    potassium, and pools see what it carries.
    """

    permeant = POTASSIUM

    g_max: PerCell = quantity("nS", 1.0, above=0.0)
    e: PerCell | None = quantity("mV", -95.0, optional=True)
    pulse: PerCell = quantity("mM ms", 0.15, above=0.0)
    k1: PerCell = quantity("1/mM/ms", 0.52, low=0.0)
    k2: PerCell = quantity("1/ms", 0.0013, above=0.0)
    k3: PerCell = quantity("1/ms", 0.098, low=0.0)
    k4: PerCell = quantity("1/ms", 0.033, above=0.0)
    k_d: PerCell = quantity("1", 100.0, above=0.0)
    gain: PerCell = quantity("1", 1.0, low=0.0)
    transmitter: str = eqx.field(static=True, default="gaba")
    factors: dict[str, Factor] = members()

    def init(self, v: PerCell, env: Environment) -> GABABState:
        del env
        return GABABState(jnp.zeros_like(v), jnp.zeros_like(v))

    def step(
        self, state: GABABState, arrivals: PerCell, v: PerCell, env: Environment, dt: Scalar
    ) -> GABABState:
        del v, env
        pulses = self.gain * arrivals / self.g_max
        r = 1.0 - (1.0 - state.r) * jnp.exp(-self.k1 * self.pulse * pulses)
        # From half a step ago to half a step ahead G sees the receptors before and after binding.
        mean = 0.5 * (state.r + r)
        g = relax(state.g, self.k3 * mean / self.k4, 1.0 / self.k4, dt)
        return GABABState(relax_gate(r, 0.0, self.k2, dt), g)

    def bound(self, state: GABABState) -> PerCell:
        fourth = state.g**4
        return self.g_max * fourth / (fourth + self.k_d)

    def pathway(self, state: GABABState, v: PerCell, env: Environment) -> Pathway:
        del v
        return Pathway(self.bound(state) * product(self.factors, env), self.reversal(env))
