"""The magnesium block of NMDA receptors: published values, limits, slow unblock."""

import inspect
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cortexmg import acsf, magnesium
from cortexmg.magnesium import SlowUnblock, Woodhull, jahr_stevens, vargas_caballero
from cortexmg.synapses import nmda_of_subunits

PUBLISHED = {
    name: make
    for name, make in vars(magnesium).items()
    if inspect.isfunction(make) and make.__annotations__.get("return") is Woodhull
}
EVERY_BLOCK = [make() for make in PUBLISHED.values()] + [SlowUnblock()]
every_block = pytest.mark.parametrize("block", EVERY_BLOCK, ids=[*PUBLISHED, SlowUnblock.__name__])


def unblocked(v, mg, block=None):
    """The fraction without magnesium when the voltage has been held at `v`."""
    block, env = jahr_stevens() if block is None else block, acsf(mg=mg)
    return block.unblocked(block.init(v, env), v, env)


# Rows: mM. Jahr and Stevens (1990): 1 / (1 + mM / 3.57 exp(-0.062 mV)), to five digits.
VOLTAGES = [-90, -80, -70, -65, -60, -50, -40, -20, 0, 40]
TABLE = {
    0.1: [0.11869, 0.20023, 0.31759, 0.38821, 0.46385, 0.61660, 0.74935, 0.91175, 0.97275, 0.99766],
    0.5: [0.02623, 0.04768, 0.08515, 0.11262, 0.14751, 0.24337, 0.37419, 0.67386, 0.87715, 0.98841],
    0.8: [0.01656, 0.03035, 0.05498, 0.07349, 0.09759, 0.16738, 0.27204, 0.56358, 0.81693, 0.98158],
    1.0: [0.01329, 0.02442, 0.04447, 0.05967, 0.07963, 0.13854, 0.23016, 0.50814, 0.78118, 0.97708],
    1.2: [0.01110, 0.02044, 0.03734, 0.05022, 0.06725, 0.11818, 0.19945, 0.46263, 0.74843, 0.97262],
    2.0: [0.00669, 0.01236, 0.02274, 0.03075, 0.04146, 0.07443, 0.13004, 0.34061, 0.64093, 0.95519],
}


# The same, and that of Vargas-Caballero and Robinson (2003), to six digits. Keys: mV, mM.
DIGITS = {
    (-65.0, 1.0): 0.059668, (-40.0, 1.0): 0.230155, (0.0, 1.0): 0.781182, (40.0, 1.0): 0.977080,
    (-65.0, 0.1): 0.388208, (-65.0, 0.5): 0.112617, (-65.0, 2.0): 0.030752,
}  # fmt: skip
OF_NEOCORTEX = {(-65.0, 1.0): 0.023132, (-40.0, 1.0): 0.125305, (0.0, 1.0): 0.718468}


def test_the_blocks_of_hippocampus_and_neocortex_to_six_digits():
    for block, table in ((jahr_stevens(), DIGITS), (vargas_caballero(), OF_NEOCORTEX)):
        got = [unblocked(v, mg, block) for v, mg in table]
        np.testing.assert_allclose(got, list(table.values()), rtol=0, atol=5.1e-7)


@pytest.mark.parametrize("mg", TABLE)
def test_the_block_of_jahr_and_stevens_is_that_of_their_table(mg):
    got = unblocked(np.asarray(VOLTAGES, float), mg)
    np.testing.assert_allclose(got, TABLE[mg], rtol=0, atol=5.1e-6)


@pytest.mark.parametrize(
    "mg, want", [(0.01, 0.8639), (0.02, 0.7603), (0.06, 0.5140), (0.08, 0.4423), (0.3, 0.1746)]
)
def test_contaminating_magnesium_blocks_at_rest(mg, want):
    np.testing.assert_allclose(unblocked(-65.0, mg), want, rtol=0, atol=5.1e-5)


@pytest.mark.parametrize(
    "mg, v", [(0.1, -57.66), (0.5, -31.71), (1.0, -20.53), (1.2, -17.58), (2.0, -9.35)]
)
def test_half_of_the_receptors_are_free_at_the_half_unblock_voltage(mg, v):
    # 0.005 mV of rounding, times the slope of 0.062 / 4 per mV.
    np.testing.assert_allclose(unblocked(v, mg), 0.5, rtol=0, atol=0.005 * 0.062 / 4)


# At -65, -40 and 0 mV and 1 mM, to five digits, and where half is unblocked (mV), to one.
BLOCKS = {
    "jahr_stevens": ([0.05967, 0.23016, 0.78118], -20.5),
    "vargas_caballero": ([0.02313, 0.12531, 0.71847], -13.0),
    "kager_somjen": ([0.06001, 0.26867, 0.85798], None),
    "ascher_nowak": ([0.04627, 0.26438, 0.89850], None),
    "kampa": ([0.05443, 0.29842, 0.91255], None),
    "hill_tononi": ([0.03940, 0.23707, 0.88807], -25.6),
}


