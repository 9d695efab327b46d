"""Calcium inside cells: what enters, what it opens, and how cells adapt by it."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import acsf, cells, pools, recorders, synapses
from cortexmg.channels import (
    Afterhyperpolarisation,
    CalciumL,
    CalciumN,
    CalciumT,
    IonLeak,
    Leak,
    MCurrent,
    Sodium,
)
from cortexmg.factors import calcium_block
from cortexmg.membrane import Pathway
from cortexmg.pools import CalciumShell
from cortexmg.units import mM_per_pA_ms, whole_cell_nS, whole_cell_pA

REFERENCE = np.load(Path(__file__).parent / "reference" / "calcium.npz")
AREA = float(REFERENCE["area"])
CASES = {"calcium_2": 2.0, "calcium_0p2": 0.2}


def adapting(n, **factors):
    """Regular-spiking cells that adapt by calcium instead of by an M-current."""
    basis = cells.Pospischil(AREA, 0.05, 0.005, 1e-4, -70.0).population(n, None, None)
    channels = basis.channels | {
        "ca": CalciumN(whole_cell_nS(1e-3, AREA), factors=factors),
        "ahp": Afterhyperpolarisation(whole_cell_nS(5e-3, AREA)),
    }
    return replace(basis, channels=channels, pools={"ca": pools.calcium.soma(AREA)})


def driven(population, env, dt, duration=500.0):
    """Spike times of every cell under 1 nA, and calcium every 10 ms from the beginning."""
    network = cx.Network(
        env, {"E": population}, stimuli={"drive": cx.stimuli.StepCurrent("E", 1000.0)}
    )
    network = cx.with_parameters(network, {"populations/E/rule/threshold": 0.0})
    record = {"spikes": recorders.Spikes("E"), "ca": recorders.Probe("E", "pools/ca", every=10.0)}
    run = cx.simulate(network, duration, dt=dt, record=record)
    spikes = run["spikes"]
    return [spikes.times[spikes.ids == i] for i in range(population.n)], run["ca"].values


# ---- adaptation --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adapting_cells():
    return driven(adapting(2), acsf(ca=np.array(list(CASES.values()))), 0.005)


@pytest.mark.parametrize("cell", CASES)
def test_cells_that_adapt_by_calcium_spike_as_in_brian2(adapting_cells, cell):
    spikes = adapting_cells[0][list(CASES).index(cell)]
    want = REFERENCE[f"{cell}_brian2_spikes"]
    assert spikes.size == want.size
    # A spike is at the end of its step, 0.0025 ms late on average.
    np.testing.assert_allclose(spikes, want, rtol=0, atol=0.05)


@pytest.mark.parametrize("cell", CASES)
def test_calcium_in_them_is_that_in_brian2(adapting_cells, cell):
    got, want = adapting_cells[1][:, list(CASES).index(cell)], REFERENCE[f"{cell}_brian2_mM"]
    times, spikes = REFERENCE["calcium_time"][1:], REFERENCE[f"{cell}_brian2_spikes"]
    # In the ms after a spike calcium grows by 0.4 % in 0.01 ms, and spikes are up to 0.03 ms apart.
    since = times[:, None] - spikes
    calm = ~np.any((since >= 0.0) & (since < 1.0), axis=1)
    assert np.sum(calm) > 40
    np.testing.assert_allclose(got[: want.size - 1][calm], want[1:][calm], rtol=1e-3)


def test_less_calcium_outside_means_less_adaptation_and_more_spikes(adapting_cells):
    (plenty, little), calcium = adapting_cells
    assert little.size > plenty.size
    assert np.all(np.diff(plenty)[-3:] > 2.0 * np.diff(plenty)[0])  # both adapt
    assert np.all(np.diff(little)[-1] < np.diff(plenty)[-1])
    assert calcium[-1, 1] < calcium[-1, 0]


def test_magnesium_in_calcium_channels_excites():
    """The opposite sign of what magnesium does at NMDA receptors."""
    mg = np.array([0.0, 1.0, 5.0])
    spikes, calcium = driven(adapting(3, mg=calcium_block.high_voltage()), acsf(mg), 0.05)
    counts = [times.size for times in spikes]
    assert counts == sorted(counts) and counts[0] < counts[2]
    assert np.all(np.diff(calcium[1]) < 0.0)  # of the first spikes


# ---- the parts ---------------------------------------------------------------------------------


def test_the_calcium_current_of_wang():
    v = np.array([-65.0, -20.0, 0.0, 20.0])
    path = CalciumN(100.0).pathway(None, v, acsf())
    m = 1.0 / (1.0 + np.exp(-(v + 20.0) / 9.0))
    np.testing.assert_allclose(path.g, 100.0 * m**2, rtol=1e-14)
    np.testing.assert_allclose(path.e, 120.3, rtol=0, atol=0.05)
    assert path.g[1] == 25.0


def test_the_afterhyperpolarisation_of_wang():
    channel = Afterhyperpolarisation(100.0)
    for mM, share in ((0.0, 0.0), (0.01, 0.25), (0.03, 0.5)):
        path = channel.pathway(None, -50.0, acsf().with_inside("ca", mM))
        np.testing.assert_allclose(path.g, 100.0 * share, rtol=1e-14)
        assert path.e == -80.0
    ionic = replace(channel, e=None).pathway(None, -50.0, acsf(k=5.0))
    np.testing.assert_allclose(ionic.e, 26.6405 * np.log(5.0 / 140.0), rtol=2e-5)


def test_the_soma_of_wang():
    soma = pools.calcium.soma(AREA)
    rest = soma.init(jnp.zeros(()), acsf())
    current = whole_cell_pA(1.0, AREA)  # 1 uA/cm2
    rise = soma.step(rest, {"ca": -current}, acsf(), 1e-3) - rest
    np.testing.assert_allclose(rise, 0.002e-3 * 1e-3, rtol=2e-5)
    left = soma.step(rest + 1.0, {"ca": 0.0}, acsf(), 80.0) - rest
    np.testing.assert_allclose(left, np.exp(-1.0), rtol=1e-12)
    # Buffers leave what does not bind of what would be 0.0518 uM per ms.
    np.testing.assert_allclose(soma.free * 0.0518213, 0.002, rtol=1e-5)
    with pytest.raises(ValueError, match="CalciumShell.free must be above 0 and at most 1"):
        CalciumShell(free=2.0)


def test_calcium_reverses_by_both_sides_of_the_membrane():
    inside, outside = 7e-5, 1.2
    env = acsf(ca=outside).with_inside("ca", inside)
    path = CalciumN().pathway(None, 0.0, env)
    np.testing.assert_allclose(path.e, 13.32 * np.log(outside / inside), rtol=1e-4)


# ---- through NMDA receptors --------------------------------------------------------------------


@pytest.mark.parametrize(
    "ca, share", [(1.0, 0.026386), (1.2, 0.031387), (1.3, 0.033855), (2.0, 0.050549)]
)
def test_the_share_of_calcium_in_the_current_of_nmda_receptors(ca, share):
    receptor, env = synapses.NMDA(), acsf(ca=ca)
    current = receptor.carried(receptor.init(0.0, env), Pathway(10.0, 0.0), -60.0, env)
    np.testing.assert_allclose(current["ca"] / (10.0 * (-60.0 - 40.0)), share, rtol=0, atol=5.1e-7)


def test_calcium_that_enters_through_nmda_receptors_fills_the_pool_and_opens_potassium_channels(
    mean_of_step,
):
    mg = np.array([0.0, 1.0])
    env, shell = acsf(mg), CalciumShell(tau=1e8)
    receptors = {"nmda": synapses.NMDA(), "ampa": synapses.AMPA()}
    channels = {"leak": Leak(28.953), "ahp": Afterhyperpolarisation()}
    cell = cx.Population(2, 289.53, channels, receptors, pools={"ca": shell}, v0=-65.0)
    step = jax.jit(lambda state, arrived: cell.step(state, arrived, [], env, 0.05)[0])
    state, charge = cell.init(env), 0.0
    for k in range(100):
        after = step(state, {"glutamate": jnp.full(2, 20.0 if k == 0 else 0.0)})
        mid = state.v + 0.5 * state.change
        path = receptors["nmda"].pathway(after.receptors["nmda"], mid, env)
        ampa = receptors["ampa"].pathway(after.receptors["ampa"], mid, env).g
        ahp = channels["ahp"].pathway(after.channels["ahp"], mid, cell.local(state.pools, env)).g
        rate = (28.953 + path.g + ampa + ahp) / 289.53
        mean = mean_of_step(state.v, after.v, rate, 0.05)
        charge -= 0.6 * 8.0 / (8.0 + 120.0 / 1.38) * path.g * (mean - 40.0) * 0.05
        state = after
    rise = state.pools["ca"] - shell.rest
    np.testing.assert_allclose(rise, charge * mM_per_pA_ms(2, shell.area * shell.depth), rtol=1e-6)
    assert rise[0] > 5.0 * rise[1] > 0.0
    opened = channels["ahp"].pathway(None, -65.0, cell.local(state.pools, env)).g
    assert opened[0] > opened[1] > channels["ahp"].pathway(None, -65.0, env).g


# ---- bad input ---------------------------------------------------------------------------------


def cell(**parts):
    channels = {"leak": Leak(), "ca": CalciumN()} | parts.pop("channels", {})
    return cx.Population(1, 100.0, channels, **parts)


BAD = {
    "a pool that nothing fills": (
        lambda: cx.Population(
            1, 100.0, {"leak": Leak(), "na": Sodium()}, pools={"c": CalciumShell()}
        ),
        ["Population.pools['c']", "'ca'", "carry ['na']", "leave the pool out"],
    ),
    "a number for a pool": (
        lambda: cell(pools={"c": 2.4e-4}), ["Population.pools['c']", "a Pool", "0.00024"],
    ),
    "a pool at nothing": (lambda: CalciumShell(rest=0.0), ["CalciumShell.rest", "above 0 mM"]),
    "more than is there": (lambda: CalciumShell(free=1.5), ["CalciumShell.free", "at most 1"]),
    "negative conductance": (
        lambda: Afterhyperpolarisation(-1.0), ["Afterhyperpolarisation.g_max", "at least 0 nS"],
    ),
    "affinity for nothing": (
        lambda: Afterhyperpolarisation(k_d=0.0), ["Afterhyperpolarisation.k_d", "above 0 mM"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case, without_type_checks):
    make, words = BAD[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    "ion, channel",
    [
        ("ca", CalciumN()), ("ca", CalciumL()), ("ca", CalciumT()),
        ("ca", Afterhyperpolarisation()), ("k", Afterhyperpolarisation(e=None)),
        ("k", MCurrent(e=None)), ("k", IonLeak()), ("na", IonLeak("na")), ("na", Sodium(e=None)),
    ],
    ids=str,
)  # fmt: skip
def test_a_channel_whose_ion_the_environment_lacks_is_refused(ion, channel):
    without = replace(acsf(), ions={name: x for name, x in acsf().ions.items() if name != ion})
    population = cx.Population(1, 100.0, {"leak": Leak(), "this": channel})
    with pytest.raises(
        ValueError, match=f"populations/E/channels/this.* depends on '{ion}'.*add Ion"
    ):
        cx.Network(without, {"E": population})
    cx.Network(acsf(), {"E": population})


def test_a_channel_with_a_reversal_of_its_own_needs_no_ion():
    population = cx.Population(1, 100.0, {"leak": Leak(), "na": Sodium(), "m": MCurrent()})
    cx.Network(replace(acsf(), ions={}), {"E": population})


def test_a_pool_whose_ion_the_environment_lacks_is_refused():
    receptors = {"nmda": synapses.NMDA()}
    population = cx.Population(1, 100.0, {"leak": Leak()}, receptors, pools={"c": CalciumShell()})
    with pytest.raises(ValueError, match="populations/E/(pools|receptors)/.* depends on 'ca'"):
        cx.Network(replace(acsf(), ions={"mg": acsf().ions["mg"]}), {"E": population})
