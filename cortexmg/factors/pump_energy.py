"""Magnesium inside makes the ATP that the sodium pump can use."""

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.factors.factor import Factor
from cortexmg.numerics import anchored
from cortexmg.part import PerCell, quantity


class PumpEnergy(Factor):
    """Turnover of the pump with MgATP, x / (x + k_pump), relative to the reference.

    x = ATP [Mg]i / ([Mg]i + k_mg), with k_mg of the enzyme from Pilotelle-Bunner et al. (2009,
    Biophys J). Deficiency lowers [Mg]i by 30 % at most, and so the pump by less
    than 2 %: this is no way to seizures, energy failure is.
    """

    evidence = Evidence(
        "MgATP drives the sodium pump",
        ("mg",),
        "established",
        "Pilotelle-Bunner et al. 2009; k_pump from general knowledge",
    )

    atp: PerCell = quantity("mM", 3.0, low=0.0)
    k_mg: PerCell = quantity("mM", 0.069, above=0.0)
    k_pump: PerCell = quantity("mM", 0.4, above=0.0)
    atp_ref: PerCell = quantity("mM", 3.0, above=0.0)
    mg_ref: PerCell = quantity("mM", 0.5, above=0.0)  # inside

    def __call__(self, env: Environment) -> PerCell:
        mg = env.ions["mg"].inside
        change = self._turnover(self.atp, mg) / self._turnover(self.atp_ref, self.mg_ref)
        return anchored(change, 1.0, (self.atp, self.atp_ref), (mg, self.mg_ref))

    def _turnover(self, atp: PerCell, mg: PerCell) -> PerCell:
        usable = atp * mg / (mg + self.k_mg)
        return usable / (usable + self.k_pump)
