"""Fits: what they find, how they end, go on and refuse."""

import tracemalloc
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import cortexmg as cx
from cortexmg import FitFailed, cells, fit_plots, measures, results, stimuli, synapses
from cortexmg.aim import aim_of
from cortexmg.bounds import Coordinates
from cortexmg.estimators import Differences, Forward, Reverse, differences
from cortexmg.estimators.estimator import variance_of_mean
from cortexmg.fitted import uncertainty
from cortexmg.fitter import Fitter
from cortexmg.protocol import Protocol, keys_of
from cortexmg.targets import observed

WEIGHT, MG = "stimuli/outside/weight", "environment/ions/mg/outside"
MEASURES = {"rate": measures.Rate("E"), "CV": measures.CV("E")}
CONDITIONS = {"control": {}, "blocked": {"populations/E/receptors/nmda/gain": 0.0}}
BOUNDS = {WEIGHT: cx.Bounds(0.2, 5.0), MG: cx.Bounds(0.1, 5.0)}
TIMES = {"duration": 200.0, "settle": 50.0, "dt": 0.1}


def network(weight=1.3, mg=1.0, n=32):
    """Cells without contacts, whose input acts on AMPA and on NMDA receptors."""
    receptors = {"ampa": synapses.AMPA(), "nmda": synapses.NMDA(gain=1.0)}
    return cx.Network(
        cx.acsf(mg=mg, ca=1.2),
        {"E": cells.leaky_integrate_and_fire(n, receptors)},
        stimuli={
            "outside": stimuli.Poisson("E", "ampa", 900.0, weight),
            "slow": stimuli.Poisson("E", "nmda", 400.0, 0.5),
        },
    )


@pytest.fixture(scope="module")
def protocol():
    net = network()
    return Protocol(net, Coordinates(net, BOUNDS), MEASURES, CONDITIONS, **TIMES)


@pytest.fixture(scope="module")
def targets(protocol):
    u = np.broadcast_to(protocol.coordinates.start, (24, 1, 2))
    return observed(protocol, protocol.run(u, keys_of(99, 0, 24))[:, 0], of_seeds=4)


def fitted(targets, **more):
    start = {WEIGHT: 1.8, MG: 0.4}
    return cx.fit(network(), BOUNDS, targets, start=start, steps=12, **TIMES, **more)


def test_hidden_values_are_recovered_within_the_uncertainty_that_is_said(targets):
    fit = fitted(targets)
    off = np.log([fit.values[WEIGHT] / 1.3, fit.values[MG] / 1.0])
    assert np.all(np.abs(off) < 3.5 * fit.sd)
    assert np.all(fit.sd < 0.3)
    assert fit.loss < 0.1 * fit.curve["loss"][0]
    gradients = np.isfinite(fit.curve["gradients"]).all(axis=1)
    assert 2 < gradients.sum() < gradients.size  # the other steps measured statistics alone
    assert fit.runs == 4 * 2 * (3 * gradients.sum() + (~gradients).sum() + 5)


def test_with_priors_the_sensitivity_is_measured_again(targets):
    bounds = {name: cx.Bounds(b.low, b.high, (1.0, 1.0)) for name, b in BOUNDS.items()}
    more = {"optimiser": cx.gauss_newton(secants=1), "tolerance": 1e-9, "steps": 5}
    fit = cx.fit(network(), bounds, targets, start={WEIGHT: 1.8, MG: 0.4}, **TIMES, **more)
    measured = np.isfinite(fit.curve["gradients"]).all(axis=1)
    assert measured.sum() >= 3 and not measured[1]


