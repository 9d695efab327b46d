"""The interface of a measure, and what spike counts are made into."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cortexmg.network import Network
from cortexmg.part import Part, check_positive, shown
from cortexmg.recorders import Recorder, SpikeCount

Counts = Float[Array, "bins n"]


class Measure(Part):
    """A number, or several, that describe what a population did; NaN where undefined.

    The names of `statistics` mean the same there. A measure is computed inside the compiled
    program, from what recorders saved, and is differentiable: the derivative of a spike is the
    surrogate of its spike rule.
    """

    tolerance: ClassVar[float] = 0.1  # s.d. of `scaled`, for a target that gives none: assumption

    floor: ClassVar[float | None] = None  # if given, what is compared is log(value + floor)

    least: ClassVar[float] = -np.inf  # that it can be
    most: ClassVar[float] = np.inf

    population: str = eqx.field(static=True)

    def check_rules(self) -> None:
        tuple(self.recorders)  # making them checks their intervals

    @property
    @abc.abstractmethod
    def recorders(self) -> dict[str, Recorder]:
        """What has to be recorded, by names that `value` finds it under."""

    @abc.abstractmethod
    def value(self, recorded: dict[str, Any]) -> Float[Array, "*parts"]:
        """The measure of a run, from the saved values."""

    def scaled(self, value: Any) -> Any:
        """The value, each part by itself, on the scale on which a fit compares it."""
        return value if self.floor is None else jnp.log(value + self.floor)

    def check(self, network: Network, duration: float) -> None:
        """Raise if it cannot be measured in `duration` ms of a run of this network."""
        for recorder in self.recorders.values():
            recorder.check(network)
            every = recorder.every
            if every is not None and duration < 2 * every * (1 - 1e-6):
                raise ValueError(
                    f"{shown(self)} needs at least two intervals of {every:g} ms, got a duration "
                    f"of {duration:g} ms: measure for longer."
                )
            if every is not None and abs(duration / every - round(duration / every)) > 1e-6:
                raise ValueError(
                    f"{shown(self)} needs whole intervals of {every:g} ms, got a duration of "
                    f"{duration:g} ms: make it a multiple."
                )


class CountMeasure(Measure):
    """A measure of the spike counts in intervals of `bin` ms."""

    if TYPE_CHECKING:  # fields of the final classes
        bin: ClassVar[float]

    def check_rules(self) -> None:
        check_positive(f"{type(self).__name__}.bin", self.bin, "ms")

    @property
    def recorders(self) -> dict[str, Recorder]:
        return {"counts": SpikeCount(self.population, every=self.bin)}

    def value(self, recorded: dict[str, Any]) -> Float[Array, "*parts"]:
        return self.of(recorded["counts"])

    @abc.abstractmethod
    def of(self, counts: Counts) -> Float[Array, "*parts"]:
        """The measure of spike counts."""


def ratio(over: Any, under: Any, defined: Any) -> Any:
    """over / under where defined, NaN elsewhere, with a finite derivative everywhere."""
    return jnp.where(defined, over / jnp.where(defined, under, 1.0), jnp.nan)


def mean_where(defined: Any, values: Any) -> Any:
    """Mean of the values that are defined, NaN if there is none."""
    number = jnp.sum(defined)
    return ratio(jnp.sum(jnp.where(defined, values, 0.0)), number, number > 0)
