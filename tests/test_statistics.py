"""Statistics of trains and signals whose statistics are known."""

import inspect

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cortexmg import episodes, statistics
from cortexmg.recorders.recorder import Trace
from cortexmg.spike_trains import SpikeTrains, checked_trains

STOP = 20_000.0  # ms


def sorted_trains(ids, times, n, stop=STOP):
    order = np.argsort(times, kind="stable")
    return checked_trains(
        np.asarray(ids)[order], np.asarray(times)[order], n=n, start=0.0, stop=stop
    )


def poisson(n, hz, seed, stop=STOP):
    """Independent Poisson cells, all at `hz` or each at its own."""
    rng = np.random.default_rng(seed)
    k = rng.poisson(np.broadcast_to(hz, n) * stop / 1e3)
    return sorted_trains(np.repeat(np.arange(n), k), rng.uniform(0.0, stop, k.sum()), n, stop)


def renewal(n, draw, stop=STOP):
    """Cells with independent intervals that `draw(shape)` gives, long enough to reach `stop`."""
    times = np.cumsum(draw((n, 2000)), axis=1)
    assert times[:, -1].min() > stop
    ids, at = np.nonzero(times < stop)
    return sorted_trains(ids, times[ids, at], n, stop)


def silent(n=3, stop=1000.0):
    return checked_trains([], [], n=n, start=0.0, stop=stop)


def merged(*parts, n, stop):
    return sorted_trains(
        np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]), n, stop
    )


# Poisson cells: every expectation is known, and so is every standard error.


def test_poisson_rates():
    hz = np.linspace(2.0, 40.0, 50)
    t = poisson(50, hz, seed=1)
    error = np.sqrt(hz * STOP / 1e3) / (STOP / 1e3)
    assert np.all(np.abs(statistics.rate(t) - hz) < 4 * error)
    assert statistics.mean_rate(t) == pytest.approx(statistics.rate(t).mean())
    assert statistics.population_rate(t, 10.0).mean() == pytest.approx(statistics.mean_rate(t))


def test_poisson_intervals():
    t = poisson(100, 20.0, seed=2)
    m = statistics.isi(t).size
    assert statistics.isi(t).mean() == pytest.approx(50.0, abs=4 * 50.0 / np.sqrt(m))
    # The s.d. of CV is 1 / sqrt(m) for exponential intervals; its bias for m = 400 is under 0.5 %.
    assert statistics.mean_cv(t) == pytest.approx(1.0, abs=0.005 + 4 / np.sqrt(m))
    # A term of CV2 is uniform on 0 to 2; neighbours are correlated, but less than the factor 2.
    assert statistics.cv2(t).mean() == pytest.approx(1.0, abs=4 * 2 * np.sqrt(1 / 3 / m))


def test_poisson_fano_is_one_however_few_the_windows():
    for stop, n in [(STOP, 100), (500.0, 5000)]:
        t = poisson(n, 10.0, seed=3, stop=stop)
        windows = stop / 100.0
        error = np.sqrt(2 / (windows - 1) / n)
        assert statistics.fano(t) == pytest.approx(1.0, abs=4 * error)


def test_poisson_cells_are_uncorrelated():
    t = poisson(100, 10.0, seed=4)
    # The mean over pairs of sample correlations from b bins has s.d. 1 / sqrt(b pairs).
    error = 1 / np.sqrt(STOP / 50.0 * 100 * 99 / 2)
    assert abs(statistics.pairwise_correlation(t)) < 4 * error


def test_common_source_gives_its_share_of_correlation():
    rng, n, own, common = np.random.default_rng(5), 60, 8.0, 2.0
    shared = np.sort(rng.uniform(0, STOP, rng.poisson(common * STOP / 1e3)))
    independent = poisson(n, own, seed=6)
    t = merged(
        (independent.ids, independent.times),
        (np.repeat(np.arange(n), shared.size), np.tile(shared, n)),
        n=n,
        stop=STOP,
    )
    # Counts share the variance of the common source. Its sample variance, the larger source of
    # error, has the relative s.d. sqrt(2 / 400) in 400 bins.
    share = common / (own + common)
    assert statistics.pairwise_correlation(t) == pytest.approx(
        share, abs=4 * share * np.sqrt(2 / 400)
    )


