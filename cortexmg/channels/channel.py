"""The interface of an ion channel."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

from jaxtyping import Array, Bool

from cortexmg.environment import Environment
from cortexmg.membrane import Current, Pathway
from cortexmg.numerics import relax_gate
from cortexmg.part import Part, PerCell, Scalar


class Channel(Part):
    """A kind of ion channel in the membrane of every cell of a population.

    Gates live half a step ahead of the voltage: `step` moves them from t - dt/2 to t + dt/2 with
    the voltage at t, and the voltage then moves from t to t + dt with the gates between. That is
    second order in dt at no extra cost.
    """

    ion: ClassVar[str | None] = None  # which ion it carries, if pools are to see its current
    largest_dt: ClassVar[float] = float("inf")  # ms, above it the gates are not accurate

    if TYPE_CHECKING:  # fields of final classes
        e: ClassVar[PerCell | None]
        screening: ClassVar[PerCell]  # share of the shift by surface charge that its gates feel
    else:
        screening = 0.0  # with an annotation it would be the first field of those that have it

    @abc.abstractmethod
    def init(self, v: PerCell, env: Environment) -> Any:
        """The state the gates settle to when the voltage is held at `v`."""

    @abc.abstractmethod
    def step(self, state: Any, v: PerCell, env: Environment, dt: Scalar) -> Any:
        """The gates after `dt` at voltage `v`."""

    @abc.abstractmethod
    def pathway(self, state: Any, v: PerCell, env: Environment) -> Pathway | Current:
        """What the open channels add to the membrane."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The ion in whose equilibrium its current reverses."""
        return (self.ion,) if self.ion and getattr(self, "e", None) is None else ()

    @property
    def carries(self) -> tuple[str, ...]:
        """The ions whose currents pools see."""
        return (self.ion,) if self.ion else ()

    def carried(
        self, state: Any, path: Pathway | Current, v: PerCell, env: Environment
    ) -> dict[str, PerCell]:
        """Outward current (pA) of each ion that the channel `carries`, through its `path`."""
        del state, env
        return {self.ion: path.g * (v - path.e)} if self.ion and isinstance(path, Pathway) else {}

    def reversal(self, env: Environment) -> PerCell:
        """Where its current reverses (mV): at `e`, or where its ion is in equilibrium."""
        return env.reversal(str(self.ion)) if self.e is None else self.e

    def spiked(self, state: Any, fired: Bool[Array, " n"], env: Environment) -> Any:
        """The state after the cells in `fired` have spiked: unchanged, unless a channel says so."""
        del fired, env
        return state


class Ungated(Channel):
    """A channel without gates that move: what it adds follows from voltage and ions at once."""

    def init(self, v: PerCell, env: Environment) -> None:
        del v, env

    def step(self, state: None, v: PerCell, env: Environment, dt: Scalar) -> None:
        del state, v, env, dt


class OneGate(Channel):
    """A channel with one gate, whose rates follow the voltage. The state is its open fraction."""

    @abc.abstractmethod
    def rates(self, v: PerCell) -> tuple[PerCell, PerCell]:
        """(alpha, beta): of opening and of closing (1/ms)."""

    def init(self, v: PerCell, env: Environment) -> PerCell:
        del env
        alpha, beta = self.rates(v)
        return alpha / (alpha + beta)

    def step(self, state: PerCell, v: PerCell, env: Environment, dt: Scalar) -> PerCell:
        del env
        return relax_gate(state, *self.rates(v), dt)
