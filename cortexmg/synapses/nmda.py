"""NMDA receptors: slow excitation that magnesium gates by voltage."""

from typing import Any, NamedTuple

import equinox as eqx

from cortexmg.environment import Environment
from cortexmg.factors import Factor, product
from cortexmg.magnesium import Block, Woodhull
from cortexmg.membrane import Pathway
from cortexmg.part import PerCell, Scalar, members, quantity
from cortexmg.permeation import CATIONS
from cortexmg.synapses.synapse import Synapse
from cortexmg.synapses.two_exponential import TwoExponential, TwoExponentialKinetics


class NMDAState(NamedTuple):
    """Glutamate bound, and the magnesium block."""

    binding: TwoExponential
    block: Any


class NMDA(Synapse):
    """Slow cation conductance, let through only where magnesium is pushed aside.

    One arrival of weight w peaks at w * gain nS when no magnesium is present, so `gain` is the
    NMDA to AMPA ratio of a contact. The block is that of Jahr and Stevens unless another one of
    `cortexmg.magnesium` is given. State per cell: linear kinetics, no saturation. The time
    constants are an assumption, between those of Hill and Tononi (2005,
    doi:10.1152/jn.00915.2004; 4 and 40 ms) and of Brunel and Wang (2001,
    doi:10.1023/A:1011204814320; 2 and 100 ms). With `e=None` sodium and potassium set the
    reversal, and pools see what it carries of them; they see its calcium in any case.
    """

    permeant = CATIONS

    kinetics: TwoExponentialKinetics = TwoExponentialKinetics(2.0, 80.0, 1.7)
    block: Block = Woodhull()
    e: PerCell | None = quantity("mV", 0.0, optional=True)
    gain: PerCell = quantity("1", 1.0, low=0.0)
    transmitter: str = eqx.field(static=True, default="glutamate")
    factors: dict[str, Factor] = members()

    def init(self, v: PerCell, env: Environment) -> NMDAState:
        return NMDAState(self.kinetics.init(v), self.block.init(v, env))

    def step(
        self, state: NMDAState, arrivals: PerCell, v: PerCell, env: Environment, dt: Scalar
    ) -> NMDAState:
        return NMDAState(
            self.kinetics.step(state.binding, self.gain * arrivals, env, dt),
            self.block.step(state.block, v, env, dt),
        )

    @property
    def needs(self) -> tuple[str, ...]:
        return (*super().needs, "ca")

    def bound(self, state: NMDAState) -> PerCell:
        return state.binding.decay - state.binding.rise

    def pathway(self, state: NMDAState, v: PerCell, env: Environment) -> Pathway:
        opened = self.bound(state) * self.block.unblocked(state.block, v, env)
        return Pathway(opened * product(self.factors, env), self.reversal(env))

    def carried(
        self, state: NMDAState, path: Any, v: PerCell, env: Environment
    ) -> dict[str, PerCell]:
        """Calcium: 2.6 % of the conductance at 1 mM outside, 5.1 % at 2 mM, reversing at 40 mV.

        Schneggenburger et al. (1993) and Jahr and Stevens (1993), as Chindemi et al. (2022,
        doi:10.1038/s41467-022-30214-w) combine them. Assumption: it takes the place of sodium.
        """
        found, four = super().carried(state, path, v, env), 4.0 * env.ions["ca"].outside
        calcium = 0.6 * four / (four + 120.0 / 1.38) * path.g * (v - 40.0)
        if "na" in found:
            found["na"] = found["na"] - calcium
        return found | {"ca": calcium}
