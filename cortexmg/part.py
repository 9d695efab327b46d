"""What every piece of a network is: an immutable pytree whose numbers carry unit and range."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, get_args, get_origin

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import ArrayLike, Float

if TYPE_CHECKING:
    # Shapes are checked when the tests run; to a static checker, arithmetic on the union of all
    # that may stand for a number means nothing.
    Scalar = Any
    PerCell = Any
else:
    Scalar = Float[ArrayLike, ""]
    PerCell = Float[ArrayLike, "#n"] | Scalar


def quantity(
    unit: str,
    default: Any = MISSING,
    *,
    above: float = -np.inf,
    low: float = -np.inf,
    high: float = np.inf,
    fixed: bool = False,
    optional: bool = False,
) -> Any:
    """A field that holds a number, or one per cell, in `unit`.

    Allowed are finite values with `above < value` and `low <= value <= high`, and None if it is
    `optional`. What is `fixed` cannot be replaced by name, because other fields follow from it.
    """
    metadata = {"unit": unit, "above": above, "low": low, "high": high, "fixed": fixed}
    metadata |= {"optional": optional}
    default = {} if default is MISSING else {"default": default}
    return eqx.field(metadata=metadata, **default)


def count(default: Any = MISSING, *, low: int = 1) -> Any:
    """A field that holds a whole number fixed when the network is compiled."""
    default = {} if default is MISSING else {"default": default}
    return eqx.field(static=True, converter=as_python, metadata={"count": low}, **default)


def as_python(value: Any) -> Any:
    """A number of NumPy as one of Python, which compiles and does not overflow; else the value."""
    return value.item() if isinstance(value, np.integer | np.floating) else value


def members() -> Any:
    """A field that holds parts by name, none unless given."""
    return eqx.field(default_factory=dict)


class Part(eqx.Module):
    """A piece of a network: immutable, a pytree, checked once when it is made."""

    def __check_init__(self):
        owner = type(self).__name__
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.type, str):
                away = "leave `from __future__ import annotations` away in its file"
                raise TypeError(f"{owner}.{field.name} has its type as text: {away}.")
            if "unit" in field.metadata:
                check_quantity(owner, field, value)
            elif "count" in field.metadata:
                whole(f"{owner}.{field.name}", value, field.metadata["count"])
            else:
                check_kind(f"{owner}.{field.name}", field, value)
        self.check_rules()

    def check_rules(self) -> None:
        """Raise if its fields, each of which is what it may be, do not go together."""

    def stored(self, name: str, value: Any) -> Any:
        """A new value for the field `name`, as this part stores it."""
        del name
        return value

    @property
    def needs(self) -> tuple[str, ...]:
        """The ions that it reads in the environment, which must hold them."""
        return ()


def check_quantity(owner: str, field: Field, value: Any) -> None:
    """Raise if `value` is not a finite number in the range that `field` declares."""
    name, meta = f"{owner}.{field.name}", field.metadata
    unit = "" if meta["unit"] == "1" else f" {meta['unit']}"
    if field.type in (Scalar, Scalar | None) and np.ndim(value):
        raise ValueError(f"{name} must be one number, got an array of shape {np.shape(value)}.")
    if value is None and meta["optional"]:
        return
    if isinstance(value, Tracer):
        return
    # A list would be a branch of the pytree, not a leaf.
    array = np.asarray(None if isinstance(value, list | tuple) else value)
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise TypeError(
            f"{name} must be a number{unit and f' in{unit}'}, got {shown(value)}: "
            f"give a float or an array."
        )
    with np.errstate(over="ignore", under="ignore"):
        single = array.astype(np.float32, copy=False)  # what networks compute with
    infinite = np.asarray(~np.isfinite(single))
    if np.any(infinite):
        why = "" if np.any(np.isnan(single)) else ": numbers of single precision end at 3.4e38"
        raise ValueError(
            f"{name} must be finite{unit and f' (in{unit})'}, got {_worst(array, infinite)}{why}."
        )
    low, above, high = meta["low"], meta["above"], meta["high"]
    wrong = np.asarray((single <= above) | (array < low) | (array > high))
    if np.any(wrong):
        raise ValueError(
            f"{name} must be {_range(low, above, high)}{unit}, got {_worst(array, wrong)}: "
            f"check its sign and unit."
        )


def parts(part: Any, prefix: str = "") -> dict[str, Part]:
    """`part` and the parts below it by path name, each of which ends with a slash."""
    found: dict[str, Part] = {}
    if isinstance(part, Part):
        found[prefix] = part
        below = [(field.name, getattr(part, field.name)) for field in fields(part)]
    else:
        below = sorted(part.items()) if isinstance(part, Mapping) else []
    for name, member in below:
        found |= parts(member, f"{prefix}{name}/")
    return found


def quantities(part: Any) -> dict[str, tuple[Part, Field]]:
    """The numbers below `part` by path name, as the part that owns each and its field."""
    return {
        path + field.name: (owner, field)
        for path, owner in parts(part).items()
        for field in fields(owner)
        if "unit" in field.metadata and getattr(owner, field.name) is not None
    }


def is_per_cell(field: Field) -> bool:
    """Whether a field may hold a number for each cell."""
    return field.type in (PerCell, PerCell | None)


def check_lengths(owner: str, part: Any, n: int) -> None:
    """Raise if a number below `part` is neither one for all nor one for each of `n` cells."""
    for name, (holder, field) in quantities(part).items():
        shape = np.shape(getattr(holder, field.name))
        if is_per_cell(field) and shape not in ((), (1,), (n,)):
            raise ValueError(
                f"{owner}: {name} must be one number or one for each of {n} cells, got an array "
                f"of shape {shape}."
            )


def check_kind(name: str, field: Field, value: Any) -> None:
    """Raise if a field for a name, a part, or parts by name, holds anything else."""
    kind: Any = field.type
    if get_origin(kind) is dict:
        member = get_args(kind)[1]
        if isinstance(member, type) and issubclass(member, Part):
            check_members(name, value, member, joined=True)
        return
    kinds = [k for k in get_args(kind) or (kind,) if k is not type(None)]
    if kinds == [str]:
        if not isinstance(value, kind):
            or_none = " or None" if type(None) in get_args(kind) else ""
            raise TypeError(f"{name} must be a str{or_none}, got {shown(value)}.")
        if not field.metadata.get("static"):
            raise TypeError(
                f"{name} is a name and no number, which JAX must be told: declare it as "
                f"`{field.name}: str = eqx.field(static=True)`."
            )
        return
    if kinds and all(isinstance(k, type) and issubclass(k, Part) for k in kinds):
        absent = value is None and type(None) in get_args(kind)
        if not absent and not isinstance(value, tuple(kinds)):
            names = " or ".join("None" if k is type(None) else k.__name__ for k in get_args(kind))
            names = names or kind.__name__
            raise TypeError(f"{name} must be a {names}, got {shown(value)}.")


def check_members(owner: str, members: Any, kind: type, joined: bool = False) -> None:
    """Raise if `members` is not a dict from names, which may be `joined`, to parts of this kind."""
    if not isinstance(members, Mapping):
        raise TypeError(
            f"{owner} must be a dict from names to {kind.__name__}, got {shown(members)}."
        )
    for name, member in members.items():
        if not isinstance(name, str) or not isinstance(member, kind):
            raise TypeError(f"{owner}[{name!r}] must be a {kind.__name__}, got {shown(member)}.")
        if joined and "/" in name:
            raise ValueError(f"{owner}[{name!r}]: '/' joins names, so use another sign.")


def whole(name: str, value: Any, low: int) -> int:
    """The value as an int, which does not overflow; raises unless whole and at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise ValueError(f"{name} must be a whole number of at least {low}, got {shown(value)}.")
    return int(value)


def number(value: Any) -> Any:
    """`value` as a float (a JAX scalar as it is), or None if it is not one number."""
    if isinstance(value, jax.Array) and value.ndim == 0:
        return value
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return float(value)
    return None


def check_positive(name: str, value: Any, unit: str) -> None:
    """Raise unless `value` is a positive and finite number of Python or NumPy."""
    if isinstance(value, jax.Array) or number(value) is None:
        raise TypeError(f"{name} must be a number in {unit}, got {shown(value)}.")
    if not 0 < value < np.inf:
        raise ValueError(f"{name} must be positive and finite ({unit}), got {shown(value)}.")


def shown(value: Any) -> str:
    """A value in a message: on one line, cut where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


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
