"""High-threshold calcium current that comes with every spike."""

from cortexmg.channels.channel import Channel
from cortexmg.environment import Environment
from cortexmg.evidence import Evidence, Mechanism
from cortexmg.factors import Factor, product
from cortexmg.membrane import Pathway
from cortexmg.numerics import bounded_exp, relax
from cortexmg.part import PerCell, Scalar, members, quantity


class Inactivation(Mechanism):
    """Slow closing of channels in cells that stay depolarised. Assumption: all three numbers."""

    evidence = Evidence(
        "N-type Ca channels inactivate slowly", (), "assumption", "ours: Wang 1998 has none"
    )

    tau: PerCell = quantity("ms", 500.0, above=0.0)
    v_half: PerCell = quantity("mV", -35.0)
    slope: PerCell = quantity("mV", 8.0, above=0.0)

    def open(self, v: PerCell) -> PerCell:
        """Share that is not inactivated where the voltage is held at `v`."""
        return 1.0 / (1.0 + bounded_exp((v - self.v_half) / self.slope))


class CalciumN(Channel):
    """N- and P/Q-type calcium current, m^2 with instantaneous activation.

    Wang (1998, doi:10.1152/jn.1998.79.3.1549), whose density of 1 mS/cm2 is 290 nS in a cell of
    28953 um2. Reversal from calcium on both sides, where he has 120 mV. Without inactivation, as
    he has it, there is no state, and a cell that stays depolarised takes in calcium without end.
    """

    ion = "ca"
    largest_dt = 0.1

    g_max: PerCell = quantity("nS", 290.0, low=0.0)
    v_half: PerCell = quantity("mV", -20.0)  # of m, not of its square
    slope: PerCell = quantity("mV", 9.0, above=0.0)
    inactivation: Inactivation | None = None
    screening: PerCell = quantity("1", 0.82, low=0.0, high=1.0)  # share of the surface shift
    factors: dict[str, Factor] = members()

    def init(self, v: PerCell, env: Environment) -> PerCell | None:
        del env
        return None if self.inactivation is None else self.inactivation.open(v)

    def step(
        self, state: PerCell | None, v: PerCell, env: Environment, dt: Scalar
    ) -> PerCell | None:
        del env
        h = self.inactivation
        return None if h is None else relax(state, h.open(v), h.tau, dt)

    def pathway(self, state: PerCell | None, v: PerCell, env: Environment) -> Pathway:
        m = 1.0 / (1.0 + bounded_exp((self.v_half - v) / self.slope))
        g = self.g_max * m**2 * product(self.factors, env)
        return Pathway(g if state is None else g * state, env.reversal("ca"))
