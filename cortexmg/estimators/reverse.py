"""Reverse mode: the loss is followed back through a run."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from cortexmg.estimators.estimator import Estimate, Estimator, Slope, finite_runs, mean_over_seeds
from cortexmg.protocol import Protocol
from cortexmg.recipe import Recipe
from cortexmg.tangents import Tangents


class Reverse(Estimator):
    """One backward pass for any number of parameters, after runs that tell where the loss is."""

    gives_sensitivity = False

    tangents: Tangents = eqx.field(default_factory=Tangents)

    def estimate(
        self, protocol: Protocol, u: Float[np.ndarray, " p"], keys: Key[Array, " s"], slope: Slope
    ) -> Estimate:
        us, seeds = np.repeat(u[None], keys.shape[0], axis=0), keys.shape[0]
        statistics = finite_runs(protocol, us[:, None], keys)[:, 0]
        # The mean is over the seeds in which a statistic is defined.
        share = seeds / np.maximum(1, np.isfinite(statistics).sum(axis=0))
        slopes = slope(mean_over_seeds(statistics)) * share
        given = jnp.asarray(slopes.reshape(len(protocol.conditions), -1), float)
        gradients = protocol.members(back, self.tangents, us, keys, given).sum(axis=1)
        if np.all(np.isfinite(slopes)):  # a loss without a slope is no overflow of derivatives
            gradients = np.where(np.isfinite(gradients), gradients, np.inf)  # inf - inf is NaN
        return Estimate(statistics, gradients, None, 2 * seeds * len(protocol.conditions))


def back(recipe: Recipe, tangents: Tangents, network: Any, u: Array, condition, key, slopes: Array):
    """The derivative by all coordinates of the statistics of a run, weighted by `slopes`."""

    def f(u):
        return recipe.statistics(network, u, condition, key, tangents)

    statistics, pull = jax.vjp(f, u)
    return pull(jnp.where(jnp.isnan(statistics), 0.0, slopes[condition]))[0]
