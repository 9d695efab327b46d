"""Stimuli: random streams by key, step and cell; exact distributions; arrivals in their step."""

import hashlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import concrete_members
from hypothesis import given, settings, strategies as st
from scipy import stats

import cortexmg as cx
from cortexmg import cells, stimuli, synapses, wiring
from cortexmg.recorders import Spikes
from cortexmg.stimuli import (
    Moment,
    OrnsteinUhlenbeckConductance,
    OrnsteinUhlenbeckCurrent,
    Poisson,
    Ramp,
    SpikeInput,
    StepCurrent,
    Stimulus,
    TimeCourse,
    poisson,
)

FEW = SpikeInput("e", "ampa", np.array([0.1, 0.3]), np.array([2, 7], np.int32), 1.5)
EXAMPLES = {
    Poisson: Poisson("e", "ampa", 15_000.0, 0.5),
    OrnsteinUhlenbeckCurrent: OrnsteinUhlenbeckCurrent("e", 50.0, 100.0, 5.0),
    OrnsteinUhlenbeckConductance: OrnsteinUhlenbeckConductance("e", 10.0, 2.0, 3.0),
    Ramp: Ramp("e", -10.0, 90.0, 0.1, 0.4),
    SpikeInput: FEW,
    StepCurrent: StepCurrent("e", 70.0, 0.1, 0.4),
    TimeCourse: TimeCourse(StepCurrent("e", 5.0), "amplitude", np.array([7.0, -3.0]), 0.2, 0.1),
}
RANDOM = [Poisson, OrnsteinUhlenbeckCurrent, OrnsteinUhlenbeckConductance]
DT, STEPS = 0.1, 6
every_stimulus = pytest.mark.parametrize("kind", EXAMPLES, ids=lambda c: c.__name__)
random_stimuli = pytest.mark.parametrize("kind", RANDOM, ids=lambda c: c.__name__)


def test_every_stimulus_is_tested_here():
    assert set(concrete_members(stimuli, Stimulus)) == set(EXAMPLES)


def step_of(stimulus, key, n, dt):
    """From a state and the number of a step to the next state, and what is added to each cell."""

    def step(state, k):
        state, effect = stimulus.step(state, Moment(k, key, n, dt))
        return state, jnp.broadcast_to(effect[1] if hasattr(effect, "weight") else effect[0], (n,))

    return step


@partial(jax.jit, static_argnames=("n", "dt"))
def compiled_series(stimulus, key, at, n, dt):
    return jax.lax.scan(step_of(stimulus, key, n, dt), stimulus.init(n, key), at)[1]


def series(stimulus, n, steps=STEPS, seed=0, dt=DT, first=0):
    """What a stimulus adds, by step and cell: pA, or nS."""
    at = first + np.arange(steps, dtype=np.int32)
    return np.asarray(compiled_series(stimulus, jax.random.key(seed), at, n, dt), float)


@every_stimulus
def test_the_same_key_gives_the_same_stimulus(kind):
    np.testing.assert_array_equal(series(EXAMPLES[kind], 10), series(EXAMPLES[kind], 10))


@every_stimulus
def test_the_first_cells_do_not_depend_on_how_many_there_are(kind, precision):
    few, many = series(EXAMPLES[kind], 10), series(EXAMPLES[kind], 103)
    np.testing.assert_array_equal(few, many[:, :10])


@random_stimuli
def test_keys_steps_and_cells_are_independent(kind):
    n, steps = 200, 200
    # Far apart in time, so that what is left of the correlation of 5 ms is exp(-20).
    a, b = (
        series(EXAMPLES[kind], n, steps, seed, dt=0.1 if kind is Poisson else 100.0)
        for seed in (0, 1)
    )
    noise = 1.0 / np.sqrt(n * (steps - 1))
    pairs = {
        "keys": (a, b),
        "steps": (a[1:], a[:-1]),
        "cells": (a[:, 1:], a[:, :-1]),
        "both": (a[1:, 1:], a[:-1, :-1]),
    }
    for what, (x, y) in pairs.items():
        assert abs(np.corrcoef(x.ravel(), y.ravel())[0, 1]) < 4.5 * noise, what
    # No pair of cells is alike either: the largest of 20,000 correlations of 200 steps.
    cells = np.corrcoef(a.T)[np.triu_indices(n, 1)]
    assert np.abs(cells).max() < 5.5 / np.sqrt(steps)
    np.testing.assert_allclose(cells.std(), 1 / np.sqrt(steps), rtol=0.1)