def test_a_fit_that_goes_on_is_the_one_that_was_not_interrupted(targets, tmp_path):
    whole = fitted(targets, tolerance=1e-9, patience=50)
    short = {"tolerance": 1e-9, "patience": 50, "folder": tmp_path / "fit"}
    start = {WEIGHT: 1.8, MG: 0.4}
    cx.fit(network(), BOUNDS, targets, start=start, steps=5, **TIMES, **short)
    again = fitted(targets, **short)
    for name, x in whole.curve.items():
        np.testing.assert_array_equal(again.curve[name], x)
    np.testing.assert_array_equal(again.coordinates, whole.coordinates)
    ended = cx.fit(network(), BOUNDS, targets, start=start, steps=5, **TIMES, **short)
    assert ended.curve["loss"].size == whole.curve["loss"].size  # no step beyond what was done
    other = cx.Targets(targets.measures, [t._replace(sd=0.3) for t in targets.targets], CONDITIONS)
    finer = {"rate": measures.Rate("E", bin=2.0), "CV": MEASURES["CV"]}
    finer = cx.Targets(finer, targets.targets, CONDITIONS)
    for change, named in (
        ({"seeds": 2}, "seeds = 4, this one has 2"),
        ({"network": network(mg=0.9)}, "fingerprint = "),
        ({"aim": other}, "aim = "),
        ({"aim": finer}, "measures = "),
        ({"optimiser": optax.adam(0.1)}, "optimiser = "),
        ({"bounds": dict(reversed(BOUNDS.items()))}, "parameters = "),
    ):
        given = {"network": network(), "bounds": BOUNDS, "aim": targets, "start": start}
        with pytest.raises(ValueError, match=f"holds a fit with {named}"):
            cx.fit(**(given | TIMES | short | {"steps": 6} | change))


@pytest.fixture
def formula(monkeypatch):
    """Rate and CV follow from the weight and from magnesium by a formula: nothing is simulated."""

    def run(self, us, keys):
        return np.stack([50.0 * np.exp(us[..., 0]), 0.5 * np.exp(us[..., 1])] * 2, axis=-1)

    monkeypatch.setattr(Protocol, "run", run)
    goals = [cx.Target("rate", 60.0, "control"), cx.Target("CV", 0.4, "control")]
    return cx.Targets(MEASURES, goals, CONDITIONS)


def interrupting(monkeypatch, after):
    """Ctrl-C is pressed after so many steps."""
    step = Fitter.next

    def next_or_stop(self, course):
        if course.steps == after:
            raise KeyboardInterrupt
        return step(self, course)

    monkeypatch.setattr(Fitter, "next", next_or_stop)


def test_an_interrupted_fit_returns_what_it_has_and_goes_on(formula, monkeypatch, tmp_path):
    given = {"start": {WEIGHT: 0.8, MG: 1.0}, "steps": 6, "tolerance": 1e-9} | TIMES
    whole = cx.fit(network(), BOUNDS, formula, **given)
    with monkeypatch.context() as patch:
        interrupting(patch, 3)
        fit = cx.fit(network(), BOUNDS, formula, folder=tmp_path / "fit", **given)
    assert fit.ended == "interrupted" and fit.curve["loss"].size == 3
    assert fit.loss < fit.curve["loss"][0]
    again = cx.fit(network(), BOUNDS, formula, folder=tmp_path / "fit", **given)
    assert again.ended == "all steps done"
    np.testing.assert_array_equal(again.curve["coordinates"], whole.curve["coordinates"])
    interrupting(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):  # there is nothing to return
        cx.fit(network(), BOUNDS, formula, **given)


def test_a_fit_ends_when_nothing_better_has_come_for_long(formula):
    uphill = {"optimiser": optax.sgd(-0.01), "start": {WEIGHT: 0.8, MG: 1.0}, "steps": 40}
    fit = cx.fit(network(), BOUNDS, formula, patience=5, **uphill, **TIMES)
    assert fit.ended == "no better" and np.all(np.diff(fit.curve["loss"]) > 0)
    assert fit.curve["loss"].size == 4 + 5  # the best stretch, and as many as patience
    np.testing.assert_array_less(np.abs(fit.coordinates - np.log([0.8, 1.0])), 0.1)


@pytest.mark.slow
def test_a_fit_by_adam_goes_on_in_its_precision(tmp_path):
    aim = cx.Targets({"rate": MEASURES["rate"]}, [cx.Target("rate", 60.0)])
    given = {"optimiser": optax.adam(0.1), "seeds": 2, "start": {WEIGHT: 0.8}} | TIMES
    bounds = {WEIGHT: BOUNDS[WEIGHT]}
    with jax.enable_x64(False):
        whole = cx.fit(network(), bounds, aim, steps=4, **given)
        cx.fit(network(), bounds, aim, steps=2, folder=tmp_path / "fit", **given)
        again = cx.fit(network(), bounds, aim, steps=4, folder=tmp_path / "fit", **given)
    np.testing.assert_array_equal(again.curve["coordinates"], whole.curve["coordinates"])


def test_a_folder_knows_what_the_stimuli_of_its_network_reach(tmp_path):
    net = network()
    other = replace(
        net, stimuli=net.stimuli | {"slow": replace(net.stimuli["slow"], receptor="ampa")}
    )
    assert results.fingerprint(net) != results.fingerprint(other)
    assert results.fingerprint(net) == results.fingerprint(network())


