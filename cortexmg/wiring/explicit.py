"""Wiring that is given, not drawn."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csc_array

from cortexmg.connectivity import Connectivity
from cortexmg.wiring.draw import Key, check_ends, check_total, streams
from cortexmg.wiring.layout import capacity_for, row_for
from cortexmg.wiring.rows import (
    Delay,
    Weight,
    check_value,
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
    check_value("weight", "nS", weight, np.ndarray)
    check_value("delay", "ms", delay, np.ndarray)
    starts, by_row, order = _sorted(sources, targets, n_pre, n_post)
    row = row_for(np.diff(starts))
    size, draws = capacity_for(order.size, row), streams(key)
    weights = _ordered(weight, order, size, 0.0)
    if weights is None:
        weights = weights_for(weight, order.size, size, draws.weights)
    delays = _ordered(delay, order, size, None)
    if delays is None:
        delays = delays_for(delay, size, draws.delays)
    bounds = delay_bounds(delay, delays)
    targets = np.zeros(size, np.int32)
    targets[: order.size] = by_row
    return Connectivity(starts, targets, weights, delays, n_pre, n_post, row, *bounds)


def _sorted(
    sources: np.ndarray, targets: np.ndarray, n_pre: int, n_post: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts of the rows, targets row by row, and the order that leads there.

    Two stable counting sorts: within a row by target, within a pair as given.
    """
    first, order = counting_sort(targets, n_post)
    columns = csc_array((order, sources[order], first), shape=(n_pre, n_post))
    rows = columns.tocsr()
    return rows.indptr, rows.indices, rows.data


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


def _ordered(values: Any, order: np.ndarray, size: int, fill: float | None) -> np.ndarray | None:
    """An array in this order and `fill` (or its first value) up to `size`; None if not an array."""
    if not isinstance(values, np.ndarray):
        return None
    if fill is None:
        fill = values[0] if values.size else 1
    ordered = np.full(size, fill, values.dtype)
    # mode="raise" would write to a buffer first; the order is a permutation.
    np.take(values, order, out=ordered[: order.size], mode="clip")
    return ordered
