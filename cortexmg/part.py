"""What every piece of a network is: an immutable pytree whose numbers carry unit and range."""

from dataclasses import MISSING, Field, fields
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import ArrayLike, Float

Scalar = Float[ArrayLike, ""]
PerCell = Float[ArrayLike, "#n"] | Scalar


def quantity(
    unit: str,
    default: Any = MISSING,
    *,
    above: float = -np.inf,
    low: float = -np.inf,
    high: float = np.inf,
) -> Any:
    """A field that holds a number, or one per cell, in `unit`.

    Allowed are finite values with `above < value` and `low <= value <= high`.
    """
    metadata = {"unit": unit, "above": above, "low": low, "high": high}
    default = {} if default is MISSING else {"default": default}
    return eqx.field(metadata=metadata, **default)


def count(default: Any = MISSING, *, low: int = 1) -> Any:
    """A field that holds a whole number fixed when the network is compiled."""
    default = {} if default is MISSING else {"default": default}
    return eqx.field(static=True, metadata={"count": low}, **default)


class Part(eqx.Module):
    """A piece of a network: immutable, a pytree, checked once when it is made."""

    def __check_init__(self):
        for field in fields(self):
            if "unit" in field.metadata:
                check_quantity(type(self).__name__, field, getattr(self, field.name))
            elif "count" in field.metadata:
                check_count(type(self).__name__, field, getattr(self, field.name))


def check_quantity(owner: str, field: Field, value: Any) -> None:
    """Raise if `value` is not a finite number in the range that `field` declares."""
    if isinstance(value, jax.core.Tracer):
        return
    name, unit, meta = f"{owner}.{field.name}", field.metadata["unit"], field.metadata
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise TypeError(f"{name} must be a number in {unit}, got {value!r}: give a float or an array.")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite (in {unit}), got {_worst(array, np.asarray(~np.isfinite(array)))}.")
    low, above, high = meta["low"], meta["above"], meta["high"]
    wrong = np.asarray((array <= above) | (array < low) | (array > high))
    if np.any(wrong):
        raise ValueError(
            f"{name} must be {_range(low, above, high)} {unit}, got {_worst(array, wrong)}: "
            f"check its sign and unit."
        )


def check_count(owner: str, field: Field, value: Any) -> None:
    """Raise if `value` is not a whole number of at least what `field` declares."""
    low = field.metadata["count"]
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise ValueError(
            f"{owner}.{field.name} must be a whole number of at least {low}, got {value!r}."
        )


def _range(low: float, above: float, high: float) -> str:
    if np.isfinite(above):
        text = f"above {above:g}"
    elif np.isfinite(low):
        text = f"at least {low:g}"
    else:
        return f"at most {high:g}"
    return text if np.isinf(high) else f"{text} and at most {high:g}"


def _worst(array: np.ndarray, wrong: np.ndarray) -> str:
    if array.ndim == 0:
        return f"{array[()]:g}"
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{array[first]:g} at index {', '.join(map(str, first))} ({wrong.sum()} such values)"
