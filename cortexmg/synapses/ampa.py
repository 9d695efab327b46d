"""AMPA receptors: fast excitation."""

import equinox as eqx

from cortexmg.factors import Factor
from cortexmg.part import PerCell, members, quantity
from cortexmg.permeation import CATIONS
from cortexmg.synapses.two_exponential import TwoExponentialKinetics, TwoExponentialSynapse


class AMPA(TwoExponentialSynapse):
    """Fast cation conductance; one arrival of weight w peaks at w * gain nS.

    With `e=None` sodium and potassium set the reversal, and pools see what it carries.
    The time constants are an assumption, generic for cortex; 0.2 and 1.7 ms are those of
    Chindemi et al. (2022, doi:10.1038/s41467-022-30214-w).
    """

    permeant = CATIONS

    kinetics: TwoExponentialKinetics = TwoExponentialKinetics(0.5, 3.0, 2.4)
    e: PerCell | None = quantity("mV", 0.0, optional=True)
    gain: PerCell = quantity("1", 1.0, low=0.0)
    transmitter: str = eqx.field(static=True, default="glutamate")
    factors: dict[str, Factor] = members()