# Renewal processes.


@pytest.mark.parametrize("order", [2, 4, 16])
def test_gamma_process_has_cv_of_one_over_root_order(order):
    rng = np.random.default_rng(order)
    t = renewal(60, lambda shape: rng.gamma(order, 25.0 / order, shape))
    m = statistics.isi(t).size
    assert statistics.mean_cv(t) == pytest.approx(
        order**-0.5, abs=4 * order**-0.5 / np.sqrt(m) + 2e-3
    )
    assert np.all(np.abs(statistics.cv_isi(t) - order**-0.5) < 0.2 * order**-0.5 + 0.02)


def test_clocks_have_no_variability():
    phases = np.linspace(1.0, 20.0, 7)
    times = phases[:, None] + 20.0 * np.arange(49)
    t = sorted_trains(np.repeat(np.arange(7), 49), times.ravel(), n=7, stop=1000.0)
    assert np.allclose(statistics.cv_isi(t), 0.0, atol=1e-12)
    assert np.allclose(statistics.cv2(t), 0.0, atol=1e-12)
    assert statistics.fano(t.between(100.0, 900.0)) < 1e-12
    assert np.allclose(statistics.isi(t), 20.0)


def test_cv2_ignores_a_slow_change_of_rate_and_cv_does_not():
    intervals = np.exp(np.linspace(0.0, 3.0, 400))
    t = checked_trains(np.zeros(400, int), np.cumsum(intervals), n=1, start=0.0, stop=STOP)
    assert statistics.cv_isi(t)[0] > 0.6 and statistics.cv2(t)[0] < 0.01


def test_formulas_by_hand():
    t = checked_trains([0, 1, 0, 0], [10.0, 20.0, 30.0, 90.0], n=2, start=0.0, stop=200.0)
    assert statistics.rate(t).tolist() == [15.0, 5.0]
    assert statistics.mean_rate(t) == 10.0
    assert statistics.isi(t).tolist() == [20.0, 60.0]
    assert statistics.cv_isi(t)[0] == pytest.approx(np.sqrt(800.0) / 40.0)
    assert statistics.cv2(t)[0] == pytest.approx(2 * 40 / 80)
    assert np.isnan(statistics.cv_isi(t)[1]) and np.isnan(statistics.cv_isi(t, 4)[0])
    # Counts 3, 0 and 1, 0 in two windows: variances 4.5 and 0.5 over means 1.5 and 0.5.
    assert statistics.fano(t) == pytest.approx((3.0 + 1.0) / 2)
    assert statistics.population_rate(t, 100.0).tolist() == [20.0, 0.0]


@given(st.integers(0, 2**32 - 1))
def test_correlation_is_the_mean_over_all_pairs(seed):
    t = poisson(6, np.array([0.0, 5.0, 10.0, 20.0, 40.0, 40.0]), seed, stop=1000.0)
    counts = t.counts(50.0)
    matrix = np.corrcoef(counts[counts.std(axis=1) > 0])
    pairs = matrix[np.triu_indices_from(matrix, 1)]
    assert statistics.pairwise_correlation(t) == pytest.approx(pairs.mean(), abs=1e-10)


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_cells_does_not_matter(seed):
    t = poisson(8, 20.0, seed, stop=1000.0)
    order = np.random.default_rng(seed).permutation(8)
    u = t.of(order)
    for each in (statistics.rate, statistics.cv_isi, statistics.cv2):
        assert np.allclose(each(u), each(t)[order], equal_nan=True)
    for one in (statistics.mean_cv, statistics.fano, statistics.pairwise_correlation):
        assert one(u) == pytest.approx(one(t), nan_ok=True)


# Signals.


def test_chi_is_one_for_equal_signals_whatever_their_offset():
    wave = np.sin(np.arange(500) / 7.0)[:, None]
    assert statistics.synchrony(wave + np.arange(5.0)) == pytest.approx(1.0)
    assert statistics.synchrony(wave) == pytest.approx(1.0)