def test_a_fit_whose_aim_is_met_at_once_ends_there():
    bounds = {WEIGHT: BOUNDS[WEIGHT]}
    flat = cx.Loss(
        lambda found: jnp.maximum(found[""]["rate"] - 500.0, 0.0), {"rate": MEASURES["rate"]}
    )
    fit = cx.fit(network(), bounds, flat, steps=2, seeds=2, **TIMES)
    assert fit.loss == 0.0 and fit.values[WEIGHT] == pytest.approx(1.3)


def test_gauss_newton_without_a_sensitivity_is_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr("cortexmg.fitter.Fitter.next", None)
    aim = cx.Targets({"rate": MEASURES["rate"]}, [cx.Target("rate", 60.0)])
    given = {"optimiser": cx.gauss_newton(), "estimator": Reverse(), "steps": 2} | TIMES
    with pytest.raises(ValueError, match="gauss_newton needs"):
        cx.fit(network(), BOUNDS, aim, **given)


def test_the_variance_of_a_mean_is_over_what_is_defined():
    x = np.array([1.0, np.nan, 3.0, np.nan, np.inf, np.nan])
    assert variance_of_mean(x) == pytest.approx(np.var([1.0, 3.0], ddof=1) / 2)
    full = np.random.default_rng(1).normal(size=(7, 3))
    np.testing.assert_allclose(variance_of_mean(full), np.var(full, axis=0, ddof=1) / 7)


def test_targets_that_cannot_be_meant_are_refused(protocol):
    rate, several = {"rate": MEASURES["rate"]}, [cx.Target("rate", 1.0), cx.Target("rate", 60.0)]
    with pytest.raises(ValueError, match="several targets for 'rate'"):
        cx.Targets(rate, several)
    for target, words in (
        (cx.Target("rate", -5.0, "control"), "cannot be -5"),
        (cx.Target("rate", 5.0, "control", np.ones(3)), "sd of 1 or 1 values"),
    ):
        with pytest.raises(ValueError, match=words):
            aim_of(protocol, cx.Targets(MEASURES, [target], CONDITIONS))


def test_what_no_seed_shows_is_known_to_the_tolerance_of_its_measure(protocol):
    statistics = (
        np.tile([0.0, 0.5, 3.0, 0.5], (4, 1))
        + np.array([[0.0, 1e-2, 1e-1, 1e-2]]) * (np.arange(4)[:, None])
    )
    silent = observed(protocol, statistics).targets[0]
    assert silent.measure == "rate" and silent.sd == pytest.approx(MEASURES["rate"].tolerance)


@pytest.mark.slow
def test_a_report_of_many_statistics_is_drawn():
    aim = cx.Targets({"each": measures.CellRates("E")}, [cx.Target("each", np.full(41, 30.0))])
    net, bounds = network(n=41), {WEIGHT: BOUNDS[WEIGHT]}
    assert fit_plots.report(cx.fit(net, bounds, aim, steps=1, seeds=2, **TIMES)).axes


@pytest.mark.slow
def test_any_optimiser_and_a_loss_of_ones_own():
    def loss(found):
        return (jnp.log(found["control"]["rate"]) - jnp.log(60.0)) ** 2

    aim = cx.Loss(loss, MEASURES, CONDITIONS)
    given = {"steps": 8, "start": {WEIGHT: 0.8}, "seeds": 4, "patience": 20}
    bounds = {WEIGHT: BOUNDS[WEIGHT]}
    fit = cx.fit(network(), bounds, aim, optimiser=optax.adam(0.15), **given, **TIMES)
    assert np.all(np.isnan(fit.sd)) and fit.ended == "all steps done"
    assert fit.curve["loss"][-1] < 0.5 * fit.curve["loss"][0]
    assert fit.curve["coordinates"][-1] > fit.curve["coordinates"][0]
    with pytest.raises(ValueError, match="gauss_newton needs"):
        cx.fit(network(), bounds, aim, optimiser=cx.gauss_newton(), **given, **TIMES)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"estimator": Differences(0.2, 4, local=True)}, marks=pytest.mark.slow),
        pytest.param(
            {"estimator": Reverse(), "optimiser": optax.adam(0.1)}, marks=pytest.mark.slow
        ),
    ],
    ids=["local differences", "reverse"],
)
def test_a_value_per_cell_can_be_fitted(how):
    rates = np.linspace(10.0, 60.0, 32)
    net = cx.with_parameters(network(), {WEIGHT: np.full(32, 1.3)})
    aim = cx.Targets({"rates": measures.CellRates("E", bin=10.0)}, [cx.Target("rates", rates)])
    given = {"steps": 15, "seeds": 2, "patience": 20} | TIMES | {"settle": 0.0}
    fit = cx.fit(net, {WEIGHT: BOUNDS[WEIGHT]}, aim, **how, **given)
    assert len(fit.labels) == 32
    assert np.corrcoef(fit.values[WEIGHT], rates)[0, 1] > 0.8
    assert fit.loss < 0.5 * fit.curve["loss"][0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["loss", "targets"])
