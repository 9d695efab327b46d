"""The interface of a law of release."""

import abc
from collections.abc import Mapping

from cortexmg.factors.factor import Factor
from cortexmg.part import PerCell


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
