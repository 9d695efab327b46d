"""Release that depresses and facilitates with the history of the presynaptic cell."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from cortexmg.environment import Environment
from cortexmg.factors import ReleaseLaw, product
from cortexmg.numerics import relax_gate
from cortexmg.part import PerCell, Scalar, members, quantity
from cortexmg.releases.release import Release


class Resources(NamedTuple):
    """Utilisation, and the fraction that has been used."""

    u: PerCell
    used: PerCell


class TsodyksMarkram(Release):
    """Short-term depression and facilitation.

    Tsodyks, Pawelzik and Markram (1998, doi:10.1162/089976698300017502). At a spike u grows by
    u0 (1 - u), u x is released, and x falls by it; between spikes u decays with `tau_f` and x
    recovers with `tau_d`. What is released is counted in units of u0, so that the first spike
    after a rest delivers the weight of the contact. The defaults depress, as between thick
    tufted layer 5 cells: Markram et al. (2015, doi:10.1016/j.cell.2015.09.029).

    Where `factors` raise u0, what is over it saturates at 1 - u0 (assumption): up to u0 they
    multiply it exactly, and the derivative by an ion is the same on both sides of the reference.
    """

    u0: PerCell = quantity("1", 0.5, low=1e-4, high=1.0)
    tau_d: PerCell = quantity("ms", 671.0, above=0.0)
    tau_f: PerCell = quantity("ms", 17.0, above=0.0)
    factors: dict[str, ReleaseLaw] = members()  # of u0

    def init(self, n: int) -> Resources:
        return Resources(jnp.zeros(n), jnp.zeros(n))

    def step(
        self, state: Resources, amount: Float[Array, " n"], env: Environment, dt: Scalar
    ) -> tuple[Resources, PerCell]:
        u0 = self.probability(env)
        u = relax_gate(state.u, 0.0, 1.0 / self.tau_f, dt)
        # What is used: near 1 what is left would not move in single precision.
        used = relax_gate(state.used, 0.0, 1.0 / self.tau_d, dt)
        released = amount * (u + u0 * (1.0 - u)) * (1.0 - used)
        u = u + amount * u0 * (1.0 - u)
        return Resources(u, used + released), released / self.u0

    def probability(self, env: Environment) -> PerCell:
        """Utilisation at the first spike: u0 times the `factors`, held below 1 smoothly."""
        if not self.factors:
            return self.u0
        u = jnp.minimum(self.u0 * product(self.factors, env), 100.0)  # to the fourth it is finite
        room, over = 1.0 - self.u0, jnp.maximum(u - self.u0, 0.0)
        share = over / (room**4 + over**4 + 1e-24) ** 0.25  # 0 where there is no room
        return jnp.minimum(u, self.u0) + room * jnp.minimum(share, 1.0)

    def largest(self) -> PerCell:
        return 1.0 / jnp.asarray(self.u0)
