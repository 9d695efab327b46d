"""Fits: what they find, how they end, go on and refuse."""

import importlib
import pickle
import tracemalloc
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import cortexmg as cx
from cortexmg import FitFailed, cells, fit_plots, measures, results, stimuli, synapses, wiring
from cortexmg.aim import aim_of
from cortexmg.bounds import Coordinates, listed
from cortexmg.course import Course
from cortexmg.distributions import LogNormal
from cortexmg.estimators import Differences, Forward, Reverse, differences
from cortexmg.estimators.estimator import Diverged, Overflow, mean_over_seeds, variance_of_mean
from cortexmg.fitted import _last, uncertainty
from cortexmg.fitter import Fitter
from cortexmg.hardware import cores
from cortexmg.parameters import endings
from cortexmg.protocol import Protocol, keys_of
from cortexmg.sensitivity import Sensitivity
from cortexmg.targets import targets_of

sensitivity_file = importlib.import_module("cortexmg.sensitivity")
WEIGHT, MG = "stimuli/outside/weight", "environment/ions/mg/outside"
MEASURES = {"rate": measures.Rate("E"), "CV": measures.CV("E")}
CONDITIONS = {"control": {}, "blocked": {"populations/E/receptors/nmda/gain": 0.0}}
BOUNDS = {WEIGHT: cx.Bounds(0.2, 5.0), MG: cx.Bounds(0.1, 5.0)}
# On one device one program, of 16 runs, serves all steps that take so many or more, and the last
# look, which takes no fewer; that several devices find the same is a law of its own.
TIMES = {"duration": 200.0, "settle": 50.0, "dt": 0.1, "devices": 1}


USES = """
import jax, cortexmg as cx
from cortexmg import cells, measures, stimuli, synapses
cell = cells.leaky_integrate_and_fire(2, {"ampa": synapses.AMPA()})
poisson = {"outside": stimuli.Poisson("E", "ampa", 900.0, 9.0)}
aim = cx.Targets({"rate": measures.Rate("E")}, [cx.Target("rate", 9.0)])
bounds = {"stimuli/outside/weight": cx.Bounds(5.0, 20.0)}
net = cx.Network(cx.acsf(), {"E": cell}, stimuli=poisson)
cx.fit(net, bounds, aim, steps=1, duration=100.0, settle=0.0, dt=0.1)
print(len(jax.devices()))
"""


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
    return targets_of(protocol, protocol.run(u, keys_of(99, 0, 24))[:, 0], of_seeds=4)


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
    assert fit.runs == 4 * 2 * (3 * gradients.sum() + (~gradients).sum()) + 8 * 2 * 5


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
        ({"network": network(mg=0.9)}, "another network"),
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


@pytest.mark.parametrize("pressed", [False, True], ids=["diverges", "Ctrl-C"])
def test_a_last_look_that_fails_costs_the_uncertainty_alone(formula, monkeypatch, pressed):
    given = {"start": {WEIGHT: 0.8, MG: 1.0}, "steps": 3, "tolerance": 1e-9} | TIMES
    whole, plain = cx.fit(network(), BOUNDS, formula, **given), Protocol.run

    def run(self, us, keys):
        if us.shape[1] < 5:  # the steps, and the statistics of the result
            return plain(self, us, keys)
        if pressed:
            raise KeyboardInterrupt
        found = plain(self, us, keys)
        found[:, 1:, 2] = np.inf
        return found

    monkeypatch.setattr(Protocol, "run", run)
    fit = cx.fit(network(), BOUNDS, formula, **given)
    assert np.all(np.isnan(fit.sd)) and np.all(np.isfinite(whole.sd))
    np.testing.assert_array_equal(fit.coordinates, whole.coordinates)
    assert fit.statistics["rate (control)"][0] == whole.statistics["rate (control)"][0]
    assert fit.ended == ("interrupted" if pressed else "all steps done")
    why = "interrupted" if pressed else f"stopped being finite under 'blocked', at\n  {WEIGHT} = "
    assert "the uncertainty could not be computed" in fit.warnings[0] and why in fit.warnings[0]
    assert not any("hardly determine" in w for w in fit.warnings)


def test_lines_of_progress_name_parameters_so_that_they_differ(formula, capsys):
    bounds = BOUNDS | {"stimuli/slow/weight": cx.Bounds(0.1, 2.0)}
    cx.fit(network(), bounds, formula, steps=1, progress=True, **TIMES)
    said = capsys.readouterr().err
    assert "outside/weight 1.3, mg/outside 1, slow/weight 0.5" in said
    drawn = fit_plots.report(cx.fit(network(), bounds, formula, steps=2, **TIMES))
    legend = drawn.axes[1].get_legend().get_texts()
    assert [t.get_text() for t in legend] == ["outside/weight", "mg/outside", "slow/weight"]


