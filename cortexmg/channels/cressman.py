"""Sodium and potassium currents of models in which ions move."""

from typing import TYPE_CHECKING, ClassVar

from cortexmg.channels.channel import OneGate
from cortexmg.environment import Environment
from cortexmg.membrane import Pathway
from cortexmg.numerics import bounded_exp, linoid
from cortexmg.part import PerCell, quantity


class CressmanSodium(OneGate):
    """Transient sodium current with m^3 h gating and instantaneous m. The state is h.

    Cressman et al. (2009, J Comput Neurosci 26:159) as in Barreto and Cressman (2011, J Biol Phys
    37:361). Reversal from sodium on both sides unless `e` is given.
    """

    ion = "na"
    largest_dt = 0.05

    g_max: PerCell = quantity("nS", 922.0, low=0.0)
    e: PerCell | None = quantity("mV", None, optional=True)
    phi: PerCell = quantity("1", 3.0, above=0.0)  # how much faster than at the rates below
    screening: PerCell = quantity("1", 1.0, low=0.0, high=1.0)  # share of the surface shift

    def pathway(self, state: PerCell, v: PerCell, env: Environment) -> Pathway:
        return Pathway(self.g_max * _activation(v) ** 3 * state, self.reversal(env))

    def rates(self, v: PerCell) -> tuple[PerCell, PerCell]:
        alpha = 0.07 * bounded_exp(-(v + 44.0) / 20.0, power=4)
        return self.phi * alpha, self.phi / (1.0 + bounded_exp(-(v + 14.0) / 10.0))


class _GateN(OneGate):
    """Channels whose state is n, the gate of potassium."""

    if TYPE_CHECKING:  # a field of final classes
        phi: ClassVar[PerCell]

    def rates(self, v: PerCell) -> tuple[PerCell, PerCell]:
        alpha = 0.1 * linoid(-(v + 34.0) / 10.0)
        return self.phi * alpha, self.phi * 0.125 * bounded_exp(-(v + 44.0) / 80.0, power=4)


class SlavedSodium(_GateN):
    """The same with h = 1 - 1 / (1 + exp(-6.5 (n - 0.35))), tied to the gate of potassium.

    Huebel and Dahlem (2014, PLoS Comput Biol 10:e1003941). The state is n, which moves as that of
    `CressmanPotassium` does; under surface charge all of it is shifted, as sodium's gates are.
    """

    ion = "na"
    largest_dt = 0.05

    g_max: PerCell = quantity("nS", 922.0, low=0.0)
    e: PerCell | None = quantity("mV", None, optional=True)
    phi: PerCell = quantity("1", 3.0, above=0.0)
    screening: PerCell = quantity("1", 1.0, low=0.0, high=1.0)

    def pathway(self, state: PerCell, v: PerCell, env: Environment) -> Pathway:
        h = 1.0 / (1.0 + bounded_exp(6.5 * (state - 0.35)))
        return Pathway(self.g_max * _activation(v) ** 3 * h, self.reversal(env))


class CressmanPotassium(_GateN):
    """Delayed rectifier with n^4 gating, of the same source. The state is n."""

    ion = "k"
    largest_dt = 0.05

    g_max: PerCell = quantity("nS", 368.8, low=0.0)
    e: PerCell | None = quantity("mV", None, optional=True)
    phi: PerCell = quantity("1", 3.0, above=0.0)
    screening: PerCell = quantity("1", 0.5, low=0.0, high=1.0)  # share of the surface shift

    def pathway(self, state: PerCell, v: PerCell, env: Environment) -> Pathway:
        del v
        return Pathway(self.g_max * state**4, self.reversal(env))


def _activation(v: PerCell) -> PerCell:
    """m, which follows the voltage at once."""
    alpha = linoid(-(v + 30.0) / 10.0)
    return alpha / (alpha + 4.0 * bounded_exp(-(v + 55.0) / 18.0))
