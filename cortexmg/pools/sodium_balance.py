"""Sodium inside a cell, and what follows from it."""

from dataclasses import replace

import jax.numpy as jnp

from cortexmg.environment import Environment
from cortexmg.numerics import Total, add
from cortexmg.part import PerCell, Scalar, quantity
from cortexmg.pools.pool import Pool
from cortexmg.units import mM_per_pA_ms


class SodiumBalance(Pool):
    """Sodium that currents move; sodium outside and potassium inside make up for it.

    [Na]o falls by `ratio`, of the volumes inside and outside, times what [Na]i rises, and [K]i
    falls by as much (Cressman et al. 2009, J Comput Neurosci 26:159). Their values without that
    rise, and that of [Na]i, are those of the environment. Assumption: chloride and the charge of
    the membrane are left out of the balance, so potassium is not conserved to the last ion.
    """

    ions = ("na",)
    outside = ("na",)

    volume: PerCell = quantity("um3", 1436.8, above=0.0)  # inside
    ratio: PerCell = quantity("1", 7.0, low=0.0)
    start: PerCell | None = quantity("mM", None, low=0.0, optional=True)  # of sodium inside

    def init(self, v: PerCell, env: Environment) -> Total:
        zero = jnp.zeros_like(v)
        return Total(zero + (env.ions["na"].inside if self.start is None else self.start), zero)

    def step(
        self, state: Total, currents: dict[str, PerCell], env: Environment, dt: Scalar
    ) -> Total:
        del env
        return add(state, -dt * mM_per_pA_ms(1, 1.0) / self.volume * currents["na"])

    def local(self, state: Total, env: Environment) -> Environment:
        na, k = env.ions["na"], env.ions["k"]
        rise = state.value - na.inside
        sodium = replace(na, inside=state.value, outside=na.outside - self.ratio * rise)
        potassium = replace(k, inside=k.inside - rise)
        return replace(env, ions={**env.ions, "na": sodium, "k": potassium})
