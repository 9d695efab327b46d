"""Magnesium in the pore of calcium channels."""

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.factors.factor import Factor
from cortexmg.part import PerCell, quantity


class CalciumBlock(Factor):
    """Part of the calcium conductance that magnesium leaves, relative to the reference.

    Magnesium and calcium compete for the pore: 1 / (1 + [Mg]o / k), where k grows with [Ca]o; it is
    `k_mg` at `ca_ref`. The functions below give k for each kind of channel. Assumptions: that k is
    proportional to [Ca]o + 1 mM, and that the block does not depend on voltage.
    """

    evidence = Evidence(
        "Mg blocks calcium channels", ("mg", "ca"), "supported", "Serrano et al. 2000; see members"
    )

    k_mg: PerCell = quantity("mM", 2.5, above=0.0)
    mg_ref: PerCell = quantity("mM", 1.0, low=0.0)
    ca_ref: PerCell = quantity("mM", 2.0, low=0.0)

    def __call__(self, env: Environment) -> PerCell:
        k = self.k_mg * (env.ions["ca"].outside + 1.0) / (self.ca_ref + 1.0)
        return (1.0 + self.mg_ref / k) / (1.0 + env.ions["mg"].outside / k)


def t_type(**reference: float) -> CalciumBlock:
    """2.0 mM, from Cav3.1 in calcium and in barium: Serrano et al. (2000, Biophys J 79:3052)."""
    return CalciumBlock(2.0, **reference)


def high_voltage(**reference: float) -> CalciumBlock:
    """2.5 mM, N-, P- and Q-type. Assumption: as the release of noradrenaline asks for.

    Shimosawa et al. (2004, Hypertension 44:897).
    """
    return CalciumBlock(2.5, **reference)


def l_type(**reference: float) -> CalciumBlock:
    """5 mM, an assumption: calcium protects the pore. Kuo and Hess (1993, J Physiol 466:683)."""
    return CalciumBlock(5.0, **reference)
