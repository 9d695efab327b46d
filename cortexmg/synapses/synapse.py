"""The interface of a receptor."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

from cortexmg.environment import Environment
from cortexmg.membrane import Current, Pathway
from cortexmg.part import Part, PerCell, Scalar


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

    carries: ClassVar[tuple[str, ...]] = ()  # the ions whose currents pools see
    conducts: ClassVar[bool] = True  # False where the pathway is a `Current`

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
        """Outward current (pA) of each ion that the receptor `carries`."""
        del state, path, v, env
        return {}
