"""Published cells against three simulators, formulas for cells that have one, and convergence."""

from pathlib import Path

import jax
import numpy as np
import pytest

from cortexmg import Network, Population, acsf, recorders, simulate, with_parameters
from cortexmg.cells import (
    FS_AREA,
    RS_AREA,
    adaptive_exponential,
    destexhe,
    fast_spiking,
    intrinsically_bursting,
    leaky_integrate_and_fire,
    low_threshold_spiking,
    regular_spiking,
    traub_miles,
)
from cortexmg.channels import Leak
from cortexmg.spiking import Crossing
from cortexmg.stimuli import SpikeInput, StepCurrent
from cortexmg.synapses import Exponential

REFERENCE = np.load(Path(__file__).parent / "reference" / "cells.npz")
NEST = np.load(Path(__file__).parent / "reference" / "nest.npz")

# population: (cells, current of each in pA, names in the reference file, how long they run in ms)
SHORT = {
    "rs": (regular_spiking(1), [750.0], ["rs"]),
    "fs": (fast_spiking(2), [500.0, 1000.0], ["fs", "fs_strong"]),
    "lts": (low_threshold_spiking(1), [150.0], ["lts_constant_ca"]),
    "lts_shell": (low_threshold_spiking(1, calcium_shell=True), [150.0], ["lts_shell"]),
}
LONG = {
    "ib": (intrinsically_bursting(1), [150.0], ["ib_constant_ca"]),
    "ib_shell": (intrinsically_bursting(1, calcium_shell=True), [150.0], ["ib_shell"]),
}
ADEX = {
    "original": (adaptive_exponential(1), [1000.0], ["adex_original"]),
    **{
        name: (adaptive_exponential(1, numbers=destexhe(kind)), [250.0], [f"adex_{name}"])
        for name, kind in {"rs": "RS", "rs_weak": "RS weak", "fs": "FS", "lts": "LTS"}.items()
    },
}
COUNTS = {
    "rs": 5, "fs": 19, "fs_strong": 51, "ib_constant_ca": 14, "lts_constant_ca": 4,
    "adex_rs": 7, "adex_rs_weak": 21, "adex_fs": 25, "adex_lts": 20, "adex_original": 5,
}  # fmt: skip
STOP = dict.fromkeys(COUNTS, 500.0) | dict.fromkeys(("rs", "fs", "fs_strong"), 400.0)
STOP |= {"lts_constant_ca": 400.0, "lts_shell": 400.0, "adex_original": 100.0}
STOP |= {"ib_constant_ca": 2000.0, "ib_shell": 2000.0}


def driven(cells, threshold=0.0):
    """A network of unconnected cells under constant current; spikes are crossings of 0 mV."""
    stimuli = {name: StepCurrent(name, np.array(pA)) for name, (_, pA, _) in cells.items()}
    network = Network(acsf(), {name: p for name, (p, _, _) in cells.items()}, stimuli=stimuli)
    crossing = [name for name, p in network.populations.items() if isinstance(p.rule, Crossing)]
    return with_parameters(
        network, {f"populations/{name}/rule/threshold": threshold for name in crossing}
    )


def run(cells, duration, dt, every=None):
    """Spike times, and voltages every so often, by name in the reference file."""
    record: dict = {name: recorders.Spikes(name) for name in cells}
    if every:
        record |= {f"{name} v": recorders.Probe(name, every=every) for name in cells}
    result = simulate(driven(cells), duration, dt=dt, record=record)
    spikes, volts = {}, {}
    for name, (_, _, labels) in cells.items():
        for cell, label in enumerate(labels):
            trains = result[name]
            times = trains.times[trains.ids == cell]
            spikes[label] = times[times <= STOP[label]]
            if every:
                volts[label] = result[f"{name} v"].values[:, cell]
    return spikes, volts


@pytest.fixture(scope="module")
def hodgkin_huxley():
    dt = 0.0025
    (short, traces), (long, more) = run(SHORT, 400.0, dt, 0.1), run(LONG, 2000.0, dt, 0.1)
    return short | long, traces | more


@pytest.fixture(scope="module")
def adex():
    return run(ADEX, 500.0, 0.001)[0]


def labels(cells):
    return [label for _, _, names in cells.values() for label in names]


hodgkin_huxley_cells = pytest.mark.parametrize("cell", labels(SHORT | LONG))


