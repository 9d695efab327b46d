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
        times = (self.start, self.stop)
        if any(isinstance(t, Tracer) for t in times):
            return
        if np.asarray(self.start) >= np.asarray(self.stop):
            raise ValueError(
                f"{type(self).__name__}.start must be before stop, got {self.start} and "
                f"{self.stop} ms."
            )

    def step(self, state: None, at: Moment) -> tuple[None, Current]:
        passed = ((at.step + 0.5) * at.dt - self.start) / (self.stop - self.start)
        i = self.first + (self.last - self.first) * passed
        return state, Current(jnp.where((passed > 0.0) & (passed < 1.0), i, 0.0))


def step_current(target: str, amplitude: PerCell, start: Scalar = 0.0, stop: Scalar = 1e9) -> Ramp:
    """A current of `amplitude` pA from `start` to `stop` ms."""
    return Ramp(target, amplitude, amplitude, start, stop)