def test_thousands_of_drives_are_fitted_backwards_without_their_correlation(kind):
    n, start = 3200, np.full(3200, 1.3)
    rates = np.linspace(10.0, 60.0, n)
    net = cx.with_parameters(network(n=n), {WEIGHT: start})

    def loss(found):
        return jnp.mean(jnp.log((found[""]["rates"] + 5.0) / (rates + 5.0)) ** 2)

    each = {"rates": measures.CellRates("E", bin=10.0)}
    aim = cx.Loss(loss, each) if kind == "loss" else cx.Targets(each, [cx.Target("rates", rates)])
    given = {"estimator": Reverse(), "steps": 8, "seeds": 2, "settle": 0.0, "duration": 100.0}
    tracemalloc.start()
    fit = cx.fit(net, {WEIGHT: BOUNDS[WEIGHT]}, aim, dt=0.1, **given)
    assert tracemalloc.get_traced_memory()[1] < 8 * n**2  # bytes that a correlation would take
    tracemalloc.stop()
    assert fit.correlation is None and np.all(np.isnan(fit.sd))
    assert any("how certain 3,200 numbers are" in w for w in fit.warnings)
    assert np.corrcoef(fit.values[WEIGHT], rates)[0, 1] > 0.5
    assert fit.loss < fit.curve["loss"][0]


def test_parameters_that_cannot_be_told_apart_are_named():
    # Only the product of weight and gain acts.
    gain = "populations/E/receptors/ampa/gain"
    bounds = {WEIGHT: cx.Bounds(0.2, 5.0), gain: cx.Bounds(0.2, 5.0)}
    aim = cx.Targets({"rate": MEASURES["rate"]}, [cx.Target("rate", 30.0)])
    fit = cx.fit(network(), bounds, aim, steps=3, seeds=2, **TIMES)
    assert fit.correlation[0, 1] < -0.95
    said = " ".join(fit.warnings)
    assert "cannot be told apart" in said and "fix little more than their product" in said
    assert WEIGHT in said and gain in said


def test_uncertainty_is_that_of_linear_regression():
    rng = np.random.default_rng(0)
    j = rng.normal(size=(12, 3))
    free, quiet = np.full(3, np.inf), np.zeros((4, 12))

    def told(j):
        return np.broadcast_to(j, (4, *j.shape))

    sd, correlation = uncertainty(told(j), quiet, free)
    covariance = np.linalg.inv(j.T @ j)
    np.testing.assert_allclose(sd, np.sqrt(np.diag(covariance)))
    np.testing.assert_allclose(correlation, covariance / np.outer(sd, sd))
    sd, _ = uncertainty(told(j * [1.0, 1.0, 0.0]), quiet, free)
    assert np.isinf(sd[2]) and np.all(np.isfinite(sd[:2]))
    prior, _ = uncertainty(told(j * [1.0, 1.0, 0.0]), quiet, np.array([np.inf, np.inf, 0.5]))
    assert prior[2] == pytest.approx(0.5)
    # Of two that act alike only the product is known.
    _, correlation = uncertainty(told(j[:, [0, 0]]), quiet, free[:2])
    assert correlation[0, 1] == pytest.approx(-1.0)
    # A seed in which a statistic is undefined does not take it away.
    holes = rng.normal(0.0, 1e-6, (4, 12))
    holes[0, 3] = np.nan
    np.testing.assert_allclose(uncertainty(told(j), holes, free)[0], np.sqrt(np.diag(covariance)))


