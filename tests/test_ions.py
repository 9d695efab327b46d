"""The pump, pools that conserve ions, tissues around cells, and two published models of them."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import factors, models, recorders, stimuli, tissues
from cortexmg.channels import KCC2, AmbientNMDA, HillPump, IonLeak, Leak, SigmoidPump
from cortexmg.environment import Environment, Ion
from cortexmg.membrane import Current
from cortexmg.numerics import Total, add
from cortexmg.sheet import Sheet
from cortexmg.tissues import (
    Buffer,
    ExtracellularSpace,
    Noradrenaline,
    Tissue,
    Uptake,
    Voxels,
    voxels_of,
)
from cortexmg.units import mM_per_pA_ms

FELT = "tissues/space/felt/k"
PUMP = "populations/cells/channels/pump/maximum"


def seen(network, duration, dt=0.05, every=1.0, variables=("v",), population="cells", **options):
    """Variables of all cells every so many ms, spike times, and the run."""
    record = {name: recorders.Probe(population, name, every=every) for name in variables}
    record["spikes"] = recorders.Spikes(population)
    return cx.simulate(network, duration, dt, record=record, **options)


# ---- the pump -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SigmoidPump, HillPump])
def test_a_pump_moves_three_sodium_ions_out_for_two_of_potassium_in(kind):
    env, v = cx.acsf(), np.array([-80.0, 0.0])
    pump = kind(50.0)
    path = pump.pathway(None, v, env)
    carried = pump.carried(None, path, v, env)
    np.testing.assert_allclose(carried["na"], -3.0 * path.i[0])
    np.testing.assert_allclose(carried["k"], 2.0 * path.i[0])
    assert np.all(path.i < 0.0) and np.all(-path.i < 50.0)  # hyperpolarises, below its maximum
    silent = kind(50.0, electrogenic=False)
    np.testing.assert_array_equal(silent.pathway(None, v, env).i, 0.0)
    np.testing.assert_array_equal(silent.carried(None, path, v, env)["na"], carried["na"])


def test_pumps_have_their_published_values():
    assert SigmoidPump().activity(25.0, 5.5) == 0.25
    np.testing.assert_allclose(
        SigmoidPump().activity(18.0, 4.0), 1.0 / (1 + np.exp(7 / 3)) / (1 + np.exp(1.5))
    )
    np.testing.assert_allclose(HillPump().activity(10.0, 2.0), 2.0**-5)
    np.testing.assert_allclose(
        HillPump().activity(12.0, 3.5), (1 + 2 / 3.5) ** -2 * (22 / 12) ** -3
    )
    for pump in (SigmoidPump(), HillPump()):
        assert pump.activity(0.0, 0.0) >= 0.0
        np.testing.assert_allclose(pump.activity(1e3, 1e3), 1.0, rtol=0.04)


def test_a_pump_turns_as_fast_as_its_energy_allows():
    pump = SigmoidPump(factors={"energy": factors.PumpEnergy()})
    env = cx.acsf()
    assert pump.turnover(env) == SigmoidPump().turnover(env)
    starved = pump.turnover(env.with_inside("mg", 0.1)) / pump.turnover(env)
    np.testing.assert_allclose(starved, 0.9399, atol=5e-5)


def test_ambient_nmda_receptors_open_with_potassium_and_close_with_magnesium():
    receptors, v = AmbientNMDA(10.0), np.array([-65.0, 0.0])

    def at(k, mg):
        env = cx.acsf(k=k, mg=mg)
        path = receptors.pathway(receptors.init(v, env), v, env)
        return path, receptors.carried(None, path, v, env)

    path, carried = at(13.5, 0.0)
    np.testing.assert_allclose(path.g, 5.0)
    for ions in (carried, at(30.0, 1.0)[1]):
        assert set(ions) == set(receptors.carries)
    np.testing.assert_allclose(sum(carried.values()), path.g * (v - path.e), rtol=1e-12)
    # Kager, Wadman and Somjen: 0.06001 at -65 mV and 0.85798 at 0 mV in 1 mM.
    np.testing.assert_allclose(at(13.5, 1.0)[0].g / path.g, [0.06001, 0.85798], atol=1e-5)
    assert np.all(at(3.5, 0.0)[0].g < 0.01)  # closed at rest


# ---- the published cells ------------------------------------------------------------------------


def test_barreto_cressman_cells_fire_in_bursts_in_8_mM_of_potassium_only():
    record = {
        "spikes": recorders.Spikes("cells"),
        "k": recorders.Probe("cells", FELT, every=1.0),
    }
    bath = {"environment/ions/k/outside": [4.0, 6.0, 8.0]}
    # The count is 199 at 0.001 ms and with any scheme; here it is 200 at 0.006, 207 at 0.025 ms.
    runs = cx.sweep(models.barreto_cressman(), bath, 40_000.0, 0.01, record=record)
    assert [r["spikes"].times.size for r in runs[:2]] == [0, 0]
    assert abs(runs[2]["spikes"].times.size - 199) <= 5
    np.testing.assert_allclose(runs[2]["k"].values.max(), 9.94, atol=0.02)


def test_barreto_cressman_cells_rest_where_they_are_published_to():
    network = cx.with_parameters(
        models.barreto_cressman(),
        {
            "populations/cells/v0": -68.111,
            "populations/cells/pools/na/start": 19.935,
            "tissues/space/start": 3.8284,
        },
    )
    run = seen(network, 5_000.0, variables=("v", "channels/k", "channels/na", FELT))
    last = {name: run[name].values[-1, 0] for name in ("v", "channels/k", "channels/na", FELT)}
    np.testing.assert_allclose(last["v"], -68.111, rtol=0, atol=1e-3)
    np.testing.assert_allclose(last["channels/k"], 0.06446, rtol=0, atol=5.1e-6)
    np.testing.assert_allclose(last["channels/na"], 0.98133, rtol=0, atol=5.1e-6)
    np.testing.assert_allclose(last[FELT], 3.8284, rtol=0, atol=5.1e-5)
    sodium = run.state.populations["cells"].pools["na"].value
    np.testing.assert_allclose(sodium, 19.935, rtol=0, atol=5.1e-4)


def pumping(shares, *phases, dt=0.05):
    """Voltage and potassium outside every ms, of cells whose pumps have these shares of the whole.

    Each of the `phases` is a duration (s) and how many of the first pumps are off in it.
    """
    network = cx.with_parameters(models.hubel_dahlem(len(shares)), {"populations/cells/v0": -67.19})
    whole, state, found = network.populations["cells"].channels["pump"].maximum, None, []
    for seconds, off in phases:
        share = np.where(np.arange(len(shares)) < off, 0.0, shares)
        run = seen(
            cx.with_parameters(network, {PUMP: whole * share}), 1e3 * seconds, dt,
            variables=("v", FELT), state=state,
        )  # fmt: skip
        found.append((run["v"].values, run[FELT].values))
        state = run.state
    return (np.concatenate(x) for x in zip(*found, strict=True))


def test_a_hubel_dahlem_cell_recovers_after_5_s_without_its_pump():
    v, k = pumping([1.0, 1.0], (5.0, 1), (15.0, 0), dt=0.0125)
    np.testing.assert_allclose(k[:, 0].max(), 5.72, rtol=0, atol=0.0051)
    assert np.mean(v[:, 0] > -40.0) < 0.001  # a few spikes, no depolarisation
    assert k[-1, 0] < 4.3
    np.testing.assert_allclose(v[:, 1], -67.19, atol=0.02)  # and another rests
    np.testing.assert_allclose(k[:, 1], 4.0, atol=0.01)


def test_a_pump_at_a_fifth_is_enough_and_at_15_percent_is_not():
    v, k = pumping([0.2, 0.15], (25.0, 0))
    assert np.all(v[:, 0] < -55.0) and np.all(k[:, 0] < 7.0)
    above = v[:, 1] > -40.0  # for good once half a second is
    begin = np.flatnonzero(np.convolve(above, np.ones(500), "valid") == 500)[0] / 1e3
    np.testing.assert_allclose(begin, 20.5, atol=0.5)
    assert k[:, 1].max() > 60.0


def test_spreading_depolarisation_needs_less_potassium_where_there_is_less_magnesium():
    network = models.hubel_dahlem()
    cells, outside = network.populations["cells"], network.tissues["space"]
    cells = replace(cells, channels={**cells.channels, "nmda": AmbientNMDA(10.0)})
    env = Environment({**cx.acsf().ions, **network.environment.ions})
    tissues = {"space": replace(outside, start=np.array([4.0]))}
    network = cx.Network(env, {"cells": cells}, tissues=tissues)
    mg, k, nmda = np.array([
        *[(m, k, 10.0) for m in (0.05, 1.0, 4.0) for k in (8.0, 12.0, 16.0)], (0.05, 16.0, 0.0)
    ]).T  # fmt: skip
    values = {
        "environment/ions/mg/outside": mg,
        "tissues/space/start": k[:, None],
        "populations/cells/channels/nmda/g_max": nmda,
    }
    record = {"k": recorders.Probe("cells", FELT, every=100.0)}
    runs = cx.sweep(network, values, 5000.0, 0.05, record=record)
    started = [run["k"].values.max() > 60.0 for run in runs]
    # 12 mM is enough in 0.05 mM magnesium, 16 mM in 1 mM; no potassium is without the receptors.
    assert started == [False, True, True, False, False, True, False, False, False, False]


@pytest.mark.slow
def test_hubel_dahlem_cells_depolarise_and_recover_as_published():
    """Values of the published program: -40 mV is exceeded for 77 s, with gaps between spikes 80.5.

    Here it is 77.2 and 81.4 s, which half the step changes by less than 0.02 s. When a cell
    repolarises depends on how it is integrated: LSODA on the published equations, with tolerances
    of 1e-6 to 1e-9, gives 84.3 to 83.1 s from the first to the last crossing.
    """
    v, k = pumping([1.0, 1.0], (9.5, 1), (290.5, 0), dt=0.025)
    depolarised = np.flatnonzero(v[:, 0] > -40.0) / 1e3  # s
    np.testing.assert_allclose(k[:, 0].max(), 69.6, rtol=0, atol=0.06)
    np.testing.assert_allclose(depolarised.size / 1e3, 77.0, atol=0.5)
    np.testing.assert_allclose(depolarised[-1] - depolarised[0], 80.5, atol=1.0)
    np.testing.assert_allclose(v[150_000 - 1, 0], -74.9, atol=0.06)
    np.testing.assert_allclose(k[150_000 - 1, 0], 2.98, atol=0.01)
    np.testing.assert_allclose([v[-1, 1], k[-1, 1]], [-67.19, 4.0], atol=0.01)


@pytest.mark.slow
def test_hubel_dahlem_cells_with_weaker_pumps_are_where_they_are_published_to_be():
    """At 300 and 600 s, for the glial buffer still moves them: its time constant is 20,000 s."""
    at_300_s = {0.8: (-66.26, 4.22), 0.5: (-64.30, 4.72), 0.4: (-63.33, 5.00)}
    at_600_s = {0.3: (-62.09, 5.34), 0.2: (-59.77, 6.09)}
    v, k = pumping([*at_300_s, *at_600_s], (600.0, 0))
    assert np.all(v < -40.0)
    then = 300_000 - 1
    got = np.stack([np.append(v[then, :3], v[-1, 3:]), np.append(k[then, :3], k[-1, 3:])], 1)
    np.testing.assert_allclose(got, [*at_300_s.values(), *at_600_s.values()], rtol=0, atol=0.0051)


# ---- pools --------------------------------------------------------------------------------------


def test_small_changes_add_up_in_single_precision(single_precision):
    total = Total(jnp.float32(20.0), jnp.float32(0.0))
    change = jnp.float32(5e-7)
    total = jax.jit(lambda t: jax.lax.fori_loop(0, 2_000_000, lambda _, t: add(t, change), t))(
        total
    )
    assert jnp.float32(20.0) + change == 20.0  # by itself each is lost
    np.testing.assert_allclose(total.value, 21.0, rtol=1e-6)


@pytest.mark.parametrize(
    "name", [pytest.param("barreto_cressman", marks=pytest.mark.slow), "hubel_dahlem"]
)
def test_ions_of_a_long_run_are_the_same_in_single_precision(name):
    network = getattr(models, name)(3)
    network = cx.with_parameters(
        network, {PUMP: 0.5 * network.populations["cells"].channels["pump"].maximum}
    )
    ends = []
    for double in (False, True):
        with jax.enable_x64(double):
            state = cx.simulate(network, 20_000.0, 0.05).state
            ends.append((state.populations["cells"].pools, state.tissues["space"].ions["k"].value))
            assert jax.tree.leaves(ends[-1])[0].dtype == ("f8" if double else "f4")
    inside = [np.array([t.value for t in totals(pools)]) for pools, _ in ends]
    moved = np.abs(inside[1][0] - totals(network_start(network))[0].value)
    assert np.min(moved) > 0.05  # mM, in 4e5 steps
    np.testing.assert_allclose(inside[0], inside[1], atol=5e-4)
    np.testing.assert_allclose(ends[0][1], ends[1][1], atol=5e-4)


def network_start(network):
    return network.init(jax.random.key(0), 0.05).populations["cells"].pools


def totals(pools):
    return jax.tree.leaves(pools, is_leaf=lambda x: isinstance(x, Total))


def test_a_pool_gains_the_charge_that_entered():
    pool, env = cx.pools.IonBalance(1000.0), cx.acsf()
    state = pool.init(jnp.zeros(()), env)
    for k in range(100):
        currents = {"na": -10.0 * (1 + np.sin(k)), "k": 5.0, "cl": -3.0}
        state = pool.step(state, currents, env, 0.1)
    charge = 0.1 * sum(10.0 * (1 + np.sin(k)) for k in range(100))
    per_charge = mM_per_pA_ms(1, 1000.0)
    np.testing.assert_allclose(state["na"].value - 12.0, charge * per_charge)
    np.testing.assert_allclose(state["k"].value - 140.0, -50.0 * per_charge)
    np.testing.assert_allclose(state["cl"].value - 7.0, -30.0 * per_charge)  # -: chloride leaves
    here = pool.local(state, env).ions
    for ion in ("na", "k", "cl"):
        assert here[ion].inside == state[ion].value and here[ion].outside == env.ions[ion].outside


def test_calcium_that_enters_and_bicarbonate_that_leaves_are_exchanged_for_sodium():
    pool, env = cx.pools.IonBalance(1000.0), cx.acsf()
    state = pool.init(jnp.zeros(()), env)
    currents = {"na": 0.0, "k": 0.0, "cl": 0.0, "ca": -8.0, "hco3": -3.0}
    exchanged = pool.exchanged(currents)
    assert exchanged == currents | {"na": -11.0}  # what enters a shell of calcium stays the same
    after = pool.step(state, exchanged, env, 0.1)
    np.testing.assert_allclose(after["na"].value - 12.0, 1.1 * mM_per_pA_ms(1, 1000.0))
    assert after["cl"].value == state["cl"].value and after["k"].value == state["k"].value


def test_kcc2_moves_chloride_and_potassium_until_both_are_in_equilibrium():
    env, v = cx.acsf(), np.zeros(2)
    kcc2 = KCC2(10.0)

    def carried(env):
        path = kcc2.pathway(None, v, env)
        assert not np.any(path.i)
        return kcc2.carried(None, path, v, env)

    found = carried(env)
    np.testing.assert_allclose(found["k"], 10.0 * np.log(140.0 * 7.0 / (3.5 * 130.0)))
    assert found["cl"] == -found["k"] > -10.0  # chloride leaves: an inward current
    balanced = env.with_outside("k", 140.0 * 7.0 / 130.0)
    np.testing.assert_allclose(carried(balanced)["k"], 0.0, atol=1e-9)
    np.testing.assert_allclose(balanced.reversal("k"), balanced.reversal("cl"), rtol=1e-6)
    assert carried(env.with_outside("k", 12.0))["cl"] > 0.0  # and enters where potassium is high


def moved_into_a_cell(dt):
    """Charge (pA ms) by ion, and of the membrane, of a cell whose receptors are open."""
    piece = models.cortex_slice(40, ions=True, mg=0.0)
    cells = replace(piece.populations["E"], n=1, v0=-70.0)
    times = np.arange(2.0, 42.0, 2.0)
    given = {
        name: stimuli.SpikeInput("cells", name, times, np.zeros(times.size, int), weight)
        for name, weight in {"ampa": 2.0, "nmda": 20.0, "gaba_a": 40.0}.items()
    }
    network = cx.Network(piece.environment, {"cells": cells}, {}, given)
    state = cx.simulate(network, 60.0, dt).state.populations["cells"]
    pool, ions = cells.pools["ions"], piece.environment.ions
    inside = {ion: float((x.value + x.rest)[0]) for ion, x in state.pools["ions"].items()}
    per_mM = pool.volume / mM_per_pA_ms(1, 1.0)
    charge = {ion: ions[ion].valence * (x - ions[ion].inside) for ion, x in inside.items()}
    membrane = float(cells.capacitance * (state.v[0] + 70.0))
    return {ion: x * per_mM for ion, x in charge.items()}, membrane


def test_sodium_potassium_and_chloride_carry_the_charge_of_the_membrane():
    gains = []
    for dt in (0.05, 0.0125):
        moved, membrane = moved_into_a_cell(dt)
        assert moved["na"] > 2e4 and moved["k"] < -1e4 and moved["cl"] < -2e3
        assert abs(sum(moved.values()) - membrane) < 1e-12 * moved["na"]
        gains.append(moved["na"])
    np.testing.assert_allclose(gains[0], gains[1], rtol=0.01)


def test_sodium_that_enters_drives_potassium_out():
    pool, env = cx.pools.SodiumBalance(1000.0, 7.0), cx.acsf()
    here = pool.local(Total(13.0, 0.0), env).ions
    assert (here["na"].inside, here["na"].outside, here["k"].inside) == (13.0, 137.0, 139.0)
    assert cx.pools.SodiumBalance(start=20.0).init(np.zeros(2), env).value.tolist() == [20.0, 20.0]


# ---- tissues ------------------------------------------------------------------------------------

HD = models.hubel_dahlem()


def piece(n, columns=4, rows=3, current=250.0, every=1.0, **space):
    """Populations of `n` cells that share a sheet of voxels; the first cells are driven."""
    sheet = Sheet(50.0 * columns, 50.0 * rows)
    populations = {
        name: replace(HD.populations["cells"], n=count, v0=-67.19) for name, count in n.items()
    }
    driven = {
        name: stimuli.StepCurrent(name, current * (np.arange(count) < count / 4))
        for name, count in n.items()
    }
    outside = {"volume": 720.0 * sum(n.values()) / (columns * rows), "exchange": 0.0} | space
    tissue = ExtracellularSpace(voxels=voxels_of(sheet, columns, rows), every=every, **outside)
    ions = cx.acsf().ions | HD.environment.ions
    return cx.Network(Environment(ions), populations, {}, driven, {"space": tissue})


def amounts(network, state, ion):
    """All of an ion (mM um3): inside of cells, outside, and in glia."""
    inside = sum(
        float(np.sum(s.pools["ions"][ion].value)) * p.pools["ions"].volume
        for p, s in zip(network.populations.values(), state.populations.values(), strict=True)
    )
    tissue = network.tissues["space"]
    outside = float(np.sum(state.tissues["space"].ions[ion].value)) * tissue.volume
    bound = state.tissues["space"].glia if ion == "k" else None
    return inside, outside, 0.0 if bound is None else float(np.sum(bound)) * tissue.volume


def check_conserved(network, duration):
    """Potassium at first and at last, and the last state; none of it nor of others is lost."""
    first = network.init(jax.random.key(0), 0.05)
    last = cx.simulate(network, duration, 0.05).state
    for ion in ("na", "cl", "k"):
        start, end = (amounts(network, state, ion) for state in (first, last))
        assert start[1] != end[1]
        np.testing.assert_allclose(sum(end), sum(start), rtol=1e-12)
    return start, end, last


@pytest.mark.parametrize("periodic", [pytest.param(False, marks=pytest.mark.slow), True])
def test_ions_move_between_cells_space_and_glia_and_none_is_lost(periodic):
    network = piece({"E": 30, "I": 12}, glia=Buffer(rate=1e-4))
    if periodic:
        tissue = network.tissues["space"]
        tissue = replace(tissue, voxels=tissue.voxels._replace(periodic=True))
        network = replace(network, tissues={"space": tissue})
    start, end, _ = check_conserved(network, 200.0)
    assert end[1] > start[1] * 1.01 and end[2] > 1e-4 * end[1]


@pytest.mark.slow
@pytest.mark.parametrize("drive", [0.0, 3.0])
def test_potassium_of_a_slice_gathers_where_cells_fire_and_no_ion_is_lost(drive):
    network = models.cortex_slice(40, drive=drive, ions=True)
    tissue = replace(network.tissues["space"], exchange=0.0, glia=Uptake(0.0))
    network = replace(network, tissues={"space": tissue})
    *_, last = check_conserved(network, 100.0)
    felt = last.populations["E"].tissues["space"].felt["k"]
    assert np.all(felt > 3.8) if drive else np.all(np.abs(felt - 3.5) < 0.05)


@pytest.mark.parametrize("kind", "EI")
def test_potassium_around_a_cell_of_a_slice_depolarises_it(kind):
    network, rests = models.cortex_slice(40, ions=True), []
    cells, v = network.populations[kind], np.linspace(-90.0, -55.0, 3501)
    for k in (3.5, 5.0, 8.0, 12.0):
        env, total = network.environment.with_outside("k", k), 0.0
        for channel in cells.channels.values():
            path = channel.pathway(channel.init(v, env), v, env)
            total = total + (-path.i if isinstance(path, Current) else path.g * (v - path.e))
        rests.append(v[np.argmax(np.asarray(total) > 0.0)])  # where the current turns outward
    assert -72.0 < rests[0] < -69.5 and rests[-1] < -55.1
    assert np.all(np.diff(rests) > 1.0)


def test_the_bath_and_uptake_change_ions_as_their_formulas_say():
    env = Environment({"k": Ion(4.0, 140.0, 1), "na": Ion(150.0, 1.0, 1), "cl": Ion(99.0, 1.0, -1)})
    glia = Uptake(0.05, 18.0, 2.5)
    tissue = ExtracellularSpace(1000.0, exchange=1e-3, glia=glia, start=10.0, every=2.0)
    state = tissue.init(env)
    assert [float(state.ions[ion].value[0]) for ion in ("k", "na", "cl")] == [10.0, 144.0, 99.0]
    currents = {"k": jnp.array([30.0]), "na": jnp.array([-20.0]), "cl": jnp.array([8.0])}
    after = tissue.step(state, currents, env, 0.0)
    per_pA, taken = mM_per_pA_ms(1, 1000.0), 0.05 / (1 + np.exp(8 / 2.5))
    want = {
        "k": 10.0 + 2.0 * (30.0 * per_pA - 1e-3 * 6.0 - taken),
        "na": 144.0 + 2.0 * (-20.0 * per_pA + 1e-3 * 6.0),
        "cl": 99.0 - 2.0 * 8.0 * per_pA,  # an outward current: chloride enters cells
    }
    for ion, c in want.items():
        np.testing.assert_allclose(after.ions[ion].value + after.ions[ion].rest, [c], rtol=1e-12)


def test_the_space_around_cells_stays_neutral_and_returns_to_the_bath():
    network = piece({"E": 16, "I": 4}, columns=1, rows=1, current=0.0, exchange=5e-3, start=40.0)
    cells, bath = network.populations["E"], network.environment.ions
    # What 100 mV across all membranes hold (mM).
    membrane = 20 * 100.0 * float(cells.capacitance) * mM_per_pA_ms(1, 720.0 * 20)
    state, moved = None, []
    for duration in (100.0, 1500.0):
        state = cx.simulate(network, duration, 0.05, state=state).state
        charge = {
            ion: bath[ion].valence * float(held.value[0] - bath[ion].outside)
            for ion, held in state.tissues["space"].ions.items()
        }
        assert abs(sum(charge.values())) < membrane
        moved.append(np.abs([charge["k"], charge["na"]]))
    assert np.all(moved[0] > 50.0 * membrane)
    assert np.all(moved[1] < 0.2 * moved[0])


@pytest.mark.parametrize("periodic", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_spot_of_ions_spreads_as_diffusion_says(periodic):
    voxels = Voxels(41 * 50.0, 41 * 50.0, periodic, 41, 41)
    tissue = ExtracellularSpace(1.0, voxels, 0.0, 0.77, every=100.0)
    env = Environment({"k": Ion(0.0, 140.0, 1), "na": Ion(0.0, 12.0, 1), "cl": Ion(0.0, 6.0, -1)})
    spot = jnp.zeros(41 * 41).at[20 * 41 + 20].set(1.0)
    none = dict.fromkeys(("k", "na", "cl"), jnp.zeros_like(spot))
    begun = {ion: Total(spot, nothing) for ion, nothing in none.items()}
    state = jax.jit(
        lambda s: jax.lax.fori_loop(0, 200, lambda i, s: tissue.step(s, none, env, 0.0), s)
    )(tissue.init(env)._replace(ions=begun))
    x = (np.arange(41) - 20) * 50.0
    for held in state.ions.values():
        grid = np.asarray(held.value).reshape(41, 41)
        np.testing.assert_allclose(grid.sum(), 1.0, rtol=1e-12)
        for axis in (0, 1):  # the variance grows by 2 D t in each direction
            variance = np.sum(grid.sum(axis) * x**2)
            np.testing.assert_allclose(variance, 2 * 0.77 * 20_000.0, rtol=1e-6)


def test_voxels_hold_the_cells_that_lie_in_them():
    voxels = voxels_of(Sheet(300.0, 200.0), 3, 2)
    holding = voxels.holding(54)  # 9 columns x 6 rows
    np.testing.assert_array_equal(np.bincount(holding), np.full(6, 9))
    np.testing.assert_array_equal(holding.reshape(6, 9)[0], np.repeat([0, 1, 2], 3))
    for n in (1, 5, 54, 100):
        x = np.random.default_rng(n).normal(size=n)
        want = np.bincount(voxels.holding(n), x, 6)
        np.testing.assert_allclose(voxels.sums(jnp.asarray(x)), want, atol=1e-12)


@pytest.mark.parametrize(
    "every",
    [pytest.param(0.05, marks=pytest.mark.slow), pytest.param(1.0, marks=pytest.mark.slow), 5.0],
)
def test_cells_read_their_voxel_at_the_slow_clock(every):
    network = piece({"E": 16, "I": 5}, every=every, columns=2, rows=2)
    run = seen(network, 20.0, every=0.05, variables=(FELT,), population="E")
    felt = run[FELT].values
    steps = round(every / 0.05)
    held = (
        felt.reshape(-1, steps, 16) if steps == 1 else felt[steps - 1 : -1].reshape(-1, steps, 16)
    )
    assert np.all(held == held[:, :1]) and np.any(felt[-1] != felt[0])
    voxel = network.tissues["space"].voxels.holding(16)
    np.testing.assert_array_equal(felt[-1], run.state.tissues["space"].ions["k"].value[voxel])


def test_the_slow_clock_does_not_change_what_happens():
    ends = [
        cx.simulate(piece({"E": 20, "I": 8}, every=every), 200.0, 0.05).state
        for every in (0.1, 2.0)
    ]
    k = [np.asarray(s.tissues["space"].ions["k"].value) for s in ends]
    assert np.max(k[0]) > 4.2
    np.testing.assert_allclose(k[1], k[0], rtol=5e-3)
    np.testing.assert_allclose(k[1].mean() - 4.0, k[0].mean() - 4.0, rtol=0.02)


@pytest.mark.parametrize(
    "count, sizes",
    [
        pytest.param(2, {"E": 700, "I": 300}, marks=pytest.mark.slow),
        pytest.param(8, {"E": 700, "I": 300}, marks=pytest.mark.slow),
        (8, {"E": 700}),
    ],
    ids=str,
)
def test_tissues_on_several_devices_give_the_same_bits(count, sizes, same_bits, single_precision):
    network = piece(sizes, columns=8, rows=5, glia=Uptake())
    network = replace(network, tissues=network.tissues | {"arousal": rising()})
    record = {name: recorders.Probe(name, FELT, every=5.0) for name in sizes}
    record["spikes"] = recorders.Spikes("E")
    one, many = (cx.simulate(network, 30.0, 0.05, record=record, devices=d) for d in (1, count))
    assert one["spikes"].times.size > 100
    same_bits(one.recordings, many.recordings)
    same_bits(one.state, many.state)


def test_a_run_in_two_parts_and_a_sweep_are_one_long_run(same_bits):
    network = piece({"E": 9, "I": 4}, columns=2, rows=1, every=2.0)
    whole = cx.simulate(network, 13.0, 0.05)
    first = cx.simulate(network, 5.0, 0.05)  # ends between two steps of the tissue
    second = cx.simulate(network, 8.0, 0.05, state=first.state)
    same_bits(second.state, whole.state)
    members = cx.sweep(network, {"tissues/space/exchange": [0.0, 1e-2]}, 13.0, 0.05)
    # Between one program and another the last bit of a current may differ.
    for a, b in zip(
        *map(jax.tree.leaves, (members[0].state.tissues, whole.state.tissues)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-17)
    assert not eqx.tree_equal(members[0].state.tissues, members[1].state.tissues)


@pytest.mark.slow
def test_derivatives_pass_through_the_slow_clock():
    network = piece({"E": 6, "I": 3}, columns=3, rows=1, current=20.0, every=0.5, start=5.0)

    def end(log_volume, exchange):
        changed = cx.with_parameters(
            network,
            {
                "tissues/space/volume": jnp.exp(log_volume),
                "tissues/space/exchange": exchange,
            },
        )
        state = cx.simulate(changed, 5.0, 0.05, gradients=True).state
        voltage = sum(jnp.sum(p.v) for p in state.populations.values())
        return voltage + jnp.sum(state.tissues["space"].ions["k"].value)

    at = jnp.log(2160.0), 1e-2
    got = jax.grad(end, (0, 1))(*at)
    for i, h in enumerate((1e-3, 1e-4)):
        up, down = (end(*(x + s * h * (i == j) for j, x in enumerate(at))) for s in (1, -1))
        np.testing.assert_allclose(got[i], (up - down) / (2 * h), rtol=1e-4)
    assert all(np.isfinite(got)) and all(np.abs(g) > 1e-6 for g in got)


# ---- noradrenaline ------------------------------------------------------------------------------


def rising():
    """From sleep to waking at 10 ms."""
    return Noradrenaline(np.array([0.1, 0.1, 1.0]), np.array([0.0, 10.0, 11.0]), tau=20.0)


def test_noradrenaline_follows_the_locus_coeruleus_and_magnesium():
    asleep = factors.Arousal(1.8)
    leak = Leak(5.0, factors={"arousal": asleep})
    cells = cx.Population(2, 100.0, {"leak": leak})
    network = cx.Network(cx.acsf(ca=1.2), {"cells": cells}, tissues={"arousal": rising()})
    run = seen(network, 100.0, 0.1, variables=("tissues/arousal/felt",))
    felt = run["tissues/arousal/felt"].values[:, 0]
    np.testing.assert_allclose(felt[:9], 0.1, rtol=1e-5)
    np.testing.assert_allclose(felt[-1], 1.0 - 0.9 * np.exp(-(100.0 - 10.5) / 20.0), rtol=1e-3)
    env = network.local("cells", run.state)
    np.testing.assert_allclose(asleep(env), 1.8 ** (1.0 - felt[-1]), rtol=1e-5)
    more = cx.with_parameters(network, {"environment/ions/mg/outside": 4.8 - 1.2})
    state = cx.simulate(more, 1.0, 0.1).state
    ratio = (1 + 1 / 2.4) / (1 + 3.6 / 2.4)
    np.testing.assert_allclose(state.tissues["arousal"], 0.1 * ratio, rtol=1e-5)


# ---- contracts ----------------------------------------------------------------------------------

EVERY_TISSUE: list[Tissue] = [ExtracellularSpace(720.0, Voxels(100.0, 50.0, False, 2, 1)), rising()]


def test_every_tissue_is_under_test():
    kinds = {k for k in vars(tissues).values() if isinstance(k, type) and issubclass(k, Tissue)}
    assert {type(t) for t in EVERY_TISSUE} == kinds - {Tissue}


@pytest.mark.parametrize("tissue", EVERY_TISSUE, ids=lambda t: type(t).__name__)
def test_a_tissue_at_rest_stays_there_and_is_felt(tissue):
    env = cx.acsf(ca=1.2)
    state = tissue.init(env)
    none = {ion: jnp.zeros(tissue.voxels.number) for ion in tissue.ions}
    later = tissue.step(state, none, env, tissue.every)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(later), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    felt = tissue.felt(state)
    assert {x.shape for x in jax.tree.leaves(felt)} == {(tissue.voxels.number,)}
    local = tissue.local(jax.tree.map(lambda x: x + 1.0, felt), env)
    changed = jax.tree.map(lambda a, b: np.max(np.abs(a - b)), local, env)
    assert sum(x > 0.0 for x in jax.tree.leaves(changed)) == len(jax.tree.leaves(felt))
    assert len(cx.mechanisms(tissue)) >= 1


# ---- bad input ----------------------------------------------------------------------------------


def test_a_tissue_without_a_carrier_is_refused():
    cells = cx.Population(1, 100.0, {"leak": Leak()})
    with pytest.raises(ValueError, match="Tissue 'k' follows 'k', but channels and recep.* carry"):
        cx.Network(cx.acsf(), {"cells": cells}, tissues={"k": ExtracellularSpace(720.0)})


def test_two_tissues_cannot_follow_one_ion():
    cells = cx.Population(1, 100.0, {"leak": IonLeak("k")})
    space = ExtracellularSpace(720.0, ions=("k",))
    with pytest.raises(ValueError, match="Tissue 'b' follows 'k', and so does tissue 'a': what"):
        cx.Network(cx.acsf(), {"cells": cells}, tissues={"a": space, "b": space})
    bc = models.barreto_cressman()
    with pytest.raises(ValueError, match="follows 'na', and so does pool 'na' of .* 'cells'"):
        space = ExtracellularSpace(720.0, ions=("k", "na"))
        cx.Network(bc.environment, bc.populations, tissues={"space": space})


def test_two_pools_cannot_follow_one_ion():
    for other in (cx.pools.SodiumBalance(), cx.pools.IonBalance()):
        with pytest.raises(ValueError, match=r"pools\['more'\] follows 'na', and so does 'ions'"):
            replace(HD.populations["cells"], pools={"ions": cx.pools.IonBalance(), "more": other})


def test_what_a_tissue_loses_to_cells_must_be_in_a_pool():
    cells = cx.Population(2, 100.0, {"leak": IonLeak("k"), "sodium": IonLeak("na")})
    space = ExtracellularSpace(720.0, ions=("k", "na"))
    with pytest.raises(ValueError, match="'na', which population 'a' carries without a pool"):
        cx.Network(cx.acsf(), {"a": cells}, tissues={"space": space})
    cx.Network(cx.acsf(), {"a": cells}, tissues={"space": replace(space, ions=("k",))})


@pytest.mark.parametrize("ion", ["k", "na", "cl"])
def test_a_tissue_needs_one_bath_for_all_cells(ion):
    ions = HD.environment.ions
    each = Ion(ions[ion].outside + np.array([0.0, 1.0]), ions[ion].inside, ions[ion].valence)
    cells = {"cells": replace(HD.populations["cells"], n=2)}
    tissue = ExtracellularSpace(720.0)
    with pytest.raises(ValueError, match=rf"'space' depends on '{ion}', .* one .* shape \(2,\)"):
        cx.Network(Environment(ions | {ion: each}), cells, tissues={"space": tissue})


def test_sodium_must_be_able_to_make_room_for_the_potassium_that_a_tissue_begins_with():
    tissue = ExtracellularSpace(720.0, start=160.0)
    with pytest.raises(ValueError, match="start of 160 mM cannot be reached: .* has 125.306 mM"):
        cx.Network(HD.environment, HD.populations, tissues={"space": tissue})


def test_a_tissue_or_pump_needs_its_ions_in_the_environment():
    env = Environment({"na": Ion(144.0, 12.0, 1)})
    cells = cx.Population(1, 100.0, {"leak": IonLeak("na"), "pump": SigmoidPump()})
    with pytest.raises(ValueError, match="pump .* depends on 'k', but the environment holds"):
        cx.Network(env, {"cells": cells})
    known = {ion: HD.environment.ions[ion] for ion in ("k", "na")}
    cells = cx.Population(1, 100.0, {"leak": IonLeak("k")})
    with pytest.raises(ValueError, match="tissues/space .* depends on 'cl', but the env"):
        cx.Network(Environment(known), {"a": cells}, tissues={"space": ExtracellularSpace(720.0)})


class Own(Tissue):
    """A tissue that has forgotten to say which ions it follows."""

    every: float = 1.0
    voxels: Voxels = Voxels()

    def init(self, env):
        del env

    def step(self, state, currents, env, time):
        del currents, env, time
        return state

    def felt(self, state):
        return state

    def local(self, felt, env):
        del felt
        return env


def test_the_clock_of_a_tissue_is_a_whole_number_of_steps():
    with pytest.raises(ValueError, match="1 ms is not a whole number of 0.03 ms: .* 'space'"):
        cx.simulate(piece({"E": 4}), 3.0, 0.03)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (
            lambda: ExtracellularSpace(720.0, ions=("na", "cl")),
            ValueError,
            r"ExtracellularSpace.ions must hold 'k', .* got \('na', 'cl'\)",
        ),
        (Own, TypeError, "Own.ions must be a tuple of names of ions, got None"),
        (
            lambda: ExtracellularSpace(720.0, ions="k"),
            TypeError,
            "ExtracellularSpace.ions must be a tuple of names of ions, got 'k'",
        ),
        (
            lambda: ExtracellularSpace(720.0, ions=("k", "k")),
            ValueError,
            "ExtracellularSpace.ions must name each ion once",
        ),
        (lambda: ExtracellularSpace(0.0), ValueError, "ExtracellularSpace.volume must be above 0"),
        (
            lambda: ExtracellularSpace(720.0, every=-1.0),
            ValueError,
            "ExtracellularSpace.every must be positive",
        ),
        (
            lambda: ExtracellularSpace(720.0, every=True),
            TypeError,
            "ExtracellularSpace.every must be a number in ms",
        ),
        (
            lambda: ExtracellularSpace(720.0, Voxels(20.0, 10.0, False, 2, 1), every=100.0),
            ValueError,
            "every of 100 ms is too long for voxels of 10 x 10 um",
        ),
        (
            lambda: ExtracellularSpace(720.0, start=np.ones(3)),
            ValueError,
            r"start must be one number or one for each of 1 voxels, .* \(3,\)",
        ),
        (lambda: voxels_of(Sheet(1.0, 1.0), 0), ValueError, "columns must be a whole number"),
        (
            lambda: Noradrenaline(np.array([1.0]), np.array([0.0, 1.0])),
            ValueError,
            "times and activity must be lists of one length",
        ),
        (
            lambda: Noradrenaline(np.ones(2), np.array([1.0, 1.0])),
            ValueError,
            "Noradrenaline.times must ascend",
        ),
        (lambda: SigmoidPump(-1.0), ValueError, "SigmoidPump.maximum must be at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, message, without_type_checks):
    with pytest.raises(error, match=message):
        make()


def test_what_is_not_a_tissue_glia_or_voxels_is_refused(without_type_checks):
    with pytest.raises(TypeError, match="Network.tissues"):
        cx.Network(HD.environment, HD.populations, tissues={"k": 3.0})
    with pytest.raises(TypeError, match="ExtracellularSpace.glia must be a Glia or None, got 3"):
        ExtracellularSpace(720.0, glia=3)
    with pytest.raises(
        TypeError, match=r"ExtracellularSpace.voxels must be Voxels .* got \(1, 2\)"
    ):
        ExtracellularSpace(720.0, (1, 2))


def test_what_a_glial_buffer_gives_back_reaches_the_space_outside_in_single_precision(
    single_precision,
):
    glia, k = Buffer(), jnp.full(1, 3.0)
    start = glia.init(k)._replace(value=jnp.full(1, 40.0))

    def step(carry, _):
        state, outside = carry
        state, taken = glia.step(state, k, 1.0)  # at its published rate: 2e-6 mM in a step
        return (state, add(outside, -taken)), None

    outside = Total(k, jnp.zeros(1))
    (end, outside), _ = jax.lax.scan(step, (start, outside), length=200_000)
    given = 40.0 - (end.value + end.rest)
    np.testing.assert_allclose(given, 40.0 * -np.expm1(-5e-8 * 2e5), rtol=1e-2)
    np.testing.assert_allclose(given, outside.value + outside.rest - 3.0, rtol=1e-4)
