"""The interfaces of a factor and of a law of release."""

import abc
from collections.abc import Mapping

from cortexmg.environment import Environment
from cortexmg.evidence import Mechanism
from cortexmg.part import PerCell


class Factor(Mechanism):
    """What the environment makes of a conductance or a release: a number that multiplies it."""

    @abc.abstractmethod
    def __call__(self, env: Environment) -> PerCell:
        """The number: exactly 1 at the reference of the factor, finite where an ion is absent."""


def product(factors: Mapping[str, Factor], env: Environment) -> PerCell:
    """All of them multiplied; 1.0, which changes no bit, if there are none."""
    result = 1.0
    for name in sorted(factors):  # rounding must not depend on the order in which they were given
        result = result * factors[name](env)
    return result


class ReleaseLaw(Factor):
    """Probability of release, relative to that at the reference."""

    @abc.abstractmethod
    def largest(self) -> PerCell:
        """The most that the law can give, at any concentration."""


def largest(laws: Mapping[str, ReleaseLaw]) -> PerCell:
    """The most that all of them together can give."""
    result = 1.0
    for law in laws.values():
        result = result * law.largest()
    return result