def test_the_shortest_endings_tell_names_apart():
    names = ["a/b/c", "x/b/c", "mg/outside", "weight", "E/weight[1]", "E/weight[2]", "b/c/d"]
    short = ["a/b/c", "x/b/c", "mg/outside", "weight", "E/weight[1]", "E/weight[2]", "c/d"]
    assert endings(names) == short


def test_a_negative_loss_is_drawn(formula):
    loss = cx.Loss(lambda found: jnp.log(found["control"]["rate"]) - 5.0, MEASURES, CONDITIONS)
    fit = cx.fit(network(), BOUNDS, loss, steps=3, **TIMES)
    axes = fit_plots.report(fit).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), fit.curve["loss"])
    assert np.all(fit.curve["loss"] < 0) and axes.get_yscale() == "linear"
    met = cx.fit(network(), BOUNDS, formula, start={WEIGHT: 0.8}, steps=2, **TIMES)
    assert fit_plots.report(met).axes[0].get_yscale() == "log"


def away_from(goal, scale=1.0):
    """A loss, of which all have one name."""
    return lambda found: jnp.sum(scale * (found["control"]["rate"] - goal) ** 2)


def test_a_folder_goes_on_with_the_same_loss_alone(formula, tmp_path):
    given = {"folder": tmp_path / "fit", "start": {WEIGHT: 0.8}} | TIMES
    first = cx.Loss(away_from(60.0), MEASURES, CONDITIONS)
    cx.fit(network(), BOUNDS, first, steps=1, **given)
    again = cx.fit(network(), BOUNDS, first._replace(function=away_from(60.0)), steps=2, **given)
    assert again.curve["loss"].size == 2
    for other in (away_from(50.0), away_from(60.0, jnp.array([1.0, 2.0]))):
        with pytest.raises(ValueError, match="holds a fit with another loss"):
            cx.fit(network(), BOUNDS, first._replace(function=other), steps=3, **given)


def test_a_folder_refuses_a_loss_that_it_could_not_know(tmp_path):
    def of_python(found):
        shape = jax.ShapeDtypeStruct((), found["control"]["rate"].dtype)
        return jax.pure_callback(lambda x: x, shape, found["control"]["rate"])

    loss = cx.Loss(of_python, MEASURES, CONDITIONS)
    with pytest.raises(ValueError, match="calls Python from within JAX.*leave the folder away"):
        cx.fit(network(), BOUNDS, loss, folder=tmp_path / "fit", **TIMES)


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda found: found["control"]["ratee"], "asks for 'ratee'.*'rate': ()"),
        (lambda found: found["contro"]["rate"], "asks for 'contro'.*'control': {"),
        (lambda found: found["control"]["rate"] * jnp.ones(2), r"one real number, .*shape=\(2,\)"),
        (lambda found: found, "must return one real number"),
        (lambda found: float(found["control"]["rate"]), "cannot be computed.*in jax.numpy"),
        (3.0, "must be a function, got 3.0.*'CV': ()"),
    ],
)
def test_a_loss_that_is_none_is_refused_before_anything_runs(
    protocol, without_type_checks, monkeypatch, function, message
):
    monkeypatch.setattr("cortexmg.fitter.Fitter.next", None)
    with pytest.raises((KeyError, TypeError, ValueError), match=message):
        cx.fit(network(), BOUNDS, cx.Loss(function, MEASURES, CONDITIONS), **TIMES)


def test_where_nothing_responds_silence_is_blamed_where_cells_are_silent(monkeypatch):
    monkeypatch.setattr(Protocol, "run", lambda self, us, keys: np.full((*us.shape[:2], 2), 49.7))
    both = {"control": {}, "blocked": {WEIGHT: 1.0}}
    rate = {"rate": MEASURES["rate"]}
    aim = cx.Targets(rate, [cx.Target("rate", 10.0, "blocked")], both)
    with pytest.raises(FitFailed, match="Nothing responds") as failed:
        cx.fit(network(), {WEIGHT: BOUNDS[WEIGHT]}, aim, **TIMES)
    said = str(failed.value)
    assert "rate (blocked) = 49.7" in said and "Cells fire" in said and "MeanVoltage" not in said
    monkeypatch.setattr("cortexmg.fitter.Fitter.next", None)
    aim = cx.Targets(rate, [cx.Target("rate", 10.0, "blocked")], {"blocked": {WEIGHT: 1.0}})
    with pytest.raises(ValueError, match="weight is set by every condition, .'blocked'."):
        cx.fit(network(), BOUNDS, aim, **TIMES)


