"""Times in whole numbers of steps."""

from cortexmg.part import check_positive

MOST_STEPS = 2**31  # a state counts them in int32


def whole_steps(time: float, dt: float, what: str) -> int:
    """How many steps of `dt` make `time` (ms).

    Raises: if that is not a whole number, not positive, or more than can be counted.
    """
    for name, value in (("dt", dt), (what, time)):
        check_positive(name, value, "ms")
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
