"""Release that never changes."""

from jaxtyping import Array, Float

from cortexmg.environment import Environment
from cortexmg.factors import ReleaseLaw, largest, product
from cortexmg.part import PerCell, Scalar, members
from cortexmg.releases.release import Release


class Certain(Release):
    """Every spike releases the same at every contact: 1, or what the `factors` make of it."""

    factors: dict[str, ReleaseLaw] = members()

    def init(self, n: int) -> None:
        del n

    def step(
        self, state: None, amount: Float[Array, " #n"], env: Environment, dt: Scalar
    ) -> tuple[None, PerCell]:
        del dt
        return state, amount * product(self.factors, env)

    def largest(self) -> PerCell:
        return largest(self.factors)
