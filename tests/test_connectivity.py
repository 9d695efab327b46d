import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cortexmg.connectivity import Connectivity
from cortexmg.wiring import fixed_in_degree, from_arrays
from cortexmg.wiring.layout import capacity_for, row_for


def arguments(**changes):
    """Three cells onto four: 0 -> 1, 0 -> 3, 2 -> 0."""
    tail = 8
    plain = {
        "starts": np.array([0, 2, 2, 3], np.int32),
        "targets": np.array([1, 3, 0] + tail * [0], np.int32),
        "weights": np.array([0.5, 1.0, 2.0] + tail * [0.0], np.float32),
        "delays": np.array([1.0, 1.5, 2.0] + tail * [1.0], np.float32),
        "n_pre": 3,
        "n_post": 4,
        "row": 8,
        "delay_min": 1.0,
        "delay_max": 2.0,
    }
    return plain | changes


def test_reads_back():
    wiring = Connectivity(**arguments())
    assert wiring.n_contacts == 3
    np.testing.assert_array_equal(wiring.pre(), [0, 0, 2])
    np.testing.assert_array_equal(wiring.out_degree(), [2, 0, 1])
    np.testing.assert_array_equal(wiring.in_degree(), [1, 1, 0, 1])
    np.testing.assert_array_equal(wiring.dense(), [[0, 0.5, 0, 1], [0] * 4, [2, 0, 0, 0]])
    assert wiring.pre().dtype == np.int32
    assert isinstance(wiring.targets, np.ndarray)


def test_repr_is_short():
    assert repr(Connectivity(**arguments(weights=0.5))) == (
        "Connectivity(3 -> 4 cells, 3 contacts, weights 0.5 nS, delays one per contact)"
    )


@pytest.mark.parametrize("weights", [0.5, arguments()["weights"]])
def test_the_tail_is_inert(weights):
    short, long = Connectivity(**arguments(weights=weights)), arguments(weights=weights)
    for name in ("targets", "weights", "delays"):
        if np.ndim(long[name]):
            more = np.full(50, long[name][-1], long[name].dtype)
            long[name] = np.concatenate([long[name], more])
    long = Connectivity(**long)
    assert long.n_contacts == 3
    np.testing.assert_array_equal(long.dense(), short.dense())
    np.testing.assert_array_equal(long.in_degree(), short.in_degree())


def array(name, index, value):
    changed = arguments()[name].copy()
    changed[index] = value
    return {name: changed}


@pytest.mark.parametrize(
    "changes, error, message",
    [
        (array("starts", 0, 1), ValueError, "must begin with 0, got 1"),
        (array("starts", 1, 3), ValueError, "row 1 starts at 3 and ends at 2"),
        ({"starts": np.zeros(3, np.int32)}, ValueError, r"4 entries, got 3"),
        ({"starts": np.zeros(4)}, TypeError, "starts must be a 1-D array of int32, got float64"),
        ({"starts": [0, 2, 2, 3]}, TypeError, "starts must be a 1-D array of int32, got list"),
        (array("starts", 3, 4), ValueError, "at least row = 8, 12 in all, got 11"),
        (array("targets", 1, 4), ValueError, r"contact 1 has target 4, but .* 4 cells \(0 to 3\)"),
        (array("targets", 2, -1), ValueError, "contact 2 has target -1"),
        ({"targets": arguments()["targets"].astype(np.int64)}, TypeError, "int32, got int64"),
        (array("weights", 1, -1.0), ValueError, "weights must be at least 0 nS, got -1 at index 1"),
        (array("weights", 1, np.nan), ValueError, "weights must be finite"),
        (array("weights", 5, 1.0), ValueError, "weights must be 0 after the 3 contacts, got 1"),
        ({"weights": -0.5}, ValueError, "weights must be at least 0 nS, got -0.5"),
        ({"weights": "strong"}, TypeError, "weights"),
        ({"weights": np.zeros(3, np.float32)}, ValueError, r"as long as targets \(11.*got 3"),
        ({"weights": np.zeros(11)}, TypeError, "weights must be .* float32, got float64"),
        (array("delays", 1, 0.0), ValueError, "delays must be above 0 ms, got 0 at index 1"),
        (
            array("delays", 1, np.inf),
            ValueError,
            "delays must be finite .in ms., got inf at index 1",
        ),
        (array("delays", 1, np.nan), ValueError, "delays must be finite"),
        ({"delays": 0.5}, ValueError, "delays range from 0.5 .* delay_min = 1 and delay_max = 2"),
        ({"delays": "late"}, TypeError, "delays"),
        ({"delay_min": 0.0}, ValueError, "0 < delay_min <= delay_max, got 0.0 and 2.0 ms"),
        ({"delay_max": 0.5}, ValueError, "0 < delay_min <= delay_max, got 1.0 and 0.5 ms"),
        ({"n_pre": 0}, ValueError, "n_pre must be a whole number of at least 1, got 0"),
        ({"sending": (1, 3)}, ValueError, r"sending must name cells of 3, got \(1, 3\)"),
        ({"sending": (1, 2)}, ValueError, "3 entries, got 4"),
        ({"row": 0}, ValueError, "row must be a whole number of at least 1, got 0"),
    ],
)
def test_illegal_contents(changes, error, message):
    with pytest.raises(error, match=message):
        Connectivity(**arguments(**changes))


