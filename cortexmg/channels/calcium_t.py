"""Low-threshold calcium current: rebound and low-threshold spikes."""

from cortexmg.channels.channel import Channel
from cortexmg.environment import Environment
from cortexmg.factors import Factor, product
from cortexmg.membrane import Pathway
from cortexmg.numerics import bounded_exp, relax
from cortexmg.part import PerCell, Scalar, members, quantity


class CalciumT(Channel):
    """T-type calcium current, s^2 u with instantaneous activation. The state is u.

    Huguenard and McCormick (1992, doi:10.1152/jn.1992.68.4.1373) as in Pospischil et al. (2008,
    doi:10.1007/s00422-008-0263-8), measured at 24 degrees (Q10 of 3 for inactivation). All
    voltages are shifted by 2 mV for 2 mM extracellular calcium; a population whose surface charge
    shifts gates counts from its own reference, so give that 2 mM, or set `shift` to 0.
    """

    ion = "ca"
    largest_dt = 0.1

    g_max: PerCell = quantity("nS", 116.0, low=0.0)
    shift: PerCell = quantity("mV", 2.0)
    screening: PerCell = quantity("1", 0.82, low=0.0, high=1.0)  # share of the surface shift
    factors: dict[str, Factor] = members()

    def init(self, v: PerCell, env: Environment) -> PerCell:
        return self._inactivation(v, env)[0]

    def step(self, state: PerCell, v: PerCell, env: Environment, dt: Scalar) -> PerCell:
        return relax(state, *self._inactivation(v, env), dt)

    def pathway(self, state: PerCell, v: PerCell, env: Environment) -> Pathway:
        s = 1.0 / (1.0 + bounded_exp(-(v + self.shift + 57.0) / 6.2))
        g = self.g_max * s**2 * state * product(self.factors, env)
        return Pathway(g, env.reversal("ca"))

    def _inactivation(self, v: PerCell, env: Environment) -> tuple[PerCell, PerCell]:
        """Steady state, and time constant (ms)."""
        u = v + self.shift
        # Its derivative squares the denominator.
        up, down = (bounded_exp(x, power=2) for x in ((u + 113.2) / 5.0, (u + 84.0) / 3.2))
        slowest = (211.4 + up) / (1.0 + down)
        tau = (30.8 + slowest) / 3.0 ** ((env.temperature - 24.0) / 10.0)
        return 1.0 / (1.0 + bounded_exp((u + 81.0) / 4.0)), tau
