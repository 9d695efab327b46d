"""High-threshold calcium current that comes with every spike."""

from cortexmg.channels.channel import Ungated
from cortexmg.environment import Environment
from cortexmg.factors import Factor, product
from cortexmg.membrane import Pathway
from cortexmg.numerics import bounded_exp
from cortexmg.part import PerCell, members, quantity


class CalciumN(Ungated):
    """N- and P/Q-type calcium current, m^2 with instantaneous activation: no state.

    Wang (1998, doi:10.1152/jn.1998.79.3.1549), whose density of 1 mS/cm2 is 290 nS in a cell of
    28953 um2. Reversal from calcium on both sides, where he has 120 mV.
    """

    ion = "ca"
    largest_dt = 0.1

    g_max: PerCell = quantity("nS", 290.0, low=0.0)
    v_half: PerCell = quantity("mV", -20.0)  # of m, not of its square
    slope: PerCell = quantity("mV", 9.0, above=0.0)
    screening: PerCell = quantity("1", 0.82, low=0.0, high=1.0)  # share of the surface shift
    factors: dict[str, Factor] = members(Factor)

    def pathway(self, state: None, v: PerCell, env: Environment) -> Pathway:
        del state
        m = 1.0 / (1.0 + bounded_exp((self.v_half - v) / self.slope))
        return Pathway(self.g_max * m**2 * product(self.factors, env), env.reversal("ca"))
