"""The interface of an ion channel."""

import abc
from typing import Any, ClassVar

from jaxtyping import Array, Bool

from cortexmg.environment import Environment
from cortexmg.membrane import Current, Pathway
from cortexmg.part import Part, PerCell, Scalar


class Channel(Part):
    """A kind of ion channel in the membrane of every cell of a population.

    Gates live half a step ahead of the voltage: `step` moves them from t - dt/2 to t + dt/2 with
    the voltage at t, and the voltage then moves from t to t + dt with the gates between. That is
    second order in dt at no extra cost.
    """

    ion: ClassVar[str | None] = None  # which ion it carries, if a pool is to see its current
    largest_dt: ClassVar[float] = float("inf")  # ms, above it the gates are not accurate

    @abc.abstractmethod
    def init(self, v: PerCell, env: Environment) -> Any:
        """The state the gates settle to when the voltage is held at `v`."""

    @abc.abstractmethod
    def step(self, state: Any, v: PerCell, env: Environment, dt: Scalar) -> Any:
        """The gates after `dt` at voltage `v`."""

    @abc.abstractmethod
    def pathway(self, state: Any, v: PerCell, env: Environment) -> Pathway | Current:
        """What the open channels add to the membrane."""

    def spiked(self, state: Any, fired: Bool[Array, " n"]) -> Any:
        """The state after the cells in `fired` have spiked: unchanged, unless a channel says so."""
        del fired
        return state
