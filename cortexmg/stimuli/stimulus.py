"""The interface of a stimulus."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from jaxtyping import Array, Bool, Int, Key

from cortexmg.membrane import Current, Pathway
from cortexmg.part import Part, PerCell, shown


class Arrivals(NamedTuple):
    """Transmitter that reaches one kind of receptor from outside the network."""

    receptor: str
    weight: PerCell  # nS


class Firing(NamedTuple):
    """Cells that are made to fire: sources of spikes for projections.

    Their voltage stays as it is, without a reset or refractory time; adaptation counts the spike.
    """

    cells: Bool[Array, " n"]


class Moment(NamedTuple):
    """The step at hand, and the cells that are stimulated in it."""

    step: Int[Array, ""]  # steps done
    key: Key[Array, ""]  # of this stimulus
    n: int  # cells, of which the population may have more on other devices
    dt: float  # ms
    first: Any = 0  # the number of the first of these cells in the population


class Stimulus(Part):
    """What acts on the cells of one population from outside.

    A stimulus knows the time as a number of steps, so that nothing depends on how a run is cut
    into pieces; its random numbers follow from the key, that step and the number of the cell.
    """

    if TYPE_CHECKING:  # fields of the final classes
        target: ClassVar[str]

    def init(self, n: int, key: Key[Array, ""]) -> Any:
        """The state at the beginning, for a population of `n` cells: None unless it has one.

        Its arrays list cells along their last axis, so that devices can share them.
        """
        del n, key

    @abc.abstractmethod
    def step(self, state: Any, at: Moment) -> tuple[Any, Current | Pathway | Arrivals | Firing]:
        """State and effect in the step from `at.step * at.dt` to `(at.step + 1) * at.dt` ms."""

    def check_cells(self, n: int) -> None:
        """Raise if this stimulus is not one for `n` cells, those on all devices."""
        del n

    def check(self, n: int, dt: float) -> None:
        """Raise if this stimulus cannot act on `n` cells in steps of `dt` ms."""
        del n, dt


def check_receptor(owner: str, receptor: str | None, weight: PerCell | None) -> None:
    """Raise unless there is a weight where there is a receptor."""
    if (receptor is None) != (weight is None):
        raise ValueError(
            f"{owner}.weight must be given for arrivals at a receptor, and left out where cells "
            f"fire themselves (receptor None), got receptor {receptor!r} and weight "
            f"{shown(weight)}."
        )