def test_chi_of_independent_signals_falls_as_one_over_root_n():
    for n in (10, 400):
        noise = np.random.default_rng(n).normal(-60.0, 5.0, (4000, n)).astype(np.float32)
        # The s.d. of a variance from 4000 samples is sqrt(2 / 4000) of it, half that for its root.
        assert statistics.synchrony(noise) == pytest.approx(n**-0.5, rel=4 * np.sqrt(0.5 / 4000))


def test_chi_of_opposite_signals_is_zero():
    wave = np.sin(np.arange(500) / 7.0)
    assert statistics.synchrony(np.stack([wave, -wave], axis=1)) == pytest.approx(0.0, abs=1e-12)


def test_spectrum_of_a_sine_peaks_at_its_frequency_with_its_power():
    dt, amplitude, hz = 0.5, 3.0, 40.0
    t = dt * np.arange(20_000)
    f, power = statistics.spectrum(7.0 + amplitude * np.sin(2e-3 * np.pi * hz * t), dt)
    assert f[np.argmax(power)] == pytest.approx(hz) and f[1] == pytest.approx(1.0)
    assert power.sum() * f[1] == pytest.approx(amplitude**2 / 2, rel=1e-6)
    assert power[np.abs(f - hz) > 3].max() < 1e-6 * power.max()


def test_spectrum_of_white_noise_is_flat():
    dt, sd = 1.0, 2.0
    f, power = statistics.spectrum(np.random.default_rng(7).normal(0, sd, 200_000), dt, 200.0)
    inside = power[2:-2]
    assert inside.mean() == pytest.approx(2 * sd**2 * dt / 1e3, rel=0.03)
    assert np.abs(inside / inside.mean() - 1).max() < 0.25


# Network bursts.


def planted(starts, length, hz, seed, n=1000, background=5.0, stop=STOP):
    rng, quiet = np.random.default_rng(seed), poisson(n, background, seed, stop)
    k = rng.poisson(n * hz * length / 1e3, len(starts))
    times = np.concatenate([rng.uniform(a, a + length, m) for a, m in zip(starts, k, strict=True)])
    return merged((quiet.ids, quiet.times), (rng.integers(0, n, times.size), times), n=n, stop=stop)


@pytest.mark.parametrize("hz", [60.0, 400.0])
def test_planted_bursts_are_found_to_within_a_bin(hz):
    starts = 500.0 + 1600.0 * np.arange(12) + 2.5
    found = statistics.bursts(planted(starts, 200.0, hz, seed=8))
    assert found.starts.size == 12
    assert np.abs(found.starts - starts).max() <= 7.5
    assert np.abs(found.stops - starts - 200.0).max() <= 7.5
    assert found.peak_rates == pytest.approx(5.0 + hz, rel=0.2)
    assert found.per_minute == pytest.approx(36.0)


@pytest.mark.parametrize("hz", [5.0, 10.0, 15.0])
def test_asynchronous_network_has_no_bursts(hz):
    found = statistics.bursts(poisson(4000, hz, seed=9, stop=10_000.0))
    assert found.starts.size == found.stops.size == found.peak_rates.size == 0
    assert found.per_minute == 0.0


def volleys(n, counts):
    """So many spikes in the middle of bins of 10 ms with these numbers."""
    times = np.concatenate([np.full(k, 10.0 * i + 5.0) for i, k in sorted(counts.items())])
    return checked_trains(np.zeros(times.size, int), times, n=n, start=0.0, stop=2000.0)


