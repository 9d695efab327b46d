"""Subunits of NMDA receptors, zinc and temperature."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import acsf
from cortexmg.channels import Leak
from cortexmg.evidence import mechanisms
from cortexmg.factors import product
from cortexmg.magnesium import SlowUnblock, jahr_stevens, vargas_caballero
from cortexmg.synapses import AMPA, GABAA, NMDA, nmda_of_subunits

ALL = {"2A": 0.4, "2B": 0.3, "2C": 0.2, "2D": 0.1}
NO_ZINC = acsf(mg=0.0).with_outside("zn", 0.0)


def conductance(receptor, duration, env=NO_ZINC, dt=0.1, v=-65.0):
    """Conductance (nS) after every step from one arrival of 1 nS."""

    def step(state, arrival):
        state = receptor.step(state, arrival, v, env, dt)
        return state, receptor.pathway(state, v, env).g

    arrivals = jnp.zeros(round(duration / dt)).at[0].set(1.0)
    run = jax.jit(lambda a: jax.lax.scan(step, receptor.init(jnp.zeros(()) + v, env), a)[1])
    return np.asarray(run(arrivals))


def half_block(receptor, v):
    """[Mg]o (mM) at which half of the receptors are blocked."""
    odds = 1.0 / receptor.block.unblocked(None, v, acsf(mg=1.0)) - 1.0
    return 1.0 / odds


@pytest.mark.parametrize("name, tau", [("2A", 50.0), ("2B", 225.0), ("2C", 250.0), ("2D", 1850.0)])
def test_a_subunit_has_its_decay_and_its_share_of_the_peak(name, tau):
    receptor = nmda_of_subunits(ALL, gain=2.0)[f"nmda_{name}"]
    g = conductance(receptor, 200.0)
    np.testing.assert_allclose(g.max(), 2.0 * ALL[name], rtol=1e-3)
    np.testing.assert_allclose(g[-1] / g[-101], np.exp(-10.0 / tau), rtol=1e-6)


def test_subunits_differ_in_the_magnesium_that_blocks_them():
    receptors = nmda_of_subunits(ALL)
    v = np.linspace(-100.0, 40.0, 29)
    two_a = half_block(receptors["nmda_2A"], v)
    # 7.25 uM at -100 mV: the constants of Jahr and Stevens.
    np.testing.assert_allclose(two_a[0] * 1e3, 7.25, rtol=0, atol=5.1e-3)
    for name, ratio in (("2B", 1.0), ("2C", 6.0), ("2D", 4.5)):
        half = half_block(receptors[f"nmda_{name}"], v)
        np.testing.assert_allclose(half / two_a, ratio, rtol=1e-10)
    # Measured at all voltages: 2D at least 4 times less blocked than 2A.
    assert np.all(half_block(receptors["nmda_2D"], v) / two_a >= 4.0)


@pytest.mark.parametrize("block", [vargas_caballero(), SlowUnblock(vargas_caballero())])
def test_any_block_can_be_that_of_the_subunits(block):
    receptors, env = nmda_of_subunits(ALL, block=block), acsf(mg=1.0)
    for name, ratio in (("2A", 1.0), ("2D", 4.5)):
        found = receptors[f"nmda_{name}"].block
        assert type(found) is type(block)
        at = found.unblocked(found.init(-65.0, env), -65.0, env)
        want = block.unblocked(block.init(-65.0, env), -65.0, acsf(mg=1.0 / ratio))
        if isinstance(block, SlowUnblock):
            want = vargas_caballero().unblocked(None, -65.0, acsf(mg=1.0 / ratio))
        np.testing.assert_allclose(at, want, rtol=1e-12)


def test_tonic_zinc_leaves_what_is_published():
    receptors = nmda_of_subunits({"2A": 0.6, "2B": 0.4})
    left = sum(r.gain * product(r.factors, acsf()) for r in receptors.values())  # at 5 nM
    np.testing.assert_allclose(left, 0.9082, rtol=0, atol=5.1e-5)
    assert sum(r.gain * product(r.factors, NO_ZINC) for r in receptors.values()) == 1.0
    assert all(not r.factors for r in nmda_of_subunits(zinc=False).values())
    assert "nmda_2A/factors/zinc" in mechanisms(receptors)


def test_a_population_hears_glutamate_with_all_subunits():
    receptors = nmda_of_subunits({"2A": 0.6, "2D": 0.4})
    population = cx.Population(2, 100.0, {"leak": Leak()}, {"ampa": AMPA(), **receptors})
    state = population.init(acsf())
    after, _ = population.step(state, {"glutamate": jnp.ones(2)}, [], acsf(), 0.1)
    bound = {name: r.bound(after.receptors[name]) for name, r in receptors.items()}
    assert all(np.all(g > 0.0) for g in bound.values())


@pytest.mark.parametrize("receptor, q10", [(NMDA(), 1.7), (AMPA(), 2.4), (GABAA(), 2.25)])
def test_receptors_are_slower_in_the_cold_and_peak_alike(receptor, q10):
    warm = conductance(receptor, 60.0)
    cold = conductance(receptor, 60.0 * q10, replace(NO_ZINC, temperature=26.0), 0.1 * q10)
    np.testing.assert_allclose(cold, warm, rtol=1e-12)  # the same in q10 times the time
    last = len(warm) // 2
    tau = -0.1 / np.log(warm[last + 1] / warm[last])
    np.testing.assert_allclose(tau, receptor.kinetics.tau_decay, rtol=1e-3)


def test_the_block_is_slower_in_the_cold_and_the_same_when_it_has_settled():
    block, warm = SlowUnblock(), acsf(mg=1.0)
    cold = replace(warm, temperature=26.0)
    rest = block.init(-65.0, warm)
    for there in (block.init(-65.0, cold), block.step(rest, -65.0, cold, 5.0)):
        np.testing.assert_array_equal(there, rest)
    one = block.step(rest, 0.0, warm, 1.0)
    np.testing.assert_allclose(block.step(rest, 0.0, cold, 2.5), one, rtol=1e-14)
    for v in (-65.0, 0.0):
        assert jahr_stevens().unblocked(None, v, cold) == jahr_stevens().unblocked(None, v, warm)


@pytest.mark.parametrize(
    "shares, words",
    [
        ({"2A": 0.6, "2B": 0.5}, ["add up to 1", "1.1", "gain"]),
        ({"2A": 1.5, "2B": -0.5}, ["at least 0", "-0.5"]),
        ({"2A": float("nan"), "2B": 1.0}, ["at least 0"]),
        ({}, ["add up to 1", "0"]),
        ({"2E": 1.0}, ["2E", "2A", "2D"]),
        (0.6, ["0.6", "by name of subunit"]),
    ],
)
def test_shares_that_make_no_sense_are_refused(shares, words, without_type_checks):
    with pytest.raises(ValueError) as caught:
        nmda_of_subunits(shares)
    assert all(word in str(caught.value) for word in words), caught.value
