"""Forward mode: tangents that travel along with a run."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from cortexmg.estimators.estimator import (
    Estimate,
    Estimator,
    Slope,
    check_finite,
    mean_over_seeds,
    pulled,
)
from cortexmg.protocol import Protocol
from cortexmg.recipe import Recipe
from cortexmg.tangents import Tangents


class Forward(Estimator):
    """One tangent per parameter: for few parameters, in memory that does not grow with time."""

    tangents: Tangents = eqx.field(default_factory=Tangents)

    def estimate(
        self, protocol: Protocol, u: Float[np.ndarray, " p"], keys: Key[Array, " s"], slope: Slope
    ) -> Estimate:
        us, seeds = np.repeat(u[None], keys.shape[0], axis=0), keys.shape[0]
        # Tangents of one run visit the rows of its spikes together; those of several could not.
        found, told = protocol.members(pushed, self.tangents, us, keys, alone=True)
        statistics, sensitivity = found.reshape(seeds, -1), told.reshape(seeds, -1, u.size)
        check_finite(protocol, us, statistics)
        sensitivity = np.where(np.isfinite(sensitivity), sensitivity, np.inf)  # inf - inf is NaN
        sensitivity = np.where(np.isnan(statistics)[..., None], np.nan, sensitivity)
        gradients = pulled(slope(mean_over_seeds(statistics)), sensitivity)
        return Estimate(statistics, gradients, sensitivity, seeds * len(protocol.conditions))


def pushed(recipe: Recipe, tangents: Tangents, network: Any, u: Array, condition: Any, key: Any):
    """Statistics of a run, and their derivatives by all coordinates [q, p]."""

    def f(u):
        return recipe.statistics(network, u, condition, key, tangents)

    def along(direction):
        return jax.jvp(f, (u,), (direction,))

    return jax.vmap(along, out_axes=(None, -1))(jnp.eye(u.size, dtype=u.dtype))