def test_noise_of_a_sensitivity_is_no_information():
    rng = np.random.default_rng(1)
    sds = []
    for _ in range(200):
        j = np.zeros((4, 12, 2))
        j[..., 0] = 3.0
        j[..., 1] = rng.normal(0.0, 1.0, (4, 12))  # nothing depends on the second parameter
        sds.append(uncertainty(j, np.zeros((4, 12)), np.full(2, np.inf))[0])
    first, second = np.array(sds).T
    assert np.median(first) == pytest.approx(1 / (3 * np.sqrt(12)), rel=0.15)
    assert np.mean(np.isinf(first)) < 0.1
    assert np.mean(second < 0.5) < 0.1  # the noise alone would say 0.6 every time
    assert np.mean(np.isinf(second)) > 0.3
    believed, _ = uncertainty(j, np.zeros((4, 12)), np.array([np.inf, 0.5]))
    assert believed[1] <= 0.5  # a prior is still one


@pytest.mark.parametrize(
    "estimator",
    [None, *(pytest.param(kind(), marks=pytest.mark.slow) for kind in (Forward, Reverse))],
    ids=["differences", "forward", "reverse"],
)
def test_a_silent_network_says_so_and_a_voltage_gives_it_a_direction(estimator):
    quiet = {"start": {WEIGHT: 0.21}, "steps": 3, "seeds": 2, "estimator": estimator} | TIMES
    bounds = {WEIGHT: cx.Bounds(0.2, 5.0)}
    net = cx.with_parameters(network(), {"stimuli/slow/weight": 0.0})
    rate = cx.Targets({"rate": MEASURES["rate"]}, [cx.Target("rate", 10.0)])
    with pytest.raises(FitFailed, match="Nothing responds.*MeanVoltage gives") as failed:
        cx.fit(net, bounds, rate, **quiet)
    assert failed.value.values[WEIGHT] == pytest.approx(0.21) and failed.value.best is None
    with_voltage = {"rate": MEASURES["rate"], "voltage": measures.MeanVoltage("E")}
    aim = cx.Targets(with_voltage, [cx.Target("rate", 10.0), cx.Target("voltage", -55.0)])
    fit = cx.fit(net, bounds, aim, **quiet)
    assert fit.curve["coordinates"][-1][0] > fit.curve["coordinates"][0][0]


def test_measuring_begins_where_settling_ended_and_with_a_whole_interval():
    net, fano = network(), measures.Fano("E", bin=40.0)
    given = {"duration": 200.0, "settle": 50.0, "dt": 0.1}
    protocol = Protocol(net, Coordinates(net, BOUNDS), {"fano": fano}, **given)
    assert protocol.settle == 80.0
    (key,) = keys_of(3, 0, 1)
    settled = cx.simulate(net, 80.0, dt=0.1, key=key).state
    counts = {"counts": fano.recorders["counts"]}
    run = cx.simulate(net, 200.0, dt=0.1, record=counts, state=settled)
    found = protocol.run(protocol.coordinates.start[None, None], key[None])
    expected = fano.value({"counts": jnp.asarray(run["counts"].values)}, 200.0)
    np.testing.assert_allclose(found.ravel(), float(expected), rtol=1e-9)


def test_silence_costs_more_than_firing_wrongly(protocol):
    goals = [cx.Target("rate", 5.0, "control", 0.5), cx.Target("CV", 0.3, "control", 0.03)]
    aim = aim_of(protocol, cx.Targets(MEASURES, goals, CONDITIONS))
    silent, wrong = np.array([0.0, np.nan, 1.0, 0.5]), np.array([7.7, 0.54, 1.0, 0.5])
    assert aim.loss(silent) > aim.loss(wrong)
    assert np.isnan(aim.residual(silent)[1]) and aim.slope(silent)[1] == 0.0


def test_undefined_statistics_are_reported():
    aim = cx.Targets(MEASURES, [cx.Target("rate", 1.0), cx.Target("CV", 0.8)])
    fit = cx.fit(network(weight=0.3), {WEIGHT: cx.Bounds(0.25, 0.4)}, aim, steps=2, **TIMES)
    assert np.isnan(fit.statistics["CV"][0])
    assert any("CV is undefined" in w for w in fit.warnings)


def test_a_loss_that_is_not_a_number_stops_with_the_values_and_keeps_the_course(tmp_path):
    def loss(found):
        rate = found["control"]["rate"]
        return jnp.where(rate > 70.0, jnp.nan, (rate - 200.0) ** 2)

    aim = cx.Loss(loss, MEASURES, CONDITIONS)
    given = {"start": {WEIGHT: 0.8}, "steps": 40, "seeds": 2, "folder": tmp_path / "fit"} | TIMES
    with pytest.raises(FitFailed, match="loss is nan") as failed:
        cx.fit(network(), {WEIGHT: BOUNDS[WEIGHT]}, aim, optimiser=optax.adam(0.3), **given)
    assert failed.value.values[WEIGHT] > 0.8 and failed.value.best[WEIGHT] >= 0.8
    assert cx.results.load(tmp_path / "fit")[0]["losses"].size >= 1