def test_long_lists_of_values_are_cut():
    rows = listed({f"p{i}": np.float64(i) for i in range(25)} | {"q": np.zeros(3)}).split("\n")
    assert rows[1] == "  p0 = 0" and rows[20] == "  p19 = 19" and rows[21:] == ["  ... and 6 more"]


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
    fit = cx.fit(network(), bounds, flat, steps=2, seeds=8, **TIMES)
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


def test_targets_that_cannot_be_meant_are_refused(protocol, monkeypatch):
    monkeypatch.setattr(measures.Rate, "least", -np.inf)  # as of a measure that does not say
    rate, several = {"rate": MEASURES["rate"]}, [cx.Target("rate", 1.0), cx.Target("rate", 60.0)]
    with pytest.raises(ValueError, match="several targets for 'rate'"):
        cx.Targets(rate, several)
    for target, words in (
        (cx.Target("rate", -5.0, "control"), "cannot be -5"),
        (cx.Target("rate", 5.0, "control", np.ones(3)), "one sd, or one for each of its 1 parts"),
    ):
        with pytest.raises(ValueError, match=words):
            aim_of(protocol, cx.Targets(MEASURES, [target], CONDITIONS))


@pytest.mark.parametrize("seeds", [4, 12, 23])  # of 12 and 23 the s.d. of what is equal is not 0
def test_what_no_seed_shows_is_known_to_the_tolerance_of_its_measure(protocol, seeds):
    statistics = (
        np.tile([0.0, 0.5, 3.0, 0.5], (seeds, 1))
        + np.array([[0.0, 1e-2, 1e-1, 1e-2]]) * (np.arange(seeds)[:, None])
    )
    silent = targets_of(protocol, statistics).targets[0]
    assert silent.measure == "rate" and silent.sd == pytest.approx(MEASURES["rate"].tolerance)


def test_what_is_undefined_in_all_runs_makes_no_targets(protocol):
    with pytest.raises(ValueError, match=r"None of the measures .*'rate'.* is defined in two runs"):
        targets_of(protocol, np.full((4, 4), np.nan))


@pytest.mark.slow
def test_a_report_of_many_statistics_is_drawn():
    aim = cx.Targets({"each": measures.CellRates("E")}, [cx.Target("each", np.full(41, 30.0))])
    net, bounds = network(n=41), {WEIGHT: BOUNDS[WEIGHT]}
    drawn = fit_plots.report(cx.fit(net, bounds, aim, steps=1, seeds=2, **TIMES)).axes[2]
    (target,) = [line for line in drawn.lines if line.get_label() == "target"]
    np.testing.assert_array_equal(target.get_xdata(), np.full(41, 30.0))
    assert len(drawn.get_yticks()) == 0  # too many to be named


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


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["", "simulated"])
def measured(request, monkeypatch):
    """Gives a formula of the coordinates the place of the runs, unless they are to be simulated."""

    def by(formula):
        if not request.param:
            monkeypatch.setattr(Protocol, "run", lambda self, us, keys: formula(us))

    return by


def test_parameters_that_cannot_be_told_apart_are_named(measured):
    # Only the product of weight and gain acts.
    measured(lambda us: 20.0 * np.exp(us.sum(axis=-1, keepdims=True)))
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
    quiet = {"start": {WEIGHT: 0.21}, "steps": 3, "seeds": 8, "estimator": estimator} | TIMES
    bounds = {WEIGHT: cx.Bounds(0.2, 5.0)}
    net = cx.with_parameters(network(), {"stimuli/slow/weight": 0.0})
    rate = cx.Targets({"rate": MEASURES["rate"]}, [cx.Target("rate", 10.0)])
    with pytest.raises(FitFailed, match="Nothing responds") as failed:
        cx.fit(net, bounds, rate, **quiet)
    assert "rate = 0\nNo cell of E fires: a target for their MeanVoltage" in str(failed.value)
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
    expected = fano.value({"counts": jnp.asarray(run["counts"].values)})
    np.testing.assert_allclose(found.ravel(), float(expected), rtol=1e-9)


def test_silence_costs_more_than_firing_wrongly(protocol):
    goals = [cx.Target("rate", 5.0, "control", 0.5), cx.Target("CV", 0.3, "control", 0.03)]
    aim = aim_of(protocol, cx.Targets(MEASURES, goals, CONDITIONS))
    silent, wrong = np.array([0.0, np.nan, 1.0, 0.5]), np.array([7.7, 0.54, 1.0, 0.5])
    assert aim.loss(silent) > aim.loss(wrong)
    assert np.isnan(aim.residual(silent)[1]) and aim.slope(silent)[1] == 0.0