def test_every_published_block_is_there():
    assert PUBLISHED.keys() == BLOCKS.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_blocks_have_their_published_values(name):
    want, half = BLOCKS[name]
    block = PUBLISHED[name]()
    got = unblocked(np.array([-65.0, -40.0, 0.0]), 1.0, block)
    np.testing.assert_allclose(got, want, rtol=0, atol=5.1e-6)
    if half is not None:
        np.testing.assert_allclose(math.log(1 / block.mg_half) / block.slope, half, atol=0.051)


def test_blocks_given_as_rates_have_the_equilibrium_of_the_rates():
    v, mg = np.linspace(-100.0, 60.0, 9), 0.7
    rates = {
        "ascher_nowak": (0.61 * mg * np.exp(-v / 17), 5.4 * np.exp(v / 47)),
        "kampa": (0.05 * mg * np.exp(-1.6 * (v - 40) / 25), 12.8 * np.exp(0.4 * (v - 40) / 25)),
    }
    for name, (on, off) in rates.items():
        np.testing.assert_allclose(
            unblocked(v, mg, PUBLISHED[name]()), off / (on + off), rtol=1e-12
        )


def test_the_block_has_its_published_gradients():
    by_mg = jax.grad(unblocked, 1)
    np.testing.assert_allclose(by_mg(-65.0, 1.0), -0.05611, rtol=0, atol=5.1e-6)
    np.testing.assert_allclose(by_mg(-40.0, 1.0), -0.17718, rtol=0, atol=5.1e-6)
    np.testing.assert_allclose(jax.grad(unblocked)(-40.0, 1.0), 0.010985, rtol=0, atol=5.1e-7)


@every_block
@given(v=st.floats(-150.0, 100.0), mg=st.floats(1e-6, 10.0))
@settings(max_examples=30)
def test_the_free_fraction_grows_with_voltage_and_falls_with_magnesium(block, v, mg):
    at = float(unblocked(v, mg, block))
    assert 0.0 < at <= 1.0
    # Near 1 the fraction has no digits left for the rest; below, 0.1 mV and 1 % show.
    more = 1e-9 if at < 1.0 - 1e-6 else 0.0
    assert unblocked(v + 0.1, mg, block) >= at * (1.0 + more * (1.0 - at))
    assert unblocked(v, mg * 1.01, block) <= at * (1.0 - more * (1.0 - at))


@every_block
def test_without_magnesium_nothing_is_blocked(block, precision):
    v = np.linspace(-1000.0, 1000.0, 41).astype(precision)
    np.testing.assert_array_equal(unblocked(v, 0.0, block), 1.0)


def test_every_derivative_is_finite_at_any_voltage_and_concentration(precision):
    v = np.array([-1000.0, -200.0, -65.0, 0.0, 1000.0], precision)

    def fraction(block, mg, v):
        return jnp.sum(unblocked(v, mg, block))

    def of_logarithm(block, log_mg, v):
        return fraction(block, jnp.exp(log_mg) - 1e-6, v)

    @jax.jit
    def slopes(blocks, mg, v):
        def of(block):
            by_log = jax.grad(of_logarithm, 1)(block, jnp.log(mg + 1e-6), v)
            return *jax.grad(fraction, (0, 1, 2))(block, mg, v), by_log

        return [of(block) for block in blocks]

    for mg in (0.0, 1e-6, 10.0):
        found = slopes(*jax.tree.map(jnp.asarray, (EVERY_BLOCK, mg, v)))
        for block, every in zip(EVERY_BLOCK, found, strict=True):
            assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(every)), (block, mg)
            assert every[1] < 0.0, (block, mg)


OF_SUBUNITS = {
    f"{name} {type(block).__name__}": receptor.block
    for block in (jahr_stevens(), SlowUnblock())
    for name, receptor in nmda_of_subunits(
        {"2A": 0.4, "2B": 0.3, "2C": 0.2, "2D": 0.1}, block=block
    ).items()
}
with_subunits = pytest.mark.parametrize(
    "block",
    [*EVERY_BLOCK, *OF_SUBUNITS.values()],
    ids=[*PUBLISHED, SlowUnblock.__name__, *OF_SUBUNITS],
)


@jax.jit
def after_a_step(block, logs, before, after):
    """The free fraction 3 ms after a step of the voltage, by ln of [Mg]o + 1e-6 mM."""
    env = acsf(mg=jnp.exp(logs) - 1e-6)
    state = block.step(block.init(before, env), after, env, 3.0)
    return block.unblocked(state, after, env)