@pytest.mark.parametrize("n", [7, 37, 120, 300])
def test_whether_a_rate_is_reached_does_not_depend_on_spikes_long_past(n):
    """Sums that are carried along would round otherwise after a burst."""
    steady = dict.fromkeys(range(52, 152, 5), n // 20 or 1)  # in each window of 50 ms the same
    limit = 1e3 * (n // 20 or 1) / (n * 50.0)
    for before in ({}, {10: 9, 11: 1}, {9: 6, 10: 1, 11: 4, 12: 2, 13: 7}):
        found = episodes.up_states(volleys(n, before | steady), least_rate=limit, shortest=200.0)
        assert found.starts.size == 0
        above = episodes.up_states(volleys(n, before | steady), 0.99 * limit, 200.0)
        assert (above.starts[-1], above.stops[-1]) == (500.0, 1500.0)


def test_where_nothing_fires_no_rate_is_above_none():
    t = volleys(1000, dict(zip(range(9, 19), [6, 1, 4, 2, 7, 3, 5, 1, 8, 2], strict=True)))
    found = episodes.up_states(t, least_rate=0.0)
    assert (found.starts.tolist(), found.stops.tolist()) == ([70.0], [210.0])


@pytest.mark.parametrize("apart, number", [(30.0, 1), (100.0, 2)])
def test_bursts_with_a_short_gap_are_one(apart, number):
    starts = [1000.0, 1000.0 + 100.0 + apart]
    found = statistics.bursts(planted(starts, 100.0, 200.0, seed=10, stop=3000.0))
    assert found.starts.size == number
    assert found.stops[-1] - found.starts[0] == pytest.approx(200.0 + apart, abs=15.0)


def test_short_bursts_count_only_if_asked_for():
    t = planted([1000.0], 20.0, 400.0, seed=11, stop=3000.0)
    assert statistics.bursts(t).starts.size == 1
    assert statistics.bursts(t, shortest=50.0).starts.size == 0


def test_thresholds_are_obeyed():
    t = planted([1000.0], 200.0, 45.0, seed=12, background=10.0, stop=3000.0)
    assert statistics.bursts(t).starts.size == 1
    assert statistics.bursts(t, over_median=7.0).starts.size == 0
    assert statistics.bursts(t, least_rate=80.0).starts.size == 0


def test_a_burst_cut_by_the_end_is_counted_and_times_are_those_of_the_recording():
    t = planted([1000.0, 2900.0], 100.0, 200.0, seed=13, stop=3000.0).between(500.0, 3000.0)
    found = statistics.bursts(t)
    assert found.starts == pytest.approx([1000.0, 2900.0], abs=5.0)
    assert found.stops[-1] == 3000.0 and found.per_minute == pytest.approx(48.0)
    assert statistics.bursts(t, least_rate=150.0).stops[-1] == 3000.0


@pytest.mark.parametrize(
    "pause, discharges, series", [(200.0, 1, 1), (700.0, 2, 1), (1300.0, 2, 2)]
)
def test_discharges_are_joined_by_the_pause_that_they_may_have(pause, discharges, series):
    starts = [1000.0, 1300.0 + pause]
    t = planted(starts, 300.0, 40.0, seed=14, background=1.0, stop=4000.0)
    found = episodes.discharges(t), episodes.discharges(t, episodes.SERIES)
    assert [x.starts.size for x in found] == [discharges, series]
    assert found[0].starts[0] == pytest.approx(1000.0, abs=70.0)
    assert found[1].stops[-1] == pytest.approx(starts[1] + 300.0, abs=70.0)


@pytest.mark.parametrize("pause, number", [(50.0, 1), (250.0, 2)])
def test_up_states_are_found_in_a_population_that_hardly_fires(pause, number):
    starts = [1000.0, 1400.0 + pause, 3000.0]
    t = planted(starts[:2], 400.0, 5.0, seed=15, background=0.0, stop=4000.0)
    short = planted(starts[2:], 20.0, 5.0, seed=15, background=0.0, stop=4000.0)
    both = merged((t.ids, t.times), (short.ids, short.times), n=t.n, stop=4000.0)
    found = episodes.up_states(both)
    assert found.starts.size == number
    assert found.stops[-1] - found.starts[0] == pytest.approx(800.0 + pause, abs=60.0)
    assert episodes.up_states(both, 8.0).starts.size == 0


# Where nothing is defined, and what is refused.


def test_silence_is_not_an_error():
    t = silent()
    assert statistics.rate(t).tolist() == [0.0] * 3 and statistics.mean_rate(t) == 0.0
    assert not statistics.population_rate(t).any() and statistics.isi(t).size == 0
    assert np.isnan(statistics.cv_isi(t)).all() and np.isnan(statistics.cv2(t)).all()
    for one in (statistics.mean_cv, statistics.fano, statistics.pairwise_correlation):
        assert np.isnan(one(t))
    assert statistics.bursts(t).per_minute == 0.0
    assert np.isnan(statistics.synchrony(np.full((10, 3), -65.0)))


def test_one_cell():
    t = poisson(1, 20.0, seed=14, stop=2000.0)
    assert np.isnan(statistics.pairwise_correlation(t))
    assert np.isfinite([statistics.mean_cv(t), statistics.fano(t), statistics.mean_rate(t)]).all()
    assert statistics.bursts(t).starts.ndim == 1


def test_two_spikes_at_one_time_have_no_cv():
    t = checked_trains([0, 0, 0], [5.0, 5.0, 5.0], n=1, start=0.0, stop=10.0)
    assert np.isnan(statistics.cv_isi(t)[0]) and np.isnan(statistics.cv2(t)[0])


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda t: statistics.population_rate(t, 0.0),
            "bin must be positive and finite [(]ms[)], got 0",
        ),
        (lambda t: statistics.population_rate(t, -5.0), "bin must be .* got -5"),
        (lambda t: statistics.fano(t, 2000.0), "window of 2000 ms is longer than the recording"),
        (lambda t: statistics.fano(t, 600.0), "window of 600 ms fits only once"),
        (lambda t: statistics.fano(t, np.nan), "window must be positive and finite"),
        (lambda t: statistics.pairwise_correlation(t, -1.0), "bin must be"),
        (lambda t: statistics.cv_isi(t, 2), "min_spikes must be .* at least 3, got 2"),
        (lambda t: statistics.bursts(t, gap=-1.0), "gap must be finite and at least 0, got -1"),
        (lambda t: statistics.bursts(t, smoothing=0.0), "smoothing must be"),
        (lambda t: statistics.bursts(t, over_median=None), "over_median must be .* got None"),
        (lambda t: statistics.synchrony(np.zeros((1, 3))), r"at least 2 by 1, got shape \(1, 3\)"),
        (lambda t: statistics.synchrony(np.full((5, 3), np.nan)), "signals must be finite"),
        (lambda t: statistics.spectrum(np.zeros(100), 0.0), "dt must be"),
        (lambda t: statistics.spectrum(np.zeros(100), 1.0), "segment must be .* got 1000 ms"),
        (lambda t: statistics.spectrum(np.full(2000, np.inf), 1.0), "signal must be finite"),
    ],
)
def test_what_is_wrong_is_named(call, message, without_type_checks):
    with pytest.raises(ValueError, match=message):
        call(silent())


