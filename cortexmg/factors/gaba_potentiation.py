"""Magnesium helps GABA to open GABA_A receptors."""

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.factors.factor import Factor
from cortexmg.part import PerCell, quantity


class GABAPotentiation(Factor):
    """f0 + (1 - f0) of a saturating curve in [Mg]o, for the conductance of GABA_A receptors.

    Responses of neocortical neurons to GABA fall in low magnesium and come back with it: El-Beheiry
    and Puil (1990, Br J Pharmacol 101:1006); Moykkynen et al. (2001, NeuroReport
    12:2175). Assumption: form and numbers. Low magnesium also raises the release of GABA
    (`HillRelease`), with the opposite sign: which of the two wins depends on both numbers.
    """

    evidence = Evidence(
        "Mg potentiates GABA_A receptors",
        ("mg",),
        "supported",
        "El-Beheiry & Puil 1990; numbers assumed",
    )

    f0: PerCell = quantity("1", 0.75, low=0.0, high=1.0)  # without magnesium
    k: PerCell = quantity("mM", 0.3, above=0.0)  # of half the effect
    mg_ref: PerCell = quantity("mM", 1.0, above=0.0)

    def __call__(self, env: Environment) -> PerCell:
        mg = env.ions["mg"].outside
        curve = mg / (self.k + mg) / (self.mg_ref / (self.k + self.mg_ref))
        return self.f0 + (1.0 - self.f0) * curve
