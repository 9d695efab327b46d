"""How irregular spikes of single cells are: CV of intervals, Fano factor of counts."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cortexmg.measures.measure import CountMeasure, Counts, mean_where, ratio


class CV(CountMeasure):
    """Coefficient of variation of interspike intervals, mean over cells with three spikes.

    Intervals are counted in whole bins: two spikes in one bin count as one, and a cell whose CV is
    below 0.001 has 0. A count that is not
    whole, as a tangent makes it, restarts the clock of its cell in that proportion.
    """

    least = 0.0

    bin: float = eqx.field(static=True, default=1.0)  # ms

    def of(self, counts: Counts) -> Float[Array, ""]:
        def interval(carry, count):
            c = jnp.where(count > 1.0, 1.0, count)
            elapsed, begun, m, total, squares = carry
            elapsed, ended = elapsed + 1.0, c * begun
            sums = m + ended, total + ended * elapsed, squares + ended * elapsed**2
            return ((1.0 - c) * elapsed, begun + c - begun * c, *sums), None

        zeros = jnp.zeros(counts.shape[1], counts.dtype)
        (_, _, m, total, squares), _ = jax.lax.scan(interval, (zeros,) * 5, counts)
        enough = m >= 1.5  # two whole intervals
        mean = jnp.where(enough, total / jnp.where(enough, m, 1.0), 1.0)
        variance = ratio(squares - m * mean**2, m - 1.0, enough)
        # Equal intervals: the root has no derivative at 0.
        varies = enough & (variance > 1e-6 * mean**2)
        sd = jnp.where(varies, jnp.sqrt(jnp.where(varies, variance, 1.0)), 0.0)
        return mean_where(enough, sd / mean)


class Fano(CountMeasure):
    """Variance over mean of a cell's spike counts in windows of `bin` ms, mean over cells."""

    least = 0.0

    bin: float = eqx.field(static=True, default=100.0)  # ms

    def of(self, counts: Counts) -> Float[Array, ""]:
        mean = jnp.mean(counts, axis=0)
        fired = mean > 0
        return mean_where(fired, ratio(jnp.var(counts, axis=0, ddof=1), mean, fired))
