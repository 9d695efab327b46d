"""Firing rates."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from cortexmg.measures.measure import CountMeasure, Counts

LEAST = 0.1  # Hz: rates are compared in the logarithm of rate + LEAST, finite where none fires


class Rate(CountMeasure):
    """Firing rate averaged over all cells (Hz), compared as log(rate + 0.1 Hz)."""

    least, floor = 0.0, LEAST

    bin: float = eqx.field(static=True, default=5.0)  # ms

    def of(self, counts: Counts) -> Float[Array, ""]:
        return jnp.mean(counts) * (1e3 / self.bin)


class CellRates(CountMeasure):
    """Firing rate of each cell (Hz), compared as log(rate + 0.1 Hz); one number per cell."""

    tolerance, least, floor = 0.5, 0.0, LEAST

    bin: float = eqx.field(static=True, default=5.0)  # ms

    def of(self, counts: Counts) -> Float[Array, " n"]:
        return jnp.mean(counts, axis=0) * (1e3 / self.bin)
