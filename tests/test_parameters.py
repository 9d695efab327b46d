"""Every number has a name: listing, replacing, and what is refused."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, models, recorders, stimuli, synapses, wiring
from cortexmg.distributions import LogNormal, Uniform
from cortexmg.parameters import path_name

MG = "environment/ions/mg/outside"
TAU = "populations/E/receptors/nmda/kinetics/tau_rise"
FIXED = "connectivity/delays"


def numbers(network):
    """Every leaf that holds floating-point numbers, by path name."""
    leaves = jax.tree_util.tree_leaves_with_path(network)
    return {path_name(p): x for p, x in leaves if np.asarray(x).dtype.kind == "f"}


@pytest.fixture(scope="module", params=["noisy", "cortex", "calcium"])
def network(request, noisy_network):
    if request.param == "noisy":
        return noisy_network
    if request.param == "cortex":
        return models.cortex(20, gaba_b=True)
    bursting = cells.intrinsically_bursting(3, calcium_shell=True)
    arrivals = stimuli.SpikeInput("E", "ampa", np.arange(3.0), np.arange(3), 1.0)
    adaptive = cells.adaptive_exponential(3, {"ampa": synapses.AMPA()})
    return cx.Network(cx.acsf(), {"ib": bursting, "E": adaptive}, stimuli={"arrivals": arrivals})


def test_every_number_is_listed_with_its_unit(network):
    listed = cx.parameters(network)
    assert set(numbers(network)) == set(listed)
    for name, parameter in listed.items():
        assert isinstance(parameter.unit, str) and parameter.unit, name
        np.testing.assert_array_equal(parameter.value, numbers(network)[name])


def test_every_listed_number_can_be_replaced_alone(network, without_type_checks):
    listed = cx.parameters(network)

    def in_one(values):
        return np.concatenate([np.ravel(values[name]) for name in listed])

    before = {name: parameter.value for name, parameter in listed.items()}
    for name, parameter in listed.items():
        if name.endswith(FIXED):
            continue
        # A change that stays within every range, is smaller than what orders two numbers, and
        # keeps what must be 0.
        value = np.asarray(parameter.value) * 0.999
        changed = numbers(cx.with_parameters(network, {name: value}))
        want = in_one(before | {name: value})
        np.testing.assert_allclose(in_one(changed), want, rtol=1e-6, err_msg=name)


def test_replacing_all_by_themselves_changes_nothing(network):
    listed = cx.parameters(network)
    same = {name: p.value for name, p in listed.items() if not name.endswith(FIXED)}
    again = cx.with_parameters(network, same)
    assert jax.tree.structure(again) == jax.tree.structure(network)
    for name, x in numbers(again).items():
        np.testing.assert_array_equal(x, listed[name].value)


def test_the_network_itself_is_left_as_it_was(noisy_network):
    before = {k: np.array(p.value) for k, p in cx.parameters(noisy_network).items()}
    cx.with_parameters(noisy_network, {MG: 0.3})
    for name, p in cx.parameters(noisy_network).items():
        np.testing.assert_array_equal(p.value, before[name])


def test_a_replaced_array_keeps_its_precision(noisy_network):
    name = "projections/E to E/connectivity/weights"
    old = noisy_network.projections["E to E"].connectivity.weights
    new = cx.with_parameters(noisy_network, {name: np.asarray(old, float) / 2})
    assert new.projections["E to E"].connectivity.weights.dtype == old.dtype == np.float32


def test_whole_numbers_can_be_replaced_by_others(few_cells):
    name = "populations/E/channels/leak/g"
    whole = cx.with_parameters(few_cells, {name: np.arange(8.0, 17.0)})
    g = np.arange(8, 17)
    whole = eqx.tree_at(lambda n: n.populations["E"].channels["leak"].g, whole, g)
    for value in (0.25, g + 0.5):
        new = cx.with_parameters(whole, {name: value})
        np.testing.assert_array_equal(new.populations["E"].channels["leak"].g, value)


def test_one_number_can_become_one_per_cell_and_back(few_cells):
    name = "populations/E/channels/leak/g"
    each = np.linspace(8.0, 12.0, 9)
    network = cx.with_parameters(few_cells, {name: each})
    np.testing.assert_array_equal(network.populations["E"].channels["leak"].g, each)
    back = cx.with_parameters(network, {name: 10.0})
    assert np.ndim(back.populations["E"].channels["leak"].g) == 0


@pytest.mark.parametrize(
    "wrong, near",
    [
        ("environment/ions/mg/outsid", MG),
        ("environment/ions/Mg/outside", MG),
        ("populations/E/receptors/nmda/tau_rise", TAU),
        ("projections/E to E/strenght", "projections/E to E/strength"),
    ],
)
def test_a_wrong_name_answers_with_the_nearest_right_ones(noisy_network, wrong, near):
    with pytest.raises(KeyError) as error:
        cx.with_parameters(noisy_network, {wrong: 1.0})
    assert repr(wrong) in error.value.args[0] and repr(near) in error.value.args[0]


def test_a_part_of_a_name_answers_with_the_whole_of_it(noisy_network):
    with pytest.raises(KeyError, match="environment/ions/mg/outside"):
        cx.with_parameters(noisy_network, {"mg": 1.0})


@pytest.mark.parametrize("values", [[("environment/ions/mg/outside", 1.0)], "mg", 3])
def test_values_that_are_no_dict_are_refused(noisy_network, values, without_type_checks):
    with pytest.raises(TypeError, match="values must be a dict from names to numbers"):
        cx.with_parameters(noisy_network, values)


def test_weights_can_be_given_one_for_each_contact(few_cells):
    old = wiring.fixed_out_degree(9, 9, 3, LogNormal(2.0, 1.0), Uniform(0.5, 3.0), key=1)
    network = replace(few_cells, projections={"p": cx.Projection("E", "E", "glutamate", old)})
    name = "projections/p/connectivity/weights"
    new = np.linspace(0.0, 3.0, old.n_contacts)
    changed = cx.with_parameters(network, {name: new}).projections["p"].connectivity
    assert changed.weights.shape == old.weights.shape
    np.testing.assert_allclose(changed.weights[: new.size], new, rtol=1e-6)
    assert not np.any(changed.weights[new.size :])
    runs = cx.sweep(network, {name: np.stack([new, 2.0 * new])}, 100.0, 0.1)
    assert np.any(runs[0].state.populations["E"].v != runs[1].state.populations["E"].v)


def test_a_name_like_no_other_answers_with_where_to_look(noisy_network):
    with pytest.raises(KeyError, match="cortexmg.parameters"):
        cx.with_parameters(noisy_network, {"§§§": 1.0})


@pytest.mark.parametrize(
    "name, value, words",
    [
        (MG, -0.1, ["Ion.outside", "at least 0", "mM", "-0.1"]),
        (MG, 1200.0, ["Ion.outside", "at most 1000 mM", "1200", "unit"]),
        (MG, np.nan, ["Ion.outside", "finite", "nan"]),
        (MG, np.inf, ["Ion.outside", "finite", "inf"]),
        (MG, "much", ["Ion.outside", "number in mM", "'much'"]),
        (MG, [1.0, 2.0], ["Ion.outside", "number in mM"]),
        ("environment/temperature", 80.0, ["Environment.temperature", "at most 50 degC", "80"]),
        ("environment/temperature", np.ones(3), ["Environment.temperature", "one number", "(3,)"]),
        (TAU, 90.0, ["tau_rise", "0.99 tau_decay", "90"]),
        ("populations/I/rule/reset", -40.0, ["Reset.reset", "-40", "-50"]),
        ("populations/E/v0", np.ones(32), ["v0", "33 cells", "(32,)"]),
        ("populations/E/channels/na/g_max", np.ones(7), ["na/g_max", "33 cells", "(7,)"]),
        ("populations/E/capacitance", 0.0, ["Population.capacitance", "above 0 pF", "0"]),
        (MG, np.ones(5), ["ions/mg/outside", "33 cells", "(5,)"]),
        ("stimuli/outside/rate", np.ones(5), ["rate", "33 cells", "(5,)"]),
        ("projections/E to I/release/u0", np.full(7, 0.5), ["u0", "33 cells", "(7,)"]),
        ("projections/E to E/connectivity/weights", np.ones(3, np.float32), ["weights", "(3,)"]),
        ("projections/E to E/connectivity/weights", -1.0, ["weights", "at least 0 nS", "-1"]),
        ("projections/E to E/connectivity/delays", 1.0, ["delays", "wiring", "build it anew"]),
        ("stimuli/drive/stop", 1.0, ["StepCurrent.start", "before stop", "5"]),
    ],
)
def test_an_illegal_value_is_refused_as_when_the_part_was_made(
    noisy_network, without_type_checks, name, value, words
):
    with pytest.raises((ValueError, TypeError)) as error:
        cx.with_parameters(noisy_network, {name: value})
    for word in words:
        assert word in str(error.value)


def test_values_are_replaced_inside_jit_and_vmap(few_cells):
    record = {"v": recorders.Probe("E", every=10.0)}

    def last(mg):
        network = cx.with_parameters(few_cells, {MG: mg})
        return cx.simulate(network, 20.0, dt=0.1, record=record)["v"].values[-1]

    values = jnp.asarray([0.0, 0.5, 2.0])
    one_by_one = [last(float(mg)) for mg in values]
    np.testing.assert_allclose(jax.jit(last)(0.5), one_by_one[1], rtol=1e-9)
    np.testing.assert_allclose(jax.vmap(last)(values), one_by_one, rtol=1e-9)
    assert np.ptp(np.asarray(one_by_one), axis=0).max() > 0.01


def test_shapes_are_checked_inside_jit_too(noisy_network):
    def change(x):
        return cx.with_parameters(noisy_network, {"environment/temperature": x})

    with pytest.raises(ValueError, match="one number"):
        jax.jit(change)(jnp.ones(3))
    with pytest.raises(ValueError, match="weights has shape"):
        jax.jit(
            lambda w: cx.with_parameters(
                noisy_network, {"projections/E to E/connectivity/weights": w}
            )
        )(jnp.ones(3))


def test_a_new_number_needs_no_second_compilation(few_cells):
    compiled = jax.jit(lambda network: network.environment.ions["mg"].outside)
    for value in (0.5, np.float32(0.25), np.float64(1.5), np.asarray(2.0)):
        changed = cx.with_parameters(few_cells, {"environment/ions/mg/outside": value})
        assert compiled(changed) == value
    assert compiled._cache_size() == 1