# ---- against Brian2, NEURON and NEST ------------------------------------------------------------


@hodgkin_huxley_cells
@pytest.mark.parametrize("simulator", ["brian2", "neuron"])
def test_hodgkin_huxley_cells_spike_as_in_other_simulators(hodgkin_huxley, cell, simulator):
    spikes, want = hodgkin_huxley[0][cell], REFERENCE[f"{cell}_{simulator}_spikes"]
    assert spikes.size == want.size == COUNTS.get(cell, want.size)
    np.testing.assert_allclose(spikes, want, rtol=0, atol=0.05)


@hodgkin_huxley_cells
@pytest.mark.parametrize("simulator", ["brian2", "neuron"])
def test_hodgkin_huxley_cells_rise_to_the_first_spike_as_in_other_simulators(
    hodgkin_huxley, cell, simulator
):
    time = REFERENCE["trace_time"][1:]
    before = time < REFERENCE[f"{cell}_brian2_spikes"][0] - 1.0
    error = hodgkin_huxley[1][cell][: time.size] - REFERENCE[f"{cell}_{simulator}_v"][1:]
    assert np.sqrt(np.mean(error[before] ** 2)) < 0.01


@pytest.mark.parametrize("cell", labels(ADEX))
def test_exponential_cells_spike_as_in_brian2(adex, cell):
    want = REFERENCE[f"{cell}_brian2_spikes"]
    assert adex[cell].size == want.size == COUNTS[cell]
    # Both reset at the end of a step, which makes every interval longer by part of one.
    np.testing.assert_allclose(adex[cell], want, rtol=0, atol=0.1)


@pytest.mark.parametrize("cell", labels(ADEX))
def test_exponential_cells_spike_as_in_nest(adex, cell):
    want = NEST[f"{cell}_spikes"]
    want = want[want <= STOP[cell]]
    assert adex[cell].size == want.size == COUNTS[cell]
    np.testing.assert_allclose(adex[cell], want, rtol=0, atol=0.03)  # steps of 0.001 ms, see above


# In the order of their cells, of which only the last has arrivals.
NEST_CELLS = {"traub": ["traub", "traub_driven", "traub_arrivals"], "lif": ["lif", "lif_arrivals"]}


@pytest.fixture(scope="module")
def with_receptors():
    """Spike times of NEST_CELLS by name, and the step."""
    receptors = {"ex": Exponential(5.0, 0.0), "in": Exponential(10.0, -80.0, transmitter="gaba")}
    populations = {
        "traub": traub_miles(3, receptors),
        "lif": leaky_integrate_and_fire(2, receptors),
    }
    pA = {"traub": np.array([0.0, 500.0, 0.0]), "lif": np.array([300.0, 150.0])}
    stimuli: dict = {f"{name} drive": StepCurrent(name, x) for name, x in pA.items()}
    for name, population in populations.items():
        for receptor in receptors:
            times = NEST[f"arrivals_{receptor}"]
            last = np.full(times.size, population.n - 1)
            stimuli[f"{name} {receptor}"] = SpikeInput(
                name, receptor, times, last, float(NEST[f"weight_{receptor}"])
            )
    network = Network(acsf(), populations, stimuli=stimuli)
    network = with_parameters(network, {"populations/traub/rule/threshold": 0.0})
    dt = float(NEST["dt"])
    result = simulate(network, 200.0, dt, record={name: recorders.Spikes(name) for name in pA})
    trains = {name: result[name] for name in pA}
    return dt, {
        label: train.times[train.ids == cell]
        for name, train in trains.items()
        for cell, label in enumerate(NEST_CELLS[name])
    }


@pytest.mark.parametrize("cell", [cell for cells in NEST_CELLS.values() for cell in cells])
def test_cells_with_receptors_spike_as_in_nest(with_receptors, cell):
    dt, spikes = with_receptors
    want = NEST[f"{cell}_spikes"]
    assert spikes[cell].size == want.size >= 3
    if cell.startswith("lif"):  # both in the very same step
        np.testing.assert_allclose(spikes[cell], want, rtol=0, atol=1e-6)
    # Of Hodgkin-Huxley cells the crossings in NEST are interpolated, ours are not.
    np.testing.assert_allclose(spikes[cell], want, rtol=0, atol=3 * dt)


