"""Wiring that is given, not drawn."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cortexmg.connectivity import Connectivity, capacity_for, row_for
from cortexmg.wiring.draw import Key, check_ends, check_total, streams
from cortexmg.wiring.rows import (
    Delay,
    Weight,
    check_values,
    counting_sort,
    delay_bounds,
    delays_for,
    number,
    weights_for,
)


def one_to_one(n: int, weight: Weight, delay: Delay, *, key: Key = 0) -> Connectivity:
    """Cell i contacts cell i. `weight` and `delay` can be arrays, one value per cell."""
    check_ends(n, n)
    cells = np.arange(n, dtype=np.int32)
    return from_arrays(cells, cells, weight, delay, n, n, key=key)


def from_arrays(
    pre: ArrayLike,
    post: ArrayLike,
    weight: Weight,
    delay: Delay,
    n_pre: int,
    n_post: int,
    *,
    key: Key = 0,
) -> Connectivity:
    """Contact c leads from cell `pre[c]` to cell `post[c]`, in any order.

    A pair listed several times has several contacts. `weight` (nS) and `delay` (ms) can be
    arrays, one value per contact.

    Raises:
        ValueError: a cell that does not exist, arrays of different length, or an illegal value.
    """
    check_ends(n_pre, n_post)
    sources = _ids("pre", pre, n_pre)
    targets = _ids("post", post, n_post)
    if sources.size != targets.size:
        raise ValueError(
            f"pre and post must list the two ends of the same contacts, got {sources.size} and "
            f"{targets.size} entries."
        )
    check_total(sources.size)
    weight, delay = _per_contact("weight", weight, sources), _per_contact("delay", delay, sources)
    check_values(weight, delay, np.ndarray)
    by_target = counting_sort(targets, n_post)[1]  # and, as sorting is stable, within each row
    starts, order = counting_sort(sources[by_target], n_pre)
    order = by_target[order]
    row = row_for(np.diff(starts))
    size, draws = capacity_for(order.size, row), streams(key)
    weights = (
        _placed(weight, order, size, 0.0)
        if isinstance(weight, np.ndarray)
        else weights_for(weight, order.size, size, draws.weights)
    )
    delays = (
        _placed(delay, order, size, delay.max(initial=1.0))
        if isinstance(delay, np.ndarray)
        else delays_for(delay, size, draws.delays)
    )
    bounds = delay_bounds(delay, delays)
    targets = _placed(targets, order, size, 0)
    return Connectivity(starts, targets, weights, delays, n_pre, n_post, row, *bounds)


def _ids(name: str, ids: ArrayLike, n: int) -> np.ndarray:
    """The ids as int32; raises unless all are cells of a population of `n`."""
    ids = np.asarray(ids)
    if ids.size == 0:
        ids = ids.astype(np.int32)  # an empty list is one of floats
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must be a 1-D array of whole numbers, got {ids.dtype} of shape {ids.shape}."
        )
    if ids.size and (ids.min() < 0 or ids.max() >= n):
        i = np.flatnonzero((ids < 0) | (ids >= n))[0]
        raise ValueError(
            f"{name}: contact {i} has cell {ids[i]}, but the population has {n} cells "
            f"(0 to {n - 1})."
        )
    return ids.astype(np.int32, copy=False)


def _per_contact(name: str, value: Any, ids: np.ndarray) -> Any:
    """`value`; if it is not a single thing, as float32 array of one value per contact."""
    if number(value) is not None or np.ndim(value) == 0:
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold numbers, got an array of {array.dtype}.")
    if array.shape != ids.shape:
        raise ValueError(
            f"{name} must be one value or one per contact, got shape {array.shape} for {ids.size} "
            f"contacts."
        )
    return array.astype(np.float32, copy=False)


def _placed(values: np.ndarray, order: np.ndarray, size: int, fill: float) -> np.ndarray:
    """`values` in this order, and `fill` behind them up to `size`."""
    placed = np.full(size, fill, values.dtype)
    np.take(values, order, out=placed[: order.size])
    return placed
