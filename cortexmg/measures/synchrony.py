"""How far the cells of a population fire together: correlation, chi, power in a band."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from cortexmg.measures.measure import CountMeasure, Counts, ratio
from cortexmg.network import Network
from cortexmg.part import number, shown


class Correlation(CountMeasure):
    """Mean over all pairs of the Pearson correlation of counts in `bin` ms."""

    tolerance, least, most = 0.01, -1.0, 1.0

    bin: float = eqx.field(static=True, default=50.0)  # ms

    def of(self, counts: Counts) -> Float[Array, ""]:
        variance, varies = jnp.var(counts, axis=0, ddof=1), _varies(counts)
        scale = jnp.where(varies, 1.0 / jnp.sqrt(jnp.where(varies, variance, 1.0)), 0.0)
        m = jnp.sum(varies)
        summed = jnp.var(counts @ scale, ddof=1)
        return ratio(summed - m, m * (m - 1.0), m >= 2)


def _varies(counts: Counts) -> Bool[Array, " n"]:
    """Which cells have different counts: the variance of equal ones is often not quite 0."""
    return jnp.max(counts, axis=0) > jnp.min(counts, axis=0)


class Synchrony(CountMeasure):
    """Chi, as `statistics.synchrony`, of spike counts in `bin` ms: 1 if all cells fire together."""

    tolerance, least, most = 0.02, 0.0, 1.0

    bin: float = eqx.field(static=True, default=10.0)  # ms

    def of(self, counts: Counts) -> Float[Array, ""]:
        single, fired = jnp.mean(jnp.var(counts, axis=0)), jnp.any(_varies(counts))
        together = ratio(jnp.var(jnp.mean(counts, axis=1)), single, fired)
        some = together > 0  # the root has no derivative at 0
        chi = jnp.where(some, jnp.sqrt(jnp.where(some, together, 1.0)), 0.0)
        return jnp.where(fired, chi, jnp.nan)


class BandPower(CountMeasure):
    """Share of the variance of the population rate between `low` and `high` Hz."""

    tolerance, least, most = 0.05, 0.0, 1.0

    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)
    bin: float = eqx.field(static=True, default=5.0)  # ms

    def check_rules(self) -> None:
        super().check_rules()
        numbers = number(self.low) is not None and number(self.high) is not None
        if not numbers or not 0.0 <= self.low < self.high <= 500.0 / self.bin:
            raise ValueError(
                f"BandPower needs 0 <= low < high <= {500.0 / self.bin:g} Hz, half the rate of its "
                f"bins, got low={shown(self.low)} and high={shown(self.high)}."
            )

    def of(self, counts: Counts) -> Float[Array, ""]:
        total = jnp.sum(counts, axis=1)
        n = total.shape[0]
        # Of each frequency and its negative, but for 0 and Nyquist's.
        both = np.full(n // 2 + 1, 2.0)
        both[0] = 1.0
        both[n // 2] = 1.0 if n % 2 == 0 else 2.0
        power = both * jnp.abs(jnp.fft.rfft(total - jnp.mean(total))) ** 2
        changes = jnp.max(total) > jnp.min(total)
        return ratio(jnp.sum(power[self._inside(n)]), jnp.sum(power), changes)

    def check(self, network: Network, duration: float) -> None:
        CountMeasure.check(self, network, duration)
        if not np.any(self._inside(round(duration / self.bin))):
            raise ValueError(
                f"{shown(self)} has no frequency of a run of {duration:g} ms, which has every "
                f"{1e3 / duration:g} Hz: measure for longer or take a wider band."
            )

    def _inside(self, n: int) -> np.ndarray:
        """Which frequencies of `n` bins are in the band; the highest of all is where it ends."""
        frequencies = np.arange(n // 2 + 1) * 1e3 / (n * self.bin)
        low, high = (edge * (1.0 - 1e-9) for edge in (self.low, self.high))  # but for rounding
        top = high >= 499.9999 / self.bin
        return (frequencies >= low) & ((frequencies < high) | top)
