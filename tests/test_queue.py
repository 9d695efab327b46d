"""Fixed numbers of spikes per step: nothing lost, nothing early, and late is an error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, recorders, stimuli, synapses, wiring
from cortexmg.compaction import first_active, pack, words_for
from cortexmg.distributions import LogNormal, Uniform
from cortexmg.releases import TsodyksMarkram

DT, N = 0.1, 300
pytestmark = pytest.mark.usefixtures("single_precision")


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("n, most", [(31, 32), (500, 32), (500, 100), (500, 500)])
def test_the_first_bits_are_found_by_words_and_the_others_stay(n, most, share):
    flags = np.random.default_rng(n).random(n) < share
    words, width = pack(jnp.asarray(flags)), words_for(n)
    word, bit, there, left = jax.jit(first_active, static_argnums=1)(words, most)
    by_word = [np.flatnonzero(flags[k::width]) for k in range(width)]
    expected, kept = [], []
    for k, bits in enumerate(by_word):
        full = sum(len(b) for b in by_word[: k + 1]) > most
        (kept if full else expected).extend(k + width * int(b) for b in bits)
    found = np.asarray(word + bit * width)[np.asarray(there)]
    assert list(found) == expected
    remaining = (np.asarray(left)[:, None] >> np.arange(32)) & 1
    where = np.argwhere(remaining)
    assert sorted(where[:, 0] + width * where[:, 1]) == sorted(kept)


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
    loop, queue = run(network, 0), run(network, 64, devices=devices)
    assert loop["a"].times.size >= 2 * N
    assert float(jnp.max(loop["g"].values)) > 0.0
    same_bits(loop.recordings, queue.recordings)
    same_bits(loop.state.populations, queue.state.populations)


def test_late_spikes_are_an_error_that_says_what_to_raise():
    network = volley(0.2)  # three steps of 64 are fewer than 300
    with pytest.raises(cx.Late, match=r"'a'.*at_once = 64.*[Rr]aise at_once") as info:
        run(network, 64)
    assert info.value.runs[0].stop == 0.0 and np.all(
        np.isfinite(info.value.runs[0].state.populations["a"].v)
    )
    assert run(network, 128)["a"].times.size >= 2 * N


def test_runs_with_a_queue_go_on_and_sweep(same_bits):
    network = volley(1.5)
    whole, first = run(network, 64), run(network, 64, 2.3)
    rest = run(network, 64, 3.7, state=first.state)
    same_bits(whole.state, rest.state)
    record = {"a": recorders.Spikes("a")}
    factors = {"projections/c/strength": [1.0, 3.0]}
    swept = cx.sweep(network, factors, 6.0, DT, record=record, at_once=64)
    same_bits(whole.state.populations["b"].v, swept[0].state.populations["b"].v)
    assert not np.array_equal(swept[1].state.populations["b"].v, whole.state.populations["b"].v)


@pytest.mark.parametrize("at_once", [-1, 2.5, True, "many"])
def test_at_once_that_is_no_number_of_cells_is_refused(at_once, without_type_checks):
    with pytest.raises(ValueError, match="at_once must be a whole number"):
        run(volley(1.5), at_once)


def test_at_once_with_gradients_is_refused():
    with pytest.raises(ValueError, match="no derivative"):
        run(volley(1.5), 64, gradients=True)


def test_a_state_with_a_queue_is_no_state_without():
    first = run(volley(1.5), 64, 2.3)
    with pytest.raises(ValueError, match="not one of this network"):
        run(volley(1.5), 0, 3.7, state=first.state)
