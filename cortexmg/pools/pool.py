"""The interface of a pool: amounts of ions that currents change and channels feel."""

import abc
from typing import Any, ClassVar

from cortexmg.environment import Environment
from cortexmg.part import Part, PerCell, Scalar


class Pool(Part):
    """Concentrations of ions that belong to every cell of a population.

    A pool reads the currents of the `ions`, from all channels and receptors that carry them, and
    writes what the cell sees as its environment.
    """

    ions: ClassVar[tuple[str, ...]]
    others: ClassVar[tuple[str, ...]] = ()  # which it exchanges too, if anything carries them
    outside: ClassVar[tuple[str, ...]] = ()  # which it sets outside of the cell too

    @property
    def needs(self) -> tuple[str, ...]:
        return self.ions

    @abc.abstractmethod
    def init(self, v: PerCell, env: Environment) -> Any:
        """The state at rest."""

    def exchanged(self, currents: dict[str, PerCell]) -> dict[str, PerCell]:
        """Currents out of the cell (pA) after what follows one ion has been made of another.

        They are those of its `ions` and of the `others`, 0 where nothing carries them. Pools and
        tissues see what comes of it.
        """
        return currents

    @abc.abstractmethod
    def step(self, state: Any, currents: dict[str, PerCell], env: Environment, dt: Scalar) -> Any:
        """The state after `dt` with these currents (pA) out of the cell, after all exchange."""

    @abc.abstractmethod
    def local(self, state: Any, env: Environment) -> Environment:
        """The environment as the cells see it."""