@pytest.mark.parametrize(
    "estimator",
    [Forward(), pytest.param(Reverse(), marks=pytest.mark.slow), Differences()],
    ids=["forward", "reverse", "differences"],
)
def test_gradients_are_finite_at_bounds_without_magnesium_and_saturated(estimator):
    keys, times = keys_of(0, 0, 2), TIMES | {"settle": 0.0}
    net = network(mg=0.0)
    bounds = {WEIGHT: BOUNDS[WEIGHT], MG: cx.Bounds(0.0, 5.0)}
    rates = []
    p = Protocol(net, Coordinates(net, bounds), {"r": MEASURES["rate"]}, **times)
    for start in ({WEIGHT: 0.2, MG: 0.0}, {WEIGHT: 5.0, MG: 5.0}):
        there = Coordinates(net, bounds, start).start
        found = estimator.estimate(p, there, keys, np.ones_like)
        # Gradients leave out what is undefined in a sensitivity.
        told = found.gradients if found.sensitivity is None else found.sensitivity
        assert np.all(np.isfinite(told))
        rates.append(found.statistics.mean())
    assert rates[0] > 100 and rates[1] > 100


@pytest.mark.parametrize("room", [0.05, 0.0999, 0.1, 0.1 + 1e-16, 0.1001, 0.14, 0.16, 0.2, 9.0])
def test_no_difference_is_taken_between_runs_that_a_bound_brings_close(room):
    net = network()
    bounds = {WEIGHT: cx.Bounds(0.2, 5.0)}
    c = Coordinates(net, bounds)
    given = Protocol(net, c, MEASURES, **TIMES)
    u = np.maximum(c.high - room, c.low)
    nodes = Differences(0.1, points=4)._nodes(given, u, 2)[0, 0]
    weights = differences._weights(nodes)
    assert np.max(np.abs(weights)) < 25.0
    np.testing.assert_allclose(weights @ nodes, 1.0)  # exact for what is linear, and more:
    np.testing.assert_allclose(weights @ nodes**2, 0.0, atol=1e-12)


def test_no_run_leaves_the_bounds(protocol, monkeypatch):
    c, tried = protocol.coordinates, []

    def run(us, keys):
        tried.append(us)
        return us @ np.array([[1.0, 2.0, 0.0, 0.5], [0.0, -1.0, 3.0, 0.0]]) + us**2 @ np.ones(
            (2, 4)
        )

    monkeypatch.setattr(protocol, "run", run)
    for u in (c.low, c.high, c.low + 0.03, c.start):
        for how in (
            {},
            {"points": 4},
            {"points": 1},
            {"directions": "orthogonal"},
            {"directions": 3},
        ):
            found = Differences(0.1, **how).estimate(protocol, u, keys_of(0, 0, 2), np.ones_like)
            assert np.all(np.isfinite(found.sensitivity))
            if "directions" not in how:  # a parabola: exact, but for one side alone
                slopes = 2 * u[0] + np.array([1.0, 2.0, 0.0, 0.5])
                off = found.sensitivity[:, :, 0].mean(axis=0) - slopes
                np.testing.assert_allclose(off, 0.0, atol=1e-9 if u is c.start else 0.11)
    tried = np.concatenate([x.reshape(-1, 2) for x in tried])
    assert np.all(tried >= c.low - 1e-12) and np.all(tried <= c.high + 1e-12)


@pytest.mark.slow
def test_steps_that_are_small_by_order_are_not_convergence(protocol):
    aim = cx.Targets(MEASURES, [cx.Target("rate", 60.0, "control")], CONDITIONS)
    given = {"optimiser": optax.sgd(1e-6), "steps": 6, "start": {WEIGHT: 0.8, MG: 1.0}, "seeds": 2}
    assert cx.fit(network(), BOUNDS, aim, **given, **TIMES).ended == "all steps done"


