"""The numbers of a network by name: listing them with their units, and replacing them."""

import dataclasses
import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import ArrayLike

from cortexmg.part import Part, check_quantity, quantities, shown


class Parameter(NamedTuple):
    """A number of a network, or an array of them, and its unit."""

    value: Any
    unit: str


def path_name(path: tuple) -> str:
    """A path in a pytree as a name: its keys joined by slashes."""
    keys = (getattr(k, "name", getattr(k, "key", getattr(k, "idx", None))) for k in path)
    return "/".join(map(str, keys))


def parameters(network: Any) -> dict[str, Parameter]:
    """Every number of a network by its path name, such as "environment/ions/mg/outside"."""
    return {
        name: Parameter(getattr(owner, field.name), field.metadata["unit"])
        for name, (owner, field) in quantities(network).items()
    }


def endings(names: Sequence[str]) -> list[str]:
    """Of each path name the shortest ending of two keys or more that no other name has.

    One key alone would say "outside" of a concentration and "weight" of a stimulus.
    """
    keys = [name.split("/") for name in names]
    ends = [["/".join(k[-m:]) for m in range(2, len(k) + 1)] or k for k in keys]
    found = Counter(end for each in ends for end in set(each))
    return [next((e for e in each if found[e] == 1), each[-1]) for each in ends]


def with_parameters[T](network: T, values: Mapping[str, ArrayLike]) -> T:
    """The same network with some numbers replaced, by path name. It works inside jit and vmap.

    A value may have the shape that the field had, or be one number for all cells, or one per
    cell; of weights that are stored, outside of jit, one per contact. Known values are checked as
    when the part was made; traced ones cannot be.

    Raises: KeyError for an unknown name, ValueError for an illegal value.
    """
    known, stored = quantities(network), {}
    if not isinstance(values, Mapping):
        raise TypeError(f"values must be a dict from names to numbers, got {shown(values)}.")
    for name, value in values.items():
        if name not in known:
            raise KeyError(f"No parameter {name!r}. {hint(str(name), known)}")
        owner, field = known[name]
        if field.metadata.get("fixed"):
            raise ValueError(f"{name} is part of the wiring and cannot be replaced: build it anew.")
        check_quantity(type(owner).__name__, field, value)
        stored[name] = owner.stored(field.name, value)
        _check_shape(name, stored[name], getattr(owner, field.name))
    changed = jax.tree_util.tree_map_with_path(
        lambda path, old: _like(stored.get(path_name(path), old), old), network
    )
    _check_again(changed, "", stored)
    return changed


def stored(network: Any, name: str, values: np.ndarray) -> np.ndarray:
    """Values of a parameter, one along the first axis for each run, as its part stores them."""
    owner, field = quantities(network)[name]
    return np.stack([np.asarray(owner.stored(field.name, x)) for x in values])


def hint(name: str, known: Iterable[str]) -> str:
    """What may have been meant by a name that is none: those of which it is a part, or like it."""
    near = [other for other in known if name and f"/{name}/" in f"/{other}/"][:3]
    near = near or difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"Did you mean one of {near}?" if near else "cortexmg.parameters lists all names."


def _like(new: Any, old: Any) -> Any:
    """A new value in the dtype of the old one, so that the program needs no second compilation.

    Whole numbers become floating-point ones, as they are in a run. The place of a float of Python,
    which JAX promotes in another way than an array, takes another one.
    """
    if new is old:
        return old
    if type(old) is float and np.ndim(new) == 0 and not isinstance(new, jax.Array):
        return float(new)
    floating = isinstance(old, jax.Array | np.ndarray) and jnp.issubdtype(old.dtype, jnp.floating)
    dtype = jnp.result_type(old) if floating else None
    if isinstance(new, jax.Array):
        return new if dtype is None else new.astype(dtype)
    return np.asarray(new, dtype or jnp.result_type(float))


def _check_shape(name: str, new: Any, old: Any) -> None:
    if np.ndim(old) and np.ndim(new) and np.shape(new) != np.shape(old):
        raise ValueError(f"{name} has shape {np.shape(old)}, got {np.shape(new)}.")


def _check_again(part: Any, prefix: str, values: Mapping[str, Any]) -> None:
    """What parts check when they are made, for those with new numbers below them, if known."""
    if not any(name.startswith(prefix) for name in values):
        return
    if isinstance(part, Mapping):
        members = dict(part)
    elif isinstance(part, Part):
        members = {f.name: getattr(part, f.name) for f in dataclasses.fields(part)}
        if not any(isinstance(x, Tracer) for x in members.values()):
            part.__check_init__()
    else:
        return
    for name, member in members.items():
        _check_again(member, f"{prefix}{name}/", values)
