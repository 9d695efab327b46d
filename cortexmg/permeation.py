"""Ions that pass through one pore together: where their current reverses, and what each carries."""

from typing import NamedTuple

import jax.numpy as jnp

from cortexmg.environment import Environment
from cortexmg.membrane import Pathway
from cortexmg.part import PerCell


class Permeant(NamedTuple):
    """One ion, or two of the same valence, that a pore lets through.

    The current reverses where Goldman (1943, doi:10.1085/jgp.27.1.37) and Hodgkin and Katz (1949,
    doi:10.1113/jphysiol.1949.sp004310) put it. Assumption: each ion has a conductance of its own,
    and their shares are those with which the sum of both currents reverses there.
    """

    first: str
    second: str | None = None
    permeability: float = 1.0  # of the second, relative to the first

    @property
    def ions(self) -> tuple[str, ...]:
        """Their names."""
        return (self.first,) if self.second is None else (self.first, self.second)

    def reversal(self, env: Environment) -> PerCell:
        """Where the current through the pore reverses (mV)."""
        if self.second is None:
            return env.reversal(self.first)
        one, other = env.ions[self.first], env.ions[self.second]
        # 1e-9 mM for none, as in Environment.nernst: so it lies between the reversals of both.
        outside = one.outside + self.permeability * (other.outside + 1e-9)
        inside = one.inside + self.permeability * (other.inside + 1e-9)
        return env.nernst(outside, inside, one.valence)

    def carried(self, path: Pathway, v: PerCell, env: Environment) -> dict[str, PerCell]:
        """Outward current (pA) of each ion at `v` mV; together g (v - e) of the path."""
        if self.second is None:
            return {self.first: path.g * (v - path.e)}
        one, other = env.reversal(self.first), env.reversal(self.second)
        alike = jnp.abs(one - other) < 1e-3  # mV: then the share is that of what passes
        share = (path.e - other) / jnp.where(alike, 1.0, one - other)
        share = jnp.where(alike, self._share(env), share)
        first = share * path.g * (v - one)
        return {self.first: first, self.second: path.g * (v - path.e) - first}

    def _share(self, env: Environment) -> PerCell:
        """Of the first ion in what passes from outside."""
        one = env.ions[self.first].outside + 1e-9
        return one / (one + self.permeability * (env.ions[str(self.second)].outside + 1e-9))


CATIONS = Permeant("na", "k")  # glutamate receptors: sodium and potassium alike
ANIONS = Permeant("cl", "hco3", 0.2)  # GABA_A receptors: Bormann et al. (1987, 0.18); Kaila (1994)
POTASSIUM = Permeant("k")
