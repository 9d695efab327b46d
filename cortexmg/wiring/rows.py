"""From drawn contacts to a `Connectivity`: sorting by presynaptic cell, weights and delays."""

import math
from typing import Any

import numpy as np

from cortexmg.connectivity import Connectivity
from cortexmg.distributions import ByDistance, Distribution, Normal, Uniform
from cortexmg.part import number
from cortexmg.wiring.draw import DRAWN_AT_ONCE, Streams, blocks
from cortexmg.wiring.layout import capacity_for, room_for_targets, row_for

Weight = Any  # a number (nS) or a Distribution
Delay = Any  # a number (ms), a Distribution or a ByDistance


def counting_sort(ids: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `n` ids starts in sorted order, and the stable order (both int32).

    As a sparse matrix of one row, the conversion to columns is a counting sort: linear in time,
    and repeated ids are kept.
    """
    ends = np.asarray([0, ids.size], np.int32)
    order = np.arange(ids.size, dtype=np.int32)
    from scipy.sparse import csr_array  # half of the time that importing the package takes

    columns = csr_array((order, ids.astype(np.int32, copy=False), ends), shape=(1, n)).tocsc()
    return columns.indptr, columns.data


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Where each row starts and the last one ends (int32)."""
    starts = np.zeros(lengths.size + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    capacity_for(int(starts[-1]), 8)  # raises where int32 ends
    return starts.astype(np.int32)


def by_source(
    sources: np.ndarray, n_pre: int, typical: np.ndarray | None = None, entries: int = DRAWN_AT_ONCE
) -> tuple[np.ndarray, np.ndarray, int]:
    """Starts, targets and row of the contacts whose `sources` are given by target, [n_post, k].

    Works in blocks of `entries`, so that beside `sources` and the result there is little to store.
    `typical` are row lengths to choose `row` for, where they are known before drawing.
    """
    n_post, k = sources.shape
    lengths = np.zeros(n_pre, np.int64)
    for rows in blocks(n_post, k, entries):
        lengths += np.bincount(sources[rows].ravel(), minlength=n_pre)
    starts = starts_of(lengths)
    row = row_for(lengths if typical is None else typical)
    targets = room_for_targets(n_post * k, row, n_post)
    cursor = starts[:-1].copy()
    for rows in blocks(n_post, k, entries):
        first, order = counting_sort(sources[rows].ravel(), n_pre)
        found = np.diff(first)
        place = np.repeat(cursor - first[:-1], found)
        place += np.arange(order.size, dtype=np.int32)
        targets[place] = order // np.int32(k) + np.int32(rows.start)
        cursor += found
    return starts, targets, row


def connect(
    starts: np.ndarray,
    targets: np.ndarray,
    row: int,
    n_post: int,
    weight: Weight,
    delay: Delay,
    draws: Streams,
    weights: np.ndarray | None = None,
    delays: np.ndarray | None = None,
) -> Connectivity:
    """The contacts with independent weights and delays, or with those that are known of each.

    Drawn after sorting: as they are independent of who contacts whom, nothing has to be sorted
    along.
    """
    if weights is None:
        weights = weights_for(weight, int(starts[-1]), targets.size, draws.weights)
    if delays is None:
        delays = delays_for(delay, targets.size, draws.delays)
    bounds = delay_bounds(delay, delays)
    return Connectivity(starts, targets, weights, delays, starts.size - 1, n_post, row, *bounds)


def weights_for(weight: Weight, n: int, size: int, rng: np.random.Generator) -> Any:
    """The number that `weight` is, or `size` draws of which all after `n` are 0."""
    if not isinstance(weight, Distribution):
        return number(weight)
    weights = weight.sample(rng, size)
    weights[n:] = 0.0
    return weights


def delays_for(delay: Delay, size: int, rng: np.random.Generator) -> Any:
    """The number that `delay` is, or `size` draws."""
    return delay.sample(rng, size) if isinstance(delay, Distribution) else number(delay)


def check_values(weight: Weight, delay: Delay) -> None:
    """Raise before drawing unless both are a number or a distribution."""
    check_value("weight", "nS", weight)
    check_value("delay", "ms", delay)


def check_value(name: str, unit: str, value: Any, *also: type) -> None:
    """Raise unless `value` is a number, a distribution or one of `also`."""
    if number(value) is None and not isinstance(value, (Distribution, *also)):
        raise TypeError(_unknown(name, unit, value))


def delay_bounds(delay: Delay, delays: Any) -> tuple[float, float]:
    """A shortest and a longest delay (ms) that networks differing only by seed mostly share.

    They are static, so another value means another compilation. Where the distribution has no
    bounds of its own, they are those of the draws, rounded outwards to two digits.
    """
    if isinstance(delay, Uniform):
        return float(delay.low), float(delay.high)
    if isinstance(delay, ByDistance):
        return float(delay.offset), max(
            float(delay.offset), _rounded(float(delays.max()), math.ceil)
        )
    if isinstance(delay, Distribution):
        low = delay.low if isinstance(delay, Normal) else 0.0
        low = float(low) or _rounded(float(delays.min()), math.floor)
        return low, _rounded(float(delays.max()), math.ceil)
    return float(np.min(delays)), float(np.max(delays))


def _rounded(value: float, towards) -> float:
    """`value` rounded `towards` (math.floor or math.ceil) to two significant digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    digits = value / unit
    # float32 may hold a two-digit number a little above or below itself
    whole = round(digits) if math.isclose(digits, round(digits), rel_tol=1e-6) else towards(digits)
    return float(f"{whole * unit:.3g}")


def _unknown(name: str, unit: str, value: Any) -> str:
    if isinstance(value, ByDistance):
        return f"{name} cannot be ByDistance: only delays of wiring.by_distance know distances."
    if np.ndim(value):
        return (
            f"{name} must be a number in {unit} or a distribution, got an array of shape "
            f"{np.shape(value)}: one value per contact goes into wiring.from_arrays or one_to_one."
        )
    return (
        f"{name} must be a number in {unit} or a distribution (Uniform, Normal, LogNormal), got "
        f"{value!r}."
    )
