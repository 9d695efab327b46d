"""Passive leak."""

import equinox as eqx

from cortexmg.channels.channel import Ungated
from cortexmg.environment import Environment
from cortexmg.factors import Factor, product
from cortexmg.membrane import Pathway
from cortexmg.part import PerCell, members, quantity


class Leak(Ungated):
    """Conductance that is always open."""

    g: PerCell = quantity("nS", 10.0, above=0.0)
    e: PerCell = quantity("mV", -70.0)
    factors: dict[str, Factor] = members()

    def pathway(self, state: None, v: PerCell, env: Environment) -> Pathway:
        del state, v
        return Pathway(self.g * product(self.factors, env), self.e)


class IonLeak(Ungated):
    """Conductance that is always open, for one ion: it reverses at the potential of that ion."""

    ion: str = eqx.field(static=True, default="k")
    g: PerCell = quantity("nS", 10.0, above=0.0)
    factors: dict[str, Factor] = members()

    def pathway(self, state: None, v: PerCell, env: Environment) -> Pathway:
        del state, v
        return Pathway(self.g * product(self.factors, env), env.reversal(self.ion))