@pytest.mark.parametrize(
    "name", ["rate", "mean_rate", "isi", "cv_isi", "cv2", "fano", "pairwise_correlation", "bursts"]
)
def test_only_spike_trains_are_taken(name):
    # A test run checks annotations first; the function inside is what users call.
    with pytest.raises(TypeError, match=f"{name} needs SpikeTrains, got ndarray"):
        inspect.unwrap(getattr(statistics, name))(np.zeros(3))


@pytest.mark.parametrize("function", [statistics.synchrony, statistics.spectrum])
def test_a_recording_is_not_taken_for_its_values(function, without_type_checks):
    trace = Trace(np.arange(50.0), np.zeros(50))
    with pytest.raises(TypeError, match="must be an array, got Trace.* give its `values`"):
        function(trace, 1.0) if function is statistics.spectrum else function(trace)


def test_of_no_time_there_is_no_rate():
    nothing = SpikeTrains(np.zeros(0, np.int32), np.zeros(0), 3, 5.0, 5.0)
    assert np.isnan(statistics.mean_rate(nothing))
    assert np.all(np.isnan(statistics.rate(nothing)))


@pytest.mark.parametrize("value", [-70.3, 0.1, 1e6])
def test_chi_of_what_does_not_change_is_undefined(value):
    assert np.isnan(statistics.synchrony(np.full((333, 11), value)))