def test_fast_spiking_cells_do_not_adapt_and_regular_spiking_ones_do(hodgkin_huxley):
    fast, regular = (np.diff(hodgkin_huxley[0][cell]) for cell in ("fs", "rs"))
    np.testing.assert_allclose(fast, 20.17, rtol=0, atol=0.01)
    assert np.all(np.diff(regular) > 5.0)


def test_cells_without_input_settle_where_their_steady_currents_cancel():
    # The zeros of the steady current-voltage relations of the published equations (mV).
    rest = {"rs": -70.57123, "fs": -69.99999}
    network = driven({name: (SHORT[name][0], 0.0, []) for name in rest})
    probes = {name: recorders.Probe(name, every=3000.0) for name in rest}
    result = simulate(network, 3000.0, dt=0.05, record=probes)
    for name, mV in rest.items():
        np.testing.assert_allclose(result[name].values, mV, rtol=0, atol=1e-5)


def test_single_precision_moves_no_spike_by_more_than_a_step():
    dt = 0.025
    double = run(SHORT, 300.0, dt)[0]
    with jax.enable_x64(False):
        single = run(SHORT, 300.0, dt)[0]
    for cell, times in double.items():
        assert times.size == single[cell].size > 0
        np.testing.assert_allclose(single[cell], times, rtol=0, atol=1.01 * dt)


# ---- convergence -------------------------------------------------------------------------------

STEPS = [0.1, 0.05, 0.025, 0.0125]
BEFORE_THE_SPIKE = 12.0  # ms, while the first of them is close to threshold


@pytest.fixture(scope="module")
def errors_before_the_spike():
    """Of the voltage for each of STEPS, by population; the truth takes steps 16 times finer."""
    cells = {name: (SHORT | LONG)[name] for name in ("rs", "ib_shell", "lts")}
    probes = {name: recorders.Probe(name, every=BEFORE_THE_SPIKE) for name in cells}

    def end(dt):
        result = simulate(driven(cells), BEFORE_THE_SPIKE, dt=dt, record=probes)
        return {name: result[name].values[0, 0] for name in cells}

    exact = end(STEPS[-1] / 16)
    coarse = [end(dt) for dt in STEPS]
    return {name: [abs(v[name] - exact[name]) for v in coarse] for name in cells}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) for n in ("rs", "ib_shell", "lts")],
)
def test_the_error_of_the_voltage_is_of_second_order_in_the_step(errors_before_the_spike, name):
    errors = errors_before_the_spike[name]
    slope = np.polyfit(np.log(STEPS), np.log(errors), 1)[0]
    assert abs(slope - 2.0) < 0.1
    assert errors[0] < 0.05  # mV


@pytest.mark.parametrize(
    "dt",
    [STEPS[0], *(pytest.param(dt, marks=pytest.mark.slow) for dt in STEPS[1:-1]), STEPS[-1]],
)
def test_spike_times_converge(dt):
    late = run({"rs": SHORT["rs"]}, 100.0, dt)[0]["rs"] - REFERENCE["rs_brian2_spikes"][:3]
    # A spike is seen at the end of its step; beside that, an error of second order grows over
    # three intervals to 90 dt^2.
    assert np.all(late > -1e-3) and np.all(late < dt + 100 * dt**2)


# ---- cells that have a formula -----------------------------------------------------------------


@pytest.mark.parametrize("dt", [2.0, 0.1])
def test_a_passive_cell_is_exact_at_any_step(dt):
    leak, pA = np.array([10.0, 5.0, 20.0]), np.array([100.0, -50.0, 0.0])
    start, capacitance = np.array([-70.0, -60.0, -90.0]), 400.0
    cell = Population(3, capacitance, {"leak": Leak(leak, -70.0)}, v0=start)
    cells = {"cell": (cell, pA, ["a", "b", "c"])}
    result = simulate(driven(cells), 40.0, dt=dt, record={"v": recorders.Probe("cell", every=dt)})
    t = result["v"].t[:, None]
    settled = -70.0 + pA / leak
    want = settled + (start - settled) * np.exp(-t * leak / capacitance)
    np.testing.assert_allclose(result["v"].values, want, rtol=1e-12)


LIF_DT = 0.025
DRIVES, REFRACTORY = np.meshgrid([250.0, 300.0, 1000.0], [0.0, LIF_DT, 2.0, 5.05])
SILENT = [0.0, 150.0, 199.999, 200.0]  # rheobase: 10 nS times 20 mV


