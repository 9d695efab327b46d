"""Statistics of spike trains and signals: pure functions on the host, NaN where undefined."""

from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Bool, Float
from scipy import signal as scipy_signal

from cortexmg.part import check_positive, number, shown, whole
from cortexmg.spike_trains import ROUNDING, Number, SpikeTrains, check_finite, check_trains


class Spectrum(NamedTuple):
    """Power spectral density of a signal, one-sided.

    Its sum times the spacing is the variance, but for what is slower than a segment.
    """

    frequencies: Float[np.ndarray, " f"]  # Hz
    power: Float[np.ndarray, " f"]  # square of the signal's unit, per Hz


class Bursts(NamedTuple):
    """Network bursts in order of time, those cut by the ends of the recording included."""

    starts: Float[np.ndarray, " bursts"]  # ms
    stops: Float[np.ndarray, " bursts"]  # ms
    peak_rates: Float[np.ndarray, " bursts"]  # Hz per cell, highest smoothed rate
    per_minute: float


def rate(trains: SpikeTrains) -> Float[np.ndarray, " n"]:
    """Firing rate of each cell (Hz); NaN of no time."""
    check_trains("rate", trains)
    return 1e3 * np.bincount(trains.ids, minlength=trains.n) / (trains.duration or np.nan)


def mean_rate(trains: SpikeTrains) -> float:
    """Firing rate averaged over all cells, silent ones included (Hz); NaN of no time."""
    check_trains("mean_rate", trains)
    return 1e3 * trains.times.size / (trains.n * trains.duration) if trains.duration else np.nan


def population_rate(trains: SpikeTrains, bin: Number = 5.0) -> Float[np.ndarray, " bins"]:
    """Firing rate averaged over cells in each whole bin of `bin` ms (Hz)."""
    check_trains("population_rate", trains)
    return 1e3 * trains.total_counts(bin) / (trains.n * bin)


def isi(trains: SpikeTrains) -> Float[np.ndarray, " intervals"]:
    """Intervals between successive spikes of the same cell (ms), cell after cell."""
    check_trains("isi", trains)
    return trains.intervals()[0]


def cv_isi(trains: SpikeTrains, min_spikes: int = 3) -> Float[np.ndarray, " n"]:
    """Standard deviation over mean of each cell's intervals; NaN below `min_spikes` spikes.

    1 for a Poisson process, 0 for a clock. The variance has the divisor m - 1 for m intervals;
    still, a few intervals give too low a value on average, so raise `min_spikes` for slow cells.
    """
    check_trains("cv_isi", trains)
    whole("min_spikes", min_spikes, 3)
    intervals, cells = trains.intervals()
    m = np.bincount(cells, minlength=trains.n)
    mean = _ratio(np.bincount(cells, intervals, trains.n), m, m > 0)
    squares = np.bincount(cells, (intervals - mean[cells]) ** 2, trains.n)
    # Two spikes at one time would make the mean interval 0.
    enough = (m >= min_spikes - 1) & (mean > 0)
    return _ratio(np.sqrt(_ratio(squares, m - 1, enough)), mean, enough)


def mean_cv(trains: SpikeTrains, min_spikes: int = 3) -> float:
    """Mean of `cv_isi` over the cells that have one."""
    return _mean(cv_isi(trains, min_spikes))


def cv2(trains: SpikeTrains, min_spikes: int = 3) -> Float[np.ndarray, " n"]:
    """Mean of 2 |J - I| / (J + I) over each cell's successive intervals I and J.

    Like the coefficient of variation, 1 for a Poisson process, but blind to slow changes of rate:
    Holt, Softky, Koch and Douglas (1996), doi:10.1152/jn.1996.75.5.1806. NaN below `min_spikes`.
    """
    check_trains("cv2", trains)
    whole("min_spikes", min_spikes, 3)
    intervals, cells = trains.intervals()
    change, total = np.abs(np.diff(intervals)), intervals[1:] + intervals[:-1]
    pair = (cells[1:] == cells[:-1]) & (total > 0)
    m = np.bincount(cells[1:][pair], minlength=trains.n)
    sums = np.bincount(cells[1:][pair], 2.0 * change[pair] / total[pair], trains.n)
    return _ratio(sums, m, m >= min_spikes - 2)


