"""The interface of transmitter release."""

import abc
from typing import Any, ClassVar

from jaxtyping import Array, Float, Int, Key

from cortexmg.environment import Environment
from cortexmg.part import Part, PerCell, Scalar, shown


class Release(Part):
    """How much transmitter a spike releases at the contacts of a presynaptic cell.

    State is per presynaptic cell: all its contacts in a projection release alike, unless it
    `varies`.
    """

    varies: ClassVar[bool] = False  # whether contacts differ, see `varied`

    @abc.abstractmethod
    def init(self, n: int) -> Any:
        """The state of `n` cells that have been silent for long."""

    @abc.abstractmethod
    def step(
        self, state: Any, amount: Float[Array, " n"], env: Environment, dt: Scalar
    ) -> tuple[Any, PerCell]:
        """State after `dt`, and what is released; `amount` is 1 where a cell has just fired."""

    @abc.abstractmethod
    def largest(self) -> PerCell:
        """The most that one spike can release, of all cells or each.

        Input is summed exactly in numbers that have room for that and not for more.
        """

    def varied(
        self,
        rows: Any,
        amounts: Float[Array, "slots rows"],
        step: Int[Array, "*n"],
        key: Key[Array, ""],
    ) -> Any:
        """The rows of contacts, in which each releases a share of its own, 1 on average.

        `amounts` are what cells release in step k, in slot k mod slots; `step` is in which they
        fired, one for all or one for each row; random numbers follow from `key`.
        """
        del amounts, step, key
        return rows


def check_average(field: str, release: Any) -> None:
    """Refuse as `field` what is not a release, or one that `varies` by itself."""
    if not isinstance(release, Release) or release.varies:
        raise TypeError(
            f"{field} must be a Release without chance of its own, got {shown(release)}: "
            "give the average, such as TsodyksMarkram()."
        )
