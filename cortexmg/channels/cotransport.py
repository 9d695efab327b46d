"""KCC2: chloride and potassium leave the cell together."""

import jax.numpy as jnp

from cortexmg.channels.channel import Ungated
from cortexmg.environment import Environment
from cortexmg.evidence import Evidence, Mechanism
from cortexmg.membrane import Current, Pathway
from cortexmg.part import PerCell, quantity

CARRIED = ("k", "cl")


class KCC2(Ungated, Mechanism):
    """rate ln([K]i [Cl]i / ([K]o [Cl]o)) of either ion out of the cell, and no net current.

    It stops where chloride is in equilibrium at the potential of potassium, and turns round where
    potassium outside rises above that. Wei, Ullah and Schiff (2014, J Neurosci 34:11733), who have
    0.3 mM/s. A rate of 60 pA is that in 2,070 um3, about the volume of a Huebel-Dahlem cell.
    """

    evidence = Evidence(
        "potassium outside takes chloride into cells, which weakens GABA_A receptors",
        CARRIED,
        "supported",
        "Wei, Ullah & Schiff 2014",
    )

    rate: PerCell = quantity("pA", 60.0, low=0.0)

    @property
    def carries(self) -> tuple[str, ...]:
        return CARRIED

    def pathway(self, state: None, v: PerCell, env: Environment) -> Current:
        del state, env
        return Current(jnp.zeros_like(v))

    def carried(
        self, state: None, path: Pathway | Current, v: PerCell, env: Environment
    ) -> dict[str, PerCell]:
        del state, path, v
        out = self.turnover(env)
        return {"k": out, "cl": -out}

    def turnover(self, env: Environment) -> PerCell:
        """Potassium that leaves, as a current (pA); chloride is as much the other way."""
        k, cl = env.ions["k"], env.ions["cl"]
        inside, outside = k.inside * cl.inside, k.outside * cl.outside
        # 0 mM outside has no finite potential; see Environment.nernst.
        return self.rate * (jnp.log(inside + 1e-9) - jnp.log(outside + 1e-9))
