"""Numbers of a stimulus that follow a given course: any current, any rate."""

from dataclasses import fields, replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from cortexmg.clock import whole_steps
from cortexmg.part import Scalar, check_quantity, is_per_cell, quantity, shown
from cortexmg.stimuli.stimulus import Moment, Stimulus


class TimeCourse(Stimulus):
    """A stimulus one number of which follows `values`, such as the rate of a `Poisson`.

    Values are one for each interval of `every` ms, for all cells or, along a second axis, for each.
    They begin at `start`; before it and after the last one the number is that of the stimulus
    itself. Both times are whole numbers of steps. A waveform of current is a course of the
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
            if is_per_cell(f) and getattr(self.stimulus, f.name) is not None
        }
        if self.number not in known:
            if not known:
                raise ValueError(f"{kind} has no number of its own that could follow a TimeCourse.")
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

    def stored(self, name: str, value: Any) -> Any:
        if name == "values" and np.ndim(value) == 0:
            raise ValueError(f"TimeCourse.values must be an array, got one number: {shown(value)}.")
        return value

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
        # In whole steps, which never round.
        every, start = (jnp.rint(x / at.dt).astype(jnp.int32) for x in (self.every, self.start))
        k, last = (at.step - start) // every, values.shape[0] - 1
        inside = (k >= 0) & (k <= last)
        now = values[jnp.clip(k, 0, last)]
        if now.ndim:  # on several devices those of the cells here
            now = jnp.take(now, at.first + jnp.arange(at.n), mode="clip")
        now = jnp.where(inside, now, self._own)
        # Without looking at it again, as making a stimulus does: it is traced.
        return eqx.tree_at(lambda s: getattr(s, self.number), self.stimulus, now).step(state, at)

    def check_cells(self, n: int) -> None:
        shape = np.shape(self.values)
        if len(shape) == 2 and shape[1] != n:
            raise ValueError(
                f"TimeCourse.values are those of {shape[1]} cells, but population "
                f"{self.target!r} has {n}: give one column for each, or a list for all."
            )

    def check(self, n: int, dt: float) -> None:
        values = np.asarray(self.values)
        whole_steps(float(self.every), dt, "TimeCourse.every")
        if self.start:
            whole_steps(float(self.start), dt, "TimeCourse.start")
        for extreme in (values.min(0), values.max(0), self._own):
            replace(self.stimulus, **{self.number: extreme}).check(n, dt)

    @property
    def _own(self) -> Any:
        return getattr(self.stimulus, self.number)
