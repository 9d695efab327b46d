"""Estimators of derivatives: exact where runs are smooth, alike where they are not."""

import runpy
import tracemalloc
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, measures, models, recorders, stimuli, synapses, wiring
from cortexmg.bounds import Coordinates
from cortexmg.estimators import (
    Differences,
    Forward,
    Reverse,
    careful_estimator,
    default_estimator,
    differences,
    unbiased_estimator,
)
from cortexmg.protocol import Protocol, keys_of
from cortexmg.results import load
from cortexmg.spiking import escape

MG, WEIGHT, STRENGTH = (
    "environment/ions/mg/outside",
    "stimuli/outside/weight",
    "projections/E to E/strength",
)
TIMES = {"duration": 40.0, "settle": 0.0, "dt": 0.1}
EXPERIMENT = Path(__file__).parents[1] / "experiments" / "10_gradient_estimators"
LIF = cells.leaky_integrate_and_fire


def network(weight, n=24, cell=LIF):
    """Cells that excite one another through AMPA and NMDA receptors."""
    receptors = {"ampa": synapses.AMPA(), "nmda": synapses.NMDA(gain=0.5)}
    contacts = wiring.fixed_in_degree(n, n, 6, 0.6, 1.0, key=1)
    return cx.Network(
        cx.acsf(mg=0.6, ca=1.2),
        {"E": cell(n, receptors)},
        {"E to E": cx.Projection("E", "E", "glutamate", contacts)},
        {"outside": stimuli.Poisson("E", "nmda", 900.0, weight)},
    )


def protocol_of(weight, names, conditions=None, cell=LIF, **measured):
    net = network(weight, cell=cell)
    bounds = {name: cx.Bounds(0.05, 20.0) for name in names}
    measured = measured or {"voltage": measures.MeanVoltage("E")}
    return Protocol(net, Coordinates(net, bounds), measured, conditions, **TIMES)


def at_start(estimator, protocol, seeds=3):
    keys = keys_of(5, 0, seeds)
    return estimator.estimate(protocol, protocol.coordinates.start, keys, np.ones_like)


def fed_cells(weight):
    """Three cells that hear of three others, which a current makes fire: quick to compile."""
    release = cx.releases.TsodyksMarkram(factors={"ions": cx.factors.HillRelease(steep=1.0)})
    contacts = wiring.fixed_in_degree(3, 3, 2, 0.3, 1.0, key=1)
    nmda, drive = {"nmda": synapses.NMDA(gain=0.5)}, stimuli.StepCurrent("first", 1000.0, 2.0)
    return cx.Network(
        cx.acsf(mg=0.6, ca=1.2),
        {"E": LIF(3, nmda), "first": LIF(3, {})},
        {"on": cx.Projection("first", "E", "glutamate", contacts, release)},
        {"outside": stimuli.Poisson("E", "nmda", 900.0, weight), "drive": drive},
    )


def seen(net):
    """The voltage of E and all rates by magnesium and by the input: one program for all weights."""
    coordinates = Coordinates(net, {name: cx.Bounds(0.05, 20.0) for name in (MG, WEIGHT)})
    rates = {name: measures.Rate(name) for name in net.populations}
    return Protocol(net, coordinates, {"voltage": measures.MeanVoltage("E")} | rates, **TIMES)


@pytest.mark.parametrize("make", [fed_cells, pytest.param(network, marks=pytest.mark.slow)])
def test_all_estimators_agree_below_threshold_and_the_exact_ones_where_cells_fire(make):
    protocol = seen(make(0.05))
    forward, reverse = (at_start(e, protocol, seeds=2) for e in (Forward(), Reverse()))
    np.testing.assert_allclose(reverse.gradients, forward.gradients, rtol=1e-9)
    found = at_start(Differences(1e-3, points=4), protocol, seeds=2).sensitivity
    np.testing.assert_allclose(forward.sensitivity[:, 0], found[:, 0], rtol=1e-6)
    assert np.all(np.abs(found[:, 0]) > 1e-3)
    assert np.all(forward.statistics[:, 1] == 0.0) and np.all(forward.statistics[:, 2:] > 20.0)
    forward, reverse = (at_start(e, seen(make(8.0)), seeds=2) for e in (Forward(), Reverse()))
    assert np.all(forward.statistics[:, 1] > 5.0)
    assert np.all(np.abs(forward.sensitivity[:, 1]) > 0.1)
    np.testing.assert_allclose(reverse.gradients, forward.gradients, rtol=1e-6)


