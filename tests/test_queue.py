"""Fixed numbers of spikes per step: nothing lost, nothing early, and late is an error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, recorders, stimuli, synapses, wiring
from cortexmg.compaction import TILE, first_active, pack, words_for
from cortexmg.distributions import LogNormal, Uniform
from cortexmg.factors import DodgeRahamimoff
from cortexmg.releases import Certain, TsodyksMarkram

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


MANY = Uniform(1.0, 2.5)  # delays in ms


def volley(delay, release=None, mg=1.0):
    """All cells of one population fire in one step, twice; others listen."""
    c = wiring.fixed_out_degree(N, N, 12, LogNormal(0.5, 0.3), delay, key=1)
    projection = cx.Projection("a", "b", "glutamate", c, *([release] if release else []))
    lif = cells.leaky_integrate_and_fire
    kicks = [np.full(N, t) for t in (1.0, 2.0)], [np.arange(N)] * 2
    listening = {"ampa": synapses.Exponential(5.0)}
    kick = stimuli.SpikeInput("a", "ampa", *map(np.concatenate, kicks), 1000.0)
    return cx.Network(
        cx.acsf(mg, ca=1.2),
        {"a": lif(N, listening), "b": lif(N, listening)},
        {"c": projection},
        {"k": kick},
    )


def run(network, at_once, duration=6.0, **options):
    record = {
        "a": recorders.Spikes("a"),
        "g": recorders.Probe("b", "receptors/ampa", every=None),
    }
    return cx.simulate(network, duration, DT, record=record, at_once=at_once, **options)


@pytest.mark.parametrize(
    "delay, release, devices",
    [
        pytest.param(1.5, None, 1, id="one delay", marks=pytest.mark.slow),
        pytest.param(MANY, None, 1, id="many delays"),
        pytest.param(MANY, None, 3, id="many delays, 3 devices", marks=pytest.mark.slow),
        pytest.param(1.5, TsodyksMarkram(), 3, id="depressing, 3 devices", marks=pytest.mark.slow),
    ],
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


@pytest.mark.parametrize(
    "mg, devices",
    [
        pytest.param(2.5, 1, id="one fluid", marks=pytest.mark.slow),
        pytest.param(np.linspace(0.2, 4.0, N), 3, id="a fluid for each cell, 3 devices"),
    ],
)
def test_magnesium_acts_on_release_with_a_queue_as_without(mg, devices, same_bits):
    law = Certain({"law": DodgeRahamimoff()})
    network = volley(1.5, law, mg)
    without = cx.with_parameters(network, {"environment/ions/mg/outside": 1.0 + 0.0 * mg})
    plain = run(without, 0)["g"].values  # where the law gives 1
    loop, queue = run(network, 0), run(network, 16, devices=devices)
    same_bits(loop.recordings, queue.recordings)
    assert 0.0 < float(queue["g"].values.max()) < 0.7 * float(plain.max())


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 3])
def test_a_network_of_every_kind_is_that_without_a_queue(noisy_network, devices, same_bits):
    record = {name: recorders.Spikes(name) for name in ("E", "I")}

    def go(at_once, devices, time, state=None):
        more = {"record": record, "at_once": at_once, "devices": devices, "state": state}
        return cx.simulate(noisy_network, time, DT, key=5, **more)

    loop, first = go(0, 1, 60.0), go(8, devices, 25.3)
    rest = go(None, 4 - devices, 34.7, first.state)  # as the state was made, on other devices
    assert loop["E"].times.size > 50 and loop["I"].times.size > 10
    same_bits(loop.state.populations, rest.state.populations)
    for name in ("E", "I"):
        both = np.concatenate([first[name].ids, rest[name].ids])
        same_bits(loop[name].ids, both)


@pytest.mark.slow
def test_a_queue_works_in_double_precision():
    with jax.enable_x64(True):
        loop, queue = run(volley(1.5), 0), run(volley(1.5), 16)
        np.testing.assert_array_equal(loop["g"].values, queue["g"].values)


def test_cells_without_contacts_and_those_that_fill_up_devices_take_no_room():
    lif = cells.leaky_integrate_and_fire
    n, drive = 300, np.zeros(300)
    drive[299] = 1000.0
    c = wiring.from_arrays([299, 1], [0, 1], 1.0, 0.2, n, n)
    network = cx.Network(
        cx.acsf(),
        {"a": lif(n, {"ampa": synapses.Exponential(5.0)})},
        {"c": cx.Projection("a", "a", "glutamate", c)},
        {"s": stimuli.StepCurrent("a", drive)},
    )
    for devices in (1, 3):  # 468 cells fill up three devices, and fire with the last one
        assert cx.simulate(network, 30.0, DT, at_once=1, devices=devices).complete
    among = wiring.fixed_out_degree(1, n, 3, 1.0, 0.2, key=1).among(n, first=7)
    network = cx.Network(
        cx.acsf(),
        network.populations,
        {"c": cx.Projection("a", "a", "glutamate", among)},
        {"s": stimuli.StepCurrent("a", 1000.0)},
    )
    assert cx.simulate(network, 30.0, DT, at_once=1, devices=1).complete


def test_late_spikes_are_an_error_that_says_what_to_raise():
    network = volley(0.2)  # three steps of 32 are fewer than 128
    with pytest.raises(cx.Late, match=r"'a'.*at_once = 32.*[Rr]aise at_once") as info:
        run(network, 32)
    before = info.value.runs[0]
    assert before.stop == 0.0
    again = run(network, 64, state=before.state)  # the remedy
    assert again["a"].times.size >= 2 * N


@pytest.mark.slow
def test_late_spikes_of_a_sweep_name_the_run():
    network = volley(0.2)
    with pytest.raises(cx.Late, match=r"in run 0 .*'projections/c/strength': 1"):
        cx.sweep(network, {"projections/c/strength": [1.0, 3.0]}, 6.0, DT, at_once=32)


@pytest.mark.slow
def test_runs_with_a_queue_go_on_and_sweep(same_bits):
    network = volley(1.5)
    whole, first = run(network, 16), run(network, 16, 2.3)
    rest = run(network, 16, 3.7, state=first.state)
    same_bits(whole.state, rest.state)
    record = {"a": recorders.Spikes("a")}
    factors = {"projections/c/strength": [1.0, 3.0]}
    swept = cx.sweep(network, factors, 3.7, DT, record=record, at_once=16, state=first.state)
    same_bits(whole.state.populations["b"].v, swept[0].state.populations["b"].v)
    assert not np.array_equal(swept[1].state.populations["b"].v, whole.state.populations["b"].v)


@pytest.mark.parametrize("at_once", [-1, 129, 2.5, True, "many"])
def test_at_once_that_is_no_number_of_cells_is_refused(at_once, without_type_checks):
    with pytest.raises(ValueError, match="at_once must be a whole number"):
        run(volley(1.5), at_once)


def test_at_once_with_gradients_is_refused():
    with pytest.raises(ValueError, match="no derivative"):
        run(volley(1.5), 16, gradients=True)


def test_a_state_goes_on_as_it_was_made_or_is_refused_with_the_reason():
    network = volley(MANY)
    queue, loop = run(network, 16, 2.3), run(network, 0, 2.3)
    assert run(network, None, 1.0, state=queue.state).state.underway.queued
    for state, at_once, options in (
        (queue.state, 0, {}),
        (loop.state, 16, {}),
        (queue.state, None, {"gradients": True}),
    ):
        with pytest.raises(ValueError, match="same at_once"):
            run(network, at_once, 3.7, state=state, **options)


def test_inside_jit_a_queue_is_refused():
    with pytest.raises(ValueError, match="inside jit"):
        jax.jit(lambda n: run(n, 16).state.step)(volley(1.5))
