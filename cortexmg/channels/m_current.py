"""Slow potassium current that makes regular-spiking cells adapt."""

from cortexmg.channels.channel import OneGate
from cortexmg.environment import Environment
from cortexmg.membrane import Pathway
from cortexmg.numerics import bounded_exp
from cortexmg.part import PerCell, quantity


class MCurrent(OneGate):
    """Muscarine-sensitive potassium current, at 36 degrees. The state is p, its open fraction.

    Pospischil et al. (2008, doi:10.1007/s00422-008-0263-8).
    """

    ion = "k"
    largest_dt = 1.0

    g_max: PerCell = quantity("nS", 20.3, low=0.0)
    e: PerCell | None = quantity("mV", -100.0, optional=True)
    tau_max: PerCell = quantity("ms", 1000.0, above=0.0)
    screening: PerCell = quantity("1", 0.0, low=0.0, high=1.0)  # share of the surface shift

    def pathway(self, state: PerCell, v: PerCell, env: Environment) -> Pathway:
        del v
        return Pathway(self.g_max * state, self.reversal(env))

    def rates(self, v: PerCell) -> tuple[PerCell, PerCell]:
        up = bounded_exp((v + 35.0) / 20.0, power=4)
        closing = (3.3 * up + 1.0 / up) / (self.tau_max * (1.0 + up**2))
        return up**2 * closing, closing  # open and closed cells in the ratio exp((v + 35) / 10)
