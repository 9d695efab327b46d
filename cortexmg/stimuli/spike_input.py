"""Given spike trains that reach given cells."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from cortexmg.part import Scalar, quantity, shown
from cortexmg.stimuli.stimulus import Arrivals, Firing, Moment, Stimulus, check_receptor

MOST = 2**20  # steps: from there on the last digits of a time are a quarter of a step


class SpikeInput(Stimulus):
    """Arrivals at one kind of receptor of given cells at given times, in ascending order.

    An arrival at time t acts from the step on in which t lies. With None for the receptor, and no
    weight, the cells themselves fire at these times, rounded down to whole steps: see `Firing`. A
    spike at the time where a run begins belongs to the run before.
    """

    target: str = eqx.field(static=True)
    receptor: str | None = eqx.field(static=True)
    times: Float[np.ndarray | Array, " k"] = quantity("ms", low=0.0)
    cells: Int[np.ndarray | Array, " k"]
    weight: Scalar | None = quantity("nS", None, low=0.0, optional=True)

    def check_rules(self) -> None:
        check_receptor("SpikeInput", self.receptor, self.weight)
        if isinstance(self.times, Tracer):
            return
        if isinstance(self.cells, list | tuple):  # a branch of the pytree, not a leaf
            raise TypeError(f"SpikeInput.cells must be an array, got {shown(self.cells)}.")
        times, cells = np.asarray(self.times), np.asarray(self.cells)
        if times.shape != cells.shape or times.ndim != 1:
            raise ValueError(
                f"SpikeInput.times and cells must be lists of one length, got shapes "
                f"{times.shape} and {cells.shape}."
            )
        if cells.size and cells.dtype.kind not in "iu":
            raise TypeError(f"SpikeInput.cells must be whole numbers, got {cells.dtype}.")
        late = np.flatnonzero(np.diff(times) < 0)
        if late.size:
            k = int(late[0])
            raise ValueError(
                f"SpikeInput.times must ascend, got {times[k]:g} before {times[k + 1]:g} ms at "
                f"index {k}: sort times and cells together."
            )

    def step(self, state: None, at: Moment) -> tuple[None, Arrivals | Firing]:
        if self.times.shape[0] == 0:
            return state, self._effect(jnp.zeros(at.n))
        steps = _steps(jnp.asarray(self.times, jnp.result_type(float)), at.dt)
        # A spike has the time of the end of its step, an arrival that of its beginning.
        now = at.step + 1 if self.receptor is None else at.step
        begin = jnp.searchsorted(steps, now, side="left", method="scan_unrolled")
        end = jnp.searchsorted(steps, now, side="right", method="scan_unrolled")
        cells = jnp.asarray(self.cells)

        def add(k, counts):
            cell = cells[k] - at.first  # dropped where it is not among these cells
            place = jnp.where(cell < 0, at.n, cell)
            return counts.at[place].add(1.0, mode="drop")

        counts = jax.lax.fori_loop(begin, end, add, jnp.zeros(at.n))
        return state, self._effect(counts)

    def _effect(self, counts: Array) -> Arrivals | Firing:
        if self.receptor is None:
            return Firing(counts > 0)
        assert self.weight is not None  # `check_rules` has refused it
        return Arrivals(self.receptor, self.weight * counts)

    def check(self, n: int, dt: float) -> None:
        times, single = np.asarray(self.times), jnp.result_type(float) == np.float32
        if single and times.size and times[-1] > MOST * dt:
            raise ValueError(
                f"SpikeInput.times of {times[-1]:g} ms is more than {MOST * dt:g} ms, {MOST:,} "
                f"steps: single precision does not tell in which later step a time lies. Set "
                f"JAX_ENABLE_X64=1, or use a larger dt."
            )
        cells = np.asarray(self.cells)
        if self.receptor is None and times.size:
            self._check_spikes(times, cells, dt)
        wrong = np.flatnonzero((cells < 0) | (cells >= n))
        if wrong.size:
            k = int(wrong[0])
            raise ValueError(
                f"SpikeInput.cells[{k}] is {cells[k]}, but population {self.target!r} has cells "
                f"0 to {n - 1}."
            )

    def _check_spikes(self, times: np.ndarray, cells: np.ndarray, dt: float) -> None:
        """Raise if a spike of a cell that is made to fire would be lost."""
        if times[0] < dt * (1.0 - 5e-4):
            raise ValueError(
                f"SpikeInput.times of cells that fire must be at least {dt:g} ms, the end of the "
                f"first step, got {times[0]:g} ms."
            )
        # By NumPy: inside `jit` what JAX computes could not be looked at.
        places = np.stack([_steps(times.astype(jnp.result_type(float)), dt), cells])
        _, first, often = np.unique(places, axis=1, return_index=True, return_counts=True)
        if np.any(often > 1):
            k = int(first[np.argmax(often > 1)])
            raise ValueError(
                f"SpikeInput: cell {cells[k]} would fire {often.max()} times in the step of "
                f"{dt:g} ms at {times[k]:g} ms, and can once: use a smaller dt."
            )


def _steps(times: Any, dt: float) -> Any:
    """The step in which each time lies, of NumPy or traced.

    A time that is a whole number of steps belongs to the step it begins, whatever its rounding:
    half a thousandth of a step, and the last digits of time, dt and quotient.
    """
    steps = times / dt * (1.0 + 2.0 * float(jnp.finfo(times.dtype).eps)) + 5e-4
    return steps.astype(np.int32)  # which are not negative
