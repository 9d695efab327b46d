"""AMPA receptors: fast excitation."""

import equinox as eqx

from cortexmg.factors import Factor
from cortexmg.part import PerCell, members, quantity
from cortexmg.synapses.two_exponential import TwoExponentialKinetics, TwoExponentialSynapse


class AMPA(TwoExponentialSynapse):
    """Fast cation conductance; one arrival of weight w peaks at w * gain nS.

    The time constants are an assumption, generic for cortex; 0.2 and 1.7 ms are those of
    Chindemi et al. (2022, doi:10.1038/s41467-022-30214-w).
    """

    kinetics: TwoExponentialKinetics = TwoExponentialKinetics(0.5, 3.0, 2.4)
    e: PerCell = quantity("mV", 0.0)
    gain: PerCell = quantity("1", 1.0, low=0.0)
    transmitter: str = eqx.field(static=True, default="glutamate")
    factors: dict[str, Factor] = members(Factor)
