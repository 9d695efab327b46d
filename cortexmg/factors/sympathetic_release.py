"""Release of noradrenaline, which magnesium lowers."""

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.factors.factor import ReleaseLaw
from cortexmg.factors.hill_release import HillRelease, calcium_curve
from cortexmg.numerics import anchored
from cortexmg.part import PerCell, quantity


class SympatheticRelease(ReleaseLaw):
    """1 / (1 + [Mg]o / k_mg) times the intermediate calcium curve, relative to the reference.

    4.8 instead of 1.2 mM of magnesium halves the overflow of noradrenaline from a perfused artery,
    through calcium channels: Shimosawa et al. (2004, Hypertension 44:897).
    Assumption: that central terminals do the same, and how calcium acts.
    """

    evidence = Evidence(
        "Mg lowers noradrenaline release",
        ("mg", "ca"),
        "supported",
        "Shimosawa et al. 2004, peripheral; assumed for the brain",
    )

    k_mg: PerCell = quantity("mM", 2.4, above=0.0)
    ca_ref: PerCell = quantity("mM", 1.2, above=0.0)
    mg_ref: PerCell = quantity("mM", 1.0, low=0.0)

    def __call__(self, env: Environment) -> PerCell:
        ca, mg = env.ions["ca"].outside, env.ions["mg"].outside
        magnesium = (1.0 + self.mg_ref / self.k_mg) / (1.0 + mg / self.k_mg)
        change = magnesium * self._calcium(ca) / self._calcium(self.ca_ref)
        return anchored(change, 1.0, (ca, self.ca_ref), (mg, self.mg_ref))

    def largest(self) -> PerCell:
        calcium = self._calcium(float("inf")) / self._calcium(self.ca_ref)
        return (1.0 + self.mg_ref / self.k_mg) * calcium

    def _calcium(self, ca: PerCell) -> PerCell:
        curves = HillRelease()
        return 0.5 * (calcium_curve(ca, curves.k_steep) + calcium_curve(ca, curves.k_shallow))