def test_tracers_are_not_looked_at():
    def total(weights):
        wiring = Connectivity(**arguments(weights=weights))
        assert "traced" in repr(wiring) or "one per contact" in repr(wiring)
        return wiring.weights.sum()

    assert "weights 2 nS" in repr(Connectivity(**arguments(weights=np.asarray(2.0))))
    assert jax.jit(total)(np.float32(2.0)) == 2.0
    assert jax.jit(total)(arguments()["weights"]) == 3.5
    wiring = Connectivity(**arguments())
    np.testing.assert_array_equal(jax.jit(lambda w: w.targets)(wiring), wiring.targets)
    seen = []
    jax.jit(lambda w: seen.append(repr(w)))(wiring)
    assert "? contacts" in seen[0]


@settings(deadline=None)
@given(n=st.integers(0, 2**31 - 2**27), row=st.sampled_from([8, 96, 1024]))
def test_capacity_is_enough_and_at_most_a_32nd_too_much(n, row):
    capacity = capacity_for(n, row)
    assert n + row <= capacity <= (n + row) * (1 + 1 / 32)
    assert bin(capacity).rstrip("0").count("1") <= 6 and capacity < 2**31


def test_too_many_contacts():
    with pytest.raises(ValueError, match="split the projection"):
        capacity_for(2**31, 8)


@pytest.mark.parametrize(
    "lengths, row",
    [([0, 0], 8), ([100] * 9, 112), ([1] * 9, 8), ([64] * 9, 64), ([1050] * 9, 1088)],
)
def test_row(lengths, row):
    assert row_for(np.array(lengths)) == row


def test_row_minimises_the_time():
    lengths = np.random.default_rng(0).geometric(0.01, 1000)

    def time(row):
        return sum(-(-n // row) * (130 + 2.0 * row) for n in lengths.tolist())

    choices = [8, *range(16, 256, 16), *range(256, 513, 16), *range(512, 1025, 32)]
    assert row_for(lengths) == min(choices, key=time)


def test_seeds_share_a_compiled_program():
    a, b = (fixed_in_degree(300, 200, 30, 0.5, 1.5, key=key) for key in (1, 2))
    assert jax.tree.structure(a) == jax.tree.structure(b)
    assert a.targets.shape == b.targets.shape
    assert not np.array_equal(a.targets, b.targets)


@settings(deadline=None, max_examples=100)
@given(data=st.data(), n_pre=st.integers(1, 12), n_post=st.integers(1, 12))
def test_round_trip(data, n_pre, n_post):
    contact = st.tuples(
        st.integers(0, n_pre - 1), st.integers(0, n_post - 1), st.integers(0, 8), st.integers(1, 9)
    )
    contacts = np.array(data.draw(st.lists(contact, max_size=60)), int).reshape(-1, 4)
    pre, post, weight, delay = contacts.T
    wiring = from_arrays(pre, post, weight / 4, delay, n_pre, n_post)
    expected = np.zeros((n_pre, n_post))
    np.add.at(expected, (pre, post), weight / 4)
    np.testing.assert_array_equal(wiring.dense(), expected)
    n = wiring.n_contacts
    columns = wiring.pre(), wiring.targets[:n], wiring.weights[:n] * 4, wiring.delays[:n]
    stored = np.stack(columns, axis=1).astype(int)
    assert sorted(stored.tolist()) == sorted(contacts.tolist())
    ordered = np.lexsort((wiring.targets[:n], wiring.pre()))
    np.testing.assert_array_equal(ordered, np.arange(n))
