"""Release onto receptors that the last spikes have left occupied."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from cortexmg.environment import Environment
from cortexmg.factors import ReleaseLaw, product
from cortexmg.numerics import anchored, relax
from cortexmg.part import PerCell, Scalar, members, quantity
from cortexmg.releases.release import Release


class Saturating(Release):
    """A spike occupies a fraction of the receptors that are free. The state is what is occupied.

    It replaces a saturating gate ds/dt = -s/tau + a x (1 - s) at every contact: s depends on the
    presynaptic spikes alone, so it is followed once per presynaptic cell, and the receptors see
    its jumps. A spike that binds within a short time fills 1 - exp(-a tau_x) of what is free:
    1 - 1/e for Brunel and Wang (2001, doi:10.1023/A:1011204814320; a = 0.5 /ms, tau_x = 2 ms).
    For s to be a fraction, receptors that rise and decay need a gain of
    peak tau_decay / (tau_decay - tau_rise), with the `peak` of their kinetics.
    k times the transmitter, by the `factors`, leaves (1 - fraction)^k of it free (assumption).
    """

    tau: PerCell = quantity("ms", 100.0, above=0.0)  # decay of the receptors
    fraction: PerCell = quantity("1", 0.6321205588285577, low=0.0, high=0.99)
    factors: dict[str, ReleaseLaw] = members()  # of the transmitter that binds

    def init(self, n: int) -> Float[Array, " n"]:
        return jnp.zeros(n)

    def step(
        self, state: Float[Array, " n"], amount: Float[Array, " n"], env: Environment, dt: Scalar
    ) -> tuple[Float[Array, " n"], PerCell]:
        occupied = relax(state, 0.0, self.tau, dt)
        released = amount * self._bound(env) * (1.0 - occupied)
        return occupied + released, released

    def largest(self) -> PerCell:
        return 1.0

    def _bound(self, env: Environment) -> PerCell:
        """The fraction of free receptors that a spike occupies."""
        if not self.factors:
            return self.fraction
        k = product(self.factors, env)
        bound = -jnp.expm1(k * jnp.log1p(-self.fraction))
        return anchored(bound, self.fraction, (k, 1.0))
