"""Sodium, potassium and chloride inside a cell."""

import jax.numpy as jnp

from cortexmg.environment import Environment
from cortexmg.numerics import Total, add
from cortexmg.part import PerCell, Scalar, quantity
from cortexmg.pools.pool import Pool
from cortexmg.units import mM_per_pA_ms


class IonBalance(Pool):
    """Sodium, potassium and chloride that currents move through the membrane.

    As in Huebel and Dahlem (2014, PLoS Comput Biol 10:e1003941). At the beginning all are those of
    the environment. What leaves the cell a `tissues.ExtracellularSpace` gains, so that none is
    lost; without one, what is outside stays that of the environment. Assumption: the charge of
    calcium that enters and of bicarbonate that leaves enters as sodium in the end, by the
    exchangers that bring calcium and protons out. Not counted is what carries no ions: stimulus
    currents, `Leak`, receptors with a fixed reversal, and resets of the voltage after spikes.
    """

    ions = ("na", "k", "cl")
    others = ("ca", "hco3")

    volume: PerCell = quantity("um3", 2160.0, above=0.0)  # inside

    def init(self, v: PerCell, env: Environment) -> dict[str, Total]:
        zero = jnp.zeros_like(v)
        return {ion: Total(zero + env.ions[ion].inside, zero) for ion in self.ions}

    def exchanged(self, currents: dict[str, PerCell]) -> dict[str, PerCell]:
        return currents | {"na": sum(currents.get(ion, 0.0) for ion in ("na", *self.others))}

    def step(
        self, state: dict[str, Total], currents: dict[str, PerCell], env: Environment, dt: Scalar
    ) -> dict[str, Total]:
        gain = {ion: mM_per_pA_ms(env.ions[ion].valence, 1.0) for ion in self.ions}
        return {
            ion: add(state[ion], -dt * gain[ion] / self.volume * currents[ion]) for ion in self.ions
        }

    def local(self, state: dict[str, Total], env: Environment) -> Environment:
        for ion in self.ions:
            env = env.with_inside(ion, state[ion].value)
        return env
