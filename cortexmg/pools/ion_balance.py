"""Sodium, potassium and chloride inside a cell."""

from dataclasses import replace

import jax.numpy as jnp

from cortexmg.environment import Environment
from cortexmg.numerics import Total, add
from cortexmg.part import PerCell, Scalar, quantity
from cortexmg.pools.pool import Pool
from cortexmg.units import mM_per_pA_ms


class IonBalance(Pool):
    """Sodium, potassium and chloride that currents move through the membrane, none of it lost.

    What a cell gains its own share of the space outside loses, `ratio` times as much in
    concentration, as in Huebel and Dahlem (2014, PLoS Comput Biol 10:e1003941). At the beginning
    all are those of the environment. Potassium outside, which cells share, is left to
    `tissues.Potassium`. Assumptions: sodium and chloride outside reach neither other cells nor the
    bath, so that cells that fire strongly for more than ten seconds use sodium up; the charge of
    calcium that enters and of bicarbonate that leaves enters as sodium in the end, by the
    exchangers that bring calcium and protons out. What carries no ions is not counted: stimulus
    currents, `Leak`, and receptors with a fixed reversal.
    """

    ions = ("na", "k", "cl")
    others = ("ca", "hco3")

    volume: PerCell = quantity("um3", 2160.0, above=0.0)  # inside
    ratio: PerCell = quantity("1", 3.0, low=0.0)  # of the volumes inside and outside

    def init(self, v: PerCell, env: Environment) -> dict[str, Total]:
        zero = jnp.zeros_like(v)
        return {ion: Total(zero + env.ions[ion].inside, zero) for ion in self.ions}

    def step(
        self, state: dict[str, Total], currents: dict[str, PerCell], env: Environment, dt: Scalar
    ) -> dict[str, Total]:
        gain = {ion: mM_per_pA_ms(env.ions[ion].valence, 1.0) for ion in self.ions}
        exchanged = sum(currents.get(ion, 0.0) for ion in self.others)
        currents = currents | {"na": currents["na"] + exchanged}
        return {
            ion: add(state[ion], -dt * gain[ion] / self.volume * currents[ion]) for ion in self.ions
        }

    def local(self, state: dict[str, Total], env: Environment) -> Environment:
        ions = dict(env.ions)
        for ion in self.ions:
            here, inside = env.ions[ion], state[ion].value
            outside = here.outside
            if ion != "k":
                outside = outside - self.ratio * (inside - here.inside)
            ions[ion] = replace(here, inside=inside, outside=outside)
        return replace(env, ions=ions)
