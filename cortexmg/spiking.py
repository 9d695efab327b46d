"""Spike rules: when a cell counts as having fired, and what that does to its voltage."""

import abc
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from cortexmg.derivatives import refuse_derivative
from cortexmg.part import Part, PerCell, quantity

HELD = np.uint16  # of the steps for which a voltage is still held


class Spikes(NamedTuple):
    """What a population sends at the end of a step."""

    amount: Float[Array, " n"]  # 1 where a cell fired, else 0, with a surrogate derivative
    fired: Bool[Array, " n"]
    near: Bool[Array, " n"]  # where what is sent has a derivative: these and those that fired

    def joined_by(self, driven: list[Bool[Array, " n"]]) -> "Spikes":
        """These, and those of the cells that are driven to fire, which have no derivative."""
        amount, fired, near = self
        for cells in driven:
            amount, fired, near = jnp.where(cells, 1.0, amount), fired | cells, near | cells
        return Spikes(amount, fired, near)


class SpikeRule(Part):
    """When a cell of a population fires."""

    @abc.abstractmethod
    def init(self, v: PerCell) -> Any:
        """The state before the first step."""

    @abc.abstractmethod
    def step(self, state: Any, before: PerCell, change: PerCell, dt: float) -> tuple:
        """State, voltage, its change and `Spikes` of a step that changed it from `before` so much.

        The change is 0 where the voltage has been set or held.
        """

    def shifted(self, shift: PerCell) -> "SpikeRule":
        """The rule where surface charge shifts gating by `shift` mV: the same, unless said so."""
        del shift
        return self

    def check(self, population: str, dt: float) -> None:
        """Raise if the rule cannot be followed in steps of `dt` ms."""
        del population, dt


class Crossing(SpikeRule):
    """A cell fires when its voltage crosses the threshold upwards: Hodgkin-Huxley cells."""

    threshold: PerCell = quantity("mV", -20.0)
    width: PerCell = quantity("mV", 20.0, above=0.0)  # of the surrogate derivative

    def init(self, v: PerCell) -> None:
        del v

    def step(self, state: None, before: PerCell, change: PerCell, dt: float):
        del dt
        after = before + change
        return state, after, change, cross(before, after, self.threshold, self.width)


class Reset(SpikeRule):
    """A cell that reaches the threshold fires, is reset and held: integrate-and-fire cells.

    The state is the number of steps for which the voltage is still held.
    """

    threshold: PerCell = quantity("mV", -50.0)
    reset: PerCell = quantity("mV", -60.0)
    refractory: PerCell = quantity("ms", 2.0, low=0.0)
    width: PerCell = quantity("mV", 5.0, above=0.0)  # of the surrogate derivative
    escape: float | None = quantity("ms", None, above=0.0, optional=True)  # see `cross`

    def check_rules(self) -> None:
        if any(isinstance(x, Tracer) for x in (self.reset, self.threshold)):
            return
        if np.any(np.asarray(self.reset) >= np.asarray(self.threshold)):
            raise ValueError(
                f"Reset.reset must be below Reset.threshold, got {self.reset} and "
                f"{self.threshold} mV: a cell reset above threshold fires for ever."
            )

    def init(self, v: PerCell) -> Array:
        return jnp.zeros(jnp.shape(v), HELD)

    def step(self, state: Array, before: PerCell, change: PerCell, dt: float):
        held = state > 0
        # With barriers behind what the voltage follows from, it is replaced in place, not copied.
        change = jax.lax.optimization_barrier(jnp.where(held, 0.0, change))
        after, below = before + change, jnp.minimum(before, self.threshold - 1e-3)
        if self.escape is None:
            spikes = cross(below, after, self.threshold, self.width)
        else:
            spikes = escape(below, after, held, self.threshold, self.width, self.escape / dt)
        fired, before = jax.lax.optimization_barrier((spikes.fired, before))
        spikes, after = spikes._replace(fired=fired), jnp.where(fired, self.reset, before + change)
        change = jnp.where(spikes.fired, 0.0, change)
        steps = jnp.round(self.refractory / dt).astype(state.dtype)
        state = jnp.where(spikes.fired, steps, jnp.where(held, state - 1, 0))
        return state, after, change, spikes

    def shifted(self, shift: PerCell) -> "Reset":
        return replace(self, threshold=self.threshold + shift)

    def check(self, population: str, dt: float) -> None:
        times = np.atleast_1d(np.asarray(self.refractory, float))
        wrong = times[np.abs(np.round(times / dt) * dt - times) > 1e-6 * times + 1e-9]
        if wrong.size:
            raise ValueError(
                f"Population {population!r}: Reset.refractory of {wrong[0]:g} ms is not a whole "
                f"number of steps of {dt:g} ms: change one of them."
            )
        most = np.iinfo(HELD).max * dt
        if np.any(times > most * (1.0 + 1e-6)):
            raise ValueError(
                f"Population {population!r}: Reset.refractory of {times.max():g} ms is more than "
                f"{most:g} ms, {np.iinfo(HELD).max:,} steps: use a larger dt or a shorter time."
            )