def test_undefined_statistics_are_reported(measured):
    measured(lambda us: np.stack([np.exp(us[..., 0]), np.full(us.shape[:-1], np.nan)], axis=-1))
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
    said = (
        f"finite under 'control', at\n  {WEIGHT} = {failed.value.values[WEIGHT]:.6g}\n  {MG} = 1\n"
    )
    assert said in str(failed.value)


@pytest.mark.parametrize(
    "estimator",
    [Differences(), *(pytest.param(e, marks=pytest.mark.slow) for e in (Forward(), Reverse()))],
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
    shared = Coordinates(net, {both: cx.Bounds(0.1, 3.0)}, {both: 0.7})
    assert shared.named(shared.start) == {both: pytest.approx(0.7)}
    with pytest.raises(ValueError, match="outside"):
        Coordinates(net, {MG: cx.Bounds(-2.0, 3.0)})


def test_what_is_undefined_in_a_recording_is_no_target(protocol):
    rng = np.random.default_rng(2)
    found = rng.uniform(1.0, 2.0, (5, 4))
    found[1:, 1] = np.nan
    aim = targets_of(protocol, found)
    assert [(t.measure, t.condition) for t in aim.targets] == [
        ("rate", "control"), ("rate", "blocked"), ("CV", "blocked")]  # fmt: skip
    assert all(np.all(np.isfinite(t.sd)) for t in aim.targets)


def test_parts_of_a_measure_need_no_target(monkeypatch):
    each, times = {"each": measures.CellRates("E")}, TIMES | {"settle": 0.0}
    rates = np.where(np.arange(32) == 3, np.nan, 30.0)
    net = network()
    p = Protocol(net, Coordinates(net, BOUNDS), each, **times)
    aim = aim_of(p, cx.Targets(each, [cx.Target("each", rates)]))
    found = np.full(32, 30.0)
    assert aim.loss(found) == 0.0 and np.isnan(aim.wanted()[3])
    found[3] = 80.0
    assert aim.loss(found) == 0.0 and aim.slope(found)[3] == 0.0 and aim.residual(found)[3] == 0.0
    found[4] = 80.0
    assert aim.loss(found) > 0.0
    seen = np.random.default_rng(3).uniform(20.0, 40.0, (5, 32))
    seen[1:, 3] = np.nan
    (target,) = targets_of(p, seen).targets
    np.testing.assert_array_equal(np.isnan(target.value), np.arange(32) == 3)
    assert np.all(np.isfinite(target.sd))
    (target,) = targets_of(p, np.where(np.arange(32) < 31, np.nan, seen)).targets
    assert np.isfinite(target.value).sum() == 1


def test_targets_are_made_from_a_network_that_meets_them(targets, monkeypatch):
    aim = cx.observed(network(), MEASURES, CONDITIONS, seeds=24, of_seeds=4, **TIMES)
    assert (aim.measures, aim.conditions) == (MEASURES, CONDITIONS)
    for ours, theirs in zip(aim.targets, targets.targets, strict=True):
        assert ours[::2] == theirs[::2]  # measure and condition
        scaled = [MEASURES[ours.measure].scaled(t.value) for t in (ours, theirs)]
        np.testing.assert_allclose(*scaled, atol=5 * float(ours.sd[0]))
        assert 0.5 < float(ours.sd[0] / theirs.sd[0]) < 2.0
        assert ours.value != theirs.value  # other noise
    with pytest.raises(ValueError, match="seeds must be a whole number of at least 2"):
        cx.observed(network(), MEASURES, seeds=1, **TIMES)
    monkeypatch.setattr(Protocol, "run", lambda self, us, keys: np.full((24, 1, 2), np.inf))
    with pytest.raises(ArithmeticError, match=r"stopped being finite \(rate\)"):
        cx.observed(network(), MEASURES, **TIMES)


@pytest.mark.parametrize("key", [-1, 2**32, 1.5])
def test_keys_that_would_repeat_the_noise_of_others_are_refused(key, without_type_checks):
    with pytest.raises((TypeError, ValueError), match="key must be a whole number"):
        keys_of(key, 0, 2)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"bounds": {"nothing": cx.Bounds(1.0, 2.0)}}, "No parameter 'nothing'"),
        ({"bounds": {"populations/*/nothing": cx.Bounds(1.0, 2.0)}}, "No parameter matches"),
        ({"bounds": {}}, "Nothing to fit"),
        ({"start": {WEIGHT: 6.0}}, "outside its bounds"),
        ({"start": {"stimuli/slow/weight": 1.0}}, "not fitted"),
        ({"seeds": 1}, "seeds must be a whole number of at least 2"),
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"patience": 1.5}, "patience must be a whole number"),
        ({"key": -1}, "key must be a whole number of at least 0"),
        ({"key": 2**32}, "key must be a whole number from 0 to 2\\^32"),
        ({"tolerance": np.nan}, "tolerance must be a number of at least 0.*got nan"),
        ({"tolerance": "a"}, "tolerance must be a number"),
        ({"duration": "a"}, "duration must be a number in ms"),
        ({"estimator": "Forward"}, "estimator must be an Estimator, .*got 'Forward'"),
        ({"estimator": Forward}, "estimator must be an Estimator, .*got <class"),
        ({"optimiser": "adam"}, "optimiser must be one of optax, .*got 'adam'"),
        ({"optimiser": optax.adam}, "optimiser must be one of optax, .*got <function"),
        ({"duration": 8.0}, "at least two intervals of 5 ms"),
        ({"settle": None}, "settle must be a number in ms"),
        ({"settle": False}, "settle must be a number in ms"),
        ({"bounds": [WEIGHT]}, "bounds must be a dict by names"),
        ({"bounds": {3: cx.Bounds(1.0, 2.0)}}, "bounds must be a dict by names"),
        ({"start": {WEIGHT: "a"}}, f"start of {WEIGHT} must be numbers, got 'a'"),
        ({"aim": {"rate": 4.0}}, "Targets.targets must be a list of Target"),
        ({"aim": cx.Target("rate", 4.0)}, "Targets.targets must be a list of Target"),
        ({"optimiser": optax.lbfgs()}, "optimiser cannot be used.*use optax.adam"),
        (
            {"bounds": {"stimuli/outside/rate": cx.Bounds(100.0, 6e4)}},
            r"bounds of stimuli/outside/rate.*rate = 22979.*arrivals per step",
        ),
        (
            {"bounds": {"populations/E/capacitance": cx.Bounds(1.0, 500.0)}},
            r"bounds of .*capacitance = 1\n.*too large",
        ),
        (
            {"bounds": {"populations/E/rule/refractory": cx.Bounds(1.0, 4.0)}},
            r"bounds of .*refractory = 2.14.*not a whole number of steps",
        ),
        (
            {
                "bounds": {
                    "populations/E/rule/threshold": cx.Bounds(-58.0, -40.0),
                    "populations/E/rule/reset": cx.Bounds(-70.0, -52.0),
                }
            },
            r"bounds of .*reset and .*threshold.*reset = -52\n.*threshold = -58\n",
        ),
        ({"aim": [cx.Target("rate", [1.0, 2.0])]}, "one value, or one for each of its 1 parts"),
        (
            {"bounds": {"populations/E/rule/threshold": cx.Bounds(-65.0, -40.0)}},
            "threshold within -65 to -40: Reset.reset must be below",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_runs(change, message, without_type_checks):
    aim = change.pop("aim", [cx.Target("rate", 10.0)])
    given = {"bounds": BOUNDS, "steps": 2} | TIMES | change
    with pytest.raises((KeyError, ValueError, TypeError), match=f"(?s){message}"):
        aim = cx.Targets({"rate": MEASURES["rate"]}, aim)
        cx.fit(network(), aim=aim, **given)


def test_the_weight_of_each_contact_is_not_fitted():
    drawn = wiring.fixed_in_degree(32, 32, 2, LogNormal(1.0, 0.5), 1.5, key=1)
    wired = replace(network(), projections={"p": cx.Projection("E", "E", "glutamate", drawn)})
    weights = {"projections/p/connectivity/weights": cx.Bounds(0.01, 5.0)}
    aim = cx.Targets({"rate": MEASURES["rate"]}, [cx.Target("rate", 10.0)])
    with pytest.raises(ValueError, match="a weight for each contact.*fit `strength`"):
        cx.fit(wired, weights, aim, **TIMES)
    with pytest.raises(ValueError, match="a weight for each contact.*fit `strength`"):
        cx.sensitivity(wired, weights, aim.measures, **TIMES)


@pytest.mark.parametrize("steps", range(1, 12))
def test_the_start_is_in_no_mean_of_better_steps(steps):
    """A course that finds the minimum in its second step and stays ends there."""
    tried = np.where(np.arange(steps) == 0, 0.0, 0.15)[:, None]
    losses = np.where(np.arange(steps) == 0, 60.0, 40.0)
    empty = np.zeros((steps, 1))
    course = Course(tried[-1], None, tried, losses, empty, empty, np.ones(steps, int))
    assert course.best()[0] == pytest.approx([0.0 if steps == 1 else 0.15])


def test_a_condition_that_sets_a_number_twice_is_refused():
    gain = "populations/E/receptors/nmda/gain"
    for names in ((gain, gain.replace("E", "*")), (gain.replace("E", "*"), gain)):
        twice = {"control": {}, "twice": dict.fromkeys(names, 0.5)}
        with pytest.raises(ValueError, match=f"condition 'twice' sets {gain} twice"):
            cx.fit(
                network(), BOUNDS, cx.Targets(MEASURES, [cx.Target("rate", 9.0, "control")], twice)
            )


def test_noise_that_no_step_has_is_not_a_number():
    """As where the slope of a loss is defined at the mean of the seeds, and not beside it."""
    assert np.all(np.isnan(_last(np.zeros((0, 3)), 3)))
    np.testing.assert_array_equal(_last(np.array([[1.0, 2.0], [3.0, 4.0]]), 2), [3.0, 4.0])


def test_a_damaged_course_says_what_to_do(formula, tmp_path):
    given = {"folder": tmp_path / "fit"} | TIMES
    cx.fit(network(), BOUNDS, formula, steps=1, **given)
    (tmp_path / "fit" / "data.npz").write_bytes(b"")
    with pytest.raises(ValueError, match="damaged.*\n.*delete .*fit, or name another"):
        cx.fit(network(), BOUNDS, formula, steps=2, **given)


def test_a_measure_is_named_where_it_cannot_be_measured():
    aim = cx.Targets({"mine": measures.Rate("X")}, [cx.Target("mine", 9.0)])
    with pytest.raises(ValueError, match="Measure 'mine': .*names population 'X'"):
        cx.fit(network(), BOUNDS, aim, **TIMES)


def test_an_optimiser_that_cannot_be_saved_is_refused_before_anything_runs(tmp_path):
    noisy = optax.chain(optax.add_noise(0.1, 0.1, 0), optax.adam(0.1))
    aim = cx.Targets({"rate": MEASURES["rate"]}, [cx.Target("rate", 10.0)])
    with pytest.raises(TypeError, match="random key in its state"):
        cx.fit(network(), BOUNDS, aim, optimiser=noisy, folder=tmp_path / "fit", **TIMES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        FitFailed("why", {"a": 1.0}, None),
        Diverged({"a": 1.0}, "control"),
        Overflow(1, 2),
        cx.NotFinite("why", []),
        cx.Late("why", []),
    ],
    ids=lambda e: type(e).__name__,
)
def test_errors_leave_a_process_of_a_pool_whole(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)


