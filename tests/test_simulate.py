"""Runs: the same bits however they are cut, resumed or batched; derivatives; interruption."""

import os
import resource
import signal
import time
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, channels, memory, programs, recorders, stimuli, synapses, wiring
from cortexmg.membrane import Current
from cortexmg.part import Scalar, quantity
from cortexmg.stimuli import Stimulus

DT = 0.05
MG = "environment/ions/mg/outside"


def glued(recordings):
    """The recordings of successive runs as those of one run."""
    first, last = recordings[0], recordings[-1]
    if isinstance(first, recorders.Trace):
        return jax.tree.map(lambda *x: np.concatenate(x), *recordings)
    ids, times = (np.concatenate([getattr(r, k) for r in recordings]) for k in ("ids", "times"))
    return type(first)(ids, times, first.n, first.start, last.stop)


@pytest.fixture(scope="module")
def whole(noisy_network, every_recorder):
    """One long run with every recorder."""
    run = cx.simulate(noisy_network, 60.0, dt=DT, record=every_recorder, key=3)
    assert run["Spikes E"].times.size > 100 and run["Spikes I"].times.size > 10
    return run


FEW = {
    "spikes": recorders.Spikes("E"),
    "v": recorders.Probe("E"),
    "count": recorders.SpikeCount("E", every=5.0),
}
MEAN = "stimuli/noise/mean"


@pytest.fixture
def short_pieces(monkeypatch):
    """Compiled pieces of 1 ms instead of seconds."""
    monkeypatch.setattr(memory, "CELL_STEPS", 1)


# ---- the same bits ------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_in_sixty_pieces_is_the_run_in_one(
    whole, noisy_network, every_recorder, short_pieces, same_bits
):
    run = cx.simulate(noisy_network, 60.0, dt=DT, record=every_recorder, key=3)
    same_bits(run.recordings, whole.recordings)
    same_bits(run.state, whole.state)


def test_resumed_runs_are_the_run_in_one(whole, noisy_network, every_recorder, same_bits):
    cuts = [0.0, 1.0, 8.0, 27.0, 28.0, 41.0, 60.0]
    parts, state = [], None
    for begin, end in zip(cuts, cuts[1:], strict=False):
        parts.append(
            cx.simulate(
                noisy_network, end - begin, dt=DT, record=every_recorder, key=3, state=state
            )
        )
        state = parts[-1].state
        assert (parts[-1].start, parts[-1].stop) == (begin, end)
    same_bits(state, whole.state)
    for name in every_recorder:
        same_bits(glued([p[name] for p in parts]), whole[name])


def test_recording_does_not_change_the_run(whole, noisy_network, same_bits):
    same_bits(cx.simulate(noisy_network, 60.0, dt=DT, key=3).state, whole.state)


def test_a_state_can_be_continued_many_times(noisy_network, every_recorder, same_bits):
    start = cx.simulate(noisy_network, 10.0, dt=DT, record=every_recorder, key=3).state
    first, second = (
        cx.simulate(noisy_network, 10.0, dt=DT, record=every_recorder, state=start).state
        for _ in range(2)
    )
    same_bits(first, second)


def test_pieces_give_the_same_bits_in_single_precision(
    single_precision, few_cells, monkeypatch, same_bits
):
    one = cx.simulate(few_cells, 100.0, dt=0.1, record=FEW)
    monkeypatch.setattr(memory, "CELL_STEPS", 1)
    many = cx.simulate(few_cells, 100.0, dt=0.1, record=FEW)
    assert one.state.populations["E"].v.dtype == np.float32
    assert one["spikes"].times.size > 20
    same_bits(many.recordings, one.recordings)
    same_bits(many.state, one.state)


def test_keys_decide_the_noise(whole, noisy_network, every_recorder, same_bits):
    def run(key):
        return cx.simulate(noisy_network, 60.0, dt=DT, record=every_recorder, key=key)

    same_bits(run(jax.random.key(3, impl="threefry2x32")).recordings, whole.recordings)
    other = run(4)
    for name in ("Spikes E", "Spikes I"):
        assert not np.array_equal(other[name].times, whole[name].times)


