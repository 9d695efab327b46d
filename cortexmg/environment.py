"""The ion environment: concentrations on both sides of the membrane, and temperature."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from cortexmg.part import Part, PerCell, Scalar, as_python, quantity, shown
from cortexmg.units import FARADAY, GAS, KELVIN

# mM: twice what sea water and the axons of squid hold, and twice its magnesium for ions of two
# charges. What is larger was not meant in mM.
MOST, MOST_OF_TWO = 1000.0, 100.0


class Ion(Part):
    """One kind of ion: free concentration outside and inside the cells. 0 is legal."""

    outside: PerCell = quantity("mM", low=0.0, high=MOST)
    inside: PerCell = quantity("mM", low=0.0, high=MOST)
    valence: int = eqx.field(static=True, converter=as_python)

    def check_rules(self) -> None:
        number = isinstance(self.valence, int) and not isinstance(self.valence, bool)
        if not number or self.valence == 0:
            raise ValueError(
                f"Ion.valence must be a whole number that is not 0, such as 2 or -1, got "
                f"{shown(self.valence)}."
            )
        if abs(self.valence) == 1:
            return
        for side, mM in (("outside", self.outside), ("inside", self.inside)):
            # As NumPy's: within a function that JAX transforms its own would be traced.
            if not isinstance(mM, Tracer) and (most := np.max(np.asarray(mM))) > MOST_OF_TWO:
                raise ValueError(
                    f"Ion.{side} must be at least 0 and at most {MOST_OF_TWO:g} mM for an ion of "
                    f"two charges, got {most:g}: check its unit."
                )


class Environment(Part):
    """What bathes the cells. Every mechanism that depends on an ion reads it here."""

    ions: dict[str, Ion]
    temperature: Scalar = quantity("degC", 36.0, low=0.0, high=50.0)
    noradrenaline: PerCell = quantity("1", 1.0, low=0.0)  # relative to waking

    def reversal(self, ion: str) -> PerCell:
        """Nernst potential (mV) of `ion`."""
        kind = self.ions[ion]
        return self.nernst(kind.outside, kind.inside, kind.valence)

    def nernst(self, outside: PerCell, inside: PerCell, valence: int) -> PerCell:
        """The potential (mV) at which such concentrations (mM) are in equilibrium."""
        slope = 1e3 * GAS * (self.temperature + KELVIN) / (valence * FARADAY)
        # A concentration of 0 has no finite potential; 1e-9 mM stands for it. With less than 5 uM
        # of calcium outside, calcium flows out of depolarised cells.
        return slope * (jnp.log(outside + 1e-9) - jnp.log(inside + 1e-9))

    def faster(self, q10: PerCell) -> PerCell:
        """By how much a rate known at 36 degrees is larger here; exactly 1 at 36 degrees."""
        return q10 ** ((self.temperature - 36.0) / 10.0)

    def with_inside(self, ion: str, concentration: PerCell) -> "Environment":
        """The same environment seen by cells that hold `concentration` mM of `ion`."""
        return self._with(ion, inside=concentration)

    def with_outside(self, ion: str, concentration: PerCell) -> "Environment":
        """The same environment with `concentration` mM of `ion` outside of the cells."""
        return self._with(ion, outside=concentration)

    def _with(self, ion: str, **sides: PerCell) -> "Environment":
        return replace(self, ions={**self.ions, ion: replace(self.ions[ion], **sides)})


def acsf(mg: PerCell = 1.0, ca: PerCell = 2.0, k: PerCell = 3.5) -> Environment:
    """Artificial cerebrospinal fluid of slice experiments (mM, all free), at 36 degrees.

    "Magnesium-free" fluid still holds 0.02 to 0.08 mM of contaminating magnesium.
    """
    return _environment(mg, ca, k)


def in_vivo(mg: PerCell = 0.8, ca: PerCell = 1.2, k: PerCell = 3.5) -> Environment:
    """Cerebrospinal fluid of the awake brain: ionised concentrations (mM), at 37 degrees.

    Ionised magnesium is 0.80 +- 0.10 of 1.25 mM in total (McKee et al. 2005, Crit Care Med 33).
    """
    return _environment(mg, ca, k, temperature=37.0)


def _environment(mg: PerCell, ca: PerCell, k: PerCell, temperature: Scalar = 36.0) -> Environment:
    ions = {
        "mg": Ion(mg, 0.5, 2),
        "ca": Ion(ca, 2.4e-4, 2),
        "k": Ion(k, 140.0, 1),
        "na": Ion(144.0, 12.0, 1),
        "cl": Ion(130.0, 7.0, -1),
        "hco3": Ion(26.0, 15.0, -1),  # at pH 7.4 and 7.2, in 5 % carbon dioxide
        "zn": Ion(5e-6, 1e-9, 2),
    }
    return Environment(ions, temperature)
