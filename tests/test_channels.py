"""What every ion channel must do, and the charge balance of the calcium that enters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import concrete_members
from hypothesis import given, settings, strategies as st

from cortexmg import acsf, channels, pools
from cortexmg.channels import (
    Adaptation,
    CalciumL,
    CalciumN,
    CalciumT,
    Channel,
    Inactivation,
    Leak,
    Sodium,
    Upstroke,
)
from cortexmg.membrane import Current, Pathway, voltage_change
from cortexmg.pools import CalciumShell, Pool
from cortexmg.population import Population
from cortexmg.surface import Screening

ENV = acsf()
V = np.linspace(-200.0, 200.0, 81)  # mV; holds every voltage at which a rate is 0/0


EVERY_CHANNEL = [
    *(c() for c in concrete_members(channels, Channel)),
    CalciumN(inactivation=Inactivation()),
]


@pytest.fixture(params=EVERY_CHANNEL, ids=lambda c: type(c).__name__)
def channel(request):
    return request.param


def close(a, b, **tolerance):
    """Whether two states are equal."""
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


def gated(channel):
    """Whether the state is open fractions: that of an added current is not."""
    return isinstance(channel.pathway(channel.init(0.0, ENV), 0.0, ENV), Pathway)


def test_every_channel_is_found():
    assert {"Sodium", "Leak", "Adaptation"} < {type(c).__name__ for c in EVERY_CHANNEL}


@pytest.mark.parametrize("dt", [0.01, 1.0, 1e4])
def test_init_is_a_fixed_point(channel, dt):
    state = channel.init(V, ENV)
    close(channel.step(state, V, ENV, dt), state, rtol=1e-12, atol=1e-300)


def test_two_half_steps_are_one_at_a_held_voltage(channel):
    start = channel.init(np.full_like(V, -65.0), ENV)
    half = channel.step(channel.step(start, V, ENV, 0.5), V, ENV, 0.5)
    close(half, channel.step(start, V, ENV, 1.0), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("surface", [None, Screening()], ids=["", "shifted"])
def test_the_change_of_the_voltage_is_state_where_a_pathway_follows_it(channel, surface):
    state = channel.init(V, ENV)
    here, there = (jax.tree.leaves(channel.pathway(state, v, ENV)) for v in (V, V + 1.0))
    follows = any(np.any(a != b) for a, b in zip(here, there, strict=True))
    mechanisms = {"leak": Leak(10.0), "c": channel}
    cell = Population(V.size, 100.0, mechanisms, v0=V, surface=surface)
    assert (cell.init(ENV).change is not None) == follows


def test_some_pathways_follow_the_voltage_and_others_do_not():
    assert Population(1, 100.0, {"leak": Leak(10.0), "na": Sodium()}).init(ENV).change is None
    for follows in (CalciumT(), Upstroke()):
        cell = Population(1, 100.0, {"leak": Leak(10.0), "c": follows})
        np.testing.assert_array_equal(cell.init(ENV).change, np.zeros(1))


@given(
    x=st.floats(0.0, 1.0),
    v=st.floats(-1000.0, 1000.0),
    dt=st.floats(1e-4, 1e4),
)
@settings(max_examples=30)
def test_gates_stay_between_closed_and_open(x, v, dt):
    for channel in EVERY_CHANNEL:
        if gated(channel):
            start = jax.tree.map(lambda _: x, channel.init(v, ENV))
            for state in (channel.init(v, ENV), channel.step(start, v, ENV, dt)):
                # One rounding may lie beyond.
                assert all(-1e-15 <= leaf <= 1 + 1e-15 for leaf in jax.tree.leaves(state))


def test_calcium_channels_close_slowly_where_a_cell_stays_depolarised():
    v, plain = np.array([-35.0, -90.0, 20.0]), CalciumN()
    channel = CalciumN(inactivation=Inactivation())
    rest = channel.init(np.full(3, -70.0), ENV)
    np.testing.assert_allclose(rest, 1.0 / (1.0 + np.exp(-35.0 / 8.0)))
    assert np.all(channel.step(rest, v, ENV, 1.0) > 0.985 * rest)  # a spike does little
    closing = channel.step(rest, v, ENV, 500.0)  # one time constant, and many
    settled = channel.step(rest, v, ENV, 1e5)
    np.testing.assert_allclose((closing - settled) / (rest - settled), np.exp(-1.0), rtol=1e-6)
    np.testing.assert_allclose(settled, [0.5, 1 / (1 + np.exp(-55 / 8)), 1 / (1 + np.exp(55 / 8))])
    left = channel.pathway(settled, v, ENV).g / plain.pathway(None, v, ENV).g
    np.testing.assert_allclose(left, settled)


def test_conductances_and_currents_are_finite_and_open_channels_conduct(channel, precision):
    v = V.astype(precision)
    effect = channel.pathway(channel.init(v, ENV), v, ENV)
    assert all(np.all(np.isfinite(x)) for x in effect)
    if gated(channel):
        assert np.min(effect.g) >= 0.0 and np.max(effect.g) > 0.0


@pytest.mark.parametrize(
    "channel", [c for c in EVERY_CHANNEL if gated(c)], ids=lambda c: type(c).__name__
)
def test_no_current_flows_at_the_reversal_and_elsewhere_it_drives_the_voltage_there(channel):
    path = channel.pathway(channel.init(-40.0, ENV), -40.0, ENV)
    np.testing.assert_allclose(voltage_change(path.e, [path], 100.0, 0.1), 0.0, atol=1e-12)
    for away in (-30.0, 30.0):
        left = away + voltage_change(path.e + away, [path], 100.0, 0.1)
        np.testing.assert_allclose(left, away * np.exp(-0.1 * path.g / 100.0), rtol=1e-9)


def test_calcium_and_potassium_carry_the_reversal_of_their_ion():
    for channel in EVERY_CHANNEL:
        if channel.ion == "ca":
            e = channel.pathway(channel.init(0.0, ENV), 0.0, ENV).e
            np.testing.assert_allclose(e, ENV.reversal("ca"))


def test_a_step_that_is_too_long_for_a_channel_is_refused(channel):
    population = Population(1, 1e5, {"leak": Leak(1.0), "this": channel})  # tau of 100 s
    if np.isinf(channel.largest_dt):  # it has no gates, or what they do is exact at any step
        population.check("cells", 500.0)
        return
    population.check("cells", channel.largest_dt)
    with pytest.raises(ValueError, match=f"'this' is accurate up to {channel.largest_dt:g} ms"):
        population.check("cells", 1.01 * channel.largest_dt)


def effect_of(channel, v, env, x):
    """A number that everything in a channel acts on: state after a step, and what it adds."""
    state = jax.tree.map(lambda s: s * x, channel.init(v, env))
    state = channel.step(state, v, env, 0.05)
    parts = [*jax.tree.leaves(state), *channel.pathway(state, v, env)]
    return sum(jnp.sum(jnp.asarray(p)) for p in parts)


SINGULAR = [-42.0, -40.0, -27.0, -15.0]  # of m, n, q; and of the closing of m


def check_finite(of_channel, *given):
    """That what a function finds of each channel is finite; all of them are one program."""
    found = jax.jit(lambda every, *given: [of_channel(c, *given) for c in every])(*given)
    for channel, of_it in zip(EVERY_CHANNEL, found, strict=True):
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(of_it)), channel


def test_every_derivative_is_finite_through_singular_and_extreme_voltages(precision):
    v = np.array([*SINGULAR, -41.9, -1000.0, -200.0, -65.0, 0.0, 200.0, 1000.0], precision)
    arrays = jax.tree.map(lambda x: jnp.asarray(x, precision), (EVERY_CHANNEL, v, ENV, 0.5))
    check_finite(jax.grad(effect_of, (0, 1, 2, 3), allow_int=True), *arrays)


def test_derivatives_along_the_voltage_are_finite_everywhere(precision):
    """Forwards too, where a square in a quotient can overflow."""
    v = np.linspace(-1000.0, 1000.0, 4001).astype(precision)
    arrays = jax.tree.map(lambda x: jnp.asarray(x, precision), (EVERY_CHANNEL, ENV, v))

    def forwards(channel, env, v):
        def parts(v):
            state = channel.step(channel.init(v, env), v, env, precision.type(0.05))
            return state, channel.pathway(state, v, env)

        return jax.jvp(parts, (v,), (jnp.ones_like(v),))

    check_finite(forwards, *arrays)


def boltzmann(x):
    return 1.0 / (1.0 + np.exp(-x))


def opening(alpha, beta):
    return alpha / (alpha + beta), 1.0 / (alpha + beta)


def cressman_n(v):
    alpha, beta = 0.01 * (v + 34) / (1 - np.exp(-(v + 34) / 10)), 0.125 * np.exp(-(v + 44) / 80)
    return opening(3 * alpha, 3 * beta)


# Steady state and time constant (ms) at 36 degrees as published, from other formulas than those of
# the channels. Voltages are none at which a quotient is 0/0.
GATES = {
    "MCurrent": lambda v: (
        boltzmann((v + 35) / 10),
        1000.0 / (3.3 * np.exp((v + 35) / 20) + np.exp(-(v + 35) / 20)),
    ),
    "CalciumT": lambda v: (
        boltzmann(-(v + 83) / 4),
        (30.8 + (211.4 + np.exp((v + 115.2) / 5)) / (1 + np.exp((v + 86) / 3.2))) / 3**1.2,
    ),
    "CressmanSodium": lambda v: opening(
        3 * 0.07 * np.exp(-(v + 44) / 20), 3 * boltzmann((v + 14) / 10)
    ),
    "CressmanPotassium": cressman_n,
    "SlavedSodium": cressman_n,
}


@pytest.mark.parametrize("name", GATES)
def test_gates_settle_and_relax_as_published(name):
    channel, v = getattr(channels, name)(), np.linspace(-101.3, 38.9, 40)
    steady, tau = GATES[name](v)
    np.testing.assert_allclose(channel.init(v, ENV), steady, rtol=1e-10)
    later = channel.step(np.full_like(v, 0.3), v, ENV, 0.7)
    np.testing.assert_allclose(later, steady + (0.3 - steady) * np.exp(-0.7 / tau), rtol=1e-10)


@pytest.mark.usefixtures("single_precision")
@pytest.mark.parametrize("dt", [0.01, 0.1, 1.0])
def test_gates_stay_between_closed_and_open_in_single_precision(channel, dt):
    if not gated(channel):
        return
    v = np.linspace(-1000.0, 1000.0, 401, dtype=np.float32)
    for x in (0.0, 0.5, 1.0):
        start = jax.tree.map(lambda _: np.full_like(v, x), channel.init(v, ENV))  # noqa: B023
        for leaf in jax.tree.leaves(channel.step(start, v, ENV, np.float32(dt))):
            assert np.min(leaf) >= -3e-7 and np.max(leaf) <= 1 + 3e-7


@pytest.mark.parametrize("v", [*SINGULAR, -63.7, -50.3, 11.1])
def test_derivatives_are_those_of_finite_differences(channel, v):
    def f(point):
        return effect_of(*point)

    point = jax.tree.map(jnp.asarray, (channel, v, ENV, 0.5))
    # One direction that moves everything, each number by its own size.
    direction = jax.tree.map(lambda x: x * 0.3 + 0.01, point)
    slope = jax.jvp(f, (point,), (direction,))[1]
    h = 1e-4

    def moved(by):
        return f(jax.tree.map(lambda x, d: x + by * d, point, direction))

    # Richardson: the error is of fourth order, 1e-16 times a curvature; rounding leaves 1e-9.
    two, one = ((moved(k * h) - moved(-k * h)) / (2 * k * h) for k in (2, 1))
    np.testing.assert_allclose(slope, (4 * one - two) / 3, rtol=1e-7)


# ---- the two that are not gates ----------------------------------------------------------------


def test_the_upstroke_is_an_exponential_that_stays_finite():
    upstroke = Upstroke(g=30.0, delta=2.0, v_t=-50.0)
    v = np.array([-60.0, -50.0, -40.0, 1e4])
    current = upstroke.pathway(None, v, ENV).i
    np.testing.assert_allclose(current, 60.0 * np.exp([-5.0, 0.0, 5.0, 10.0]), rtol=1e-14)


def test_adaptation_grows_with_every_spike_and_relaxes_to_its_target():
    adaptation = Adaptation(a=4.0, b=80.0, tau=100.0, e=-70.0)
    state = adaptation.init(np.full(2, -60.0), ENV)
    np.testing.assert_allclose(state, 40.0)
    after = adaptation.spiked(state, jnp.array([True, False]), ENV)
    np.testing.assert_allclose(after, [120.0, 40.0])
    later = adaptation.step(after, np.full(2, -60.0), ENV, 50.0)
    np.testing.assert_allclose(later, [40.0 + 80.0 * np.exp(-0.5), 40.0], rtol=1e-14)
    assert isinstance(adaptation.pathway(later, -60.0, ENV), Current)
    np.testing.assert_allclose(adaptation.pathway(later, -60.0, ENV).i, -later)


def test_spikes_change_no_state_unless_a_channel_says_so():
    for channel in EVERY_CHANNEL:
        if not isinstance(channel, Adaptation):
            state = channel.init(V, ENV)
            close(channel.spiked(state, jnp.ones(V.size, bool), ENV), state, rtol=0)


def test_the_threshold_shift_moves_all_rates_of_sodium():
    here, there = Sodium(v_t=-55.0), Sodium(v_t=-63.0)
    close(here.init(V, ENV), there.init(V - 8.0, ENV), rtol=1e-12)


def test_calcium_channels_follow_calcium_outside():
    for kind in (CalciumL, CalciumT):
        low, high = (
            kind().pathway(kind().init(0.0, env), 0.0, env).e
            for env in (acsf(ca=1.0), acsf(ca=2.0))
        )
        np.testing.assert_allclose(high - low, 26.6405 / 2 * np.log(2.0), rtol=2e-5)


# ---- pools -------------------------------------------------------------------------------------


EVERY_POOL = [c() for c in concrete_members(pools, Pool)]


@pytest.fixture(params=EVERY_POOL, ids=lambda c: type(c).__name__)
def pool(request):
    return request.param


@pytest.fixture(params=[p for p in EVERY_POOL if p.ions == ("ca",)], ids=lambda c: type(c).__name__)
def calcium_pool(request):
    return request.param


def filled(pool, state, current, dt):
    """The pool after the same current of each of its ions."""
    return pool.step(state, dict.fromkeys(pool.ions, current), ENV, dt)


def calcium_inside(pool, state):
    return pool.local(state, ENV).ions["ca"].inside


def test_a_pool_without_current_stays_at_rest(pool):
    state = pool.init(V, ENV)
    close(filled(pool, state, jnp.zeros_like(V), 3.0), state, rtol=1e-14)
    for ion in pool.ions:
        assert np.shape(pool.local(state, ENV).ions[ion].inside) == np.shape(V)


def test_a_calcium_pool_never_falls_below_rest_and_returns_to_it(calcium_pool):
    pool, rest = calcium_pool, calcium_pool.init(V, ENV)
    state = filled(pool, rest, V, 1.0)  # both inward and outward
    assert np.all(calcium_inside(pool, state) >= calcium_inside(pool, rest))
    assert np.max(calcium_inside(pool, state)) > np.max(calcium_inside(pool, rest))
    state = filled(pool, state, jnp.zeros_like(V), 1e3)
    close(state, rest, rtol=1e-12)


FARADAY_C_PER_MOL = 96485.33


def rise_mM(charge_pC_times_1e3, volume_um3):
    """Concentration of the doubly charged ions in pA ms, by their charge."""
    mol = charge_pC_times_1e3 * 1e-15 / (2 * FARADAY_C_PER_MOL)
    return mol / (volume_um3 * 1e-15) * 1e3


def test_the_calcium_of_a_shell_is_the_charge_that_entered():
    shell = CalciumShell(area=1000.0, depth=0.5, tau=1e9)
    state, charge = shell.init(jnp.zeros(()), ENV), 0.0
    for k in range(100):
        current = -50.0 * (1.0 + np.sin(k))
        state = shell.step(state, {"ca": current}, ENV, 0.1)
        charge += -current * 0.1
    # In 10 of 1e9 ms nothing leaves; relaxation to a target 1e8 times as far costs eight digits.
    np.testing.assert_allclose(state - shell.rest, rise_mM(charge, 500.0), rtol=1e-6)


def test_calcium_in_a_cell_is_the_charge_through_all_its_calcium_channels(mean_of_step):
    gates = {"l": CalciumL(), "t": CalciumT()}
    shell = CalciumShell(tau=1e8)
    cell = Population(2, 289.53, {"leak": Leak(28.953), **gates}, pools={"ca": shell}, v0=-60.0)
    step = jax.jit(lambda s: cell.step(s, {}, [Current(jnp.array([200.0, 2000.0]))], ENV, 0.05))
    state, charge = cell.init(ENV), 0.0
    for _ in range(200):
        after, _ = step(state)
        mid = state.v + 0.5 * state.change  # the voltage in the middle of the step
        e = cell.local(state.pools, ENV).reversal("ca")
        open_nS = sum(gates[name].pathway(after.channels[name], mid, ENV).g for name in gates)
        mean = mean_of_step(state.v, after.v, (28.953 + open_nS) / 289.53, 0.05)
        charge += open_nS * (e - mean) * 0.05
        state = after
    assert np.min(charge) > 0.0
    rise = state.pools["ca"] - shell.rest
    np.testing.assert_allclose(rise, rise_mM(charge, shell.area * shell.depth), rtol=1e-6)
    # And the channels see it: more inside, a lower reversal.
    assert np.all(cell.local(state.pools, ENV).reversal("ca") < ENV.reversal("ca"))