@pytest.fixture(scope="module")
def integrate_and_fire():
    """Spike times in 200 ms: every drive with every refractory period, then SILENT."""
    pA = np.append(DRIVES.ravel(), SILENT)
    refractory = np.append(REFRACTORY.ravel(), np.full(len(SILENT), 2.0))
    cells = leaky_integrate_and_fire(pA.size, refractory=refractory)
    network = Network(acsf(), {"lif": cells}, stimuli={"drive": StepCurrent("lif", pA)})
    spikes = simulate(network, 200.0, dt=LIF_DT, record={"s": recorders.Spikes("lif")})["s"]
    return [np.sort(spikes.times[spikes.ids == cell]) for cell in range(pA.size)]


def rise(pA, start):
    """How long a cell takes from `start` to its threshold (-50 mV) under a current, in steps."""
    settled = -70.0 + pA / 10.0
    return np.ceil(20.0 * np.log((settled - start) / (settled + 50.0)) / LIF_DT)


@pytest.mark.parametrize("cell", range(DRIVES.size))
def test_an_integrate_and_fire_cell_spikes_at_the_time_of_the_formula(integrate_and_fire, cell):
    pA, refractory = DRIVES.ravel()[cell], REFRACTORY.ravel()[cell]
    steps = np.round(integrate_and_fire[cell] / LIF_DT)
    assert steps.size > 5
    # The voltage is exact, so that the step in which it crosses is too; and so is every hold.
    assert steps[0] == rise(pA, -70.0)
    np.testing.assert_array_equal(np.diff(steps), round(refractory / LIF_DT) + rise(pA, -60.0))


def test_integrate_and_fire_cells_below_rheobase_never_fire(integrate_and_fire):
    assert all(times.size == 0 for times in integrate_and_fire[DRIVES.size :])


def test_traub_miles_cells_fire_by_themselves():
    """Without a network COBAHH cells are not silent; times by LSODA of scipy, tolerance 1e-8."""
    cells = {"cell": (traub_miles(1), 0.0, [])}
    spikes = simulate(driven(cells), 200.0, dt=0.01, record={"s": recorders.Spikes("cell")})["s"]
    np.testing.assert_allclose(spikes.times, [11.000, 83.176, 155.354], rtol=0, atol=0.015)


# ---- what the cells are made of ----------------------------------------------------------------


def test_published_densities_become_whole_cells():
    cell = regular_spiking(3)
    np.testing.assert_allclose(cell.capacitance, 289.53, rtol=1e-12)
    want = {"na": 14476.5, "k": 1447.65, "m": 20.2671}
    for name, nS in want.items():
        np.testing.assert_allclose(cell.channels[name].g_max, nS, rtol=1e-12)
    np.testing.assert_allclose(cell.channels["leak"].g, 28.953, rtol=1e-12)
    np.testing.assert_allclose(RS_AREA, np.pi * 96**2, rtol=1e-5)
    np.testing.assert_allclose(FS_AREA, np.pi * 67**2, rtol=1e-4)


def test_repetitive_bursters_have_more_calcium_current():
    once, many = (
        intrinsically_bursting(1, repetitive=r).channels["ca_l"].g_max for r in (False, True)
    )
    np.testing.assert_allclose(many / once, 2.2 / 1.7, rtol=1e-12)


def test_an_unknown_kind_of_exponential_cell_is_refused():
    with pytest.raises(ValueError, match="destexhe knows the kinds .* got 'PV'"):
        destexhe("PV")


def test_single_precision_spikes_as_double_does():
    """Where exp(-dt rate) is a rational function, and rates are powers of one exponential."""
    network = Network(
        acsf(),
        {"E": regular_spiking(3)},
        stimuli={"drive": StepCurrent("E", np.array([800.0, 1000.0, 1500.0]), 10.0)},
    )
    trains = []
    for double in (True, False):
        with jax.enable_x64(double):
            run = simulate(network, 300.0, 0.05, record={"E": recorders.Spikes("E")})
            trains.append(run["E"])
    assert trains[0].times.size > 20
    np.testing.assert_array_equal(*(np.bincount(t.ids) for t in trains))
    ordered = [t.times[np.lexsort((t.times, t.ids))] for t in trains]
    np.testing.assert_allclose(*ordered, atol=0.3)  # a quarter of the step: 1 ms
