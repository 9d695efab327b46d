"""Recorders: a contract over every kind, and what each must show on a network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, memory, recorders, stimuli, synapses
from cortexmg.parameters import path_name

DT = 0.05


@pytest.fixture(scope="module")
def probed(noisy_network):
    """A run with every step of what recorders reduce."""

    def probe(variable):
        return recorders.Probe("E", variable, every=None)

    record = {
        "spikes E": recorders.Spikes("E"),
        "spikes I": recorders.Spikes("I"),
        "v": probe("v"),
        "v 1": recorders.Probe("E", every=1.0),
        "v of three": recorders.Probe("E", cells=[32, 0, 7], every=1.0),
        "nmda rise": probe("receptors/nmda/binding/rise"),
        "nmda decay": probe("receptors/nmda/binding/decay"),
        "ampa rise": probe("receptors/ampa/rise"),
        "ampa decay": probe("receptors/ampa/decay"),
        "gaba_a rise": probe("receptors/gaba_a/rise"),
        "gaba_a decay": probe("receptors/gaba_a/decay"),
        "gaba_b g": probe("receptors/gaba_b/g"),
        "nmda": recorders.Conductance("E", "nmda", every=1.0),
        "nmda of three": recorders.Conductance("E", "nmda", every=1.0, cells=[32, 0, 7]),
        "field": recorders.FieldPotential("E", every=1.0),
        "count": recorders.SpikeCount("E", every=5.0),
        "all": recorders.PopulationRate("E", every=10.0),
    }
    run = cx.simulate(noisy_network, 60.0, dt=DT, record=record, key=1)
    assert run["spikes E"].times.size > 100
    return run


# ---- the contract -------------------------------------------------------------------------------


def arrays(recording):
    """The arrays of a recording, in order."""
    parts = recording if isinstance(recording, tuple) else (recording,)
    flat = [x for part in parts for x in (arrays(part) if isinstance(part, tuple) else [part])]
    return [np.asarray(x) for x in flat]


def test_every_recorder_gives_the_same_for_any_cutting(every_recorder, few_cells, monkeypatch):
    wanted = {name: r for name, r in every_recorder.items() if name.endswith(" E")}
    one = cx.simulate(few_cells, 60.0, dt=0.1, record=wanted)
    monkeypatch.setattr(memory, "CELL_STEPS", 1)
    many = cx.simulate(few_cells, 60.0, dt=0.1, record=wanted)
    for name in wanted:
        for a, b in zip(arrays(one[name]), arrays(many[name]), strict=True):
            np.testing.assert_array_equal(a, b)
        assert any(np.any(x) for x in arrays(one[name])), name


def test_every_recorder_names_the_populations_when_its_own_does_not_exist(recorder, few_cells):
    other = cx.Network(few_cells.environment, {"elsewhere": few_cells.populations["E"]})
    with pytest.raises(ValueError) as error:
        cx.simulate(other, 1.0, dt=0.1, record={"x": recorder})
    for word in (type(recorder).__name__, "'E'", "'elsewhere'"):
        assert word in str(error.value)


# ---- spikes -------------------------------------------------------------------------------------


def rising_through(v, threshold):
    """Steps (from 0) and cells in which dense voltages [steps, cells] come to the threshold."""
    return np.nonzero((v[1:] >= threshold) & (v[:-1] < threshold))


def test_spikes_are_where_the_voltage_crosses_the_threshold(probed):
    step, cell = rising_through(probed["v"].values, -20.0)
    np.testing.assert_array_equal(probed["spikes E"].ids, cell)
    # Step k of the trace, counted from 0, ends at (k + 1) dt; the crossing is seen one later.
    np.testing.assert_allclose(probed["spikes E"].times, (step + 2) * DT, atol=1e-9)


def test_counts_and_rates_are_those_of_the_spikes_of_each_interval(probed):
    spikes = probed["spikes E"]
    interval = np.ceil(spikes.times / 5.0 - 1e-9).astype(int) - 1
    want = np.zeros((12, 33))
    np.add.at(want, (interval, spikes.ids), 1)
    np.testing.assert_array_equal(probed["count"].values, want)
    rate = want.reshape(6, -1).sum(1) / (33 * 0.010)  # Hz, in 10 ms
    np.testing.assert_allclose(probed["all"].values, rate, rtol=1e-12)
    np.testing.assert_allclose(probed["count"].t, 5.0 * np.arange(1, 13))
    np.testing.assert_allclose(probed["all"].t, 10.0 * np.arange(1, 7))


@pytest.mark.parametrize(
    "n", [1, 32, 33, 70, *(pytest.param(n, marks=pytest.mark.slow) for n in (31, 64))]
)
def test_ids_are_right_for_any_number_of_cells(n):
    drive = stimuli.StepCurrent("cells", np.linspace(250.0, 900.0, n))
    population = cells.leaky_integrate_and_fire(n)
    network = cx.Network(cx.acsf(), {"cells": population}, stimuli={"drive": drive})
    record = {
        "spikes": recorders.Spikes("cells"),
        "dense": recorders.SpikeCount("cells", every=None),
        "held": recorders.Probe("cells", "rule", every=None),
    }
    run = cx.simulate(network, 50.0, dt=0.1, record=record)
    step, cell = np.nonzero(run["dense"].values)
    np.testing.assert_array_equal(run["spikes"].ids, cell)
    np.testing.assert_allclose(run["spikes"].times, (step + 1) * 0.1)
    assert set(cell) == set(range(n))
    # A cell is held for 20 steps after each spike, and for none otherwise.
    fired, later = np.nonzero(run["held"].values == 20)
    np.testing.assert_array_equal(np.stack([fired, later]), np.stack([step, cell]))


# ---- traces -------------------------------------------------------------------------------------


def test_a_probe_shows_the_end_of_each_interval(probed):
    np.testing.assert_allclose(probed["v"].t, DT * np.arange(1, 1201))
    np.testing.assert_array_equal(probed["v 1"].values, probed["v"].values[19::20])
    np.testing.assert_allclose(probed["v 1"].t, np.arange(1.0, 61.0))
    np.testing.assert_array_equal(probed["v of three"].values, probed["v 1"].values[:, [32, 0, 7]])


def test_a_probe_shows_every_state_variable(few_cells):
    final = cx.simulate(few_cells, 1.0, dt=0.1).state.populations["E"]
    leaves = {path_name(path): x for path, x in jax.tree_util.tree_leaves_with_path(final)}
    assert {"v", "rule", "receptors/nmda/binding/decay"} <= set(leaves)
    record = {name: recorders.Probe("E", name, every=1.0) for name in leaves}
    run = cx.simulate(few_cells, 1.0, dt=0.1, record=record)
    for name, x in leaves.items():
        np.testing.assert_array_equal(run[name].values, [x])


def conductance(probed, receptor):
    return probed[f"{receptor} decay"].values - probed[f"{receptor} rise"].values


def test_conductance_is_the_mean_that_is_bound_and_the_mean_that_magnesium_lets_through(probed):
    bound, v = conductance(probed, "nmda"), probed["v"].values
    through = bound / (1.0 + 1.0 / 3.57 * np.exp(-0.062 * v))
    np.testing.assert_allclose(probed["nmda"].values.bound, bound.mean(1)[19::20], rtol=1e-12)
    np.testing.assert_allclose(probed["nmda"].values.open, through.mean(1)[19::20], rtol=1e-12)
    assert bound.mean() > 0.1
    some = probed["nmda of three"].values
    np.testing.assert_allclose(some.bound, bound[19::20, [32, 0, 7]], rtol=1e-12)
    np.testing.assert_allclose(some.open, through[19::20, [32, 0, 7]], rtol=1e-12)


def test_without_magnesium_all_that_is_bound_conducts_whatever_else_acts():
    receptors = synapses.nmda_of_subunits()  # on which zinc acts
    arrivals = stimuli.Poisson("E", "nmda_2A", 500.0, 1.0)
    net = cx.Network(
        cx.acsf(mg=0.0),
        {"E": cells.leaky_integrate_and_fire(3, receptors)},
        stimuli={"p": arrivals},
    )
    record = {"g": recorders.Conductance("E", "nmda_2A")}
    g = cx.simulate(net, 20.0, dt=0.1, record=record)["g"].values
    assert g.open[-1] > 0.1
    np.testing.assert_allclose(g.open, g.bound, rtol=1e-6)


def test_many_cells_for_long_are_counted_without_overflow():
    net = cx.Network(cx.acsf(), {"E": cells.leaky_integrate_and_fire(200_000)})
    rate = recorders.PopulationRate("E", every=2000.0)
    state = net.init(jax.random.key(0), 0.1, exact=True)
    counted = rate.init(net, state)._replace(spikes=jnp.int32(4_000_000))
    assert rate.read(counted, net, state, 20_000) == pytest.approx(10.0)


def test_the_field_potential_is_the_mean_absolute_synaptic_current(probed):
    v = probed["v"].values
    block = 1.0 / (1.0 + 1.0 / 3.57 * np.exp(-0.062 * v))
    fourth = probed["gaba_b g"].values ** 4
    want = (
        np.abs(conductance(probed, "ampa") * v)
        + np.abs(conductance(probed, "nmda") * block * v)
        + np.abs(conductance(probed, "gaba_a") * (v - synapses.GABAA().e))
        + np.abs(fourth / (fourth + 100.0) * (v + 95.0))
    )
    np.testing.assert_allclose(probed["field"].values, want.mean(1)[19::20], rtol=1e-10)
    assert want.mean() > 10.0


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: recorders.Probe("E", cells=[0, 33]), ["Probe.cells", "33", "0 to 32"]),
        (lambda: recorders.Probe("E", cells=[-1]), ["Probe.cells", "-1", "0 to 32"]),
        (
            lambda: recorders.Probe("E", "volt"),
            ["Probe.variable", "'volt'", "'v'", "channels/na/m"],
        ),
        (lambda: recorders.Probe("E", "channels"), ["Probe.variable", "channels/na/m"]),
        (lambda: recorders.Conductance("E", "nmda", cells=[99]), ["Conductance.cells", "99"]),
        (lambda: recorders.Conductance("E", "nmd"), ["'nmd'", "'ampa'", "'nmda'", "'gaba_a'"]),
        (lambda: recorders.SpikeCount("E", every=0.0), ["SpikeCount", "every", "positive", "0"]),
        (lambda: recorders.SpikeCount("E", every=-5.0), ["SpikeCount", "every", "positive", "-5"]),
        (lambda: recorders.SpikeCount("E", every=0.12), ["'x'", "0.12 ms", "0.05 ms", "multiple"]),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_the_alternatives(noisy_network, wrong, words):
    with pytest.raises(ValueError) as error:
        cx.simulate(noisy_network, 10.0, dt=DT, record={"x": wrong()})
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("cells", [[1.5], [True, 2], [[1], [2, 3]], np.ones((2, 2), int), "ab"])
def test_cells_that_are_no_numbers_are_refused(cells, without_type_checks):
    with pytest.raises(TypeError, match="Probe.cells must be a list of numbers of cells, got"):
        recorders.Probe("E", cells=cells)


def test_a_current_is_in_the_field_potential_and_has_no_conductance():
    receptors = {
        "in": synapses.ExponentialCurrent(gain=-2.0),
        "ampa": synapses.Exponential(transmitter="other"),
    }
    network = cx.Network(
        cx.acsf(),
        {"E": cells.leaky_integrate_and_fire(2, receptors)},
        stimuli={"s": stimuli.SpikeInput("E", "in", np.array([0.2]), np.zeros(1, np.int32), 3.0)},
    )
    record = {
        "field": recorders.FieldPotential("E", every=0.1),
        "i": recorders.Probe("E", "receptors/in", every=0.1),
    }
    run = cx.simulate(network, 1.0, dt=0.1, record=record)
    assert np.min(run["i"].values) < -4.0
    np.testing.assert_allclose(run["field"].values, np.abs(run["i"].values).mean(1), rtol=1e-12)
    with pytest.raises(ValueError, match="'in' of .*'E' has no conductance.*Probe.*receptors/in"):
        cx.simulate(network, 1.0, dt=0.1, record={"g": recorders.Conductance("E", "in")})


def test_a_field_potential_needs_receptors():
    network = cx.Network(cx.acsf(), {"E": cells.leaky_integrate_and_fire(2)})
    with pytest.raises(ValueError, match="'E'.*no receptors"):
        cx.simulate(network, 1.0, dt=0.1, record={"x": recorders.FieldPotential("E")})
