"""Times in whole numbers of steps."""

from typing import Any

import numpy as np

from cortexmg.part import shown

MOST_STEPS = 2**31  # a state counts them in int32


def check_time(what: str, value: Any) -> None:
    """Raise unless `value` is a positive and finite number (ms)."""
    number = isinstance(value, int | float | np.integer | np.floating)
    if not number or isinstance(value, bool):
        raise TypeError(f"{what} must be a number in ms, got {shown(value)}.")
    if not 0 < value < float("inf"):
        raise ValueError(f"{what} must be positive and finite (ms), got {shown(value)}.")


def whole_steps(time: float, dt: float, what: str) -> int:
    """How many steps of `dt` make `time` (ms).

    Raises: if that is not a whole number, not positive, or more than can be counted.
    """
    for name, value in (("dt", dt), (what, time)):
        check_time(name, value)
    if time / dt >= MOST_STEPS:
        raise ValueError(
            f"{what} of {time:g} ms would take {time / dt:.3g} steps of {dt:g} ms, 2^31 or more: "
            f"shorten it or use a larger dt."
        )
    steps = round(time / dt)
    if steps < 1 or abs(steps * dt - time) > 1e-6 * time + 1e-9:
        raise ValueError(
            f"{time:g} ms is not a whole number of {dt:g} ms: choose {what} as a multiple of dt."
        )
    return steps
