"""Passive leak."""

from cortexmg.channels.channel import Channel
from cortexmg.environment import Environment
from cortexmg.membrane import Pathway
from cortexmg.part import PerCell, Scalar, quantity


class Leak(Channel):
    """Conductance that is always open."""

    g: PerCell = quantity("nS", 10.0, above=0.0)
    e: PerCell = quantity("mV", -70.0)

    def init(self, v: PerCell, env: Environment) -> None:
        del v, env

    def step(self, state: None, v: PerCell, env: Environment, dt: Scalar) -> None:
        del state, v, env, dt

    def pathway(self, state: None, v: PerCell, env: Environment) -> Pathway:
        del state, v, env
        return Pathway(self.g, self.e)
