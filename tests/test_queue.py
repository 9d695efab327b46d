"""Fixed numbers of spikes per step: nothing lost, nothing early, and late is an error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, recorders, stimuli, synapses, wiring
from cortexmg.compaction import TILE, first_active, pack, words_for
from cortexmg.distributions import LogNormal, Uniform
from cortexmg.releases import TsodyksMarkram

DT, N = 0.1, 300
pytestmark = pytest.mark.usefixtures("single_precision")


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("n, first, most", [(31, 0, 1), (500, 2, 8), (500, 1, 128)])
def test_the_first_bits_of_each_tile_are_found_and_the_others_stay(n, first, most, share):
    flags = np.random.default_rng(n).random((3, n)) < share
    words, width = jnp.stack([pack(jnp.asarray(row)) for row in flags]), words_for(n)
    tiles = -(-width // TILE)
    found, left = jax.jit(first_active, static_argnums=2)(words, jnp.int32(first), most)
    there = np.asarray(found.there)
    got = np.stack([np.asarray(x)[there] for x in (found.row, found.word, found.bit)], axis=1)
    expected, rest, more = set(), set(), 0
    for tile in range(tiles):
        bits = [
            (age, word, bit)
            for age in range(3)
            for word in range(tile, width, tiles)
            for bit in range(32)
            if word + bit * width < n and flags[(first + age) % 3, word + bit * width]
        ]
        expected |= set(bits[:most])
        rest |= set(bits[most:])
        more += min(most, sum(age == 0 for age, _, _ in bits[most:]))
    assert len(got) == len(expected) and set(map(tuple, got.tolist())) == expected
    assert int(found.more.sum()) == more
    remaining = (np.asarray(left)[..., None] >> np.arange(32)) & 1
    assert {((r - first) % 3, w, b) for r, w, b in np.argwhere(remaining).tolist()} == rest


def volley(delay, release=None):
    """All cells of one population fire in one step, twice; others listen."""
    c = wiring.fixed_out_degree(N, N, 12, LogNormal(0.5, 0.3), delay, key=1)
    projection = cx.Projection("a", "b", "glutamate", c, *([release] if release else []))
    lif = cells.leaky_integrate_and_fire
    kicks = [np.full(N, t) for t in (1.0, 2.0)], [np.arange(N)] * 2
    listening = {"ampa": synapses.Exponential(5.0)}
    kick = stimuli.SpikeInput("a", "ampa", *map(np.concatenate, kicks), 1000.0)
    return cx.Network(
        cx.acsf(), {"a": lif(N, listening), "b": lif(N, listening)}, {"c": projection}, {"k": kick}
    )


def run(network, at_once, duration=6.0, **options):
    record = {
        "a": recorders.Spikes("a"),
        "g": recorders.Probe("b", "receptors/ampa", every=None),
    }
    return cx.simulate(network, duration, DT, record=record, at_once=at_once, **options)


@pytest.mark.parametrize("devices", [1, 3])
@pytest.mark.parametrize(
    "delay, release",
    [(1.5, None), (Uniform(1.0, 2.5), None), (1.5, TsodyksMarkram())],
    ids=["one delay", "many delays", "depressing"],
)
def test_when_all_fire_at_once_nothing_is_lost_and_nothing_is_early(
    delay, release, devices, same_bits
):
    network = volley(delay, release)
    loop, queue = run(network, 0), run(network, 16, devices=devices)
    assert loop["a"].times.size >= 2 * N
    assert float(jnp.max(loop["g"].values)) > 0.0
    same_bits(loop.recordings, queue.recordings)
    same_bits(loop.state.populations, queue.state.populations)


def test_late_spikes_are_an_error_that_says_what_to_raise():
    network = volley(0.2)  # three steps of 32 are fewer than 128
    with pytest.raises(cx.Late, match=r"'a'.*at_once = 32.*[Rr]aise at_once") as info:
        run(network, 32)
    assert info.value.runs[0].stop == 0.0 and np.all(
        np.isfinite(info.value.runs[0].state.populations["a"].v)
    )
    assert run(network, 64)["a"].times.size >= 2 * N


def test_runs_with_a_queue_go_on_and_sweep(same_bits):
    network = volley(1.5)
    whole, first = run(network, 16), run(network, 16, 2.3)
    rest = run(network, 16, 3.7, state=first.state)
    same_bits(whole.state, rest.state)
    record = {"a": recorders.Spikes("a")}
    factors = {"projections/c/strength": [1.0, 3.0]}
    swept = cx.sweep(network, factors, 6.0, DT, record=record, at_once=16)
    same_bits(whole.state.populations["b"].v, swept[0].state.populations["b"].v)
    assert not np.array_equal(swept[1].state.populations["b"].v, whole.state.populations["b"].v)


@pytest.mark.parametrize("at_once", [-1, 129, 2.5, True, "many"])
def test_at_once_that_is_no_number_of_cells_is_refused(at_once, without_type_checks):
    with pytest.raises(ValueError, match="at_once must be a whole number"):
        run(volley(1.5), at_once)


def test_at_once_with_gradients_is_refused():
    with pytest.raises(ValueError, match="no derivative"):
        run(volley(1.5), 16, gradients=True)


def test_a_state_with_a_queue_is_no_state_without():
    first = run(volley(1.5), 16, 2.3)
    with pytest.raises(ValueError, match="not one of this network"):
        run(volley(1.5), 0, 3.7, state=first.state)
