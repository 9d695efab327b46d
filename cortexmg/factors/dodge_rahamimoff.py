"""The classic law of release, at the neuromuscular junction."""

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.factors.factor import ReleaseLaw
from cortexmg.numerics import anchored
from cortexmg.part import PerCell, quantity


class DodgeRahamimoff(ReleaseLaw):
    """Fourth power of the calcium bound where magnesium competes, relative to the reference.

    Dodge and Rahamimoff (1967, doi:10.1113/jphysiol.1967.sp008367), frog. Their constants, `k_ca`
    and `k_mg`, are from memory, still to be checked against the paper.
    """

    evidence = Evidence(
        "Ca drives release, Mg competes",
        ("mg", "ca"),
        "established",
        "Dodge & Rahamimoff 1967; constants from memory",
    )

    k_ca: PerCell = quantity("mM", 1.1, above=0.0)
    k_mg: PerCell = quantity("mM", 2.97, above=0.0)
    ca_ref: PerCell = quantity("mM", 2.0, above=0.0)
    mg_ref: PerCell = quantity("mM", 1.0, low=0.0)

    def __call__(self, env: Environment) -> PerCell:
        ca, mg = env.ions["ca"].outside, env.ions["mg"].outside
        change = self._bound(ca, mg) / self._bound(self.ca_ref, self.mg_ref)
        return anchored(change**4, 1.0, (ca, self.ca_ref), (mg, self.mg_ref))

    def largest(self) -> PerCell:
        return 1.0 / self._bound(self.ca_ref, self.mg_ref) ** 4

    def _bound(self, ca: PerCell, mg: PerCell) -> PerCell:
        return ca / self.k_ca / (1.0 + ca / self.k_ca + mg / self.k_mg)