def fano(trains: SpikeTrains, window: Number = 100.0) -> float:
    """Variance over mean of a cell's spike counts in windows of `window` ms, mean over cells.

    Cells without spikes are left out; NaN when none is left. The variance has the divisor b - 1
    for b windows, which makes 1 the exact expectation for Poisson cells however few the windows.
    """
    check_trains("fano", trains)
    mean, variance = _count_moments(trains, window, "window")
    return _mean(_ratio(variance, mean, mean > 0))


def pairwise_correlation(trains: SpikeTrains, bin: Number = 50.0) -> float:
    """Mean over all pairs of cells of the Pearson correlation of their counts in `bin` ms.

    Standardised counts z of m cells have var(sum z) = m + m (m - 1) r, so the mean correlation r
    needs one pass over the spikes and not one over the pairs. Cells whose count never changes are
    left out; NaN when fewer than two are left.
    """
    check_trains("pairwise_correlation", trains)
    _, variance = _count_moments(trains, bin, "bin")
    varying = variance > 0
    m = int(varying.sum())
    if m < 2:
        return np.nan
    weight = np.zeros(trains.n)
    weight[varying] = 1.0 / np.sqrt(variance[varying])
    where = trains.bin_of_spikes(bin)
    summed = np.bincount(where, weight[trains.ids[: where.size]], trains.whole_bins(bin))
    return float((np.var(summed, ddof=1) - m) / (m * (m - 1)))


def synchrony(signals: Float[ArrayLike, "time cells"]) -> float:
    """Fluctuation of the mean signal relative to that of single cells, chi, from 0 to 1.

    chi^2 = var_t(mean_i v_i) / mean_i var_t(v_i), as in Golomb and Rinzel (1993, Phys Rev E
    48:4810; 1994, doi:10.1016/0167-2789(94)90214-3). Equal signals give 1, n independent ones
    about 1 / sqrt(n). NaN when no signal changes.

    Raises: if there are fewer than two times or a value is not finite.
    """
    v = _array("signals", signals)
    if v.ndim != 2 or v.shape[0] < 2 or v.shape[1] < 1:
        raise ValueError(f"signals must be [time, cells], at least 2 by 1, got shape {v.shape}.")
    single = float(np.mean(np.var(v, axis=0, dtype=float)))
    together = float(np.var(np.mean(v, axis=1, dtype=float)))
    changes = single > 0 and np.any(np.ptp(v, axis=0))  # of equal ones it may be, by rounding
    return float(np.sqrt(together / single)) if changes else np.nan


def spectrum(signal: Float[ArrayLike, " time"], dt: Number, segment: Number = 1000.0) -> Spectrum:
    """Power spectrum of a signal sampled every `dt` ms.

    Average over half-overlapping Hann windows of `segment` ms, from each of which its mean is
    removed: Welch (1967), doi:10.1109/TAU.1967.1161901. The resolution is 1000 / segment Hz; of
    slower changes little is left (a quarter at half of that), so take longer segments for them.

    Raises: if the segment does not fit the signal or a value is not finite.
    """
    x = _array("signal", signal).astype(float)
    check_positive("dt", dt, "ms")
    check_positive("segment", segment, "ms")
    if x.ndim != 1:
        raise ValueError(
            f"signal must be one value per time, got shape {x.shape}: average cells first."
        )
    points = round(segment / dt)
    if not 2 <= points <= x.size:
        raise ValueError(
            f"segment must be from {2 * dt:g} ms, two samples, to the {x.size * dt:g} ms of the "
            f"signal, got {segment:g} ms: give another segment or record for longer."
        )
    return Spectrum(*scipy_signal.welch(x, fs=1e3 / float(dt), nperseg=points))


