"""GABA_A receptors: fast inhibition."""

import equinox as eqx

from cortexmg.factors import Factor
from cortexmg.part import PerCell, members, quantity
from cortexmg.permeation import ANIONS
from cortexmg.synapses.two_exponential import TwoExponentialKinetics, TwoExponentialSynapse


class GABAA(TwoExponentialSynapse):
    """Chloride conductance; one arrival of weight w peaks at w * gain nS.

    With `e=None` chloride and bicarbonate set the reversal, and pools see what it carries.
    Time constants and reversal are an assumption, usual in network models of cortex
    (physiological reversal: -75 to -70 mV).
    """

    permeant = ANIONS

    kinetics: TwoExponentialKinetics = TwoExponentialKinetics(0.2, 8.0, 2.25)
    e: PerCell | None = quantity("mV", -80.0, optional=True)
    gain: PerCell = quantity("1", 1.0, low=0.0)
    transmitter: str = eqx.field(static=True, default="gaba")
    factors: dict[str, Factor] = members()
