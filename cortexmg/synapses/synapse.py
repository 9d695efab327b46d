"""The interface of a receptor."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

from cortexmg.environment import Environment
from cortexmg.membrane import Current, Pathway
from cortexmg.part import Part, PerCell, Scalar
from cortexmg.permeation import Permeant


class Synapse(Part):
    """A kind of receptor in the membrane of every cell of a population.

    Kinetics are linear in what arrives (unless a member says otherwise), so all contacts onto a
    cell sum into one state per cell. Arrivals come from every projection that releases the
    `transmitter` the receptor listens to; a contact of weight w nS opens at most w * gain nS,
    or, where the pathway is a `Current`, a contact of weight w adds at most w * gain pA.
    """

    if TYPE_CHECKING:  # fields of the final classes
        transmitter: ClassVar[str]
        gain: ClassVar[PerCell]
        e: ClassVar[PerCell | None]

    permeant: ClassVar[Permeant | None] = None  # the ions that pass where `e` is None
    conducts: ClassVar[bool] = True  # False where the pathway is a `Current`

    @property
    def needs(self) -> tuple[str, ...]:
        """The ions by which its current reverses."""
        return self._passing.ions if self._passing else ()

    @property
    def carries(self) -> tuple[str, ...]:
        """The ions whose currents pools see: those that pass where they set the reversal."""
        return self.needs

    @property
    def _passing(self) -> Permeant | None:
        return self.permeant if getattr(self, "e", None) is None else None

    def reversal(self, env: Environment) -> PerCell:
        """Where its current reverses (mV): at `e`, or where the ions put it that pass."""
        return self._passing.reversal(env) if self._passing else self.e

    @abc.abstractmethod
    def init(self, v: PerCell, env: Environment) -> Any:
        """The state before anything has arrived."""

    @abc.abstractmethod
    def step(self, state: Any, arrivals: PerCell, v: PerCell, env: Environment, dt: Scalar) -> Any:
        """The receptors after `dt`, nS (or pA) of `arrivals` having landed at its beginning.

        Like gates, receptors live half a step ahead of the voltage.
        """

    @abc.abstractmethod
    def bound(self, state: Any) -> PerCell:
        """Conductance (nS) of the receptors that hold transmitter, blocked by magnesium or not.

        Of a receptor that does not conduct, the size of its current (pA).
        """

    @abc.abstractmethod
    def pathway(self, state: Any, v: PerCell, env: Environment) -> Pathway | Current:
        """What the open receptors add to the membrane."""

    def carried(
        self, state: Any, path: Pathway | Current, v: PerCell, env: Environment
    ) -> dict[str, PerCell]:
        """Outward current (pA) of each ion that the receptor `carries`, through its `path`."""
        del state
        if self._passing is None or not isinstance(path, Pathway):
            return {}
        return self._passing.carried(path, v, env)