def bursts(
    trains: SpikeTrains,
    *,
    bin: Number = 5.0,
    smoothing: Number = 15.0,
    over_median: Number = 3.0,
    least_rate: Number = 30.0,
    shortest: Number = 20.0,
    gap: Number = 50.0,
) -> Bursts:
    """Periods in which the population rate is above `over_median` medians and `least_rate` (Hz).

    The rate, in bins of `bin` ms, is smoothed by a moving mean of `smoothing` ms (the nearest odd
    number of bins), which moves no edge by more than half its width. Periods less than `gap` ms
    apart are then joined, those below `shortest` ms dropped: a burst with a rhythm inside is one.
    Meant for populations of about 100 cells or more, in which chance does not reach the threshold.
    Of a network that bursts for more than half of the time, the median is that of its bursts, and
    none is found: `over_median` of 0 leaves the rate alone to decide.
    """
    check_trains("bursts", trains)
    limits = dict(over_median=over_median, least_rate=least_rate, shortest=shortest, gap=gap)
    for name, value in limits.items():
        if number(value) is None or not 0 <= value < np.inf:
            raise ValueError(f"{name} must be finite and at least 0, got {shown(value)}.")
    check_positive("smoothing", smoothing, "ms")
    half = int(smoothing / bin / 2)  # an odd width keeps the mean centred on its bin
    # Whole numbers, of which no sum depends on spikes outside of it.
    padded = np.pad(trains.total_counts(bin), half, mode="edge")
    count = np.convolve(padded, np.ones(2 * half + 1, int), mode="valid")
    one = 1e3 / (trains.n * bin * (2 * half + 1))  # Hz of one spike
    limit = max(over_median * float(np.median(count)), least_rate / one)
    active = count > limit * (1.0 + 1e-9)  # not what is just reached, however it rounds
    starts, stops = _periods(active, float(gap / bin), float(shortest / bin))
    peaks = np.array([one * count[a:b].max() for a, b in zip(starts, stops, strict=True)])
    starts_ms, stops_ms = trains.start + bin * starts, trains.start + bin * stops
    return Bursts(starts_ms, stops_ms, peaks, 6e4 * starts.size / trains.duration)


def _array(name: str, values: ArrayLike) -> np.ndarray:
    """The values as an array. Raises if they are not finite, and of a whole recording."""
    if isinstance(values, tuple):
        raise TypeError(f"{name} must be an array, got {shown(values)}: give its `values`.")
    x = np.asarray(values)
    check_finite(name, x)
    return x


def _periods(active: Bool[np.ndarray, " bins"], gap: float, shortest: float):
    """First bin of each active period and the bin after its last, `gap` and `shortest` in bins."""
    change = np.diff(np.concatenate([[0], active.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    apart = starts[1:] - stops[:-1] >= gap - ROUNDING
    starts = np.append(starts[:1], starts[1:][apart])
    stops = np.append(stops[:-1][apart], stops[-1:])
    long = stops - starts >= shortest - ROUNDING
    return starts[long], stops[long]


def _count_moments(trains: SpikeTrains, bin: Number, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over bins of each cell's spike count, from the occupied bins alone."""
    bins, where = trains.whole_bins(bin, name), trains.bin_of_spikes(bin)
    if bins < 2:
        raise ValueError(
            f"{name} of {bin:g} ms fits only once into {trains.duration:g} ms: give a shorter one."
        )
    place = trains.ids[: where.size].astype(np.int64) * bins + where
    place, counts = np.unique(place, return_counts=True)
    total = np.bincount(place // bins, counts, trains.n)
    squares = np.bincount(place // bins, counts**2, trains.n)
    # Whole numbers until the division, so that a constant count has a variance of exactly 0.
    return total / bins, (bins * squares - total**2) / (bins * (bins - 1))


def _ratio(over: np.ndarray, under: np.ndarray, defined: np.ndarray) -> Float[np.ndarray, " n"]:
    """over / under where defined, NaN elsewhere, without a warning."""
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=defined)


def _mean(values: Float[np.ndarray, " n"]) -> float:
    """Mean of the values that are not NaN, NaN if there is none."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else np.nan
