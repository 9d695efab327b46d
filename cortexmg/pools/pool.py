"""The interface of a pool: an amount of an ion that currents change and channels feel."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

from cortexmg.part import Part, PerCell, Scalar


class Pool(Part):
    """The concentration of one ion inside every cell of a population.

    A pool reads the current of the channels that carry its `ion` and writes what they see as the
    concentration inside.
    """

    if TYPE_CHECKING:  # fields of the final classes
        ion: ClassVar[str]

    @abc.abstractmethod
    def init(self, v: PerCell) -> Any:
        """The state at rest."""

    @abc.abstractmethod
    def step(self, state: Any, current: PerCell, dt: Scalar) -> Any:
        """The state after `dt` with `current` pA of the ion flowing out of the cell."""

    @abc.abstractmethod
    def inside(self, state: Any) -> PerCell:
        """Concentration inside (mM)."""
