"""Release at cortical synapses: a Hill law in calcium, with which magnesium competes."""

import jax.numpy as jnp

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.factors.factor import ReleaseLaw
from cortexmg.numerics import anchored
from cortexmg.part import PerCell, quantity


class HillRelease(ReleaseLaw):
    """Fourth-power Hill law c^4 / (k^4 + c^4), relative to the reference.

    Markram et al. (2015, doi:10.1016/j.cell.2015.09.029), after Rozov et al. (2001), with two
    half-activations, of which a pathway has a mixture: `steep()` between pyramidal cells,
    `shallow()` onto basket cells, `intermediate()` (the mean of the curves) elsewhere.
    Assumption: magnesium competes with calcium for entry as at the neuromuscular junction (Dodge
    and Rahamimoff 1967), c = [Ca]o / (1 + [Mg]o / k_mg), and alike at all terminals, GABA's too.
    """

    evidence = Evidence(
        "Ca drives release, Mg competes",
        ("mg", "ca"),
        "supported",
        "Markram et al. 2015; Mg as in Dodge & Rahamimoff 1967, assumed for cortex",
    )

    steep: PerCell = quantity("1", 0.5, low=0.0, high=1.0)  # share of the steep curve
    k_steep: PerCell = quantity("mM", 2.79, above=0.0)
    k_shallow: PerCell = quantity("mM", 1.09, above=0.0)
    k_mg: PerCell = quantity("mM", 2.97, above=0.0)
    ca_ref: PerCell = quantity("mM", 2.0, above=0.0)
    mg_ref: PerCell = quantity("mM", 1.0, low=0.0)

    def __call__(self, env: Environment) -> PerCell:
        ca, mg = env.ions["ca"].outside, env.ions["mg"].outside
        competition = (1.0 + self.mg_ref / self.k_mg) / (1.0 + mg / self.k_mg)
        change = self._mixture(ca * competition) / self._mixture(self.ca_ref)
        return anchored(change, 1.0, (ca, self.ca_ref), (mg, self.mg_ref))

    def largest(self) -> PerCell:
        return self._mixture(jnp.inf) / self._mixture(self.ca_ref)

    def _mixture(self, ca: PerCell) -> PerCell:
        shallow = calcium_curve(ca, self.k_shallow)
        return shallow + self.steep * (calcium_curve(ca, self.k_steep) - shallow)


def calcium_curve(ca: PerCell, k: PerCell) -> PerCell:
    """Fourth-power Hill law in units of its value at 2 mM, where release is usually measured."""
    return (1.0 + (k / 2.0) ** 4) / (1.0 + (k / jnp.maximum(ca, 1e-3)) ** 4)


def steep(**reference: float) -> HillRelease:
    """Between pyramidal cells, and onto Martinotti, bitufted, double-bouquet and bipolar cells."""
    return HillRelease(1.0, **reference)


def shallow(**reference: float) -> HillRelease:
    """From pyramidal onto basket and chandelier cells."""
    return HillRelease(0.0, **reference)


def intermediate(**reference: float) -> HillRelease:
    """Elsewhere, GABA's terminals among them: the mean of both curves."""
    return HillRelease(0.5, **reference)
