"""Current that steps, and current that ramps."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from cortexmg.membrane import Current
from cortexmg.part import PerCell, Scalar, quantity
from cortexmg.stimuli.stimulus import Moment, Stimulus


class Ramp(Stimulus):
    """Current that goes from `first` to `last` between `start` and `stop`, and is 0 outside.

    The current of a step is that of its middle.
    """

    target: str = eqx.field(static=True)
    first: PerCell = quantity("pA")
    last: PerCell = quantity("pA")
    start: Scalar = quantity("ms", 0.0, low=0.0)
    stop: Scalar = quantity("ms", 1e9, above=0.0)

    def check_rules(self) -> None:
        _check_times("Ramp", self.start, self.stop)

    def step(self, state: None, at: Moment) -> tuple[None, Current]:
        passed = _passed(at, self.start, self.stop)
        return state, _while_it_lasts(passed, self.first + (self.last - self.first) * passed)


class StepCurrent(Stimulus):
    """A current of `amplitude` between `start` and `stop`: in the steps whose middle is there."""

    target: str = eqx.field(static=True)
    amplitude: PerCell = quantity("pA")
    start: Scalar = quantity("ms", 0.0, low=0.0)
    stop: Scalar = quantity("ms", 1e9, above=0.0)

    def check_rules(self) -> None:
        _check_times("StepCurrent", self.start, self.stop)

    def step(self, state: None, at: Moment) -> tuple[None, Current]:
        return state, _while_it_lasts(_passed(at, self.start, self.stop), self.amplitude)


def _check_times(owner: str, start: Scalar, stop: Scalar) -> None:
    if any(isinstance(t, Tracer) for t in (start, stop)):
        return
    if np.asarray(start) >= np.asarray(stop):
        raise ValueError(f"{owner}.start must be before stop, got {start} and {stop} ms.")


def _passed(at: Moment, start: Scalar, stop: Scalar) -> PerCell:
    """The share of the time from `start` to `stop` that has passed in the middle of this step."""
    return ((at.step + 0.5) * at.dt - start) / (stop - start)


def _while_it_lasts(passed: PerCell, i: PerCell) -> Current:
    return Current(jnp.where((passed > 0.0) & (passed < 1.0), i, 0.0))