def test_a_fit_uses_every_core(in_a_fresh_process):
    assert in_a_fresh_process(USES).split() == [str(cores())]


def test_an_aim_of_another_kind_is_refused(without_type_checks):
    with pytest.raises(TypeError, match="needs Targets or a Loss"):
        cx.fit(network(), BOUNDS, lambda found: 0.0)


@pytest.mark.parametrize(
    "low, high, prior, message",
    [
        (2.0, 1.0, None, "must be below"),
        (1.0, 1.0, None, "must be below"),
        (1.0, 1.0 + 1e-9, None, "differ in single precision"),
        (np.nan, 1.0, None, "finite"),
        (1.0, 2.0, (3.0, 0.1), "median between"),
        (1.0, 2.0, (1.5, 0.0), "positive standard deviation"),
        (1.0, 2.0, 0.5, "two numbers, .*got 0.5"),
        (1.0, 2.0, ("a", 0.5), "two numbers"),
        (1.0, 2.0, (1.5, None), "two numbers"),
        (np.array([1.0, 1.5]), 2.0, None, "one number"),
    ],
)
def test_bounds_are_checked(low, high, prior, message, without_type_checks):
    with pytest.raises((ValueError, TypeError), match=message):
        cx.Bounds(low, high, prior)


@pytest.mark.parametrize(
    "targets, message",
    [
        ([], "at least one"),
        ([cx.Target("rate", 1.0, "elsewhere")], "conditions"),
        ([cx.Target("CV2", 1.0)], "measures are"),
        ([cx.Target("rate", 1.0, sd=0.0)], "sd must be positive"),
        ([cx.Target("rate", 1.0, sd=np.inf)], "sd must be positive and finite, got inf"),
        ([cx.Target("rate", 1.0, sd="a")], "sd must be numbers, got 'a'"),
        ([cx.Target("rate", None)], "value must be numbers, got None"),
        ([cx.Target("rate", np.nan)], "value must be finite, and NaN only for parts"),
        ([cx.Target("rate", [1.0, np.inf])], "value must be finite"),
    ],
)
def test_targets_are_checked(targets, message):
    with pytest.raises((TypeError, ValueError), match=message):
        cx.Targets(MEASURES, targets)


