"""Depression that takes seconds to recover from, on top of another release."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence, Mechanism
from cortexmg.numerics import relax_gate
from cortexmg.part import PerCell, Scalar, quantity
from cortexmg.releases.release import Release, check_average
from cortexmg.releases.tsodyks_markram import TsodyksMarkram


class Supply(NamedTuple):
    """State of the release itself, and the share that slow depression has taken of it."""

    release: Any
    lost: PerCell


class SlowDepression(Release, Mechanism):
    """`release` with a second, weaker depression that follows what is released.

    Synapses onto layer 2/3 of visual cortex have both; the slow one recovers within several
    seconds: Varela et al. (1997, doi:10.1523/JNEUROSCI.17-20-07926.1997; 9.2 s as others quote it).
    Refilling the vesicles that were ready takes 4 s in hippocampus: Wesseling and Lo (2002,
    doi:10.1523/JNEUROSCI.22-22-09708.2002), and the intervals between bursts of CA3 follow the
    recovery of its synapses: Staley et al. (2001, J Neurophysiol 86:2736).

    A spike that makes `release` release 1, as the first after a rest at the reference does, takes
    `share` of what is left, and one that makes it release k takes 1 - (1 - share)^k. So more
    calcium or less magnesium, by the factors of `release`, depress more. That it goes with what is
    released, and the default share, are assumptions.
    """

    evidence = Evidence(
        "release depresses contacts for seconds",
        (),
        "assumption",
        "Varela et al. 1997; Wesseling & Lo 2002; share and form assumed",
    )

    release: Release = TsodyksMarkram()
    share: PerCell = quantity("1", 0.025, low=0.0, high=0.99)
    tau: PerCell = quantity("ms", 9200.0, above=0.0)

    def check_rules(self) -> None:
        check_average("SlowDepression.release", self.release)

    def init(self, n: int) -> Supply:
        return Supply(self.release.init(n), jnp.zeros(n))

    def step(
        self, state: Supply, amount: Float[Array, " n"], env: Environment, dt: Scalar
    ) -> tuple[Supply, PerCell]:
        inner, released = self.release.step(state.release, amount, env, dt)
        # What is lost, for what is left is so close to 1 that single precision would lose digits.
        lost = relax_gate(state.lost, 0.0, 1.0 / self.tau, dt)
        taken = -jnp.expm1(released * jnp.log1p(-self.share))
        return Supply(inner, lost + (1.0 - lost) * taken), released * (1.0 - lost)

    def largest(self) -> PerCell:
        return self.release.largest()
