"""Fits: what they find, how they end, go on and refuse."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import cortexmg as cx
from cortexmg import cells, measures, stimuli, synapses
from cortexmg.bounds import Coordinates
from cortexmg.estimators import Differences, Forward, Reverse
from cortexmg.fit import FitFailed, keys_of
from cortexmg.fitted import uncertainty
from cortexmg.protocol import Protocol
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
    assert fit.runs == 4 * 2 * 5 * (len(fit.curve["loss"]) + 1)


def test_a_fit_that_goes_on_is_the_one_that_was_not_interrupted(targets, tmp_path):
    whole = fitted(targets, tolerance=1e-9, patience=50)
    short = {"tolerance": 1e-9, "patience": 50, "folder": tmp_path / "fit"}
    start = {WEIGHT: 1.8, MG: 0.4}
    cx.fit(network(), BOUNDS, targets, start=start, steps=5, **TIMES, **short)
    again = fitted(targets, **short)
    for name, x in whole.curve.items():
        np.testing.assert_array_equal(again.curve[name], x)
    np.testing.assert_array_equal(again.coordinates, whole.coordinates)
    with pytest.raises(ValueError, match="holds a fit with seeds = 4, this one has 2"):
        fitted(targets, seeds=2, **short)


def test_any_optimiser_and_a_loss_of_ones_own():
    def loss(found):
        return (jnp.log(found["control"]["rate"]) - jnp.log(60.0)) ** 2

    aim = cx.Loss(loss, MEASURES, CONDITIONS)
    given = {"steps": 8, "start": {WEIGHT: 0.8}, "seeds": 4, "patience": 20}
    bounds = {WEIGHT: BOUNDS[WEIGHT]}
    fit = cx.fit(network(), bounds, aim, optimiser=optax.adam(0.15), **given, **TIMES)
    assert fit.curve["loss"][-1] < 0.5 * fit.curve["loss"][0]
    assert fit.curve["coordinates"][-1] > fit.curve["coordinates"][0]
    with pytest.raises(ValueError, match="gauss_newton needs"):
        cx.fit(network(), bounds, aim, optimiser=cx.gauss_newton(), **given, **TIMES)


@pytest.mark.parametrize(
    "how",
    [
        {"estimator": Differences(0.2, 4, local=True)},
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


def test_parameters_that_cannot_be_told_apart_are_named():
    # Only the product of weight and gain acts.
    gain = "populations/E/receptors/ampa/gain"
    bounds = {WEIGHT: cx.Bounds(0.2, 5.0), gain: cx.Bounds(0.2, 5.0)}
    aim = cx.Targets({"rate": MEASURES["rate"]}, [cx.Target("rate", 30.0)])
    fit = cx.fit(network(), bounds, aim, steps=3, seeds=2, **TIMES)
    said = " ".join(fit.warnings)
    assert "cannot be told apart" in said or "hardly determine" in said
    assert WEIGHT in said and gain in said


def test_uncertainty_is_that_of_linear_regression():
    rng = np.random.default_rng(0)
    j = rng.normal(size=(12, 3))
    sd, correlation = uncertainty(j, np.zeros((4, 12)), np.full(3, np.inf))
    covariance = np.linalg.inv(j.T @ j)
    np.testing.assert_allclose(sd, np.sqrt(np.diag(covariance)))
    np.testing.assert_allclose(correlation, covariance / np.outer(sd, sd))
    sd, _ = uncertainty(j * [1.0, 1.0, 0.0], np.zeros((4, 12)), np.full(3, np.inf))
    assert np.isinf(sd[2]) and np.all(np.isfinite(sd[:2]))
    prior, _ = uncertainty(j * [1.0, 1.0, 0.0], np.zeros((4, 12)), np.array([np.inf, np.inf, 0.5]))
    assert prior[2] == pytest.approx(0.5)


def test_a_silent_network_says_so_and_a_voltage_gives_it_a_direction():
    quiet = {"start": {WEIGHT: 0.21}, "steps": 3, "seeds": 2} | TIMES
    bounds = {WEIGHT: cx.Bounds(0.2, 5.0)}
    net = cx.with_parameters(network(), {"stimuli/slow/weight": 0.0})
    rate = cx.Targets({"rate": MEASURES["rate"]}, [cx.Target("rate", 10.0)])
    with pytest.raises(FitFailed, match="Nothing responds") as failed:
        cx.fit(net, bounds, rate, **quiet)
    assert failed.value.values[WEIGHT] == pytest.approx(0.21)
    with_voltage = {"rate": MEASURES["rate"], "voltage": measures.MeanVoltage("E")}
    aim = cx.Targets(with_voltage, [cx.Target("rate", 10.0), cx.Target("voltage", -55.0)])
    fit = cx.fit(net, bounds, aim, **quiet)
    assert fit.curve["coordinates"][-1][0] > fit.curve["coordinates"][0][0]


def test_undefined_statistics_are_left_out_and_reported():
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
    assert failed.value.values[WEIGHT] > 0.8
    assert cx.results.load(tmp_path / "fit")[0]["losses"].size >= 1


def test_gradients_are_finite_at_bounds_without_magnesium_silent_and_saturated():
    keys, times = keys_of(0, 0, 2), TIMES | {"settle": 0.0}
    net = network(mg=0.0)
    bounds = {WEIGHT: BOUNDS[WEIGHT], MG: cx.Bounds(0.0, 5.0)}
    for start in ({WEIGHT: 0.2, MG: 0.0}, {WEIGHT: 5.0, MG: 5.0}):
        p = Protocol(net, Coordinates(net, bounds, start), {"r": MEASURES["rate"]}, **times)
        found = Forward().estimate(p, p.coordinates.start, keys, np.ones_like)
        assert np.all(np.isfinite(found.gradients))


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


def test_runs_are_the_same_on_two_devices(protocol):
    u = np.broadcast_to(protocol.coordinates.start, (3, 1, 2))
    one = protocol.run(u, keys_of(3, 0, 3))
    net = network()
    two = Protocol(net, Coordinates(net, BOUNDS), MEASURES, CONDITIONS, devices=2, **TIMES)
    np.testing.assert_array_equal(two.run(u, keys_of(3, 0, 3)), one)