@pytest.mark.parametrize(
    "conditions, message",
    [
        (["c"], "conditions must be a dict from names"),
        ({"c": 2.0}, "condition 'c' must be a dict from names of parameters to numbers, got 2.0"),
        ({"c": {MG: "x"}}, f"condition 'c' must set {MG} to one number, got 'x'"),
        ({"c": {MG: [1.0, 2.0]}}, "to one number, got"),
    ],
)
def test_conditions_are_checked(conditions, message, without_type_checks):
    with pytest.raises(TypeError, match=message):
        cx.Targets(MEASURES, [cx.Target("rate", 1.0, "c")], conditions)
    with pytest.raises(TypeError, match=message):
        cx.sensitivity(network(), [WEIGHT], MEASURES, conditions, **TIMES)


def test_sensitivities_have_the_signs_of_the_block():
    found = cx.sensitivity(network(), [WEIGHT, MG], MEASURES, CONDITIONS, seeds=4, **TIMES)
    at = dict(zip(found.statistics, found.values, strict=True))
    weight, mg = at["rate (control)"]
    assert weight > 0 > mg
    assert at["rate (blocked)"][1] == 0.0
    with pytest.raises(ValueError, match="not positive"):
        cx.sensitivity(network(), ["populations/E/channels/leak/e"], MEASURES, **TIMES)


