"""Zinc at the outer domain of NMDA receptors."""

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.factors.factor import Factor
from cortexmg.part import PerCell, quantity


class ZincInhibition(Factor):
    """1 - inhibition [Zn]o / ([Zn]o + k): at any voltage, and 1 without zinc.

    Paoletti, Ascher and Neyton (1997, doi:10.1523/JNEUROSCI.17-15-05711.1997): GluN2A is inhibited
    by nanomoles, GluN2B by micromoles. The numbers are general knowledge. The block of the pore by
    zinc that is released with glutamate is not in.
    """

    evidence = Evidence(
        "Zn inhibits NMDA receptors",
        ("zn",),
        "established",
        "Paoletti, Ascher & Neyton 1997; numbers from general knowledge",
    )

    inhibition: PerCell = quantity("1", 0.6, low=0.0, high=1.0)
    k: PerCell = quantity("mM", 15e-6, above=0.0)

    def __call__(self, env: Environment) -> PerCell:
        zn = env.ions["zn"].outside
        return 1.0 - self.inhibition * zn / (zn + self.k)
