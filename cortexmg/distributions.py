"""What weights (nS) and delays (ms) are drawn from; a plain number means the same for all."""

import abc

import numpy as np

from cortexmg.part import Part, quantity

UNIT = "(nS for weights, ms for delays)"


class Distribution(Part):
    """What independent non-negative numbers are drawn from."""

    @abc.abstractmethod
    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """`size` independent draws, float32."""


class Uniform(Distribution):
    """Every value between `low` and `high` equally likely."""

    low: float = quantity(UNIT, low=0.0)
    high: float = quantity(UNIT, low=0.0)

    def check_rules(self) -> None:
        if self.low > self.high:
            raise ValueError(f"Uniform needs low <= high, got low={self.low} and high={self.high}.")

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        x = rng.random(size, dtype=np.float32)
        x *= self.high - self.low
        x += self.low
        return x


class Normal(Distribution):
    """A normal distribution cut off at `low`: what falls at or below it is drawn again.

    `mean` and `sd` are those before the cut. With u = (mean - low) / sd, phi and Phi the standard
    normal density and distribution function, the mean that remains is
    mean + sd * phi(u) / Phi(u): for a cut at 0, 0.1 % larger for sd = mean / 3, 3 % for mean / 2
    and 29 % for sd = mean, the largest allowed.
    """

    mean: float = quantity(UNIT, above=0.0)
    sd: float = quantity(UNIT, low=0.0)
    low: float = quantity(UNIT, 0.0, low=0.0)

    def check_rules(self) -> None:
        if self.sd > self.mean - self.low or self.low == self.mean:
            below = f" - low, got low={self.low}," if self.low else ", got"
            raise ValueError(
                f"Normal needs sd <= mean{below} mean={self.mean} and sd={self.sd}: the part cut "
                f"off would no longer be small; use LogNormal, which is positive by itself."
            )

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        x = self._uncut(rng, size)
        cut = np.flatnonzero(x <= self.low)
        while cut.size:
            x[cut] = self._uncut(rng, cut.size)
            cut = cut[x[cut] <= self.low]
        return x

    def _uncut(self, rng, size):
        x = rng.standard_normal(size, dtype=np.float32)
        x *= self.sd
        x += self.mean
        return x


class LogNormal(Distribution):
    """A log-normal distribution with this mean and sd (of the values, not of their logarithm)."""

    mean: float = quantity(UNIT, above=0.0)
    sd: float = quantity(UNIT, low=0.0)

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        variance = np.log1p((self.sd / self.mean) ** 2)  # of the logarithm
        x = rng.standard_normal(size, dtype=np.float32)
        x *= np.sqrt(variance)
        x += np.log(self.mean) - variance / 2.0
        return np.exp(x, out=x)


class ByDistance(Part):
    """Delays that grow with distance: `offset` at the synapse, then conduction at `speed`.

    The offset must be positive: cells of two populations can share one place on the sheet, and
    every delay is longer than zero.
    """

    speed: float = quantity("um/ms", above=0.0)
    offset: float = quantity("ms", above=0.0)

    def at(self, distance: np.ndarray) -> np.ndarray:
        """Delay (ms, float32) over each distance (um)."""
        return (self.offset + np.asarray(distance) / self.speed).astype(np.float32)
