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
    mean_over_seeds,
    pulled,
)
from cortexmg.protocol import Protocol
from cortexmg.tangents import Tangents


class Forward(Estimator):
    """One tangent per parameter: for few parameters, in memory that does not grow with time."""

    tangents: Tangents = eqx.field(default_factory=Tangents)

    def estimate(
        self, protocol: Protocol, u: Float[np.ndarray, " p"], keys: Key[Array, " s"], slope: Slope
    ) -> Estimate:
        def pushed(network: Any, u: Array, condition: Array, key: Any):
            def f(u):
                return protocol.of_run(network, u, condition, key, gradients=self.tangents)

            def along(direction):
                return jax.jvp(f, (u,), (direction,))

            return jax.vmap(along, out_axes=(None, -1))(jnp.eye(u.size, dtype=u.dtype))

        us, seeds = np.repeat(u[None], keys.shape[0], axis=0), keys.shape[0]
        found, told = protocol.members(("forward", repr(self)), pushed, us, keys)
        statistics, sensitivity = found.reshape(seeds, -1), told.reshape(seeds, -1, u.size)
        gradients = pulled(slope(mean_over_seeds(statistics)), sensitivity)
        return Estimate(statistics, gradients, sensitivity, seeds * len(protocol.conditions))
