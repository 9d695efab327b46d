"""Wiring that is given, not drawn."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cortexmg.connectivity import Connectivity
from cortexmg.part import number
from cortexmg.wiring.draw import Key, check_total, checked_ends, row_blocks, streams
from cortexmg.wiring.rows import (
    Delay,
    Weight,
    by_source,
    check_value,
    connect,
    counting_sort,
)

SORTED_AT_ONCE = 2**16  # contacts; sorting them takes about 30 times this in bytes


def one_to_one(n: int, weight: Weight, delay: Delay, *, key: Key = 0) -> Connectivity:
    """Cell i contacts cell i. `weight` and `delay` can be arrays, one value per cell."""
    n, _ = checked_ends(n, n)
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
    n_pre, n_post = checked_ends(n_pre, n_post)
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
    # In blocks, and in place, as a sort of everything at once takes several times the result. With
    # fewer in a block than there are cells, the time would no longer be linear in the contacts.
    entries = max(SORTED_AT_ONCE, n_pre, n_post)
    starts, order, row = by_source(sources[:, None], n_pre, entries=entries)
    weights, delays = _room(weight, order.size, 0.0), _room(delay, order.size, None)
    along = [(x, room) for x, room in ((weight, weights), (delay, delays)) if room is not None]
    for rows in row_blocks(starts, entries):
        _settle_rows(starts[rows.start : rows.stop + 1], order, targets, n_post, along)
    return connect(starts, order, row, n_post, weight, delay, streams(key), weights, delays)


def _settle_rows(
    starts: np.ndarray,
    order: np.ndarray,
    targets: np.ndarray,
    n_post: int,
    along: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    """Put the targets of the rows between `starts` in the place of the contacts of `order` there.

    They ascend within a row; contacts of a pair stay in the order given. What each contact has
    (first of each pair in `along`) is written to the same place of the second.
    """
    here = slice(starts[0], starts[-1])
    contacts = order[here].copy()
    order[here], moved = _sorted(starts - starts[0], targets[contacts], n_post)
    contacts = contacts[moved]
    for values, room in along:
        room[here] = values[contacts]


def _sorted(starts: np.ndarray, targets: np.ndarray, n_post: int) -> tuple[np.ndarray, np.ndarray]:
    """The targets of these rows in ascending order within each row, and the order that does it.

    Two stable counting sorts, by target and back by row, linear in time.
    """
    n = starts.size - 1
    first, order = counting_sort(targets, n_post)
    rows = np.repeat(np.arange(n, dtype=np.int32), np.diff(starts))[order]
    from scipy.sparse import csc_array  # half of the time that importing the package takes

    by_row = csc_array((order, rows, first), shape=(n, n_post)).tocsr()
    return by_row.indices, by_row.data


def _ids(name: str, ids: ArrayLike, n: int) -> np.ndarray:
    """The ids as an array; raises unless all are cells of a population of `n`."""
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
    return ids if np.can_cast(ids.dtype, np.int64) else ids.astype(np.int32)


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


def _room(values: Any, size: int, fill: float | None) -> np.ndarray | None:
    """An array of this size, full of `fill` (or of the first value); None if not per contact."""
    if not isinstance(values, np.ndarray):
        return None
    if fill is None:
        fill = values[0] if values.size else 1
    return np.full(size, fill, values.dtype)
