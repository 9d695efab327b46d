"""The interface of a tissue, and what its voxels exchange with cells."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from cortexmg.environment import Environment
from cortexmg.evidence import Mechanism
from cortexmg.part import PerCell, Scalar, check_positive, shown
from cortexmg.tissues.voxels import PerVoxel, Voxels


class Exchange(NamedTuple):
    """What the cells of a population and a tissue know of each other between two of its steps."""

    felt: Any  # what each cell reads of its voxel: arrays of one number per cell
    charge: dict[str, PerCell]  # pA ms that have left each cell since the last step, by ion

    def after(self, currents: dict[str, PerCell], dt: Scalar) -> "Exchange":
        """The same after `dt` with these currents (pA) out of the cells."""
        left = {ion: x + dt * currents[ion] for ion, x in self.charge.items()}
        return self._replace(charge=left)


class Tissue(Mechanism):
    """Slow variables around the cells, with one value for all cells of a voxel.

    A tissue moves in steps of `every` ms, a whole number of steps of the network, with the
    currents of its `ions` out of the cells averaged over that time. Between, cells read a copy of
    the value of their voxel. `ions`, () if it follows none, `every` and `voxels` are fields or
    class variables of each kind.
    """

    if TYPE_CHECKING:  # fields of final classes
        ions: ClassVar[tuple[str, ...]]  # whose currents out of the cells it follows
        every: ClassVar[float]
        voxels: ClassVar[Voxels]

    def check_rules(self) -> None:
        owner = type(self).__name__
        check_positive(f"{owner}.every", self.every, "ms")
        _check_ions(owner, getattr(self, "ions", None))
        if not isinstance(self.voxels, Voxels):
            raise TypeError(
                f"{owner}.voxels must be Voxels (voxels_of(sheet, columns, rows) makes them), got "
                f"{shown(self.voxels)}."
            )

    @property
    def needs(self) -> tuple[str, ...]:
        return self.ions

    @abc.abstractmethod
    def init(self, env: Environment) -> Any:
        """The state at time 0: a pytree of arrays, in the environment of the network."""

    @abc.abstractmethod
    def step(
        self, state: Any, currents: dict[str, PerVoxel], env: Environment, time: Scalar
    ) -> Any:
        """The state `every` ms later, at `time`, with these currents (pA) out of all cells."""

    @abc.abstractmethod
    def felt(self, state: Any) -> Any:
        """What cells read: arrays of one number per voxel."""

    @abc.abstractmethod
    def local(self, felt: Any, env: Environment) -> Environment:
        """The environment as cells see it that read `felt`."""


def _check_ions(owner: str, ions: Any) -> None:
    """Raise unless these are names of ions, each once."""
    if not isinstance(ions, tuple) or not all(isinstance(ion, str) for ion in ions):
        raise TypeError(f"{owner}.ions must be a tuple of names of ions, got {shown(ions)}.")
    if len(set(ions)) < len(ions):
        raise ValueError(f"{owner}.ions must name each ion once, got {shown(ions)}.")
