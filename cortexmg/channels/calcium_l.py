"""High-threshold calcium current of bursting cells."""

from typing import NamedTuple

from cortexmg.channels.channel import Channel
from cortexmg.environment import Environment
from cortexmg.factors import Factor, product
from cortexmg.membrane import Pathway
from cortexmg.numerics import bounded_exp, linoid, relax_gate
from cortexmg.part import PerCell, Scalar, members, quantity


class CalciumLGates(NamedTuple):
    """Open fractions."""

    q: PerCell  # activation
    r: PerCell  # inactivation


class CalciumL(Channel):
    """L-type calcium current with q^2 r gating, at 36 degrees.

    Reuveni et al. (1993, doi:10.1523/JNEUROSCI.13-11-04609.1993) as in Pospischil et al. (2008,
    doi:10.1007/s00422-008-0263-8). Reversal from calcium on both sides.
    """

    ion = "ca"
    largest_dt = 0.1

    g_max: PerCell = quantity("nS", 49.0, low=0.0)
    screening: PerCell = quantity("1", 0.82, low=0.0, high=1.0)  # share of the surface shift
    factors: dict[str, Factor] = members()

    def init(self, v: PerCell, env: Environment) -> CalciumLGates:
        del env
        (alpha_q, beta_q), (alpha_r, beta_r) = self.rates(v)
        return CalciumLGates(alpha_q / (alpha_q + beta_q), alpha_r / (alpha_r + beta_r))

    def step(self, state: CalciumLGates, v: PerCell, env: Environment, dt: Scalar) -> CalciumLGates:
        del env
        q, r = self.rates(v)
        return CalciumLGates(relax_gate(state.q, *q, dt), relax_gate(state.r, *r, dt))

    def pathway(self, state: CalciumLGates, v: PerCell, env: Environment) -> Pathway:
        del v
        g = self.g_max * state.q**2 * state.r * product(self.factors, env)
        return Pathway(g, env.reversal("ca"))

    def rates(self, v: PerCell) -> tuple[tuple[PerCell, PerCell], tuple[PerCell, PerCell]]:
        """(alpha, beta) of q and of r (1/ms)."""
        alpha_q = 0.209 * linoid((-27.0 - v) / 3.8)
        beta_q = 0.94 * bounded_exp((-75.0 - v) / 17.0, power=4)
        alpha_r = 0.000457 * bounded_exp((-13.0 - v) / 50.0, power=4)
        beta_r = 0.0065 / (1.0 + bounded_exp((-15.0 - v) / 28.0))
        return (alpha_q, beta_q), (alpha_r, beta_r)