def cross(before: PerCell, after: PerCell, threshold: PerCell, width: PerCell) -> Spikes:
    """Spikes of the cells that have come from below `threshold` to it or above it."""
    fired = (before < threshold) & (after >= threshold)
    rising = after > before
    near = rising & ((jnp.abs(after - threshold) < width) | (jnp.abs(before - threshold) < width))
    near |= fired  # beyond the width too: what scales an amount, such as weights, changes it
    amount = _amount(before, after, threshold, width)
    return Spikes(amount, fired, near)


def escape(
    before: PerCell, after: PerCell, held: Any, threshold: PerCell, width: PerCell, steps: Any
) -> Spikes:
    """Spikes at a threshold, with the derivative of escape noise.

    That is of the probability exp((v - threshold) / width) / `steps` with which a cell below
    threshold would fire in a step if it were noisy: Plesser and Gerstner (2000,
    doi:10.1162/089976600300015835). It is cut 5 widths below the threshold.
    """
    fired = (before < threshold) & (after >= threshold)
    near = (~held & (after > threshold - 5.0 * width)) | fired
    amount = _escaping(after, fired.astype(jnp.result_type(after)), threshold, width, near / steps)
    return Spikes(amount, fired, near)


@jax.custom_jvp
def _escaping(v, amount, threshold, width, often):
    """`amount`, with the derivative of what escape noise would make of the voltage."""
    del v, threshold, width, often
    return amount


@_escaping.defjvp
def _escaping_jvp(primals, tangents):
    v, amount, threshold, width, often = primals
    change = often * jnp.exp(jnp.minimum((v - threshold) / width, 0.0)) / width
    return amount, change * (tangents[0] - tangents[2])


def _slope(x: PerCell, width: PerCell) -> PerCell:
    """Derivative of a smooth step from 0 at -width to 1 at +width."""
    steep = 1.0 / width  # once for all cells, where a division for each takes longer than the rest
    u = jnp.clip(0.5 * (x * steep + 1.0), 0.0, 1.0)
    return 3.0 * u * (1.0 - u) * steep


@jax.custom_jvp
def _amount(before, after, threshold, width):
    """1 for a crossing. Its derivative is that of a release that grows smoothly over the upstroke.

    With S a smooth step of half-width `width` around the threshold, S(after) - S(before) adds up
    to 1 over an upstroke, and where the voltage rises its derivative is used here.
    """
    del width
    return ((before < threshold) & (after >= threshold)).astype(jnp.result_type(after))


@_amount.defjvp
def _amount_jvp(primals, tangents):
    before, after, threshold, width = primals
    d_before, d_after, d_threshold, _ = tangents
    rising = after > before
    s_after = jnp.where(rising, _slope(after - threshold, width), 0.0)
    s_before = jnp.where(rising, _slope(before - threshold, width), 0.0)
    change = s_after * (d_after - d_threshold) - s_before * (d_before - d_threshold)
    return _amount(*primals), change


@jax.custom_jvp
def without_amount(x, amount):
    """`x`, which follows from spikes of these amounts in a way that drops their derivative."""
    del amount
    return x


@without_amount.defjvp
def _without_amount_jvp(primals, tangents):
    del primals, tangents
    refuse_derivative()