def test_voltages_that_do_not_stay_finite_stop_a_fit_with_their_values(protocol, monkeypatch):
    aim = cx.Targets(MEASURES, [cx.Target("rate", 60.0, "control")], CONDITIONS)
    plain = Protocol.run

    def run(self, us, keys):
        found = plain(self, us, keys)
        found[np.exp(us[..., 0]) > 1.35] = np.inf  # only runs to one side of the first coordinates
        return found

    monkeypatch.setattr(Protocol, "run", run)
    with pytest.raises(FitFailed, match="stopped being finite") as failed:
        cx.fit(network(), BOUNDS, aim, steps=2, seeds=2, **TIMES)
    assert failed.value.values[WEIGHT] > 1.35


@pytest.mark.parametrize(
    "estimator", [Differences(), Forward(), pytest.param(Reverse(), marks=pytest.mark.slow)]
)
def test_what_does_not_fit_into_memory_is_refused_before_it_runs(protocol, estimator, monkeypatch):
    monkeypatch.setattr("cortexmg.protocol.memory_here", lambda: 1e3)
    remedy = "need .* MB and 0 MB are left: simulate fewer cells. Forward needs less for fewer"
    with pytest.raises(MemoryError, match=remedy):
        estimator.estimate(protocol, protocol.coordinates.start, keys_of(0, 0, 2), np.ones_like)


def test_values_at_bounds_can_be_starts_and_patterns_need_not_agree():
    net = network()
    with jax.enable_x64(False):
        at = Coordinates(net, BOUNDS, {WEIGHT: 0.2, MG: 5.0})
        Coordinates(net, BOUNDS, at.named(at.start))
    both = "stimuli/*/weight"  # 1.3 and 0.5
    with pytest.raises(ValueError, match="give a start"):
        Coordinates(net, {both: cx.Bounds(0.1, 3.0)})
    assert Coordinates(net, {both: cx.Bounds(0.1, 3.0)}, {both: 0.7}).named(np.log([0.7]))
    with pytest.raises(ValueError, match="outside"):
        Coordinates(net, {MG: cx.Bounds(-2.0, 3.0)})