def test_a_table_of_sensitivities_has_a_row_for_every_parameter(monkeypatch):
    gains = [f"populations/E/receptors/{r}/gain" for r in ("ampa", "nmda")]
    conditions = {"control": {}, "blocked": {"populations/*/receptors/nmda/gain": 0.0}}
    rate = {"rate": MEASURES["rate"]}
    monkeypatch.setattr(
        Protocol, "run", lambda self, us, keys: np.repeat(1e3 * np.exp(us[..., :1]), 2, axis=-1)
    )
    found = cx.sensitivity(network(), gains, rate, conditions, seeds=2, **TIMES)
    np.testing.assert_allclose(found.values[0], [1.0, 0.0], atol=1e-3)
    assert np.isnan(found.values[1, 1]) and np.isnan(found.errors[1, 1])  # set by the condition
    head, *rows = str(found).split("\n")
    assert (
        head.split("  ")[-1] == "rate (blocked)" and len({len(row) for row in (head, *rows)}) == 1
    )
    assert [row.split()[0] for row in rows] == gains
    assert rows[1].split()[-1] == "-"
    assert [t.get_text() for t in found.figure().axes[0].texts].count("-") == 1
    many = Sensitivity([f"rate {i}" for i in range(12)], gains, np.ones((12, 2)), np.ones((12, 2)))
    assert max(map(len, str(many).split("\n"))) <= 120
    assert str(many).count(gains[0]) == 2 and str(many).count("+1 +- 1") == 24


def test_sensitivities_tell_how_far_they_are(capsys):
    found = cx.sensitivity(network(), [WEIGHT], MEASURES, seeds=8, progress=True, **TIMES)
    last = capsys.readouterr().err.strip().split("\n")[-1]
    assert last.startswith("10000 of 10000 ms")  # 8 seeds of 5 runs of 250 ms
    assert found.values.shape == (2, 1)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"seeds": 0}, "seeds must be a whole number of at least 2, got 0"),
        ({"seeds": 1}, "at least 2, got 1"),
        ({"seeds": 1.5}, "at least 2, got 1.5"),
        ({"key": -1}, "key must be a whole number of at least 0"),
        ({"names": WEIGHT}, f"names must be a list of names, .* got '{WEIGHT}'"),
        ({"names": []}, "No parameter is named"),
        ({"estimator": Forward}, "estimator must be an Estimator"),
        ({"estimator": Reverse()}, "Reverse gives gradients of a loss alone"),
    ],
)
def test_sensitivities_that_cannot_be_found_are_refused(change, message, without_type_checks):
    given = {"names": [WEIGHT], "measures": MEASURES} | TIMES | change
    with pytest.raises((TypeError, ValueError), match=message):
        cx.sensitivity(network(), **given)


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


def test_sensitivities_are_found_beside_rules_between_two_numbers(monkeypatch, is_refused):
    kinetics = synapses.TwoExponentialKinetics(1.0, 1.8)
    cell = cells.leaky_integrate_and_fire(2, {"ampa": synapses.AMPA(kinetics)})
    pulse = stimuli.StepCurrent("E", 50.0, start=100.0, stop=150.0)
    net = cx.Network(cx.acsf(), {"E": cell}, stimuli={"pulse": pulse})
    rise, begin = "populations/E/receptors/ampa/kinetics/tau_rise", "stimuli/pulse/start"
    bounds = sensitivity_file._free(net, [rise, begin])
    assert (bounds[rise].high, bounds[begin].high) == (1.5, 125.0)
    late = cx.with_parameters(net, {begin: 149.0})
    is_refused(lambda: sensitivity_file._free(late, [begin]), [begin, "before stop", "give Bounds"])


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


