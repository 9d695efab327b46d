"""Potassium current that calcium inside the cell opens: cells adapt by it."""

from cortexmg.channels.channel import Ungated
from cortexmg.environment import Environment
from cortexmg.evidence import Evidence, Mechanism
from cortexmg.factors import Factor, product
from cortexmg.membrane import Pathway
from cortexmg.part import PerCell, members, quantity


class Afterhyperpolarisation(Ungated, Mechanism):
    """Conductance g_max c / (c + k_d), where c is the calcium inside: no state of its own.

    It follows a pool of calcium (`pools.calcium.soma`), as slow as the pool is. Less calcium that
    enters, by less of it outside or more magnesium in its channels, means less of this current and
    more spikes: the opposite of what magnesium does at NMDA receptors. Wang (1998,
    doi:10.1152/jn.1998.79.3.1549), whose density of 5 mS/cm2 is 1448 nS in a cell of 28953 um2.
    """

    evidence = Evidence(
        "Ca inside opens K channels", ("ca",), "established", "Wang 1998; conductances vary"
    )
    ion = "k"

    g_max: PerCell = quantity("nS", 1448.0, low=0.0)
    e: PerCell | None = quantity("mV", -80.0, optional=True)
    k_d: PerCell = quantity("mM", 0.03, above=0.0)
    factors: dict[str, Factor] = members()

    @property
    def needs(self) -> tuple[str, ...]:
        return ("ca", "k") if self.e is None else ("ca",)

    def pathway(self, state: None, v: PerCell, env: Environment) -> Pathway:
        del state, v
        c = env.ions["ca"].inside
        g = self.g_max * c / (c + self.k_d) * product(self.factors, env)
        return Pathway(g, self.reversal(env))
