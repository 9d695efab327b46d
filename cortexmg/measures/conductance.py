"""Synaptic conductances and voltage, averaged over cells and time."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from cortexmg.measures.measure import Measure, ratio
from cortexmg.recorders import Conductance, Probe, Recorder


class MeanConductance(Measure):
    """Mean open conductance of a receptor (nS), compared as log(conductance + 0.001 nS)."""

    least, floor = 0.0, 1e-3

    receptor: str = eqx.field(static=True)
    every: float = eqx.field(static=True, default=5.0)  # ms

    @property
    def recorders(self) -> dict[str, Recorder]:
        return {"g": Conductance(self.population, self.receptor, self.every)}

    def value(self, recorded: dict[str, Any]) -> Float[Array, ""]:
        return jnp.mean(recorded["g"].open)


class ConductanceRatio(Measure):
    """Mean open conductance of one receptor over another's, compared as log(ratio + 0.001)."""

    least, floor = 0.0, 1e-3

    over: str = eqx.field(static=True)
    under: str = eqx.field(static=True)
    every: float = eqx.field(static=True, default=5.0)  # ms

    @property
    def recorders(self) -> dict[str, Recorder]:
        return {
            name: Conductance(self.population, name, self.every) for name in (self.over, self.under)
        }

    def value(self, recorded: dict[str, Any]) -> Float[Array, ""]:
        over, under = (jnp.mean(recorded[name].open) for name in (self.over, self.under))
        return ratio(over, under, under > 0)


class MeanVoltage(Measure):
    """Membrane voltage averaged over cells and time (mV): it has a slope where no cell fires."""

    tolerance = 1.0

    every: float = eqx.field(static=True, default=5.0)  # ms

    @property
    def recorders(self) -> dict[str, Recorder]:
        return {"v": Probe(self.population, "v", None, self.every)}

    def value(self, recorded: dict[str, Any]) -> Float[Array, ""]:
        return jnp.mean(recorded["v"])
