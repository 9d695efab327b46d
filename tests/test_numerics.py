"""The shared formulas and the rates built on them, where a naive quotient cancels or overflows."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st
from mpmath import mp

from cortexmg.channels import CalciumL, Potassium, Sodium
from cortexmg.numerics import (
    bounded_exp,
    linoid,
    logistic,
    reach,
    relax,
    relax_gate,
    with_slope_of,
)

mp.dps = 40

# Four units in the last place of single precision, and twenty of double.
VALUE = {np.dtype("f4"): 5e-7, np.dtype("f8"): 5e-15}
# Rates that are made of powers of one exponential have its error up to eight times.
RATE = {np.dtype("f4"): 1e-6, np.dtype("f8"): 1e-14}
# Derivatives: of linoid, and of rates, whose voltage is rounded where they are 0/0.
SLOPE = {np.dtype("f4"): 1e-6, np.dtype("f8"): 5e-15}
DERIVATIVE = {np.dtype("f4"): 1e-5, np.dtype("f8"): 1e-13}


def exact_linoid(x):
    return x / mpmath.expm1(x) if x else mpmath.mpf(1)


def exact_linoid_slope(x):
    if abs(x) < 1e-12:
        return -mpmath.mpf(1) / 2 + x / 6
    return (mpmath.expm1(x) - x * mpmath.exp(x)) / mpmath.expm1(x) ** 2


def sodium(v):
    (alpha_m, beta_m), (alpha_h, beta_h) = Sodium().rates(v)
    return {"alpha_m": alpha_m, "beta_m": beta_m, "alpha_h": alpha_h, "beta_h": beta_h}


def potassium(v):
    return dict(zip(("alpha_n", "beta_n"), Potassium().rates(v), strict=True))


def calcium_l(v):
    (alpha_q, beta_q), (alpha_r, beta_r) = CalciumL().rates(v)
    return {"alpha_q": alpha_q, "beta_q": beta_q, "alpha_r": alpha_r, "beta_r": beta_r}


# Every rate as published (u = v + 55): Traub and Miles, Reuveni et al. Voltage in mV, 1/ms.
RATES = {
    "alpha_m": (sodium, lambda v: 1.28 * exact_linoid((-42 - v) / 4)),
    "beta_m": (sodium, lambda v: 1.4 * exact_linoid((v + 15) / 5)),
    "alpha_h": (sodium, lambda v: 0.128 * mp.exp((-38 - v) / 18)),
    "beta_h": (sodium, lambda v: 4 / (1 + mp.exp((-15 - v) / 5))),
    "alpha_n": (potassium, lambda v: 0.16 * exact_linoid((-40 - v) / 5)),
    "beta_n": (potassium, lambda v: 0.5 * mp.exp((-45 - v) / 40)),
    "alpha_q": (calcium_l, lambda v: 0.209 * exact_linoid((-27 - v) / mp.mpf("3.8"))),
    "beta_q": (calcium_l, lambda v: 0.94 * mp.exp((-75 - v) / 17)),
    "alpha_r": (calcium_l, lambda v: 0.000457 * mp.exp((-13 - v) / 50)),
    "beta_r": (calcium_l, lambda v: 0.0065 / (1 + mp.exp((-15 - v) / 28))),
}
RISING = {"alpha_m", "beta_h", "alpha_n", "alpha_q", "beta_r"}
SINGULAR_MV = {"alpha_m": -42.0, "beta_m": -15.0, "alpha_n": -40.0, "alpha_q": -27.0}


def rate_named(name):
    return lambda v: RATES[name][0](v)[name]


def around(point, dtype):
    """A thousand offsets of each sign from 1e-7 to 1, and 64 neighbours in single precision."""
    offsets = np.logspace(-7, 0, 1000)
    near = np.float32(point)
    steps = np.arange(-64, 65) * np.spacing(np.maximum(np.abs(near), np.float32(1e-30)))
    points = point + np.concatenate([-offsets, offsets, steps.astype(float)])
    return np.unique(points.astype(dtype))


def slope(f, x):
    return jax.jit(jax.grad(lambda x: jnp.sum(f(x))))(jnp.asarray(x))


def worst(got, want):
    """Largest relative deviation; NaN fails any comparison with it."""
    return np.max(np.abs(np.asarray(got, float) / want - 1.0))


def exactly(f, x):
    """`f` of the numbers as they are, with 40 digits before the result is rounded."""
    return np.array([float(f(mpmath.mpf(float(value)))) for value in x])


@pytest.mark.parametrize("point", [0.0, -1.0, 1.0], ids=["at_0", "below_the_series", "above_it"])
def test_x_over_exp_minus_one_is_accurate_where_it_cancels(precision, point):
    x = around(point, precision)
    assert worst(jax.jit(linoid)(x), exactly(exact_linoid, x)) <= VALUE[precision]
    assert worst(slope(linoid, x), exactly(exact_linoid_slope, x)) <= SLOPE[precision]


def test_x_over_exp_minus_one_is_accurate_until_it_vanishes(precision):
    x = np.concatenate([np.linspace(-79.0, 79.0, 1000), [-1e4, -300.0]]).astype(precision)
    assert worst(jax.jit(linoid)(x), exactly(exact_linoid, x)) <= VALUE[precision]
    few = x[np.abs(x) < 40]  # beyond, the square of exp(x) leaves the range of single precision
    assert worst(slope(linoid, few), exactly(exact_linoid_slope, few)) <= DERIVATIVE[precision]


def test_x_over_exp_minus_one_takes_a_given_exponential(precision):
    x = around(0.0, precision)
    np.testing.assert_array_equal(linoid(x, bounded_exp(x)), linoid(x))


@pytest.mark.parametrize("name", RATES)
def test_rates_are_accurate_around_every_singular_voltage(precision, name):
    # The voltages are exact in this precision, and u = v - v_t is rounded once: at the singular
    # voltages by at most half a unit of 40 mV, 2e-6 mV, of which 1e-7 is left relative to a rate.
    rate, formula = rate_named(name), RATES[name][1]
    if name in SINGULAR_MV:
        v = around(SINGULAR_MV[name], precision)
    else:
        v = np.concatenate([around(x, precision)[::20] for x in SINGULAR_MV.values()])
    assert worst(jax.jit(rate)(v), exactly(formula, v)) <= RATE[precision]
    want = exactly(lambda v: mpmath.diff(formula, v, h=mpmath.mpf("1e-12")), v[::20])
    assert worst(slope(rate, v)[::20], want) <= DERIVATIVE[precision]


@pytest.mark.parametrize("name", RATES)
def test_rates_are_finite_and_monotone_at_any_voltage(precision, name):
    v = np.linspace(-1000.0, 1000.0, 8001).astype(precision)
    rate, derivative = jax.jit(rate_named(name))(v), slope(rate_named(name), v)
    assert np.all(np.isfinite(rate)) and np.all(np.isfinite(derivative))
    assert np.all(np.asarray(rate) >= 0)
    rate = np.asarray(rate, float)[:: 1 if name in RISING else -1]
    # A saturated rate may wobble by its rounding; one that has died, by what holding exp leaves.
    assert np.all(np.diff(rate) >= -RATE[precision] * rate[1:] - 1e-25)
    assert rate[-1] > 1e3 * rate[0]


def test_a_logistic_function_and_its_derivatives_are_those_of_its_argument(precision):
    x = np.linspace(-80.0, 80.0, 641).astype(precision)

    def f(x):
        return logistic(x, bounded_exp(x))

    want = 1.0 / (1.0 + np.exp(-x.astype(float)))
    digits = {"rtol": 10 * RATE[precision], "atol": 10 * RATE[precision]}
    assert worst(jax.jit(f)(x), want) <= 4 * VALUE[precision]
    np.testing.assert_allclose(slope(f, x), want * (1 - want), **digits)
    second = jax.vmap(jax.grad(jax.grad(f)))(x)
    np.testing.assert_allclose(second, want * (1 - want) * (1 - 2 * want), **digits)


def test_bounded_exp_is_exp_where_that_can_be_held(precision):
    bound = 80.0 if precision.itemsize == 4 else 600.0
    x = np.linspace(-bound, bound, 999).astype(precision)
    np.testing.assert_allclose(bounded_exp(x), np.exp(x), rtol=VALUE[precision])
    far = np.asarray([-1e30, -1e4, 1e4, 1e30], precision)
    assert np.all(np.isfinite(bounded_exp(far))) and np.all(np.asarray(bounded_exp(far)) > 0)
    np.testing.assert_array_equal(slope(bounded_exp, far), 0.0)


numbers = st.floats(-200.0, 200.0)


def test_slow_things_relax_in_small_steps(single_precision):
    """A distance of 1 with a time constant of 1.5 s, in one step of 0.01 ms."""
    left = relax(jnp.float32(0.0), 1.0, jnp.float32(1500.0), jnp.float32(0.01))
    np.testing.assert_allclose(left, -np.expm1(-0.01 / 1500.0), rtol=1e-6)


def test_a_slope_that_is_lent_has_derivatives_of_its_own():
    def f(y):
        return jnp.sum(with_slope_of(jnp.arange(3.0), y**2) ** 2)

    # x' = 2 y: f' = 2 sum(x) 2 y, f'' = 2 sum(4 y^2 + 2 x)
    assert jax.grad(f)(2.0) == 24.0
    for second in (jax.hessian(f), jax.jacfwd(jax.jacfwd(f)), jax.jacrev(jax.jacrev(f))):
        assert second(2.0) == 108.0


positive = st.floats(1e-3, 1e3)


@given(x=numbers, target=numbers, tau=positive, dt=positive)
def test_two_half_steps_of_relaxation_are_one(x, target, tau, dt):
    half = relax(relax(x, target, tau, dt / 2), target, tau, dt / 2)
    # exp(-dt/tau) is off by its exponent times the rounding, and vanishes before that matters.
    np.testing.assert_allclose(half, relax(x, target, tau, dt), rtol=0, atol=1e-12)


@given(x=st.floats(0.0, 1.0), alpha=positive, beta=positive, dt=positive)
def test_a_gate_relaxes_to_its_steady_state_with_its_time_constant(x, alpha, beta, dt):
    want = relax(x, alpha / (alpha + beta), 1.0 / (alpha + beta), dt)
    np.testing.assert_allclose(relax_gate(x, alpha, beta, dt), want, rtol=0, atol=1e-12)


# dt * rate up to which what is left of a distance deviates by so much of it, in single precision
LEFT = {0.5: 1e-7, 1.0: 4e-6, 2.0: 1.5e-4, 3.5: 1.5e-3, 1000.0: 0.012}


@pytest.mark.parametrize("longest", LEFT)
def test_how_far_a_gate_gets_deviates_as_is_said(longest, precision):
    z = np.geomspace(1e-6, longest, 400).astype(precision)
    far = jax.jit(reach)(z, precision.type(1.0))
    want = exactly(lambda z: -mpmath.expm1(-z) / z, z)
    left, right = 1.0 - np.asarray(far, float) * z, np.exp(-z.astype(float))
    assert np.all(left >= -1e-6) and np.max(np.abs(left - right)) <= LEFT[longest] + 1e-7
    if longest == 0.5 and precision.itemsize == 4:  # in double precision 1 - exp cancels
        assert worst(far, want) <= 3e-7


def test_a_slow_gate_moves_in_single_precision():
    """At 1e-6 per ms 1 - exp(-z) would have one digit."""
    rate, dt = np.float32(1e-6), np.float32(0.1)
    np.testing.assert_allclose(reach(rate, dt), 0.1, rtol=1e-6)
    np.testing.assert_allclose(reach(np.float32(0.0), dt), 0.1, rtol=1e-6)


@pytest.mark.parametrize(
    ("z", "digits"),
    [(1e-6, 1e-6), (1e-3, 1e-6), (0.02, 1e-6), (0.3, 2e-6), (1.0, 5e-5), (3.0, 0.02)],
)
def test_how_far_a_gate_gets_has_the_derivative_of_the_exact_solution(z, digits, precision):
    rate, dt = precision.type(z / 0.1), precision.type(0.1)
    want_rate = mpmath.diff(lambda r: -mpmath.expm1(-0.1 * r) / r, z / 0.1)
    want = float(want_rate), float(mp.exp(-z))
    got = jax.grad(lambda r, d: reach(r, d), argnums=(0, 1))(rate, dt)
    # In double precision it cancels, which leaves 16 digits less those of z twice.
    rtol = digits if precision.itemsize == 4 else 1e-11 + 1e-15 / z**2
    np.testing.assert_allclose(got, want, rtol=rtol)


@pytest.mark.parametrize("z", [30.0, 1e3, 1e5])
def test_how_far_a_gate_gets_hardly_depends_on_a_rate_that_is_large(z, precision):
    """A trial of a fit may open gates at any voltage: signs and sizes stay right."""
    rate, dt = precision.type(z / 0.1), precision.type(0.1)
    first = jax.grad(reach)(rate, dt) * rate**2
    second = jax.grad(jax.grad(reach))(rate, dt) * rate**3
    rtol = 0.3 if precision.itemsize == 4 else 1e-2 * (z < 100) + 1e-5
    np.testing.assert_allclose((first, second), (-1.0, 2.0), rtol=rtol)


def test_derivatives_by_the_rate_and_time_of_a_gate_that_stands_still():
    got = jax.grad(reach, argnums=(0, 1))(np.float32(0.0), np.float32(0.1))
    np.testing.assert_allclose(got, (-0.5 * 0.1**2, 1.0), rtol=1e-6)


def test_relaxation_solves_its_equation():
    t = np.linspace(0.0, 5.0, 11)
    np.testing.assert_allclose(relax(3.0, -1.0, 2.0, t), -1.0 + 4.0 * np.exp(-t / 2), rtol=1e-14)
    rate = jax.grad(lambda t: relax(3.0, -1.0, 2.0, t))(0.7)
    np.testing.assert_allclose(rate, -(relax(3.0, -1.0, 2.0, 0.7) + 1.0) / 2.0, rtol=1e-14)
