"""High-threshold calcium current that comes with every spike."""

from cortexmg.channels.channel import Channel
from cortexmg.environment import Environment
from cortexmg.factors import Factor, product
from cortexmg.membrane import Pathway
from cortexmg.numerics import bounded_exp, relax
from cortexmg.part import PerCell, Scalar, members, quantity


class CalciumN(Channel):
    """N- and P/Q-type calcium current, m^2 with instantaneous activation.

    Wang (1998, doi:10.1152/jn.1998.79.3.1549), whose density of 1 mS/cm2 is 290 nS in a cell of
    28953 um2. Reversal from calcium on both sides, where he has 120 mV. Without inactivation, as
    he has it, there is no state, and a cell that stays depolarised takes in calcium without end:
    with a time constant `tau_h` there is, closed for half at `v_half_h` (an assumption).
    """

    ion = "ca"
    largest_dt = 0.1

    g_max: PerCell = quantity("nS", 290.0, low=0.0)
    v_half: PerCell = quantity("mV", -20.0)  # of m, not of its square
    slope: PerCell = quantity("mV", 9.0, above=0.0)
    tau_h: PerCell | None = quantity("ms", None, above=0.0, optional=True)
    v_half_h: PerCell = quantity("mV", -45.0)
    slope_h: PerCell = quantity("mV", 8.0, above=0.0)
    screening: PerCell = quantity("1", 0.82, low=0.0, high=1.0)  # share of the surface shift
    factors: dict[str, Factor] = members(Factor)

    def init(self, v: PerCell, env: Environment) -> PerCell | None:
        del env
        return None if self.tau_h is None else self._open(v)

    def step(
        self, state: PerCell | None, v: PerCell, env: Environment, dt: Scalar
    ) -> PerCell | None:
        del env
        return None if self.tau_h is None else relax(state, self._open(v), self.tau_h, dt)

    def pathway(self, state: PerCell | None, v: PerCell, env: Environment) -> Pathway:
        m = 1.0 / (1.0 + bounded_exp((self.v_half - v) / self.slope))
        g = self.g_max * m**2 * product(self.factors, env)
        return Pathway(g if state is None else g * state, env.reversal("ca"))

    def _open(self, v: PerCell) -> PerCell:
        return 1.0 / (1.0 + bounded_exp((v - self.v_half_h) / self.slope_h))
