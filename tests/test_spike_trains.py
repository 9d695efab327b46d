"""Binning, cutting and choosing spike trains, against plain loops."""

import inspect

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cortexmg.spike_trains import SpikeTrains, checked_trains

DT = 0.05  # ms


@st.composite
def trains(draw):
    """Spikes at whole steps, some on edges, on both ends and at the same time."""
    n, first, steps = (
        draw(st.integers(1, 5)),
        draw(st.integers(0, 10**6)),
        draw(st.integers(20, 400)),
    )
    k = draw(st.integers(0, 60))
    step = np.sort(draw(st.lists(st.integers(0, steps), min_size=k, max_size=k))).astype(int)
    ids = np.array(draw(st.lists(st.integers(0, n - 1), min_size=k, max_size=k)), dtype=int)
    # The product and the sum round differently, as in a simulation.
    start, stop = first * DT, first * DT + steps * DT
    return SpikeTrains(ids.astype(np.int32), (first + step) * DT, n, start, stop)


def simple():
    return checked_trains([2, 0, 2, 1], [1.0, 2.0, 2.0, 9.5], n=3, start=0.0, stop=10.0)


@given(trains(), st.integers(1, 20))
def test_counts_are_those_of_a_loop_over_spikes(t, steps):
    bins = round(t.duration / DT) // steps
    expected = np.zeros((t.n, bins), int)
    for cell, time in zip(t.ids, t.times, strict=True):
        step = round((time - t.start) / DT)
        which = max(0, -(-step // steps) - 1)
        if which < bins:
            expected[cell, which] += 1
    bin = steps * DT
    assert np.array_equal(t.counts(bin), expected)
    assert np.array_equal(t.total_counts(bin), expected.sum(axis=0))


@given(trains(), st.integers(1, 400))
def test_two_pieces_are_the_whole(t, step):
    at = t.start + min(step, round(t.duration / DT) - 1) * DT
    first, second = t.between(t.start, at), t.between(at, t.stop)
    assert np.array_equal(np.concatenate([first.ids, second.ids]), t.ids)
    assert np.allclose(np.concatenate([first.times, second.times]), t.times, rtol=0, atol=1e-6)
    assert np.all(second.times >= second.start) and first.stop == second.start
    again = first.then(second)
    assert np.array_equal(again.ids, t.ids) and (again.start, again.stop) == (t.start, t.stop)
    assert np.allclose(again.times, t.times, rtol=0, atol=1e-6)
    assert np.all(np.diff(again.times) >= 0.0)


@pytest.mark.parametrize(
    "later, words",
    [
        (simple, "3 cells that ends at 10 ms .* 3 cells from 0 ms"),
        (lambda: checked_trains([], [], n=2, start=10.0, stop=11.0), "followed by one of 2 cells"),
    ],
)
def test_only_what_goes_on_can_follow(later, words):
    with pytest.raises(ValueError, match=words):
        simple().then(later())


@given(trains())
def test_by_cell_keeps_every_spike_in_order(t):
    times, offsets = t.by_cell()
    for cell in range(t.n):
        assert np.array_equal(times[offsets[cell] : offsets[cell + 1]], t.times[t.ids == cell])


@given(trains(), st.randoms(use_true_random=False))
def test_choosing_all_cells_in_another_order_permutes_the_counts(t, random):
    order = list(range(t.n))
    random.shuffle(order)
    assert np.array_equal(t.of(order).counts(1.0), t.counts(1.0)[order])


def test_a_spike_on_an_edge_ends_its_bin():
    t = checked_trains([0, 0, 0], [0.0, 5.0, 10.0], n=1, start=0.0, stop=10.0)
    assert t.total_counts(5.0).tolist() == [2, 1]
    assert t.between(5.0, 10.0).times.tolist() == [10.0]


def test_part_of_a_bin_at_the_end_is_left_out():
    assert simple().total_counts(3.0).tolist() == [3, 0, 0]


def test_choice_renumbers_cells_and_keeps_the_span():
    chosen = simple().of([2, 1])
    assert chosen.ids.tolist() == [0, 0, 1] and chosen.n == 2
    assert (chosen.start, chosen.stop) == (0.0, 10.0)
    assert simple().of(slice(1, None)).ids.tolist() == [1, 1, 0]


def test_no_spikes():
    t = checked_trains([], [], n=3, start=0.0, stop=10.0)
    assert t.counts(5.0).tolist() == [[0, 0]] * 3
    assert t.by_cell().offsets.tolist() == [0, 0, 0, 0]
    assert t.of([1]).between(2.0, 4.0).times.size == 0


def test_types_are_fixed_whatever_comes_in():
    t = checked_trains([0], np.array([1], dtype=np.float32), n=np.int64(1), start=0, stop=2)
    assert (t.ids.dtype, t.times.dtype) == (np.int32, np.float64)
    assert isinstance(t, SpikeTrains) and type(t.n) is int and type(t.stop) is float


@pytest.mark.parametrize(
    "change, error, message",
    [
        (dict(ids=[0, 3]), ValueError, "ids must be from 0 to n - 1 = 2, got 3 at index 1"),
        (dict(ids=[-1, 0]), ValueError, "got -1 at index 0"),
        (dict(ids=[0.0, 1.0]), TypeError, "ids must be whole numbers, got float64"),
        (dict(ids=[0]), ValueError, "equal length"),
        (dict(times=[2.0, 1.0]), ValueError, "must ascend, got 2 before 1"),
        (dict(times=[1.0, 11.0]), ValueError, "got 11 at index 1"),
        (dict(times=[-1.0, 1.0]), ValueError, "got -1 at index 0"),
        (dict(times=[1.0, np.nan]), ValueError, "got nan at index 1"),
        (dict(n=0), ValueError, "n must be a whole number of at least 1, got 0"),
        (dict(stop=0.0), ValueError, "start < stop"),
        (dict(stop=np.inf), ValueError, "finite"),
    ],
)
def test_what_is_wrong_is_named(change, error, message):
    good = dict(ids=[0, 1], times=[1.0, 2.0], n=3, start=0.0, stop=10.0)
    assert checked_trains(**good).n == 3
    with pytest.raises(error, match=message):
        # A test run checks annotations first; the function inside is what users call.
        inspect.unwrap(checked_trains)(**(good | change))


@pytest.mark.parametrize("cells", [[3], [-1], [0, 0], [], slice(5, 9)])
def test_cells_that_cannot_be_chosen(cells):
    with pytest.raises(ValueError, match="cells must"):
        simple().of(cells)


@pytest.mark.parametrize("piece", [(5.0, 5.0), (6.0, 5.0), (-1.0, 5.0), (5.0, 11.0), (np.nan, 5.0)])
def test_pieces_outside_the_recording(piece):
    with pytest.raises(ValueError, match="from 0 to 10 ms"):
        simple().between(*piece)


@pytest.mark.parametrize("bin", [0.0, -1.0, np.nan, np.inf, 10.5])
def test_bins_that_do_not_fit(bin):
    with pytest.raises(ValueError, match="bin "):
        simple().counts(bin)