def cells_that_spikes_reach():
    """Hodgkin-Huxley cells of which the first fire when told to, the second hear of it."""
    receptors = {"ampa": synapses.AMPA(), "nmda": synapses.NMDA(gain=0.5)}
    contacts = wiring.fixed_in_degree(4, 8, 3, 0.3, 1.0, key=1)
    release = cx.releases.TsodyksMarkram(factors={"ions": cx.factors.HillRelease(steep=1.0)})
    return cx.Network(
        cx.acsf(mg=0.6, ca=1.1),
        {"first": cells.regular_spiking(4, receptors), "E": cells.regular_spiking(8, receptors)},
        {"on": cx.Projection("first", "E", "glutamate", contacts, release)},
        {"drive": stimuli.StepCurrent("first", 1500.0, 2.0)},
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
@pytest.mark.parametrize(
    "cell, tangents",
    [
        (LIF, cx.Tangents(damping=15.0, horizon=25.0, width=3.0)),
        (LIF, cx.Tangents()),
        (LIF, cx.Tangents(width=2.0, escape=10.0)),
        (cells.adaptive_exponential, cx.Tangents(damping=2.0, width=1.0)),
        (cells.regular_spiking, cx.Tangents()),
    ],
    ids=["LIF cut", "LIF", "LIF escape", "AdEx", "HH"],
)
def test_where_cells_fire_reverse_is_forward_with_any_slope(cell, tangents):
    rate, cv = measures.Rate("E"), measures.CV("E")
    protocol = protocol_of(8.0, [WEIGHT, STRENGTH], cell=cell, rate=rate, cv=cv)
    forward, reverse = at_start(Forward(tangents), protocol), at_start(Reverse(tangents), protocol)
    assert forward.statistics[:, 0].mean() > 5.0
    assert np.max(np.abs(forward.gradients)) > 0.1
    np.testing.assert_allclose(reverse.gradients, forward.gradients, rtol=1e-8, atol=1e-9)
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


def test_a_sensitivity_takes_memory_once_and_without_room_is_refused(monkeypatch):
    n = 400
    net = cx.with_parameters(network(8.0, n), {WEIGHT: np.full(n, 8.0)})
    coordinates = Coordinates(net, {WEIGHT: cx.Bounds(0.1, 90.0)})
    protocol = Protocol(net, coordinates, {"r": measures.CellRates("E")}, **TIMES)
    monkeypatch.setattr(Protocol, "run", lambda self, us, keys: us.copy())
    estimator, size = default_estimator(coordinates), 8 * 3 * len(protocol.statistics) * n
    tracemalloc.start()
    at_start(estimator, protocol, seeds=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size < peak < 2.5 * size  # not once for each pair
    monkeypatch.setattr(differences, "memory_available", lambda: 2.5 * size)
    with pytest.raises(MemoryError, match="400 statistics to 400 .* in 3 seeds .* use Reverse"):
        at_start(estimator, protocol, seeds=3)


def test_cells_are_told_of_their_own_numbers_and_populations_of_all():
    nmda, each = {"nmda": synapses.NMDA(gain=0.5)}, np.full(3, 1.0)
    drives = {name: stimuli.Poisson(name, "nmda", 900.0, each) for name in ("E", "I")}
    net = cx.Network(cx.acsf(), {"E": LIF(3, nmda), "I": LIF(3, nmda)}, stimuli=drives)
    of_e, of_i = "stimuli/E/weight", "stimuli/I/weight"
    wanted = {"E": measures.CellRates("E"), "all": measures.Rate("E"), "I": measures.CellRates("I")}
    bounds, shared = cx.Bounds(0.1, 9.0), {"stimuli/*/weight": cx.Bounds(0.1, 9.0)}
    own, none, every = np.eye(3, dtype=bool), np.zeros((3, 3), bool), np.ones((1, 3), bool)
    for names, expected in (
        ({of_i: bounds, MG: bounds, of_e: bounds}, [[none, own], [every, every], [own, none]]),
        (shared | {MG: bounds}, [[own], [every], [own]]),
    ):
        protocol = Protocol(net, Coordinates(net, names), wanted, **TIMES)
        found = differences.own_cell(protocol)
        scalar = protocol.coordinates.labels.index(MG)
        assert np.all(found[:, scalar])
        np.testing.assert_array_equal(np.delete(found, scalar, axis=1), np.block(expected))


@pytest.mark.parametrize("choice", [default_estimator, careful_estimator, unbiased_estimator])
def test_numbers_that_all_cells_share_keep_their_estimates_beside_those_of_single_cells(
    choice, monkeypatch
):
    def run(self, us, keys):
        scalars = [self.coordinates.labels.index(name) for name in (MG, STRENGTH)]
        return np.exp(us[..., scalars] @ [[1.0, 0.3], [-0.5, 2.0]]) + np.sin(us).sum(-1)[..., None]

    monkeypatch.setattr(Protocol, "run", run)
    net = cx.with_parameters(network(8.0), {WEIGHT: np.full(24, 8.0)})
    two = {"rate": measures.Rate("E"), "cv": measures.CV("E")}
    found = []
    for names in ([MG, STRENGTH], [MG, WEIGHT, STRENGTH]):
        coordinates = Coordinates(net, {name: cx.Bounds(0.1, 90.0) for name in names})
        protocol = Protocol(net, coordinates, two, **TIMES)
        found.append(at_start(choice(coordinates), protocol, seeds=4))
    alone, beside = found
    np.testing.assert_allclose(beside.sensitivity[..., [0, -1]], alone.sensitivity, rtol=1e-9)
    assert beside.runs == alone.runs + 4 * 8  # a pair is two runs
    each = beside.sensitivity[..., 1:-1]
    assert each.mean() < 0 and np.all(each.std(axis=(0, 1)) > 0)  # noise: what the others do


def test_a_condition_takes_the_place_of_what_is_fitted():
    protocol = protocol_of(0.05, [MG, WEIGHT], {"fitted": {}, "set": {MG: 2.0}})
    found = at_start(Differences(0.1), protocol)
    by_mg = found.sensitivity[:, :, 0]
    assert np.all(by_mg[:, 1] == 0.0) and np.all(by_mg[:, 0] < 0.0)
    assert np.all(found.statistics[:, 1] < found.statistics[:, 0])


@pytest.mark.slow
def test_the_default_of_fits_tells_the_truth_in_a_strongly_coupled_network(
    monkeypatch, single_precision
):
    """The quick form of experiment 10: eight batches of one of its networks, by its truth."""
    monkeypatch.syspath_prepend(EXPERIMENT)
    experiment = runpy.run_path(str(EXPERIMENT / "run.py"))
    true = load(EXPERIMENT / "results" / "LIF_strong")[0][experiment["TRUTH"]].mean(axis=0)
    protocol = experiment["protocol_of"]("LIF", "strong", 1000.0)
    estimator, start = default_estimator(protocol.coordinates), protocol.coordinates.start
    batches = np.array([
        estimator.estimate(protocol, start, keys_of(k, 0, 4), np.ones_like).told.mean(axis=0)
        for k in range(8)
    ])  # fmt: skip
    clear = np.ix_([0, 1], [0, 1, 2, 4])  # both rates, by all but K_Mg, which hardly acts here
    mean, error = batches.mean(axis=0)[clear], batches.std(axis=0, ddof=1)[clear] / np.sqrt(8)
    assert np.all(np.sign(batches)[:, *clear] == np.sign(true[clear]))
    assert np.all(error < 0.15 * np.abs(true[clear]))
    assert np.all(np.abs(mean - true[clear]) < 0.2 * np.abs(true[clear]) + 2.0 * error)


def test_the_slope_of_escape_noise_is_that_of_its_probability():
    threshold, width, steps = -50.0, 2.0, 100.0
    after = jnp.array([-60.1, -59.0, -52.0, -50.5, -49.0, -52.0])
    held = jnp.array([False] * 5 + [True])

    def spikes(after, threshold):
        return escape(before, after, held, threshold, width, steps)

    def probability(v):
        return jnp.exp((v - threshold) / width) / steps

    before, moved = after - 2.0, jnp.ones_like(after)
    slopes = jax.vmap(jax.grad(probability))(jnp.minimum(after, threshold))
    slopes *= jnp.array([0, 1, 1, 1, 1, 0])  # none 5 widths below, and while the voltage is held
    _, by_voltage = jax.jvp(lambda v: spikes(v, threshold).amount, (after,), (moved,))
    _, by_threshold = jax.jvp(lambda x: spikes(after, x).amount, (threshold,), (1.0,))
    np.testing.assert_allclose(by_voltage, slopes, rtol=1e-12)
    np.testing.assert_allclose(by_threshold, -slopes, rtol=1e-12)
    found = spikes(after, threshold)
    np.testing.assert_array_equal(found.amount, [0, 0, 0, 0, 1, 0])
    np.testing.assert_array_equal(found.near, slopes != 0)


def test_estimators_are_checked(without_type_checks):
    wrongs = ({"directions": "all"}, {"directions": 0}, {"step": 0.0}, {"points": 3})
    wrongs += ({"local": "no"}, {"step": np.ones(2)}, {"points": [2]})
    for wrong in (*wrongs, {"directions": "orthogonal", "points": 4}):
        with pytest.raises((ValueError, TypeError), match="Differences"):
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
def test_a_plain_derivative_of_a_network_that_excites_itself_grows_and_a_damped_one_does_not():
    """In double precision, where nothing overflows: by tens in 15 ms."""
    net, name = models.cortex(500), "environment/ions/mg/outside"

    def mean_voltage(mg, damping, duration):
        given = {"record": {"v": recorders.Probe("E", every=5.0)}}
        given["gradients"] = cx.Tangents(damping=damping) if damping else True
        run = cx.simulate(cx.with_parameters(net, {name: mg}), duration, **given)
        return jnp.mean(run["v"].values)

    slope = jax.jit(jax.grad(mean_voltage), static_argnums=(1, 2))
    plain, later = (abs(float(slope(1.0, None, t))) for t in (100.0, 200.0))
    assert plain > 1e4 and later > 1e4 * plain
    assert abs(float(slope(1.0, 5.0, 200.0))) < 10.0


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
