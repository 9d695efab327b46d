"""NMDA receptors in the glutamate that terminals release where potassium outside is high."""

from typing import Any

from cortexmg.channels.channel import Channel
from cortexmg.environment import Environment
from cortexmg.evidence import Evidence, Mechanism
from cortexmg.factors import Factor, product
from cortexmg.magnesium import Block, kager_somjen
from cortexmg.membrane import Current, Pathway
from cortexmg.numerics import bounded_exp
from cortexmg.part import PerCell, Scalar, members, quantity
from cortexmg.permeation import CATIONS


class AmbientNMDA(Channel, Mechanism):
    """g_max unblocked / (1 + exp((half_k - [K]o) / slope_k)), carried by sodium and potassium.

    That potassium outside stands for the glutamate it releases, and the block, are those of Kager,
    Wadman and Somjen (2000, doi:10.1152/jn.2000.84.1.495); 13.5 and 1.42 mM are from memory.
    Assumptions: no desensitisation, and no calcium, of which `synapses.NMDA` carries some. It
    reverses where sodium and potassium together put it.
    """

    evidence = Evidence(
        "potassium outside releases glutamate, whose NMDA receptors Mg blocks",
        ("k", "na", "mg"),
        "assumption",
        "form of Kager, Wadman & Somjen 2000",
    )
    largest_dt = 0.1

    g_max: PerCell = quantity("nS", 1.0, low=0.0)
    half_k: PerCell = quantity("mM", 13.5, low=0.0)
    slope_k: PerCell = quantity("mM", 1.42, above=0.0)
    block: Block = kager_somjen()
    factors: dict[str, Factor] = members()

    @property
    def carries(self) -> tuple[str, ...]:
        return CATIONS.ions

    def init(self, v: PerCell, env: Environment) -> Any:
        return self.block.init(v, env)

    def step(self, state: Any, v: PerCell, env: Environment, dt: Scalar) -> Any:
        return self.block.step(state, v, env, dt)

    def pathway(self, state: Any, v: PerCell, env: Environment) -> Pathway:
        bound = 1.0 / (1.0 + bounded_exp((self.half_k - env.ions["k"].outside) / self.slope_k))
        g = self.g_max * bound * self.block.unblocked(state, v, env) * product(self.factors, env)
        return Pathway(g, CATIONS.reversal(env))

    def carried(
        self, state: Any, path: Pathway | Current, v: PerCell, env: Environment
    ) -> dict[str, PerCell]:
        del state
        assert isinstance(path, Pathway)
        return CATIONS.carried(path, v, env)