@random_stimuli
def test_a_run_cut_in_two_draws_the_numbers_of_one(kind):
    stimulus, key = EXAMPLES[kind], jax.random.key(0)
    whole = series(stimulus, 10)
    state = stimulus.init(10, key)
    step = jax.jit(step_of(stimulus, key, 10, DT))
    for k in range(STEPS):
        state, added = step(state, jnp.int32(k))
        np.testing.assert_allclose(added, whole[k], rtol=1e-12)


# ---- Poisson -----------------------------------------------------------------------------------


def poisson_p_value(counts, mean):
    """Of chi-square: counts that fit so badly by chance."""
    # Classes with fewer than five expected join the last one.
    top = next(k for k in range(30) if stats.poisson.sf(k, mean) * counts.size < 5)
    observed = np.bincount(np.minimum(counts, top).astype(int), minlength=top + 1)
    expected = np.append(stats.poisson.pmf(range(top), mean), stats.poisson.sf(top - 1, mean))
    return stats.chisquare(observed, expected * counts.size).pvalue


@pytest.mark.parametrize("dt", [0.025, 0.05, 0.1])
@pytest.mark.parametrize("rate", [200.0, 20_000.0])
def test_counts_per_step_follow_the_poisson_distribution(rate, dt):
    counts = series(Poisson("e", "ampa", rate, 1.0, most=15), 2000, 400, seed=3, dt=dt).ravel()
    assert counts.min() == 0 and np.all(counts == np.round(counts))
    assert poisson_p_value(counts, rate * dt * 1e-3) > 1e-4


@pytest.mark.parametrize("dt", [0.025, 0.05, 0.1])
def test_arrivals_in_a_window_have_the_mean_and_variance_of_any_step(dt):
    """Per cell over 10 ms, 20 arrivals: the same process however time is cut."""
    n = 20_000
    window = series(Poisson("e", "ampa", 2000.0, 0.25), n, round(10 / dt), seed=5, dt=dt).sum(0)
    counts = window / 0.25
    np.testing.assert_allclose(counts.mean(), 20.0, rtol=0, atol=4.5 * np.sqrt(20 / n))
    # The variance of a variance of Poisson counts: (mean + 2 mean^2) / n.
    np.testing.assert_allclose(counts.var(), 20.0, rtol=0, atol=4.5 * np.sqrt((20 + 800) / n))


def test_rates_and_weights_may_differ_between_cells():
    rate, weight = np.array([0.0, 1e3, 1e4]), np.array([1.0, 2.0, 3.0])
    mean = series(Poisson("e", "ampa", rate, weight, most=15), 3, 20_000).mean(0)
    want = rate * DT * 1e-3 * weight
    noise = weight * np.sqrt(rate * DT * 1e-3 / 20_000)
    assert np.all(np.abs(mean - want) <= 4.5 * noise)


@pytest.mark.parametrize("most, mean", poisson.LARGEST_MEAN.items())
def test_more_arrivals_per_step_than_are_counted_are_refused(most, mean):
    rate = mean * 1e4
    Poisson("e", "ampa", rate, 1.0, most).check(10, 0.1)
    assert stats.poisson.sf(most, mean) < 1e-9
    higher = [m for m in poisson.LARGEST_MEAN if m > most]
    remedy = f"set Poisson.most to {higher[0]}" if higher else "use OrnsteinUhlenbeckConductance"
    with pytest.raises(ValueError, match=f"Hz means .* arrivals per step of 0.1 ms.*{remedy}"):
        Poisson("e", "ampa", rate * 1.01, 1.0, most).check(10, 0.1)
    with pytest.raises(ValueError, match="Poisson.most must be one of"):
        Poisson("e", "ampa", 1.0, 1.0, most + 1)


