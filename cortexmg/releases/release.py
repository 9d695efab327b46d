"""The interface of transmitter release."""

import abc
from typing import Any

from jaxtyping import Array, Float

from cortexmg.environment import Environment
from cortexmg.part import Part, PerCell, Scalar


class Release(Part):
    """How much transmitter a spike releases at the contacts of a presynaptic cell.

    State is per presynaptic cell: all its contacts in a projection release alike.
    """

    @abc.abstractmethod
    def init(self, n: int) -> Any:
        """The state of `n` cells that have been silent for long."""

    @abc.abstractmethod
    def step(
        self, state: Any, amount: Float[Array, " n"], env: Environment, dt: Scalar
    ) -> tuple[Any, PerCell]:
        """State after `dt`, and what is released; `amount` is 1 where a cell has just fired."""

    def largest(self) -> Scalar:
        """The most that one spike can release."""
        return 1.0