@jax.jit
@partial(jax.grad, argnums=1)
def by_logarithm(block, logs, before, after):
    return jnp.sum(after_a_step(block, logs, before, after))


@with_subunits
@pytest.mark.parametrize("before, after", [(-65.0, -65.0), (-65.0, -20.0), (-40.0, -90.0)])
def test_derivatives_by_magnesium_are_those_of_finite_differences(block, before, after):
    def values(logs):
        return after_a_step(block, logs, before, after)

    logs, h = jnp.log(jnp.array([0.0, 0.02, 0.8, 1.0, 6.0, 10.0]) + 1e-6), 1e-3
    gradient = by_logarithm(block, logs, before, after)
    assert np.all(np.isfinite(gradient)) and np.all(gradient < 0.0)
    two, one = ((values(logs + k * h) - values(logs - k * h)) / (2 * k * h) for k in (2, 1))
    # At 0 mM a block that falls in at once has a kink: it differs on the side of less than nothing.
    some = slice(1, None) if isinstance(block, SlowUnblock) else slice(None)
    np.testing.assert_allclose(gradient[some], ((4 * one - two) / 3)[some], rtol=1e-8, atol=1e-12)


def test_the_gradient_by_the_logarithm_of_magnesium_is_that_of_a_logistic():
    v = np.linspace(-90.0, 40.0, 14)
    gradient = jax.vmap(jax.grad(lambda x, v: unblocked(v, jnp.exp(x))), (None, 0))(0.0, v)
    at = unblocked(v, 1.0)
    np.testing.assert_allclose(gradient, -at * (1.0 - at), rtol=1e-12)


def test_unblock_has_a_fast_and_a_slow_part():
    block, env = SlowUnblock(), acsf(mg=1.0)
    rest, free = unblocked(-65.0, 1.0), unblocked(0.0, 1.0)

    def after(t):
        state = block.step(block.init(-65.0, env), 0.0, env, t)
        return block.unblocked(state, 0.0, env)

    np.testing.assert_allclose(after(0.0), rest, rtol=1e-14)
    np.testing.assert_allclose(rest, 0.0597, rtol=0, atol=5e-5)
    left = 0.51 * math.exp(-1) + 0.49 * math.exp(-0.68 / 22.7)
    np.testing.assert_allclose(after(0.68), free + (rest - free) * left, rtol=1e-14)
    np.testing.assert_allclose(after(1e4), free, rtol=1e-14)


def test_unblock_in_many_steps_is_unblock_in_one():
    block, env = SlowUnblock(), acsf(mg=1.0)
    state = block.init(-65.0, env)
    one = block.step(state, -20.0, env, 3.0)
    for _ in range(30):
        state = block.step(state, -20.0, env, 0.1)
    np.testing.assert_allclose(jnp.stack(state), jnp.stack(one), rtol=1e-13)


@given(v=st.floats(-100.0, 60.0), later=st.floats(-100.0, 60.0), dt=st.floats(1e-3, 10.0))
def test_block_falls_in_at_once_and_never_lets_go_faster_than_at_equilibrium(v, later, dt):
    block, env = SlowUnblock(), acsf(mg=1.0)
    now = block.unblocked(block.step(block.init(v, env), later, env, dt), later, env)
    if later <= v:
        np.testing.assert_allclose(now, unblocked(later, 1.0), rtol=1e-12)
    else:
        assert unblocked(v, 1.0) <= now * (1 + 1e-12)
        assert now <= unblocked(later, 1.0) * (1 + 1e-12)


def test_the_current_has_a_region_of_negative_slope_that_needs_magnesium():
    def slope(mg):
        return jax.vmap(jax.grad(lambda v: unblocked(v, mg) * v))

    between, above = np.linspace(-70.0, -30.0, 41), np.linspace(-20.0, 40.0, 61)
    assert np.all(slope(1.0)(between) < 0)
    assert np.all(slope(1.0)(above) > 0)
    np.testing.assert_allclose(slope(0.0)(np.linspace(-90.0, 40.0, 131)), 1.0, rtol=1e-14)


def test_removing_magnesium_multiplies_the_conductance_at_rest_by_16_8():
    ratio = unblocked(-65.0, 0.0) / unblocked(-65.0, 1.0)
    np.testing.assert_allclose(ratio, 16.8, rtol=0, atol=0.05)


def test_slow_unblock_settles_at_the_block_that_it_is_given():
    slow = SlowUnblock(PUBLISHED["kampa"]())
    np.testing.assert_allclose(unblocked(-65.0, 1.0, slow), 0.05443, rtol=0, atol=5.1e-6)