# ---- Ornstein-Uhlenbeck ------------------------------------------------------------------------

MANY = 100_000
NOISE = 4.5 / np.sqrt(MANY)


@pytest.mark.parametrize("dt", [0.05, 0.1, 1.0])
def test_the_fluctuation_has_its_mean_spread_and_memory_whatever_the_step(dt):
    steps = round(2.0 / dt)
    x = series(OrnsteinUhlenbeckCurrent("e", 50.0, 100.0, 5.0), MANY, steps + 1, dt=dt)
    for at in (x[0], x[-1]):  # from the first step on
        np.testing.assert_allclose(at.mean(), 50.0, rtol=0, atol=100 * NOISE)
        np.testing.assert_allclose(at.std(), 100.0, rtol=NOISE / np.sqrt(2))
    correlation = np.corrcoef(x[0], x[-1])[0, 1]
    want = np.exp(-2.0 / 5.0)
    np.testing.assert_allclose(correlation, want, rtol=0, atol=NOISE * (1 - want**2))


def test_the_fluctuation_is_gaussian():
    x = series(OrnsteinUhlenbeckCurrent("e", 0.0, 1.0, 5.0), MANY, 3)[-1]
    assert stats.kstest(x, "norm").pvalue > 1e-4


def test_a_fluctuating_conductance_is_never_negative():
    mean, sd = 1.0, 2.0
    g = series(OrnsteinUhlenbeckConductance("e", mean, sd, 3.0), MANY, 3)
    assert g.min() == 0.0
    cut = stats.norm(mean, sd).expect(lambda x: np.maximum(x, 0.0), lb=-20, ub=20)
    np.testing.assert_allclose(g[-1].mean(), cut, rtol=0, atol=sd * NOISE)
    at = Moment(jnp.int32(0), jax.random.key(0), 2, DT)
    effect = OrnsteinUhlenbeckConductance("e", e=-12.0).step(jnp.zeros(2), at)[1]
    assert effect.e == -12.0


# ---- the tests themselves ----------------------------------------------------------------------


def over_seeds(stimulus, n):
    """What a stimulus adds in the first step, by seed (1,000) and cell."""

    def first(key):
        effect = stimulus.step(stimulus.init(n, key), Moment(jnp.int32(0), key, n, DT))[1]
        return effect.weight if hasattr(effect, "weight") else effect[0]

    return np.asarray(jax.jit(jax.vmap(first))(jax.random.split(jax.random.key(0), 1000)), float)


@pytest.mark.parametrize(
    "stimulus, p_value",
    [
        (Poisson("e", "ampa", 20_000.0, 1.0, most=15), lambda counts: poisson_p_value(counts, 2.0)),
        (OrnsteinUhlenbeckCurrent("e", 0.0, 1.0, 5.0), lambda x: stats.kstest(x, "norm").pvalue),
    ],
)
def test_p_values_are_uniform_over_seeds(stimulus, p_value):
    """So that 1e-4 is the chance of a false alarm, and nothing that a seed was chosen for."""
    p = np.array([p_value(x) for x in over_seeds(stimulus, 2000)])
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    assert 2 <= np.sum(p < 0.01) <= 22  # 10 expected; 1e-3 of draws lie outside


# ---- steps and ramps ---------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [0.01, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("before", [0, 400_000], ids=["at_first", "late"])
def test_a_step_lasts_exactly_from_start_to_stop(before, dt, precision):
    k = before + np.arange(64)
    for begin, end in before + np.array([(1, 60), (8, 53), (15, 46), (22, 23)]):
        got = series(StepCurrent("e", 7.0, begin * dt, end * dt), 1, 64, dt=dt, first=before)
        np.testing.assert_array_equal(got[:, 0], np.where((k >= begin) & (k < end), 7.0, 0.0))


