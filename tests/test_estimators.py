"""Estimators of derivatives: exact where runs are smooth, alike where they are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, measures, stimuli, synapses, wiring
from cortexmg.bounds import Coordinates
from cortexmg.estimators import Differences, Forward, Reverse
from cortexmg.protocol import Protocol, keys_of

MG, WEIGHT, STRENGTH = (
    "environment/ions/mg/outside",
    "stimuli/outside/weight",
    "projections/E to E/strength",
)
TIMES = {"duration": 40.0, "settle": 0.0, "dt": 0.1}


def network(weight, n=24):
    """Cells that excite one another through AMPA and NMDA receptors."""
    receptors = {"ampa": synapses.AMPA(), "nmda": synapses.NMDA(gain=0.5)}
    contacts = wiring.fixed_in_degree(n, n, 6, 0.6, 1.0, key=1)
    return cx.Network(
        cx.acsf(mg=0.6, ca=1.2),
        {"E": cells.leaky_integrate_and_fire(n, receptors)},
        {"E to E": cx.Projection("E", "E", "glutamate", contacts)},
        {"outside": stimuli.Poisson("E", "nmda", 900.0, weight)},
    )


def protocol_of(weight, names, conditions=None, **measured):
    net = network(weight)
    bounds = {name: cx.Bounds(0.05, 20.0) for name in names}
    measured = measured or {"voltage": measures.MeanVoltage("E")}
    return Protocol(net, Coordinates(net, bounds), measured, conditions, **TIMES)


def at_start(estimator, protocol, seeds=3):
    keys = keys_of(5, 0, seeds)
    return estimator.estimate(protocol, protocol.coordinates.start, keys, np.ones_like)


@pytest.mark.slow
def test_below_threshold_all_estimators_agree():
    protocol = protocol_of(0.05, [MG, WEIGHT])
    forward, reverse = at_start(Forward(), protocol), at_start(Reverse(), protocol)
    np.testing.assert_allclose(reverse.gradients, forward.gradients, rtol=1e-9)
    found = at_start(Differences(1e-3, points=4), protocol).gradients
    np.testing.assert_allclose(forward.gradients, found, rtol=1e-6)
    assert np.all(np.abs(forward.gradients) > 1e-3)


def cells_that_spikes_reach():
    """Hodgkin-Huxley cells of which the first fire when told to, the second hear of it."""
    receptors = {"ampa": synapses.AMPA(), "nmda": synapses.NMDA(gain=0.5)}
    contacts = wiring.fixed_in_degree(4, 8, 3, 0.3, 1.0, key=1)
    release = cx.releases.TsodyksMarkram(factors={"ions": cx.factors.HillRelease(steep=1.0)})
    return cx.Network(
        cx.acsf(mg=0.6, ca=1.1),
        {"first": cells.regular_spiking(4, receptors), "E": cells.regular_spiking(8, receptors)},
        {"on": cx.Projection("first", "E", "glutamate", contacts, release)},
        {"drive": stimuli.step_current("first", 1500.0, 2.0)},
    )


@pytest.mark.slow
def test_where_runs_are_smooth_all_estimators_agree_though_cells_fire():
    """The upstroke of a Hodgkin-Huxley cell is smooth, and so is release by given spikes."""
    net = cells_that_spikes_reach()
    names = [MG, "projections/on/release/factors/ions/k_mg", "projections/on/strength"]
    bounds = {name: cx.Bounds(0.05, 20.0) for name in names}
    wanted = {"E": measures.MeanVoltage("E"), "spikes": measures.Rate("first")}
    protocol = Protocol(net, Coordinates(net, bounds), wanted, **TIMES)
    forward, reverse = (at_start(e, protocol, seeds=2) for e in (Forward(), Reverse()))
    assert forward.statistics[0, 1] > 20.0  # they fire, several times
    np.testing.assert_allclose(reverse.gradients, forward.gradients, rtol=1e-9)
    found = at_start(Differences(2e-3, points=4), protocol, seeds=2)
    np.testing.assert_allclose(forward.sensitivity[:, 0], found.sensitivity[:, 0], rtol=1e-6)
    assert np.all(np.abs(found.sensitivity[:, 0]) > 1e-5)


@pytest.mark.slow
def test_where_cells_fire_reverse_is_forward_with_any_slope():
    rate, cv = measures.Rate("E"), measures.CV("E")
    protocol = protocol_of(8.0, [WEIGHT, STRENGTH], rate=rate, cv=cv)
    tangents = cx.Tangents(damping=15.0, horizon=25.0, width=3.0)
    forward, reverse = at_start(Forward(tangents), protocol), at_start(Reverse(tangents), protocol)
    assert forward.statistics[:, 0].mean() > 5.0
    np.testing.assert_allclose(reverse.gradients, forward.gradients, rtol=1e-8)
    np.testing.assert_allclose(forward.statistics, reverse.statistics, rtol=1e-12)


@pytest.mark.slow
def test_seeds_in_which_a_statistic_is_undefined_have_no_part_in_its_derivative():
    protocol = protocol_of(3.5, [WEIGHT, MG], rate=measures.Rate("E"), cv=measures.CV("E"))
    forward, reverse = (at_start(e, protocol, seeds=8) for e in (Forward(), Reverse()))
    undefined = np.isnan(forward.statistics[:, 1])
    assert 0 < undefined.sum() < 8, "choose a weight at which some seeds have no CV"
    assert np.all(np.isnan(forward.sensitivity[undefined, 1]))
    defined = forward.sensitivity[~undefined].mean(axis=0)[1]
    expected = forward.sensitivity[:, 0].mean(axis=0) + defined
    np.testing.assert_allclose(reverse.gradient, expected, rtol=1e-8)


@pytest.mark.slow
def test_damping_shortens_how_far_derivatives_go_and_values_stay():
    protocol = protocol_of(0.05, [WEIGHT])
    found = [at_start(Forward(cx.Tangents(damping=tau)), protocol) for tau in (None, 5.0)]
    sizes = [float(np.abs(x.gradient[0])) for x in found]
    assert sizes[0] > 2 * sizes[1] > 0
    for x in found:
        np.testing.assert_array_equal(x.statistics, found[0].statistics)


@pytest.mark.slow
def test_differences_are_the_same_in_any_directions_where_statistics_are_linear():
    protocol = protocol_of(0.06, [WEIGHT, MG, STRENGTH])
    single = at_start(Differences(0.01), protocol).sensitivity.mean(axis=0)
    together = at_start(Differences(0.01, "orthogonal"), protocol).sensitivity.mean(axis=0)
    np.testing.assert_allclose(together, single, rtol=2e-2, atol=1e-5)
    drawn = at_start(Differences(0.01, 64), protocol, seeds=8).sensitivity.mean(axis=0)
    np.testing.assert_allclose(drawn, single, atol=0.2 * np.max(np.abs(single)))


def test_local_differences_leave_other_cells_out():
    net = cx.with_parameters(network(8.0), {WEIGHT: np.full(24, 8.0)})
    coordinates = Coordinates(net, {WEIGHT: cx.Bounds(0.1, 90.0)})
    protocol = Protocol(net, coordinates, {"r": measures.CellRates("E")}, **TIMES)
    found = at_start(Differences(0.1, 2, local=True), protocol).sensitivity
    off = ~np.eye(24, dtype=bool)
    assert np.all(found[:, off] == 0.0)
    assert np.mean(np.diagonal(found.mean(axis=0))) > 0


def test_a_condition_takes_the_place_of_what_is_fitted():
    protocol = protocol_of(0.05, [MG, WEIGHT], {"fitted": {}, "set": {MG: 2.0}})
    found = at_start(Differences(0.1), protocol)
    by_mg = found.sensitivity[:, :, 0]
    assert np.all(by_mg[:, 1] == 0.0) and np.all(by_mg[:, 0] < 0.0)
    assert np.all(found.statistics[:, 1] < found.statistics[:, 0])


@pytest.mark.slow
def test_a_strongly_coupled_network_has_the_sign_of_differences():
    """The quick form of experiment 10, with the default of fits."""
    net = cx.models.cortex(400, mg=0.7, cells="LIF")
    names = {MG: cx.Bounds(0.1, 5.0), "stimuli/outside E/weight": cx.Bounds(2.0, 50.0)}
    times = {"duration": 400.0, "settle": 200.0, "dt": 0.2}
    with jax.enable_x64(False):
        protocol = Protocol(net, Coordinates(net, names), {"r": measures.Rate("E")}, **times)
        start = protocol.coordinates.start
        each = np.array([
            Differences().estimate(protocol, start, keys_of(k, 0, 4), np.ones_like).gradient
            for k in range(6)
        ])  # fmt: skip
    assert np.all(each[:, 0] < 0) and np.all(each[:, 1] > 0)
    assert np.all(each.std(axis=0) < 0.5 * np.abs(each.mean(axis=0)))


def test_estimators_are_checked():
    wrongs = ({"directions": "all"}, {"directions": 0}, {"step": 0.0}, {"points": 3})
    for wrong in (*wrongs, {"directions": "orthogonal", "points": 4}):
        with pytest.raises(ValueError, match="Differences"):
            Differences(**wrong)
    with pytest.raises(ValueError, match="Tangents.damping"):
        cx.Tangents(damping=-1.0)


@pytest.mark.parametrize("estimator", [Forward, pytest.param(Reverse, marks=pytest.mark.slow)])
def test_derivatives_that_overflow_are_said_and_not_left_out(estimator, single_precision):
    net = cx.with_parameters(network(1.0), {STRENGTH: 3.0})
    rate = {"rate": measures.Rate("E")}
    times = {"duration": 1000.0, "settle": 0.0, "dt": 0.1, "seeds": 3}
    wild = estimator(cx.Tangents(width=0.4))  # wide enough for it to happen in the first step
    names = {STRENGTH: cx.Bounds(0.05, 20.0)}
    message = "of 3 seeds grew beyond all numbers.*use Differences"
    with pytest.raises(cx.FitFailed, match=message) as failed:
        cx.fit(net, names, cx.Targets(rate, [cx.Target("rate", 20.0)]), **times, estimator=wild)
    assert failed.value.values == pytest.approx({STRENGTH: 3.0}) and failed.value.best is None
    if estimator.gives_sensitivity:
        with pytest.raises(ArithmeticError, match=message):
            cx.sensitivity(net, names, rate, **times, estimator=wild)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [Forward(), Reverse()])
def test_a_loss_without_a_slope_is_not_taken_for_derivatives_that_overflow(estimator):
    loss = cx.Loss(lambda found: jnp.sqrt(found[""]["v"]), {"v": measures.MeanVoltage("E")})
    bounds = {WEIGHT: cx.Bounds(0.05, 20.0)}
    with pytest.raises(cx.FitFailed, match="The loss is nan") as failed:
        cx.fit(network(0.05), bounds, loss, **TIMES, seeds=2, steps=1, estimator=estimator)
    assert failed.value.values == pytest.approx({WEIGHT: 0.05})


@pytest.mark.slow
def test_a_fit_in_single_precision_by_a_loss_backwards_warns_of_nothing(single_precision):
    aim = cx.Targets({"voltage": measures.MeanVoltage("E")}, [cx.Target("voltage", -60.0)])
    bounds = {WEIGHT: cx.Bounds(0.05, 20.0)}
    fit = cx.fit(network(0.05), bounds, aim, **TIMES, seeds=2, steps=2, estimator=Reverse())
    assert fit.curve["loss"].size == 2 and np.isfinite(fit.loss)