def test_what_is_undefined_in_a_recording_is_no_target(protocol):
    rng = np.random.default_rng(2)
    found = rng.uniform(1.0, 2.0, (5, 4))
    found[1:, 1] = np.nan
    aim = observed(protocol, found)
    assert [(t.measure, t.condition) for t in aim.targets] == [
        ("rate", "control"), ("rate", "blocked"), ("CV", "blocked")]  # fmt: skip
    assert all(np.all(np.isfinite(t.sd)) for t in aim.targets)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"bounds": {"nothing": cx.Bounds(1.0, 2.0)}}, "No parameter 'nothing'"),
        ({"bounds": {"populations/*/nothing": cx.Bounds(1.0, 2.0)}}, "No parameter matches"),
        ({"bounds": {}}, "Nothing to fit"),
        ({"start": {WEIGHT: 6.0}}, "outside its bounds"),
        ({"start": {"stimuli/slow/weight": 1.0}}, "not fitted"),
        ({"seeds": 1}, "seeds must be a whole number from 2"),
        ({"steps": 0}, "steps must be a whole number from 1"),
        ({"duration": 8.0}, "at least two intervals of 5 ms"),
        ({"aim": [cx.Target("rate", np.nan)]}, "all finite"),
        ({"aim": [cx.Target("rate", [1.0, 2.0])]}, "must have 1 or 1 values"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(change, message):
    aim = change.pop("aim", [cx.Target("rate", 10.0)])
    given = {"bounds": BOUNDS, "steps": 2} | TIMES | change
    with pytest.raises((KeyError, ValueError, TypeError), match=message):
        aim = cx.Targets({"rate": MEASURES["rate"]}, aim) if isinstance(aim, list) else aim
        cx.fit(network(), aim=aim, **given)


def test_an_aim_of_another_kind_is_refused(without_type_checks):
    with pytest.raises(TypeError, match="needs Targets or a Loss"):
        cx.fit(network(), BOUNDS, lambda found: 0.0)


@pytest.mark.parametrize(
    "low, high, prior, message",
    [
        (2.0, 1.0, None, "must be below"),
        (1.0, 1.0, None, "must be below"),
        (np.nan, 1.0, None, "finite"),
        (1.0, 2.0, (3.0, 0.1), "median between"),
        (1.0, 2.0, (1.5, 0.0), "positive standard deviation"),
    ],
)
def test_bounds_are_checked(low, high, prior, message):
    with pytest.raises(ValueError, match=message):
        cx.Bounds(low, high, prior)


@pytest.mark.parametrize(
    "targets, message",
    [
        ([], "at least one"),
        ([cx.Target("rate", 1.0, "elsewhere")], "conditions"),
        ([cx.Target("CV2", 1.0)], "measures are"),
        ([cx.Target("rate", 1.0, sd=0.0)], "sd must be positive"),
    ],
)
def test_targets_are_checked(targets, message):
    with pytest.raises(ValueError, match=message):
        cx.Targets(MEASURES, targets)


def test_sensitivities_have_the_signs_of_the_block():
    found = cx.sensitivity(network(), [WEIGHT, MG], MEASURES, CONDITIONS, seeds=4, **TIMES)
    at = dict(zip(found.statistics, found.values, strict=True))
    weight, mg = at["rate (control)"]
    assert weight > 0 > mg
    assert at["rate (blocked)"][1] == 0.0
    assert "rate (control)" in str(found)
    with pytest.raises(ValueError, match="not positive"):
        cx.sensitivity(network(), ["populations/E/channels/leak/e"], MEASURES, **TIMES)


def test_sensitivities_are_of_all_positive_numbers_unless_some_are_named(monkeypatch):
    def run(self, us, keys):
        return np.exp(us.sum(axis=-1, keepdims=True))  # the logarithm of the rate has slope 1

    monkeypatch.setattr(Protocol, "run", run)
    net = cx.with_parameters(network(), {WEIGHT: np.full(32, 1.3)})
    found = cx.sensitivity(net, None, {"rate": MEASURES["rate"]}, seeds=2, **TIMES)
    known = {name: p.value for name, p in cx.parameters(net).items()}
    left = known.keys() - set(found.parameters)
    assert all(np.ndim(known[k]) or known[k] <= 0 or "/rule/" in k for k in left)
    assert all(known[name] > 0 for name in found.parameters)
    assert {WEIGHT, "populations/E/rule/width", "populations/E/channels/leak/e"} <= left
    assert {MG, "environment/temperature", "stimuli/slow/weight"} <= set(found.parameters)
    np.testing.assert_allclose(found.values, 1.0, rtol=1e-3)


def test_sensitivities_to_many_numbers_of_single_cells_take_few_runs(monkeypatch):
    net = cx.with_parameters(network(), {WEIGHT: np.full(32, 1.3)})
    tried = []

    def run(self, us, keys):
        tried.append(us.shape[1])
        return np.exp(us)

    monkeypatch.setattr(Protocol, "run", run)
    found = cx.sensitivity(net, [WEIGHT], {"each": measures.CellRates("E")}, seeds=2, **TIMES)
    np.testing.assert_array_equal(found.values != 0, np.eye(32, dtype=bool))
    assert tried == [9]  # where they are, and four pairs


def test_priors_are_around_what_the_network_has():
    net = cx.models.cortex(20)
    shared = cx.priors(net, "release", "nmda block")
    assert shared["projections/*/k_mg"].prior == (2.97, 0.4)
    each = cx.priors(net, "release", shared=False)
    assert "projections/E to I/release/factors/ions/k_mg" in each
    Coordinates(net, cx.priors(net))
    with pytest.raises(ValueError, match="No set 'relase'"):
        cx.priors(net, "relase")
    with pytest.raises(ValueError, match="nothing of the set 'pump'"):
        cx.priors(net, "pump")
    pumping = cx.models.cortex_slice(20, ions=True)
    energy = "populations/*/channels/*/factors/energy/k_mg"
    assert cx.priors(pumping, "pump")[energy].prior == (0.069, 0.3)
    calcium = cx.priors(pumping, "calcium channels")
    assert calcium and not any("energy" in name or "*" in name for name in calcium)
    none = cx.with_parameters(net, {"populations/E/receptors/nmda/gain": 0.0})
    assert "populations/E/receptors/nmda/gain" not in cx.priors(none, "nmda weight")


def test_runs_are_the_same_on_any_number_of_devices(protocol):
    u = np.broadcast_to(protocol.coordinates.start, (3, 1, 2))
    net = network()
    one, two = (
        Protocol(net, Coordinates(net, BOUNDS), MEASURES, CONDITIONS, devices=count, **TIMES)
        for count in (1, 2)
    )
    by_one, by_two, by_eight = (p.run(u, keys_of(3, 0, 3)) for p in (one, two, protocol))
    np.testing.assert_array_equal(by_two, by_one)
    np.testing.assert_array_equal(by_eight, by_one)