def test_a_ramp_goes_from_first_to_last_by_the_middles_of_the_steps():
    ramp = Ramp("e", np.array([0.0, -20.0]), np.array([100.0, 20.0]), 1.0, 3.0)
    got = series(ramp, 2, 40)
    middle = (np.arange(40) + 0.5) * DT
    inside = (middle > 1.0) & (middle < 3.0)
    want = [np.where(inside, 50 * (middle - 1), 0.0), np.where(inside, 20 * (middle - 2), 0.0)]
    np.testing.assert_allclose(got.T, want, rtol=0, atol=1e-12)
    # So its charge is exact: the mean of both ends for 2 ms.
    np.testing.assert_allclose(got.sum(0) * DT, [100.0, 0.0], rtol=0, atol=1e-12)


def test_a_ramp_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match=r"Ramp\.start must be before stop, got 3.0 and 3.0 ms"):
        Ramp("e", 0.0, 1.0, 3.0, 3.0)


# ---- courses -----------------------------------------------------------------------------------


def test_a_value_lasts_for_its_interval_and_the_own_number_before_and_after(precision):
    course = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    course = TimeCourse(StepCurrent("e", np.array([7.0, 8.0])), "amplitude", course, 0.2, 0.3)
    got = series(course, 2, 11)
    np.testing.assert_array_equal(got[:, 0], [7, 7, 7, 1, 1, 2, 2, 3, 3, 7, 7])
    np.testing.assert_array_equal(got[:, 1], [8, 8, 8, 10, 10, 20, 20, 30, 30, 8, 8])


