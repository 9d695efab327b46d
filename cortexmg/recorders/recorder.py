"""The interface of a recorder."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from cortexmg.network import Network, State
from cortexmg.part import Part, check_positive, shown
from cortexmg.population import Population
from cortexmg.spiking import Spikes

Emitted = dict[str, Spikes]  # by population


class Trace(NamedTuple):
    """Values at the ends of the intervals of a recorder."""

    t: Float[np.ndarray | Array, " frames"]  # ms
    values: Any  # arrays [frames, ...]


class Recorder(Part):
    """Reduces the steps of an interval to one saved value, while the network runs.

    `every` is the interval in ms, None for every step. A recorder that only looks at the end of
    the interval has no accumulator. In a state the voltage is that of its time; gates and
    receptors, which live between the voltages, are those of half a step earlier. A run can be
    interrupted, and shows progress, between intervals.

    On several devices each sees its own cells alone, and some that fill up the last: what is saved
    must list them (`by_cell`), or be made of `of_all_cells`.
    """

    if TYPE_CHECKING:  # fields of the final classes, the second of most
        every: ClassVar[float | None]
        population: ClassVar[str]

    def check_rules(self) -> None:
        if self.every is not None:
            name = f"{type(self).__name__}.every"
            check_positive(name, self.every, "ms, or None for every step")

    @property
    def by_cell(self) -> bool:
        """Whether what `read` gives lists cells along its last axis: on a device, its own."""
        return False

    def init(self, network: Network, state: State) -> Any:
        """The accumulator at the beginning of an interval: None unless a recorder has one."""
        del network, state

    def update(self, acc: Any, network: Network, state: State, spikes: Emitted) -> Any:
        """The accumulator after one more step, in which the populations sent `spikes`."""
        del network, state, spikes
        return acc

    @abc.abstractmethod
    def read(self, acc: Any, network: Network, state: State, steps: int) -> Any:
        """The saved value of an interval of `steps` steps."""

    def piece(
        self, saved: Any, first: int | Int[Array, ""], steps: int, dt: float, parts: int = 1
    ) -> Any:
        """What is kept on the host of the intervals, each of `steps`, from step `first` on.

        The pieces of a run are joined along their first axis. What lists cells comes from `parts`
        devices, one after the other, and the last ones are filled up.
        """
        del parts
        frames = jax.tree.leaves(saved)[0].shape[0]
        return Trace((first + steps * np.arange(1, frames + 1)) * dt, saved)

    def result(self, joined: Any, network: Network, start: float, stop: float) -> Any:
        """What the user gets for the run from `start` to `stop` ms."""
        del start, stop
        if not self.by_cell:
            return joined
        n = network.populations[self.population].n  # the last ones fill up devices
        return Trace(joined.t, jax.tree.map(lambda x: x[..., :n], joined.values))

    def check(self, network: Network) -> None:
        """Raise if there is nothing in `network` that this recorder could record."""
        if hasattr(self, "population"):
            self.recorded(network)

    def recorded(self, network: Network) -> Population:
        """The population that this recorder names.

        Raises: if there is none.
        """
        if self.population not in network.populations:
            raise ValueError(
                f"{type(self).__name__} names population {self.population!r}, but the populations "
                f"are {sorted(network.populations)}."
            )
        return network.populations[self.population]


def cell_ids(owner: str, cells: Any) -> tuple[int, ...]:
    """A list of numbers of cells as a field that is fixed when a run is compiled."""
    try:
        ids = np.asarray(cells)
    except ValueError:  # lists of different lengths
        ids = np.zeros((0, 0))
    flags = ids.ndim == 1 and any(isinstance(c, bool | np.bool_) for c in cells)
    if ids.ndim != 1 or flags or (ids.size and ids.dtype.kind not in "iu"):
        raise TypeError(
            f"{owner}.cells must be a list of numbers of cells, got {shown(cells)}; of a mask, "
            f"take np.flatnonzero."
        )
    return tuple(int(i) for i in ids)


def check_cells(owner: str, cells: tuple[int, ...] | None, population: str, n: int) -> None:
    """Raise unless these are cells of a population of `n`, or None."""
    if cells is not None and not cells:
        raise ValueError(f"{owner}.cells is empty: name at least one cell, or None for all.")
    wrong = [c for c in cells or () if not 0 <= c < n]
    if wrong:
        raise ValueError(
            f"{owner}.cells names cell {wrong[0]}, but population {population!r} has cells 0 to "
            f"{n - 1}."
        )


def of_all_cells(network: Network, name: str, x: Array) -> Array:
    """The numbers of all cells of a population, from those of the cells on this device."""
    # Barrier: computed in the same way whether they are sent to other devices or not.
    return jax.lax.optimization_barrier(network.split.everywhere(x)[: network.count(name)])
