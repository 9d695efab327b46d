"""Release that never changes."""

from jaxtyping import Array, Float

from cortexmg.environment import Environment
from cortexmg.part import PerCell, Scalar
from cortexmg.releases.release import Release


class Certain(Release):
    """Every spike releases the same amount, 1, at every contact."""

    def init(self, n: int) -> None:
        del n

    def step(
        self, state: None, amount: Float[Array, " n"], env: Environment, dt: Scalar
    ) -> tuple[None, PerCell]:
        del env, dt
        return state, amount