@pytest.mark.parametrize("dt", [0.01, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("first", [0, 400_000, 2**24])
def test_every_step_has_its_own_value_however_times_round(dt, first, precision):
    course = TimeCourse(StepCurrent("e", 0.0), "amplitude", np.arange(64.0), dt, first * dt)
    got = series(course, 1, 64, dt=dt, first=first)
    np.testing.assert_array_equal(got[:, 0], np.arange(64))


def test_a_rate_that_follows_a_course_draws_what_each_rate_draws_by_itself():
    rates = [0.0, 4_000.0, 15_000.0]
    course = TimeCourse(Poisson("e", "ampa", 0.0, 0.5), "rate", np.array(rates), 0.2)
    each = [series(Poisson("e", "ampa", rate, 0.5), 300) for rate in rates]
    want = np.concatenate([x[2 * k : 2 * k + 2] for k, x in enumerate(each)])
    np.testing.assert_array_equal(series(course, 300), want)
    assert want[2:].any(1).all()


class Checked(StepCurrent):
    """One that looks at its numbers whenever it is made."""

    def check_rules(self):
        assert np.all(np.asarray(self.amplitude) < 1e3)


def test_a_course_inside_a_program_of_ones_own_is_looked_at_as_far_as_it_is_known():
    population = {"e": cells.leaky_integrate_and_fire(3)}

    def end(values, other=0.0):
        course = TimeCourse(Checked("e", 0.0), "amplitude", values, 1.0)
        stimuli = {"course": course, "other": StepCurrent("e", other)}
        network = cx.Network(cx.acsf(), population, stimuli=stimuli)
        return cx.simulate(network, 2.0, DT).state.populations["e"].v

    values = np.array([[10.0, 20.0, 30.0], [0.0, -10.0, 5.0]])
    np.testing.assert_allclose(jax.jit(end)(values), end(values), rtol=1e-12)
    for wrong in (
        lambda: jax.jit(end)(values[:, :2]),
        lambda: jax.grad(end, 1)(values[:, :2], 0.0),
    ):
        with pytest.raises(ValueError, match="those of 2 cells, but population 'e' has 3"):
            wrong()


def test_values_of_a_course_have_derivatives_where_they_act():
    at = Moment(jnp.int32(3), jax.random.key(0), 2, DT)

    def current(values):
        course = TimeCourse(StepCurrent("e", 0.0), "amplitude", values, 0.2)
        return course.step(None, at)[1].i[1]

    slope = jax.grad(current)(jnp.ones((3, 2)))
    np.testing.assert_array_equal(slope, [[0, 0], [0, 1], [0, 0]])


def course_of(values=(1.0,), every=1.0, number="rate"):
    return TimeCourse(Poisson("e", "ampa", 1.0, 1.0), number, np.array(values), every)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: course_of(number="rates"), ["numbers of Poisson", "['rate', 'weight']", "rates"]),
        (lambda: course_of(number="most"), ["TimeCourse.number", "'most'"]),
        (lambda: course_of([1.0, -1.0]), ["Poisson.rate must be at least 0 Hz", "index 1"]),
        (lambda: course_of([[[1.0]]]), ["TimeCourse.values", "(1, 1, 1)"]),
        (lambda: course_of([]), ["TimeCourse.values", "(0,)"]),
        (lambda: course_of(1.0), ["TimeCourse.values", "shape ()"]),
        (lambda: course_of(every=0.0), ["TimeCourse.every must be above 0 ms"]),
        (lambda: course_of([[1.0, 2.0]]).check_cells(3), ["2 cells", "'e' has 3"]),
        (lambda: course_of(every=0.05).check(3, 0.1), ["TimeCourse.every", "multiple of dt"]),
        (lambda: course_of(every=0.25).check(3, 0.1), ["0.25 ms is not a whole number of 0.1 ms"]),
        (lambda: TimeCourse(FEW, "times", np.ones(2), 1.0), ["SpikeInput has no number"]),
        (lambda: course_of([1.0, 1e6]).check(3, 0.1), ["Poisson.rate of 1e+06 Hz"]),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_a_course_that_cannot_be_followed_is_refused(make, words, is_refused):
    is_refused(make, words)


# ---- given arrivals ----------------------------------------------------------------------------


@given(dt=st.sampled_from([0.01, 0.025, 0.05, 0.1, 0.3, 1 / 3]), seed=st.integers(0, 9))
@settings(max_examples=20)
def test_every_arrival_lands_in_its_step_and_none_is_lost(dt, seed):
    rng = np.random.default_rng(seed)
    n, steps, k = 5, 64, 80
    at = np.sort(np.append(rng.integers(0, steps, k - 2), [0, steps - 1]))
    cells = rng.integers(0, n, k).astype(np.int32)
    got = series(SpikeInput("e", "ampa", at * dt, cells, 0.5), n, steps, dt=dt)
    want = np.zeros((steps, n))
    np.add.at(want, (at, cells), 0.5)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dt", [0.01, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("first", [0, 3_000, 300_000])
def test_times_that_round_badly_land_in_the_step_they_begin(dt, first, precision):
    at = np.arange(first, first + 64)
    stimulus = SpikeInput("e", "ampa", (at * dt).astype(precision), np.zeros(64, np.int32), 1.0)
    np.testing.assert_array_equal(series(stimulus, 1, 64, dt=dt, first=first), 1.0)


def test_times_inside_a_step_land_in_it():
    times = np.array([0.0, 0.05, 0.0999, 0.1, 0.19, 0.2501])
    got = series(SpikeInput("e", "ampa", times, np.zeros(6, np.int32), 1.0), 1, 4)
    np.testing.assert_array_equal(got[:, 0], [3.0, 2.0, 1.0, 0.0])


def test_no_arrivals_at_all_are_silence():
    none = SpikeInput("e", "ampa", np.zeros(0), np.zeros(0, np.int32), 1.0)
    none.check(4, DT)
    np.testing.assert_array_equal(series(none, 4), 0.0)


def test_times_that_do_not_ascend_are_refused():
    with pytest.raises(ValueError, match="must ascend, got 2 before 1 ms at index 1: sort times"):
        SpikeInput("e", "ampa", np.array([0.0, 2.0, 1.0]), np.zeros(3, np.int32), 1.0)


@pytest.mark.parametrize("time", [-0.1, float("nan"), float("inf")])
def test_times_before_the_run_or_not_finite_are_refused(time):
    with pytest.raises(ValueError, match=r"SpikeInput\.times must be"):
        SpikeInput("e", "ampa", np.array([time]), np.zeros(1, np.int32), 1.0)


@pytest.mark.parametrize("cell", [-1, 10, 2**31 - 1])
def test_cells_that_do_not_exist_are_refused(cell):
    wrong = SpikeInput("e", "ampa", np.zeros(2), np.array([9, cell], np.int32), 1.0)
    with pytest.raises(
        ValueError, match=rf"cells\[1\] is {cell}, but population 'e' has cells 0 to 9"
    ):
        wrong.check(10, DT)


def test_times_and_cells_of_different_lengths_are_refused():
    with pytest.raises((ValueError, TypeError)):
        SpikeInput("e", "ampa", np.zeros(2), np.zeros(3, np.int32), 1.0)


def test_the_weight_of_arrivals_can_be_differentiated():
    def landed(weight):
        stimulus = SpikeInput("e", "ampa", np.array([0.1, 0.3]), np.array([2, 7], np.int32), weight)
        return sum(
            stimulus.step(None, Moment(jnp.int32(k), jax.random.key(0), 10, DT))[1].weight.sum()
            for k in range(STEPS)
        )

    assert jax.jacfwd(landed)(1.5) == 2.0


@pytest.mark.usefixtures("single_precision")
def test_the_noise_of_a_whole_number_key_stays_what_it_was():
    # A change here moves every result, and belongs under "Numerics" in the changelog.
    key, input_ = jax.random.key(0, impl="threefry2x32"), Poisson("e", "ampa", 2400.0, 1.0)
    drawn = jax.jit(jax.vmap(lambda k: input_.step(None, Moment(k, key, 64, 0.1))[1].weight))
    counts = np.asarray(drawn(jnp.arange(50, dtype=jnp.int32)), np.int32)
    assert counts[0, :16].tolist() == [0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    digest = hashlib.sha256(counts.tobytes()).hexdigest()
    assert (counts.sum(), digest[:16]) == (781, "ca5da6e589d9ab6c")


def test_times_past_the_digits_of_single_precision_are_refused(single_precision):
    late = SpikeInput("e", "ampa", np.array([1.0, 2e5]), np.zeros(2, np.int32), 1.0)
    with pytest.raises(ValueError, match=r"times of 200000 ms .* 104858 ms.* JAX_ENABLE_X64"):
        late.check(1, 0.1)
    late.check(1, 0.2)
    with jax.enable_x64(True):
        late.check(1, 0.1)


def test_arrivals_at_given_times_have_a_derivative_by_their_weight_both_ways():
    def total(weight):
        stimulus = SpikeInput("e", "ampa", np.array([0.3, 0.3]), np.array([1, 2]), weight)
        return jnp.sum(
            stimulus.step(None, Moment(jnp.int32(3), jax.random.key(0), 4, DT))[1].weight ** 2
        )

    for derivative in (jax.grad, jax.jacfwd):
        assert derivative(total)(3.0) == 12.0


def test_arrivals_at_random_have_the_derivative_of_their_mean():
    def mean(rate, f=lambda n: n):
        stimulus = Poisson("e", "ampa", rate, 2.0)
        _, found = stimulus.step(None, Moment(jnp.int32(3), jax.random.key(0), 500, DT))
        return jnp.mean(f(found.weight))

    for derivative in (jax.grad, jax.jacfwd):
        slope = jax.jit(derivative(mean))(800.0)
        np.testing.assert_allclose(slope, 2.0 * DT * 1e-3, rtol=1e-6)
    exact = series(Poisson("e", "ampa", 800.0, 2.0), 500, 1, first=3)
    assert set(np.unique(exact / 2.0)) <= set(range(8))  # whole numbers all the same


def fires(stimulus, n=3, duration=30.0, **more):
    network = cx.Network(cx.acsf(), {"source": cells.source(n)}, stimuli={"s": stimulus})
    return cx.simulate(network, duration, DT, record={"s": Spikes("source")}, **more)["s"]


def test_cells_fire_at_given_times_and_never_by_themselves():
    times, which = np.array([0.1, 0.5, 0.5, 7.25]), np.array([2, 0, 1, 0], np.int32)
    found = fires(SpikeInput("source", None, times, which))
    np.testing.assert_allclose(found.times, [0.1, 0.5, 0.5, 7.2], rtol=1e-6)
    np.testing.assert_array_equal(found.ids, [2, 0, 1, 0])
    quiet = SpikeInput("source", None, np.array([]), np.array([], np.int32))
    assert fires(quiet).times.size == 0


@pytest.mark.parametrize("rate", [20.0, 2000.0])
def test_cells_fire_as_a_poisson_process(rate):
    n, duration = 500, 500.0
    found = fires(Poisson("source", None, rate), n, duration)
    expected, p = n * duration * rate * 1e-3, rate * DT * 1e-3
    assert abs(found.times.size - expected) < 4.0 * np.sqrt(expected * (1.0 - p))


@pytest.mark.parametrize("on_devices", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_source_reaches_others_as_any_cell_does(on_devices):
    """Its projection does what arrivals at the times of its spikes, a delay later, do."""
    times = np.array([2.0, 5.0, 8.0])
    receptors = {"ampa": synapses.AMPA()}
    given = SpikeInput("source", None, times, np.zeros(3, np.int32))
    direct = SpikeInput("cells", "ampa", times + 1.5, np.zeros(3, np.int32), 2.0)
    record = {"v": cx.recorders.Probe("cells", every=DT)}
    wired = cx.Network(
        cx.acsf(),
        {"source": cells.source(1), "cells": cells.leaky_integrate_and_fire(1, receptors)},
        {"p": cx.Projection("source", "cells", "glutamate", wiring.one_to_one(1, 2.0, 1.5))},
        {"s": given},
    )
    alone = cx.Network(cx.acsf(), {"cells": wired.populations["cells"]}, stimuli={"s": direct})
    a, b = (cx.simulate(x, 20.0, DT, record=record)["v"].values for x in (wired, alone))
    assert np.ptp(a) > 0.1
    np.testing.assert_allclose(a, b, atol=1e-4)
    for how in [{"at_once": 8}] + [{"devices": 2}] * on_devices:
        again = cx.simulate(wired, 20.0, DT, record=record, **how)["v"].values
        np.testing.assert_allclose(again, a, atol=1e-4)

    def voltage(strength):
        changed = cx.with_parameters(wired, {"projections/p/strength": strength})
        v = cx.simulate(changed, 20.0, DT, record=record, gradients=True)["v"].values
        return jnp.mean(v), v

    mean = jax.jit(jax.value_and_grad(voltage, has_aux=True))
    (_, again), slope = mean(1.0)
    np.testing.assert_allclose(again, a, atol=1e-4)
    difference = (mean(1.01)[0][0] - mean(0.99)[0][0]) / 0.02
    np.testing.assert_allclose(slope, difference, rtol=1e-2)


def test_given_spikes_can_be_compiled_into_a_program_of_ones_own():
    given = SpikeInput("source", None, np.array([1.0, 2.5]), np.array([0, 1]))
    network = cx.Network(cx.acsf(), {"source": cells.source(2)}, stimuli={"s": given})
    record = {"n": cx.recorders.SpikeCount("source", every=1.0)}
    counts = jax.jit(lambda: cx.simulate(network, 3.0, DT, record=record)["n"].values)()
    np.testing.assert_array_equal(counts, [[1, 0], [0, 0], [0, 1]])


def test_cells_that_fire_are_the_same_on_several_devices():
    both = [fires(Poisson("source", None, 100.0), 37, devices=d) for d in (1, 2)]
    np.testing.assert_array_equal(both[0].times, both[1].times)
    np.testing.assert_array_equal(both[0].ids, both[1].ids)


@pytest.mark.parametrize("make", [
    lambda: Poisson("e", None, 10.0, 1.0),
    lambda: Poisson("e", "ampa", 10.0),
    lambda: SpikeInput("e", "ampa", np.array([1.0]), np.array([0])),
])  # fmt: skip
def test_a_weight_is_for_a_receptor(make):
    with pytest.raises(ValueError, match="weight must be given for arrivals at a receptor"):
        make()


@pytest.mark.parametrize("stimulus, message", [
    (SpikeInput("source", None, np.array([0.0]), np.array([0])), "must be at least 0.1 ms"),
    (SpikeInput("source", None, np.array([1.01, 1.02, 1.06]), np.array([1, 0, 1])), "1 .* 2 times"),
    (Poisson("source", None, 20_000.0), "2 spikes in a step of 0.1 ms"),
])  # fmt: skip
def test_no_spike_of_a_source_is_lost(stimulus, message):
    with pytest.raises(ValueError, match=message):
        fires(stimulus)
