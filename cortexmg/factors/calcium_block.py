"""Magnesium in the pore of calcium channels."""

import equinox as eqx

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.factors.factor import Factor
from cortexmg.part import PerCell, quantity

KNOWN = Evidence(
    "Mg blocks Ca channels",
    ("mg", "ca"),
    "supported",
    "Serrano et al. 2000, T-type; K of others assumed",
)


class CalciumBlock(Factor):
    """Part of the calcium conductance that magnesium leaves, relative to the reference.

    Magnesium and calcium compete for the pore: 1 / (1 + [Mg]o / k), where k grows with [Ca]o; it is
    `k_mg` at `ca_ref`. The functions below give k for each kind of channel. Assumptions: that k is
    proportional to [Ca]o + 1 mM, that the block does not depend on voltage, and that it is counted
    from `mg_ref` in the calcium that there is, so that calcium alone changes nothing.
    """

    k_mg: PerCell = quantity("mM", 2.5, above=0.0)
    mg_ref: PerCell = quantity("mM", 1.0, low=0.0)
    ca_ref: PerCell = quantity("mM", 2.0, low=0.0)
    evidence: Evidence = eqx.field(static=True, default=KNOWN)  # of k_mg

    def __call__(self, env: Environment) -> PerCell:
        k = self.k_mg * (env.ions["ca"].outside + 1.0) / (self.ca_ref + 1.0)
        return (1.0 + self.mg_ref / k) / (1.0 + env.ions["mg"].outside / k)


def t_type(**reference: float) -> CalciumBlock:
    """2.0 mM, from Cav3.1 in calcium and in barium: Serrano et al. (2000, Biophys J 79:3052)."""
    known = KNOWN._replace(effect="Mg blocks T-type Ca channels", source="Serrano et al. 2000")
    return CalciumBlock(2.0, evidence=known, **reference)


def high_voltage(**reference: float) -> CalciumBlock:
    """2.5 mM, N-, P- and Q-type. Assumption: as the release of noradrenaline asks for.

    Shimosawa et al. (2004, Hypertension 44:897).
    """
    source = "K from noradrenaline release, Shimosawa et al. 2004"
    known = Evidence("Mg blocks N-, P- and Q-type Ca channels", KNOWN.ions, "assumption", source)
    return CalciumBlock(2.5, evidence=known, **reference)


def l_type(**reference: float) -> CalciumBlock:
    """5 mM, an assumption: calcium protects the pore. Kuo and Hess (1993, J Physiol 466:683)."""
    source = "Kuo & Hess 1993; K assumed"
    known = Evidence("Mg blocks L-type Ca channels", KNOWN.ions, "assumption", source)
    return CalciumBlock(5.0, evidence=known, **reference)
