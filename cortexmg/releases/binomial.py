"""Release by chance, at every contact on its own."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from cortexmg.environment import Environment
from cortexmg.noise import words_of
from cortexmg.part import PerCell, Scalar, count, parts
from cortexmg.quantal import Quantal
from cortexmg.releases.certain import Certain
from cortexmg.releases.release import Release, check_average
from cortexmg.releases.tsodyks_markram import TsodyksMarkram

MOST = 100  # sites: programs grow with them


class Binomial(Release):
    """Every contact has `sites`, each of which releases a quantum or none, whatever others do.

    Quantal release: del Castillo and Katz (1954, doi:10.1113/jphysiol.1954.sp005129); per contact
    in a cortical network: Markram et al. (2015, doi:10.1016/j.cell.2015.09.029). `release` says how
    much is released on average. A site releases with the probability p that this is of the most
    that it can be: u x for `TsodyksMarkram`. k of n sites deliver k / (n p) times the average, so
    that the mean over spikes is that of `release`, and the variance (1 - p) / (n p) of its square.

    Depression follows the average, once per presynaptic cell (an assumption): a contact that has
    failed has as much left as one that has not. Derivatives are those of the average, with the
    outcome k / (n p) as a constant. In a sweep members draw the same where their keys are the same.
    Chances are those of 24 bits: the mean of what is less likely than 1 in 16 million is too large.
    """

    varies: ClassVar[bool] = True
    release: Release = TsodyksMarkram()
    sites: int = count(1)

    def check_rules(self) -> None:
        check_average("Binomial.release", self.release)
        if self.sites > MOST:
            raise ValueError(f"Binomial.sites must be at most {MOST}, got {self.sites}.")
        if any(isinstance(x, Certain) and x.factors for x in parts(self.release).values()):
            raise ValueError(
                "Binomial.release has Certain with factors, which says how much is released and "
                "not how likely that is: give TsodyksMarkram(u0, factors=...), of which u0 is the "
                "probability at the reference."
            )

    def init(self, n: int) -> Any:
        return self.release.init(n)

    def step(
        self, state: Any, amount: Float[Array, " n"], env: Environment, dt: Scalar
    ) -> tuple[Any, PerCell]:
        return self.release.step(state, amount, env, dt)

    def largest(self) -> PerCell:
        return self.release.largest()

    def varied(
        self,
        rows: Any,
        amounts: Float[Array, "slots rows"],
        step: Int[Array, "*n"],
        key: Key[Array, ""],
    ) -> Quantal:
        amounts, largest = jax.lax.stop_gradient((amounts, jnp.atleast_1d(self.largest())))
        largest = jnp.asarray(largest, amounts.dtype)
        return Quantal(rows, amounts, largest, step, words_of(key), self.sites)