@pytest.mark.parametrize("count", [8, pytest.param(2, marks=pytest.mark.slow)])
def test_runs_are_the_same_on_any_number_of_devices(protocol, count):
    u = np.broadcast_to(protocol.coordinates.start, (3, 1, 2))
    net = network()
    times = TIMES | {"devices": count}
    many = Protocol(net, Coordinates(net, BOUNDS), MEASURES, CONDITIONS, **times)
    by_one, by_many = (p.run(u, keys_of(3, 0, 3)) for p in (protocol, many))
    np.testing.assert_array_equal(by_many, by_one)


def test_what_was_not_reached_or_tells_nothing_apart_is_said(measured):
    measured(lambda us: 20.0 * np.exp(us) * np.ones(2))
    rate = {"rate": measures.Rate("E")}
    conditions = {"control": {}, "zinc": {"environment/ions/zn/outside": 1e-4}}
    wanted = [cx.Target("rate", 9.0, "control"), cx.Target("rate", 900.0, "zinc", sd=0.02)]
    aim = cx.Targets(rate, wanted, conditions)
    fit = cx.fit(network(), {WEIGHT: BOUNDS[WEIGHT]}, aim, steps=2, **TIMES)
    said = " ".join(fit.warnings)
    assert "rate (zinc) is" in said and "s.d. below its target" in said
    assert "conditions 'control' and 'zinc' are the same to the last digit" in said


@pytest.mark.parametrize(
    ("measure", "value", "words"),
    [
        (measures.Rate("E"), -0.05, "Rate is at least 0"),
        (measures.CV("E"), -3.0, "CV is at least 0"),
        (measures.Synchrony("E"), 7.0, "Synchrony is from 0 to 1"),
        (measures.Correlation("E"), -1.5, "Correlation is from -1 to 1"),
    ],
)
def test_targets_that_no_network_can_meet_are_refused(measure, value, words):
    with pytest.raises(ValueError, match=words):
        cx.Targets({"m": measure}, [cx.Target("m", value)])


def test_optimisers_that_a_fit_could_not_keep_are_refused_before_it_runs(targets, tmp_path):
    halves = optax.adam(0.1, mu_dtype="bfloat16")
    with pytest.raises(TypeError, match="numbers of bfloat16 in its state"):
        fitted(targets, optimiser=halves, folder=tmp_path / "fit")
    with pytest.raises(ValueError, match="gauss_newton cannot be a part of another optimiser"):
        fitted(targets, optimiser=optax.chain(cx.gauss_newton(), optax.scale(0.5)))


def test_a_course_of_another_version_is_refused(formula, tmp_path):
    given = {"folder": tmp_path / "fit", "start": {WEIGHT: 0.8}} | TIMES
    cx.fit(network(), BOUNDS, formula, steps=1, **given)
    arrays, account = results.load(tmp_path / "fit")
    del arrays["noise"]
    results.save(tmp_path / "fit", arrays, account)
    with pytest.raises(ValueError, match="a fit of another version of cortexmg"):
        cx.fit(network(), BOUNDS, formula, steps=2, **given)


def test_slopes_bend_as_their_differences_do(protocol, targets, formula):
    loss = cx.Loss(away_from(60.0), MEASURES, CONDITIONS)
    for aim in (aim_of(protocol, targets), aim_of(protocol, loss)):
        mean = np.array([40.0, 0.6, 20.0, 0.5])
        change = np.diag(1e-4 * mean)
        slopes = [(aim.slope(mean + c) - aim.slope(mean - c)) / 2.0 for c in change]
        np.testing.assert_allclose(aim.bend(mean, change), slopes, rtol=1e-3, atol=1e-9)


def test_the_noise_of_a_gradient_is_that_between_fits(protocol, targets):
    """Estimates of one point with other seeds differ by as much as each says."""
    aim = aim_of(protocol, targets)
    fitter = Fitter(protocol, aim, Differences(0.2, points=1), None, cx.gauss_newton(), 8, 0)
    found, said = [], []
    for key in range(24):
        keys = keys_of(key, 0, 8)
        estimate = fitter.estimator.estimate(protocol, protocol.coordinates.start, keys, aim.slope)
        mean = mean_over_seeds(estimate.statistics)
        found.append(estimate.gradients.mean(axis=0))
        noise = estimate.gradients + fitter._noise(estimate, mean)
        said.append(variance_of_mean(noise))
        silent = np.zeros_like(estimate.statistics)
        assert not np.any(aim.bend(mean, silent))
    ratio = np.std(found, axis=0, ddof=1) / np.sqrt(np.mean(said, axis=0))
    assert np.all((ratio > 0.6) & (ratio < 1.6)), ratio