FRESH = """
import hashlib, os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
import jax
import numpy as np
import cortexmg as cx
from cortexmg import models, recorders
network = models.cortex(1000, key=2)
record = {name: recorders.Spikes(name) for name in ("E", "I")}
run = cx.simulate(network, 200.0, dt=0.05, record=record, key=5)
digest = hashlib.sha256()
for x in jax.tree.leaves((run.recordings, run.state._replace(key=()))):
    digest.update(np.asarray(x).tobytes())
print(run["E"].times.size, digest.hexdigest())
"""


@pytest.mark.slow
def test_fresh_processes_with_any_number_of_threads_give_the_same_bits(in_a_fresh_process):
    outputs = {
        in_a_fresh_process(FRESH, str(threads))
        for threads in (1, 1, os.cpu_count(), os.cpu_count())
    }
    assert len(outputs) == 1
    assert int(outputs.pop().split()[0]) > 100


# ---- sweeps -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "network, dt",
    [("few_cells", 0.1), pytest.param("noisy_network", DT, marks=pytest.mark.slow)],
)
def test_a_sweep_over_a_parameter_is_a_loop_of_runs(network, dt, request):
    network = request.getfixturevalue(network)
    values = [0.05, 2.0]
    runs = cx.sweep(network, {MG: values}, 100.0, dt=dt, record=FEW, key=3)
    for run, mg in zip(runs, values, strict=True):
        changed = cx.with_parameters(network, {MG: mg})
        single = cx.simulate(changed, 100.0, dt=dt, record=FEW, key=3)
        # Batched arithmetic may round differently, which is all that may separate them.
        a, b = run["v"].values, single["v"].values
        apart = np.flatnonzero(np.abs(a - b).max(1) > 1e-6)
        until = apart[0] if apart.size else len(a)
        assert until > 0.5 * len(a)
        np.testing.assert_allclose(a[: until // 2], b[: until // 2], rtol=0, atol=1e-9)
        stop = single["v"].t[until - 1]
        same = (x["spikes"].between(0.0, stop) for x in (run, single))
        for x, y in zip(*same, strict=True):
            np.testing.assert_array_equal(x, y)
        assert single["spikes"].times.size > 20
    assert not np.array_equal(runs[0]["v"].values, runs[1]["v"].values)


def test_a_run_goes_on_with_the_noise_of_its_state_or_of_another_key(
    few_cells, same_bits, without_type_checks
):
    whole = cx.simulate(few_cells, 40.0, 0.1, key=3)
    half = cx.simulate(few_cells, 20.0, 0.1, key=3).state
    same_bits(cx.simulate(few_cells, 20.0, 0.1, state=half).state, whole.state)
    same_bits(cx.simulate(few_cells, 20.0, 0.1, state=half, key=3).state, whole.state)
    other = cx.simulate(few_cells, 20.0, 0.1, state=half, key=4).state
    assert np.any(other.populations["E"].v != whole.state.populations["E"].v)
    for key in ([], np.array(3.5), [1, jax.random.key(0)]):
        with pytest.raises(TypeError, match="key must be a whole number or a jax.random.key"):
            cx.simulate(few_cells, 20.0, 0.1, key=key)
    seeds = cx.sweep(few_cells, {}, 20.0, 0.1, state=half, key=[3, 4])
    for run, end in zip(seeds, (whole.state, other), strict=True):
        np.testing.assert_array_equal(run.state.populations["E"].v, end.populations["E"].v)


def test_what_makes_no_difference_to_a_sweep_is_told(few_cells, pair):
    cx.sweep(
        pair, {"stimuli/kick/amplitude": [1000.0, 3000.0]}, 300.0, DT, record=SEEN
    )  # no warning
    with pytest.warns(UserWarning, match="ions/zn/outside made no difference"):
        cx.sweep(few_cells, {"environment/ions/zn/outside": [0.0, 1e-3]}, 5.0, 0.1)


def test_a_run_is_shown_in_a_line_and_names_what_it_recorded(few_cells):
    record = {"n": recorders.SpikeCount("E", every=5.0)}
    run = cx.simulate(few_cells, 5.0, 0.1, record=record)
    assert repr(run) == "Run(0.0 to 5.0 ms, recordings=['n'], complete=True)"
    with pytest.raises(KeyError, match="recorded as 'm', only \\['n'\\]"):
        run["m"]


def test_steps_are_counted_from_the_beginning(few_cells):
    late = cx.simulate(few_cells, 5.0, 0.1).state._replace(step=jnp.int32(2**31 - 50))
    with pytest.raises(ValueError, match="after the .* ms of the state would end after 2.31"):
        cx.simulate(few_cells, 5.0, 0.1, state=late)


@pytest.mark.parametrize("gradients", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_runs_without_compilation_are_the_same(pair, gradients):
    start = cx.simulate(pair, 2.0, DT).state  # the cell is about to fire
    given = {"record": {"v": recorders.Probe("pre", every=DT)}, "gradients": gradients}
    run = cx.simulate(pair, 2 * DT, DT, state=start, **given)
    with jax.disable_jit():
        again = cx.simulate(pair, 2 * DT, DT, state=start, **given)
    np.testing.assert_allclose(again["v"].values, run["v"].values, rtol=1e-12)


def test_a_sweep_over_keys_is_a_loop_of_runs_and_so_is_vmap(few_cells):
    keys = jax.random.split(jax.random.key(8, impl="threefry2x32"), 3)
    runs = cx.sweep(few_cells, {}, 100.0, dt=0.1, record=FEW, key=keys)
    alone = [cx.simulate(few_cells, 100.0, dt=0.1, record=FEW, key=key) for key in keys]
    counted = {"count": FEW["count"]}
    batched = jax.vmap(
        lambda key: cx.simulate(few_cells, 100.0, dt=0.1, record=counted, key=key)["count"].values
    )(keys)
    for run, single, count in zip(runs, alone, batched, strict=True):
        np.testing.assert_array_equal(run["spikes"].ids, single["spikes"].ids)
        np.testing.assert_array_equal(run["spikes"].times, single["spikes"].times)
        np.testing.assert_array_equal(count, single["count"].values)
        np.testing.assert_allclose(run["v"].values, single["v"].values, atol=1e-9)
        assert single["spikes"].times.size > 20
    assert not np.array_equal(alone[0]["count"].values, alone[1]["count"].values)


def test_a_sweep_goes_on_from_a_state(few_cells):
    keys = jax.random.split(jax.random.key(8, impl="threefry2x32"), 2)
    settled = cx.simulate(few_cells, 30.0, dt=0.1, key=3).state
    values = {MEAN: [100.0, 300.0]}
    runs = cx.sweep(few_cells, values, 100.0, dt=0.1, record=FEW, state=settled)
    noisy = cx.sweep(few_cells, values, 100.0, dt=0.1, record=FEW, state=settled, key=keys)
    for i, (run, other) in enumerate(zip(runs, noisy, strict=True)):
        changed = cx.with_parameters(few_cells, {MEAN: values[MEAN][i]})
        for found, state in (run, settled), (other, settled._replace(key=keys[i])):
            single = cx.simulate(changed, 100.0, dt=0.1, record=FEW, state=state)
            assert found.start == single.start == 30.0 and found["v"].t[0] > 30.0
            np.testing.assert_array_equal(found["spikes"].times, single["spikes"].times)
            np.testing.assert_allclose(found["v"].values, single["v"].values, atol=1e-9)
    assert runs[1]["spikes"].times.size > 20
    assert not np.array_equal(runs[1]["v"].values, noisy[1]["v"].values)


def test_stimuli_come_and_go_between_runs(few_cells, same_bits):
    first = cx.simulate(few_cells, 10.0, dt=0.1)
    step = {"step": stimuli.StepCurrent("E", 1e3, start=10.0)}
    without = replace(few_cells, stimuli={})
    driven = cx.simulate(replace(few_cells, stimuli=step), 20.0, dt=0.1, state=first.state)
    from_rest = cx.simulate(without, 10.0, dt=0.1, record=FEW, state=driven.state)
    assert driven.state.stimuli == {"step": None} and from_rest.state.stimuli == {}
    assert not np.array_equal(
        driven.state.populations["E"].v,
        cx.simulate(without, 20.0, dt=0.1, state=first.state).state.populations["E"].v,
    )
    other = {"step": few_cells.stimuli["noise"]}  # of another kind, under the same name
    cx.simulate(replace(few_cells, stimuli=other), 1.0, dt=0.1, state=driven.state)
    # Noise that comes anew begins as at time 0, with the key of the run.
    again = cx.simulate(few_cells, 1.0, dt=0.1, state=from_rest.state)
    assert np.all(np.isfinite(again.state.stimuli["noise"]))
    (swept,) = cx.sweep(
        replace(few_cells, stimuli=step),
        {"stimuli/step/amplitude": [1e3]},
        20.0,
        dt=0.1,
        state=first.state,
    )
    same_bits(swept.state, driven.state)


def test_parts_without_state_that_come_are_refused_by_name(few_cells, is_refused):
    state = cx.simulate(few_cells, 1.0, dt=0.1).state
    cell = few_cells.populations["E"]
    more = replace(cell, channels={**cell.channels, "more": channels.Leak(1.0, -60.0)})
    net = replace(few_cells, populations={"E": more})
    is_refused(
        lambda: cx.simulate(net, 1.0, dt=0.1, state=state),
        ["populations/E/channels/more is missing", "without state", "network that it came from"],
    )


def test_a_sweep_refuses_the_state_of_another_network_and_of_several_runs(
    few_cells, noisy_network, without_type_checks
):
    state = noisy_network.init(jax.random.key(0), 0.1, exact=True)
    with pytest.raises(ValueError, match="state has the populations .*, but those of this network"):
        cx.sweep(few_cells, {MEAN: [100.0]}, 10.0, dt=0.1, state=state)
    with pytest.raises(TypeError, match="state of one run.*a `simulate` for each"):
        cx.sweep(few_cells, {MEAN: [100.0]}, 10.0, dt=0.1, state=[state])


def test_a_member_of_a_sweep_can_be_continued_alone(few_cells):
    runs = cx.sweep(few_cells, {MEAN: [100.0, 300.0]}, 20.0, dt=0.1, record=FEW, key=3)
    network = cx.with_parameters(few_cells, {MEAN: 300.0})
    more = cx.simulate(network, 20.0, dt=0.1, record=FEW, state=runs[1].state)
    long = cx.simulate(network, 40.0, dt=0.1, record=FEW, key=3)
    np.testing.assert_allclose(more["v"].values, long["v"].values[20:], atol=1e-8)


@pytest.mark.parametrize(
    "values, key, message",
    [
        ({MG: [0.1, 1.0], "environment/temperature": [36.0]}, 0, "arrays of one length"),
        ({MG: 1.0}, 0, "arrays of one length"),
        ({}, 0, "arrays of one length"),
        ({MG: [1.0, -1.0]}, 0, "at least 0"),
        ({"environment/ions/mg/outsid": [1.0]}, 0, MG),
    ],
)
def test_a_sweep_over_nothing_or_over_illegal_values_is_refused(
    noisy_network, values, key, message
):
    with pytest.raises((ValueError, KeyError), match=message):
        cx.sweep(noisy_network, values, 10.0, dt=DT, key=key)


# ---- one compilation ----------------------------------------------------------------------------


def test_durations_parameters_keys_and_states_share_one_program(few_cells, caplog):
    def run(mean, duration, key, state=None):
        network = cx.with_parameters(few_cells, {MEAN: mean})
        return cx.simulate(network, duration, dt=0.1, record=FEW, key=key, state=state)

    def sweep(several, duration):
        return cx.sweep(few_cells, {MEAN: several}, duration, dt=0.1, record=FEW)

    def compilations():
        return [r.message for r in caplog.records if "ompiling" in r.message]

    run(200.0, 5.0, 0, state=run(200.0, 5.0, 0).state)
    sweep([200.0, 300.0], 5.0)
    caplog.clear()
    with jax.log_compiles():
        state = run(150.0, 15.0, 1).state
        run(np.float32(230.0), 30.0, jax.random.key(7, impl="threefry2x32"), state=state)
        sweep([100.0, -50.0], 20.0)
        assert not compilations()
        cx.simulate(few_cells, 5.0, dt=0.1, record={"v": recorders.Probe("E", every=0.5)})
    assert compilations()  # a new one would have been seen


# ---- interruption and failure -------------------------------------------------------------------


class Interrupting(recorders.Recorder):
    """Records nothing and presses Ctrl-C once a time has been recorded."""

    at: float = eqx.field(static=True)
    every: float | None = eqx.field(static=True, default=1.0)

    def init(self, network, state):
        pass

    def update(self, acc, network, state, spikes):
        pass

    def read(self, acc, network, state, steps):
        return state.step

    def piece(self, saved, first, steps, dt, parts=1):
        if first * dt <= self.at < (first + steps * len(saved)) * dt:
            os.kill(os.getpid(), signal.SIGINT)
        return np.asarray(saved)


def test_ctrl_c_returns_what_is_recorded_and_a_state_to_continue_from(
    few_cells, short_pieces, same_bits
):
    record = FEW | {"ctrl-c": Interrupting(20.0)}
    whole = cx.simulate(few_cells, 60.0, dt=0.1, record=FEW)
    before = signal.getsignal(signal.SIGINT)
    run = cx.simulate(few_cells, 60.0, dt=0.1, record=record)
    assert signal.getsignal(signal.SIGINT) is before
    assert not run.complete and 20.0 < run.stop < 40.0
    assert len(run["ctrl-c"]) == round(run.stop)
    rest = cx.simulate(few_cells, 60.0 - run.stop, dt=0.1, record=FEW, state=run.state)
    assert rest.complete and rest.stop == 60.0
    for name in FEW:
        same_bits(glued([run[name], rest[name]]), whole[name])
    same_bits(rest.state, whole.state)


def test_a_second_ctrl_c_ends_the_run_at_once(few_cells, short_pieces):
    record = {"once": Interrupting(20.0), "twice": Interrupting(20.5)}
    with pytest.raises(KeyboardInterrupt):
        cx.simulate(few_cells, 60.0, dt=0.1, record=record)


class Poison(Stimulus):
    """A current that is not a number in one step of one cell, where the amplitude is positive."""

    target: str = eqx.field(static=True)
    step_number: int = eqx.field(static=True)
    amplitude: Scalar = quantity("pA", 1.0)

    def step(self, state, at):
        last = at.first + jnp.arange(at.n) == at.n - 1
        now = (at.step == self.step_number) & last & (self.amplitude > 0)
        return state, Current(jnp.where(now, jnp.nan, 0.0))


@pytest.fixture(scope="module")
def poisoned():
    populations = {name: cells.leaky_integrate_and_fire(4) for name in ("healthy", "sick")}
    return cx.Network(cx.acsf(), populations, stimuli={"poison": Poison("sick", 234)})


def test_a_voltage_that_is_not_finite_names_population_and_time(poisoned, short_pieces):
    with pytest.raises(FloatingPointError) as error:
        cx.simulate(poisoned, 50.0, dt=0.1)
    message = str(error.value)
    assert "'sick'" in message and "'healthy'" not in message
    assert "between 22 and 24 ms" in message  # steps 220 to 239; the poison is in step 234
    assert "smaller dt" in message


def test_what_was_right_before_is_kept(poisoned, short_pieces, same_bits):
    record = {"v": recorders.Probe("sick", every=0.1)}
    with pytest.raises(cx.NotFinite) as error:
        cx.simulate(poisoned, 50.0, dt=0.1, record=record)
    (run,) = error.value.runs
    assert not run.complete and (run.start, run.stop) == (0.0, pytest.approx(22.0))
    calm = cx.with_parameters(poisoned, {"stimuli/poison/amplitude": -1.0})
    same_bits(run.state, cx.simulate(calm, 22.0, dt=0.1).state)
    assert run["v"].values.shape == (220, 4) and np.all(np.isfinite(run["v"].values))
    assert cx.simulate(calm, 5.0, dt=0.1, state=run.state).complete


def test_a_run_that_goes_wrong_in_its_first_piece_has_empty_recordings(poisoned):
    record = {"v": recorders.Probe("sick", every=0.1), "spikes": recorders.Spikes("sick")}
    with pytest.raises(cx.NotFinite, match=r"between 0 and 50 ms, cell 3 first of 1") as error:
        cx.simulate(poisoned, 50.0, dt=0.1, record=record)
    (run,) = error.value.runs
    assert run.stop == 0.0 and run["v"].values.shape == (0, 4) and run["spikes"].times.size == 0


def test_a_sweep_names_the_run_that_is_not_finite(poisoned):
    with pytest.raises(FloatingPointError, match=r"'sick'.*run 1 .*amplitude.: 1"):
        cx.sweep(poisoned, {"stimuli/poison/amplitude": [-1.0, 1.0, 0.0]}, 50.0, dt=0.1)


def test_a_sweep_over_values_of_cells_names_the_run_and_keeps_what_was_right(
    poisoned, short_pieces
):
    values = {
        "stimuli/poison/amplitude": [-1.0, 1.0],
        "populations/sick/capacitance": np.linspace(100.0, 200.0, 8).reshape(2, 4),
    }
    record = {"v": recorders.Probe("sick", every=0.1)}
    with pytest.raises(cx.NotFinite, match=r"run 1 .*amplitude.: 1.*array\(\[157") as error:
        cx.sweep(poisoned, values, 50.0, dt=0.1, record=record)
    assert [len(run["v"].t) for run in error.value.runs] == [220, 220]


def test_a_resumed_run_names_the_time_since_the_beginning(poisoned, short_pieces):
    state = cx.simulate(poisoned, 10.0, dt=0.1).state
    with pytest.raises(FloatingPointError, match="between 22 and 24 ms"):
        cx.simulate(poisoned, 50.0, dt=0.1, state=state)


def refusals(network):
    """What is refused, as keyword arguments of `simulate` and words of the answer."""
    other = cx.Network(cx.acsf(), {"healthy": cells.leaky_integrate_and_fire(5)})
    ran = cx.simulate(network, 1.0, dt=0.1).state
    probe, count = recorders.Probe("sick", every=0.4), recorders.SpikeCount("sick", every=1.0)
    spikes = recorders.Spikes("nobody")
    return [
        (dict(duration=10.0, dt=0.3), ["10 ms", "whole number", "0.3 ms"]),
        (dict(duration=-1.0), ["duration", "positive", "-1"]),
        (dict(duration=float("nan")), ["duration", "nan"]),
        (dict(dt=0.0), ["dt", "positive", "0"]),
        (dict(dt=5.0), ["'healthy'", "5 ms"]),
        (dict(state=ran, dt=0.05), ["state", "dt = 0.1", "dt = 0.05"]),
        (dict(state=cx.simulate(other, 1.0, dt=0.1).state), ["state", "this network"]),
        (dict(state="start"), ["state", "run.state", "'start'"]),
        (dict(record=dict(a=probe, b=count)), ["divide", "1 ms", "0.4 ms", "'a'", "'b'"]),
        (dict(record=dict(a=recorders.SpikeCount("sick", every=0.25))), ["'a'", "0.25", "0.1"]),
        (dict(record=dict(a=recorders.SpikeCount("sick", every=7.0))), ["7 ms", "10", "duration"]),
        (dict(record=dict(a=spikes)), ["Spikes", "'nobody'", "'healthy'", "'sick'"]),
        (dict(record=dict(a="E")), ["record['a']", "Recorder", "'E'"]),
        (dict(key=0.5), ["key", "whole number", "0.5"]),
        (dict(key=jax.random.split(jax.random.key(0))), ["one key", "2", "sweep"]),
    ]


@pytest.mark.parametrize("i", range(15))
def test_what_cannot_be_run_is_refused_with_the_reason(poisoned, i, without_type_checks):
    arguments, words = refusals(poisoned)[i]
    with pytest.raises((ValueError, TypeError)) as error:
        cx.simulate(poisoned, **(dict(duration=10.0, dt=0.1) | arguments))
    for word in words:
        assert word in str(error.value)


# ---- inside jit, vmap and grad ------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    """A cell that fires, and a silent one with AMPA and NMDA receptors that hears it."""
    receptors = {"ampa": synapses.AMPA(), "nmda": synapses.NMDA(gain=0.4)}
    contact = wiring.from_arrays([0], [0], 1.5, 1.0, 1, 1)
    return cx.Network(
        cx.acsf(),
        {
            "pre": cells.leaky_integrate_and_fire(1),
            "post": cells.regular_spiking(1, receptors),
        },
        {"contact": cx.Projection("pre", "post", "glutamate", contact)},
        {
            "kick": stimuli.StepCurrent("pre", 1000.0, 2.0, 8.0),
            "current": stimuli.StepCurrent("post", 300.0, 1.0, 20.0),
        },
    )


SEEN = {
    "pre": recorders.SpikeCount("pre", every=5.0),
    "v": recorders.Probe("post", every=1.0),
}


def last_voltage(network, values):
    changed = cx.with_parameters(network, values)
    run = cx.simulate(changed, 20.0, dt=DT, record=SEEN, gradients=True)
    return run["v"].values[-1, 0]


def test_a_run_inside_jit_is_the_run_outside(pair):
    outside = cx.simulate(pair, 20.0, dt=DT, record=SEEN)

    @jax.jit
    def inside(mg):
        run = cx.simulate(cx.with_parameters(pair, {MG: mg}), 20.0, dt=DT, record=SEEN)
        return run.recordings

    got = inside(1.0)
    assert outside["pre"].values.sum() == 1
    np.testing.assert_array_equal(got["pre"].values, outside["pre"].values)
    np.testing.assert_allclose(got["v"].values, outside["v"].values, atol=1e-9)
    np.testing.assert_allclose(got["v"].t, outside["v"].t)


def test_a_run_of_which_nothing_is_traced_can_be_inside_jit(pair, without_type_checks):
    def spikes(x):
        return x * cx.simulate(pair, 20.0, DT, record=SEEN)["pre"].values.sum()

    assert jax.jit(spikes)(2.0) == spikes(2.0) == 2.0
    with pytest.raises(ValueError, match="simulate needs one key, got 2"):
        jax.jit(lambda x: x * cx.simulate(pair, 5.0, DT, key=[1, 2]).stop)(1.0)
    with pytest.raises(TypeError, match="sweep cannot be used inside jit"):
        jax.jit(lambda mg: cx.sweep(pair, {MG: mg}, 5.0))(jnp.array([0.5, 1.0]))


def test_a_run_inside_jit_continues_at_the_time_of_its_state(pair):
    start = cx.simulate(pair, 10.0, dt=DT, record=SEEN).state
    outside = cx.simulate(pair, 10.0, dt=DT, record=SEEN, state=start)

    @jax.jit
    def inside(state):
        return cx.simulate(pair, 10.0, dt=DT, record=SEEN, state=state).recordings

    np.testing.assert_allclose(inside(start)["v"].t, outside["v"].t)
    np.testing.assert_allclose(inside(start)["v"].values, outside["v"].values, atol=1e-9)


@pytest.mark.slow
def test_vmap_over_parameters_is_a_loop(pair):
    values = jnp.asarray([0.0, 0.5, 2.0])
    batched = jax.vmap(lambda mg: last_voltage(pair, {MG: mg}))(values)
    np.testing.assert_allclose(
        batched, [last_voltage(pair, {MG: float(mg)}) for mg in values], rtol=1e-9
    )


def test_spikes_inside_jit_are_refused_with_the_alternatives(pair):
    def ids(mg):
        network = cx.with_parameters(pair, {MG: mg})
        return cx.simulate(network, 1.0, dt=DT, record={"pre": recorders.Spikes("pre")})["pre"]

    with pytest.raises(TypeError, match="SpikeCount.*sweep"):
        jax.jit(ids)(1.0)


def test_what_cannot_be_run_is_refused_inside_jit_too(pair):
    def run(mg, **arguments):
        network = cx.with_parameters(pair, {MG: mg})
        return cx.simulate(network, **(dict(duration=10.0, dt=DT) | arguments))["x"].values

    for arguments, words in (
        (dict(record={"x": recorders.Probe("post", every=3.0)}), "duration.*3 ms"),
        (dict(record={"x": recorders.Probe("nobody")}), "'nobody'"),
        (dict(duration=0.07), "whole number"),
    ):
        with pytest.raises(ValueError, match=words):
            jax.jit(lambda mg, arguments=arguments: run(mg, **arguments))(1.0)


# What moves the voltage of the cell that is driven and hears one spike.
MOVERS = {
    "stimuli/current/amplitude": 300.0,
    "populations/post/receptors/nmda/gain": 0.4,
    MG: 1.0,
    "projections/contact/strength": 1.0,
    "projections/contact/connectivity/weights": 1.5,
    "populations/post/channels/leak/g": 28.0,
    "populations/post/channels/na/v_t": -55.0,
}


@pytest.mark.slow
def test_reverse_and_forward_derivatives_equal_differences(pair):
    def f(x):
        return last_voltage(pair, dict(zip(MOVERS, x, strict=True)))

    x = np.asarray(list(MOVERS.values()))
    reverse, forward = jax.grad(f)(jnp.asarray(x)), jax.jacfwd(f)(jnp.asarray(x))
    np.testing.assert_allclose(reverse, forward, rtol=1e-10)
    for i, name in enumerate(MOVERS):
        h = 1e-3 * abs(x[i])
        step = h * np.eye(len(x))[i]
        at = {k: float(f(x + k * step)) for k in (-2, -1, 1, 2)}
        # Richardson: the error of order h^2 cancels.
        difference = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
        assert abs(difference * x[i]) > 1e-3, name  # there is something to differentiate
        np.testing.assert_allclose(reverse[i], difference, rtol=1e-6, err_msg=name)


def test_the_spike_count_of_a_driven_cell_has_a_positive_derivative_and_so_has_the_rate(pair):
    record = {
        "count": recorders.SpikeCount("pre", every=5.0),
        "rate": recorders.PopulationRate("pre", every=5.0),
    }

    def spikes(current):
        changed = cx.with_parameters(pair, {"stimuli/kick/amplitude": current})
        run = cx.simulate(changed, 20.0, dt=DT, record=record, gradients=True)
        return jnp.stack([run["count"].values.sum(), run["rate"].values.sum() * 5e-3])

    value, pull = jax.vjp(spikes, 1000.0)
    slope = [pull(each)[0] for each in jnp.eye(2)]
    assert value[0] == 1.0 and 0.0 < slope[0] < np.inf
    np.testing.assert_allclose([value[1], slope[1]], [value[0], slope[0]], rtol=1e-12)


# ---- time ---------------------------------------------------------------------------------------


class Late:
    """What a device promises at once and has only later, like the arrays of a JAX program."""

    def __init__(self, value, ready):
        self.value, self.ready = value, ready

    def __array__(self, dtype=None, copy=None):
        time.sleep(max(0.0, self.ready - time.perf_counter()))
        return np.asarray(self.value, dtype)


@pytest.mark.parametrize("record", [{}, {"v": recorders.Probe("E", every=1.0)}], ids=len)
def test_the_time_of_a_run_is_that_of_the_device_not_of_its_promises(
    few_cells, short_pieces, monkeypatch, record
):
    cx.simulate(few_cells, 8.0, dt=0.1, record=record)  # compiles
    real, takes, ready = programs.compiled, 0.25, []

    def slow(*options):
        def call(*arguments, **static):
            results = jax.block_until_ready(real(*options)(*arguments, **static))
            # One program after the other.
            ready.append(max([time.perf_counter(), *ready[-1:]]) + takes)
            return results[0], *jax.tree.map(lambda x: Late(x, ready[-1]), results[1:])

        return call

    monkeypatch.setattr(programs, "compiled", slow)
    seconds = cx.simulate(few_cells, 8.0, dt=0.1, record=record).seconds
    assert len(ready) > 2
    assert len(ready) * takes <= seconds < len(ready) * takes * 1.05 + 0.1


# ---- memory -------------------------------------------------------------------------------------


def test_memory_grows_only_with_what_is_recorded(monkeypatch):
    n, dt = 4000, 0.1
    network = cx.Network(
        cx.acsf(),
        {"cells": cells.leaky_integrate_and_fire(n)},
        stimuli={"drive": stimuli.StepCurrent("cells", np.linspace(195.0, 205.0, n))},
    )
    monkeypatch.setattr(memory, "CELL_STEPS", 1e6)
    record = {
        "rate": recorders.PopulationRate("cells", every=10.0),
        "spikes": recorders.Spikes("cells"),
    }

    def peak_after(duration):
        run = cx.simulate(network, duration, dt=dt, record=record)
        assert run["rate"].values.nbytes + run["rate"].t.nbytes == duration / 10.0 * (8 + 8)
        spikes = run["rate"].values.sum() * n * 0.010  # Hz, in 10 ms
        assert run["spikes"].times.size == round(float(spikes)) > 0
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    before = peak_after(200.0)
    raster = n * 5000.0 / dt  # 200 MB, had every cell and step been kept
    assert peak_after(5000.0) - before < raster / 10
