"""Spike trains of a group of cells: one list of events on the host, in order of time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float64, Int, Int32

from cortexmg.part import check_positive, number, whole

Number = float | int | np.floating | np.integer

# Spike times are multiples of dt and edges are multiples of a bin, each rounded in its own way:
# two times that differ by less than this are the same time.
ROUNDING = 1e-6  # ms


class ByCell(NamedTuple):
    """The same spikes sorted by cell: cell i has times[offsets[i] : offsets[i + 1]]."""

    times: Float64[np.ndarray, " k"]  # ms
    offsets: Int[np.ndarray, " n_plus_1"]


class SpikeTrains(NamedTuple):
    """The spikes of `n` cells between `start` and `stop`; `checked_trains` makes one safely.

    A spike carries the time of the end of its step. Bins and pieces therefore hold their right
    edge but not their left one, unless that is `start`, so that together they hold every spike.
    """

    ids: Int32[np.ndarray, " k"]  # cell of each spike, 0 to n - 1
    times: Float64[np.ndarray, " k"]  # ms, ascending
    n: int
    start: float  # ms
    stop: float  # ms

    @property
    def duration(self) -> float:
        """Length of the recording (ms)."""
        return self.stop - self.start

    def of(
        self, cells: slice | Sequence[int | np.integer] | Int[np.ndarray, " m"]
    ) -> "SpikeTrains":
        """The spikes of some cells, renumbered from 0 in the order in which they are given.

        Raises: if a cell does not exist, is given twice, or none is given.
        """
        chosen = _chosen(cells, self.n)
        place = np.full(self.n, -1, dtype=np.int32)
        place[chosen] = np.arange(chosen.size)
        ids = place[self.ids]
        kept = ids >= 0
        return self._replace(ids=ids[kept], times=self.times[kept], n=int(chosen.size))

    def between(self, start: Number, stop: Number) -> "SpikeTrains":
        """The spikes after `start` and up to `stop` (ms), at their own times.

        Neighbouring pieces share no spike and lose none.

        Raises: if the piece is empty or reaches outside the recording.
        """
        _check_span(start, stop)
        inside = self.start - ROUNDING <= start < stop <= self.stop + ROUNDING
        if not inside:
            raise ValueError(
                f"between({start:g}, {stop:g}) is not a piece of the recording, which runs from "
                f"{self.start:g} to {self.stop:g} ms: give start < stop within it."
            )
        start, stop = max(float(start), self.start), min(float(stop), self.stop)
        first, last = np.searchsorted(self.times, np.array([start, stop]) + ROUNDING, side="right")
        if start <= self.start + ROUNDING:
            first = 0
        # Rounding must not put a spike a hair before its own recording.
        times = np.clip(self.times[first:last], start, stop)
        return SpikeTrains(self.ids[first:last], times, self.n, start, stop)

    def then(self, later: "SpikeTrains") -> "SpikeTrains":
        """These spikes and those of a run that went on where this one ended, as one recording.

        Raises: if that one begins at another time or has other cells.
        """
        check_trains("SpikeTrains.then", later)
        if later.n != self.n or abs(later.start - self.stop) > ROUNDING:
            raise ValueError(
                f"A recording of {self.n} cells that ends at {self.stop:g} ms cannot be followed "
                f"by one of {later.n} cells from {later.start:g} ms: record the same population in "
                f"a run that goes on from the state."
            )
        ids = np.concatenate([self.ids, later.ids])
        times = np.concatenate([self.times, np.maximum(later.times, self.stop)])
        return SpikeTrains(ids, times, self.n, self.start, later.stop)

    def whole_bins(self, bin: Number, name: str = "bin") -> int:
        """Number of whole bins of `bin` ms in the recording.

        Raises: if there is none.
        """
        check_positive(name, bin, "ms")
        bins = int((self.duration + ROUNDING) / bin)
        if bins < 1:
            raise ValueError(
                f"{name} of {bin:g} ms is longer than the recording of {self.duration:g} ms: "
                f"give a shorter one or record for longer."
            )
        return bins

    def bin_of_spikes(self, bin: Number) -> Int[np.ndarray, " counted"]:
        """Index of the bin of each spike, for the leading spikes that are in a whole bin."""
        counts = self.total_counts(bin)
        return np.repeat(np.arange(counts.size), counts)

    def counts(self, bin: Number) -> Int[np.ndarray, "n bins"]:
        """Spikes of each cell in each whole bin of `bin` ms."""
        bins, where = self.whole_bins(bin), self.bin_of_spikes(bin)
        place = self.ids[: where.size].astype(np.int64) * bins + where
        return np.bincount(place, minlength=self.n * bins).reshape(self.n, bins)

    def total_counts(self, bin: Number) -> Int[np.ndarray, " bins"]:
        """Spikes of all cells together in each whole bin of `bin` ms."""
        edges = self.start + bin * np.arange(self.whole_bins(bin) + 1)
        cuts = np.searchsorted(self.times, edges + ROUNDING, side="right")
        cuts[0] = 0
        return np.diff(cuts)

    def by_cell(self) -> ByCell:
        """The spikes sorted by cell and, within a cell, by time."""
        order = np.argsort(self.ids, kind="stable")
        sizes = np.bincount(self.ids, minlength=self.n)
        return ByCell(self.times[order], np.concatenate([[0], np.cumsum(sizes)]))

    def intervals(self) -> tuple[Float64[np.ndarray, " m"], Int[np.ndarray, " m"]]:
        """Times between successive spikes of a cell (ms), and the cell of each."""
        times, offsets = self.by_cell()
        cells = np.repeat(np.arange(self.n), np.diff(offsets))
        same = cells[1:] == cells[:-1]
        return np.diff(times)[same], cells[1:][same]


def checked_trains(
    ids: ArrayLike | Sequence[int],
    times: ArrayLike | Sequence[float],
    *,
    n: int | np.integer,
    start: Number,
    stop: Number,
) -> SpikeTrains:
    """Spike trains of `n` cells recorded from `start` to `stop` (ms), found to be in order.

    Raises: if a cell or a time is out of range, times descend, or the lengths differ.
    """
    whole("n", n, 1)
    _check_span(start, stop)
    if not (np.isfinite(start) and np.isfinite(stop) and start < stop):
        raise ValueError(
            f"start and stop must be finite with start < stop, got {start} and {stop} ms."
        )
    ids, times = np.asarray(ids), np.asarray(times)
    if ids.ndim != 1 or ids.shape != times.shape:
        raise ValueError(
            f"ids and times must be lists of equal length, got shapes {ids.shape} and "
            f"{times.shape}: give one cell and one time for each spike."
        )
    if ids.size == 0:
        ids, times = ids.astype(np.int32), times.astype(float)
    _check_ids(ids, int(n))
    _check_times(times, float(start), float(stop))
    times = np.clip(times.astype(float), start, stop)
    return SpikeTrains(ids.astype(np.int32), times, int(n), float(start), float(stop))


def check_finite(name: str, values: np.ndarray) -> None:
    """Raise if a value is NaN or infinite."""
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name} must be finite, got NaN or infinity: check where the run broke.")


def check_trains(owner: str, trains: object) -> None:
    """Raise if `trains` is not a SpikeTrains."""
    if not isinstance(trains, SpikeTrains):
        raise TypeError(
            f"{owner} needs SpikeTrains, got {type(trains).__name__}: give the spikes of one "
            f"recorded population, or make them with checked_trains."
        )


def _check_span(start: object, stop: object) -> None:
    if number(start) is None or number(stop) is None:
        raise TypeError(f"start and stop must be numbers in ms, got {start!r} and {stop!r}.")


def _check_ids(ids: np.ndarray, n: int) -> None:
    if ids.dtype.kind not in "iu":
        raise TypeError(f"ids must be whole numbers, got {ids.dtype}: give the index of each cell.")
    wrong = (ids < 0) | (ids >= n)
    if np.any(wrong):
        at = int(np.argmax(wrong))
        raise ValueError(f"ids must be from 0 to n - 1 = {n - 1}, got {ids[at]} at index {at}.")


def _check_times(times: np.ndarray, start: float, stop: float) -> None:
    if times.dtype.kind not in "fiu":
        raise TypeError(f"times must be numbers in ms, got {times.dtype}.")
    # Written so that NaN fails.
    wrong = ~((times >= start - ROUNDING) & (times <= stop + ROUNDING))
    if np.any(wrong):
        at = int(np.argmax(wrong))
        raise ValueError(
            f"times must be from start = {start:g} to stop = {stop:g} ms, got {times[at]:g} at "
            f"index {at}: check the unit and the ends of the recording."
        )
    wrong = times[1:] < times[:-1]
    if np.any(wrong):
        at = int(np.argmax(wrong))
        raise ValueError(
            f"times must ascend, got {times[at]:g} before {times[at + 1]:g} ms at index {at}: sort "
            f"ids and times by np.argsort(times, kind='stable')."
        )


def _chosen(cells, n: int) -> np.ndarray:
    chosen = np.arange(n)[cells] if isinstance(cells, slice) else np.asarray(cells)
    if chosen.size == 0:
        raise ValueError(f"cells must name at least one of the {n} cells, got {cells}.")
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
        raise TypeError(f"cells must be a slice or a list of cell indices, got {cells!r}.")
    wrong = (chosen < 0) | (chosen >= n)
    if np.any(wrong):
        raise ValueError(
            f"cells must be from 0 to n - 1 = {n - 1}, got {chosen[np.argmax(wrong)]}."
        )
    unique, times = np.unique(chosen, return_counts=True)
    if unique.size < chosen.size:
        raise ValueError(f"cells must differ, got {unique[np.argmax(times)]} more than once.")
    return chosen
