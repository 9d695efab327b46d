"""Numbers of a stimulus that follow a given course: any current, any rate."""

from dataclasses import fields, replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from cortexmg.part import PerCell, Scalar, check_quantity, quantity
from cortexmg.stimuli.stimulus import Moment, Stimulus


class TimeCourse(Stimulus):
    """A stimulus one number of which follows `values`, such as the rate of a `Poisson`.

    Values are one for each interval of `every` ms, for all cells or, along a second axis, for each.
    They begin at `start`; before it and after the last one the number is that of the stimulus
    itself. A step takes the value of its middle. A waveform of current is a course of the
    `amplitude` of a `StepCurrent`.
    """

    stimulus: Stimulus
    number: str = eqx.field(static=True)
    values: Float[np.ndarray | Array, "samples *n"] = quantity("unit of the number")
    every: Scalar = quantity("ms", above=0.0)
    start: Scalar = quantity("ms", 0.0, low=0.0)

    def check_rules(self) -> None:
        kind = type(self.stimulus).__name__
        known = {
            f.name: f
            for f in fields(self.stimulus)
            if f.type in (PerCell, PerCell | None) and getattr(self.stimulus, f.name) is not None
        }
        if self.number not in known:
            raise ValueError(
                f"TimeCourse.number must be one of the numbers of {kind} that each cell may have "
                f"for itself, {sorted(known)}, got {self.number!r}."
            )
        shape = np.shape(self.values)
        if len(shape) not in (1, 2) or 0 in shape:
            raise ValueError(
                f"TimeCourse.values must be an array of one value for each interval of time, or of "
                f"one for each interval and cell, got shape {shape}."
            )
        check_quantity(f"TimeCourse.values as {kind}", known[self.number], self.values)

    @property
    def target(self) -> str:
        """The population on which the stimulus acts."""
        return self.stimulus.target

    @property
    def receptor(self) -> str | None:
        """The receptor on which the stimulus acts, if it does on one."""
        return getattr(self.stimulus, "receptor", None)

    def init(self, n: int, key: Key[Array, ""]) -> Any:
        return self.stimulus.init(n, key)

    def step(self, state: Any, at: Moment) -> tuple[Any, Any]:
        values = jnp.asarray(self.values)
        passed = ((at.step + 0.5) * at.dt - self.start) / self.every
        last = values.shape[0] - 1
        inside = (passed >= 0.0) & (passed < last + 1)
        now = values[jnp.clip(passed.astype(jnp.int32), 0, last)]
        if now.ndim:  # on several devices those of the cells here
            now = jnp.take(now, at.first + jnp.arange(at.n), mode="clip")
        return self._with(jnp.where(inside, now, self._own)).step(state, at)

    def check(self, n: int, dt: float) -> None:
        values = np.asarray(self.values)
        if values.ndim == 2 and values.shape[1] != n:
            raise ValueError(
                f"TimeCourse.values are those of {values.shape[1]} cells, but population "
                f"{self.target!r} has {n}: give one column for each, or a list for all."
            )
        if float(self.every) < dt * (1.0 - 1e-6):
            raise ValueError(
                f"TimeCourse.every of {float(self.every):g} ms is shorter than a step of {dt:g} "
                f"ms, which would pass over values: average them, or use a smaller dt."
            )
        for extreme in (values.min(0), values.max(0), self._own):
            self._with(extreme).check(n, dt)

    @property
    def _own(self) -> Any:
        return getattr(self.stimulus, self.number)

    def _with(self, value: Any) -> Stimulus:
        return replace(self.stimulus, **{self.number: value})
