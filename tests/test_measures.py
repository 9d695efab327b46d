"""Measures: the same numbers as the statistics of the host, and derivatives that are finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import cortexmg as cx
from cortexmg import cells, measures, statistics
from cortexmg.measures.measure import CountMeasure
from cortexmg.spike_trains import SpikeTrains

BINS, CELLS = 400, 12


def counts_of(key, p=0.04):
    """At most one spike per cell and bin of 1 ms."""
    rng = np.random.default_rng(key)
    return (rng.random((BINS, CELLS)) < p * rng.uniform(0.2, 1.0, CELLS)).astype(float)


def trains_of(counts):
    bins, ids = np.nonzero(counts)
    return SpikeTrains(ids.astype(np.int32), bins + 0.5, CELLS, 0.0, float(BINS))


def binned(counts, bin):
    return jnp.asarray(counts.reshape(-1, bin, CELLS).sum(axis=1))


COMPARED = [measures.Rate("E", 5.0), measures.CV("E"), measures.Fano("E")]
COMPARED += [measures.Correlation("E"), measures.Synchrony("E"), measures.CellRates("E")]


@jax.jit
def measured(counts):
    """One program for the spikes of any example."""
    return [measure.of(binned(counts, int(measure.bin))) for measure in COMPARED]


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_measures_are_the_statistics_of_the_same_spikes(key):
    counts = counts_of(key)
    trains = trains_of(counts)
    expected = [
        statistics.mean_rate(trains),
        statistics.mean_cv(trains),
        statistics.fano(trains),
        statistics.pairwise_correlation(trains),
        statistics.synchrony(binned(counts, 10)),
    ]
    *several, each = measured(counts)
    for measure, found, want in zip(COMPARED[:-1], several, expected, strict=True):
        assert float(found) == pytest.approx(want, rel=1e-9, abs=1e-12, nan_ok=True), measure
    np.testing.assert_allclose(each, statistics.rate(trains), rtol=1e-12)


@pytest.mark.parametrize(("bins", "count"), [(7, 3), (41, 1), (15, 5)])
def test_a_cell_that_fires_equally_often_in_every_bin_is_left_out(bins, count, single_precision):
    counts = np.random.default_rng(1).poisson(2.0, (bins, CELLS)).astype(np.float32)
    steady = jnp.asarray(counts).at[:, 0].set(count)
    correlation = jax.jit(jax.value_and_grad(measures.Correlation("E").of))
    (found, slope), (expected, others) = correlation(steady), correlation(steady[:, 1:])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(slope[:, 1:], others, rtol=0, atol=1e-6)
    assert jnp.all(slope[:, 0] == 0.0)
    assert jnp.isnan(measures.Synchrony("E").of(jnp.full((bins, CELLS), float(count))))


def test_the_power_in_all_bands_is_the_whole():
    counts = binned(counts_of(1), 5)
    edges = [0.0, 10.0, 30.0, 80.0, 100.0]
    bands = list(zip(edges, edges[1:], strict=False))
    rate = np.asarray(counts).mean(axis=1)
    two_sided = np.abs(np.fft.fft(rate - rate.mean())) ** 2
    frequency = np.abs(np.fft.fftfreq(rate.size, 5e-3))
    shares = [float(measures.BandPower("E", a, b).of(counts)) for a, b in bands]
    for share, (low, high) in zip(shares, bands, strict=True):
        inside = (frequency >= low) & (frequency < (high if high < 100.0 else np.inf))
        assert share == pytest.approx(two_sided[inside].sum() / two_sided.sum())
    assert sum(shares) == pytest.approx(1.0)
    net = cx.Network(cx.acsf(), {"E": cells.leaky_integrate_and_fire(3)})
    with pytest.raises(ValueError, match=r"no frequency of a run of 200 ms, which has every 5 Hz"):
        measures.BandPower("E", 1.0, 4.0).check(net, 200.0)
    with pytest.raises(ValueError, match="half the rate"):
        measures.BandPower("E", 50.0, 200.0)


@pytest.mark.parametrize("bins", [140, 260, 780, 800])
def test_what_is_on_the_edge_of_a_band_is_in_the_upper_one(bins):
    """Of 1.4, 2.6 and 7.8 s in bins of 10 ms, rounded frequencies are just below or above."""
    t = np.arange(bins) * 10.0
    edge, highest = np.sin(2e-3 * np.pi * 30.0 * t), np.where(np.arange(bins) % 2, 1.0, -1.0)
    for signal, band, share in ((edge, (30.0, 40.0), 1.0), (edge, (13.0, 30.0), 0.0)):
        power = measures.BandPower("E", *band, bin=10.0).of(jnp.asarray(10.0 + signal)[:, None])
        assert power == pytest.approx(share, abs=1e-9)
    power = measures.BandPower("E", 40.0, 50.0, bin=10.0)
    assert power.of(jnp.asarray(10.0 + highest)[:, None]) == pytest.approx(1.0)


def test_a_rate_that_never_changes_has_no_power_anywhere(single_precision):
    steady = jnp.zeros((333, 7)).at[:, :3].set(1.0)
    assert jnp.isnan(measures.BandPower("E", 0.0, 4.0).of(steady))


def test_a_duration_of_a_broken_interval_is_refused_by_the_measure():
    net = cx.Network(cx.acsf(), {"E": cells.leaky_integrate_and_fire(3)})
    with pytest.raises(ValueError, match=r"Fano.* whole intervals of 100 ms, got .* of 250 ms"):
        cx.observed(net, {"fano": measures.Fano("E")}, duration=250.0, settle=100.0)


ALL = [m("E") for m in (measures.Rate, measures.CV, measures.Fano, measures.Correlation)]
ALL += [measures.Synchrony("E"), measures.CellRates("E"), measures.BandPower("E", 5.0, 50.0)]


@jax.jit
def slopes(counts):
    """The derivative of every measure by the counts in its bins."""

    def of(measure: CountMeasure):
        x = binned(counts, int(measure.bin))
        return jax.grad(lambda x: jnp.sum(measure.scaled(measure.of(x))))(x)

    return [of(measure) for measure in ALL]


@pytest.mark.parametrize("what", ["spikes", "silent", "one cell", "every bin"])
def test_derivatives_are_finite_whatever_the_spikes(what):
    counts = counts_of(3)
    if what == "silent":
        counts = 0.0 * counts
    elif what == "one cell":
        counts[:, 1:] = 0.0
    elif what == "every bin":
        counts = np.ones_like(counts)
    for measure, slope in zip(ALL, slopes(counts), strict=True):
        assert np.all(np.isfinite(slope)), measure  # an undefined measure is a constant
        assert what != "spikes" or np.any(slope != 0), measure


def test_without_spikes_what_is_undefined_is_so_and_rates_are_0():
    nothing = jnp.zeros((40, CELLS))
    assert measures.Rate("E").of(nothing) == 0.0
    assert np.isfinite(measures.Rate("E").scaled(0.0))
    for measure in (measures.CV, measures.Fano, measures.Correlation, measures.Synchrony):
        assert np.isnan(measure("E").of(nothing))


def test_two_spikes_in_one_bin_are_one_of_the_intervals():
    counts = np.zeros((60, 1))
    counts[::10] = 1.0
    counts[20] = 2.0
    assert measures.CV("E").of(jnp.asarray(counts)) == 0.0


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: measures.Rate("E", -5.0), ["Rate.bin", "positive", "-5.0"]),
        (lambda: measures.Rate("E", "a"), ["Rate.bin", "number in ms", "'a'"]),
        (lambda: measures.CV("E", float("nan")), ["CV.bin", "nan"]),
        (lambda: measures.BandPower("E", 5.0, 50.0, bin=0), ["BandPower.bin", "positive", "0"]),
        (lambda: measures.BandPower("E", "a", 50.0), ["BandPower", "low < high", "low='a'"]),
        (lambda: measures.MeanVoltage("E", every=-1.0), ["every", "positive", "-1.0"]),
        (
            lambda: measures.MeanConductance("E", "ampa", every="a"),
            ["every", "number in ms", "'a'"],
        ),
    ],
)
def test_intervals_that_cannot_be_are_refused(is_refused, make, words):
    is_refused(make, words)
