"""Spikes on their way: exact sums, waiting, and the change between exact and differentiable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import concrete_members

import cortexmg as cx
from cortexmg import cells, exact_sums, recorders, releases, stimuli, synapses, wiring
from cortexmg.distributions import LogNormal, Uniform
from cortexmg.factors import DodgeRahamimoff
from cortexmg.wiring import from_arrays

DT = 0.1


def network(connectivity):
    """Cells that are kicked at different times, and what they contact."""
    kick = np.linspace(300.0, 3000.0, connectivity.n_pre)
    return cx.Network(
        cx.acsf(),
        {
            "pre": cells.leaky_integrate_and_fire(connectivity.n_pre),
            "post": cells.leaky_integrate_and_fire(
                connectivity.n_post, {"ampa": synapses.Exponential(5.0)}
            ),
        },
        {"contacts": cx.Projection("pre", "post", "glutamate", connectivity)},
        {"kick": stimuli.StepCurrent("pre", kick)},
    )


RECORD = {
    "v": recorders.Probe("post", every=None),
    "g": recorders.Probe("post", "receptors/ampa", every=None),
    "spikes": recorders.SpikeCount("pre", every=DT),
}


def lognormal(delay, seed=3):
    return wiring.fixed_out_degree(200, 30, 20, LogNormal(0.5, 1.0), delay, key=seed)


@pytest.mark.usefixtures("single_precision")
@pytest.mark.parametrize(
    "delay",
    [pytest.param(1.0, marks=pytest.mark.slow), Uniform(0.5, 3.0)],
    ids=["one delay", "many"],
)
def test_the_order_of_contacts_does_not_change_a_bit(delay):
    """The same contacts with the presynaptic cells numbered backwards are summed backwards."""
    c = lognormal(delay)
    k = c.n_contacts
    pre, post = c.pre(), np.asarray(c.targets)[:k]
    weights = np.asarray(c.weights)[:k]
    delays = np.asarray(c.delays)[:k] if np.ndim(c.delays) else c.delays
    plain, turned = (
        network(from_arrays(x, post, weights, delays, 200, 30)) for x in (pre, 199 - pre)
    )
    kick = {"stimuli/kick/amplitude": np.linspace(3000.0, 300.0, 200)}
    turned = cx.with_parameters(turned, kick)

    def conductance(which, gradients):
        return cx.simulate(which, 50.0, DT, record=RECORD, gradients=gradients)["g"].values

    exact = conductance(plain, False)
    assert exact.max() > 1.0
    np.testing.assert_array_equal(exact, conductance(turned, False))
    in_floats = conductance(plain, True)
    assert np.any(in_floats != conductance(turned, True))  # so the first result means something
    quantum = float(exact_sums.quanta(plain.projections)["post"]["glutamate"])
    np.testing.assert_allclose(exact, in_floats, rtol=1e-6, atol=10 * quantum)


@pytest.mark.parametrize(
    "delay",
    [1.0, pytest.param(Uniform(0.5, 3.0), marks=pytest.mark.slow)],
    ids=["one delay", "many"],
)
def test_a_run_goes_on_differentiable_and_back(delay):
    plain = network(lognormal(delay))
    whole = cx.simulate(plain, 40.0, DT, record=RECORD)
    start = cx.simulate(plain, 20.0, DT, record=RECORD)
    floats = cx.simulate(plain, 10.0, DT, record=RECORD, state=start.state, gradients=True)
    assert start.state.underway.exact and not floats.state.underway.exact
    end = cx.simulate(plain, 10.0, DT, record=RECORD, state=floats.state)
    assert end.state.underway.exact
    parts = [r["g"].values for r in (start, floats, end)]
    assert whole["g"].values.max() > 1.0
    np.testing.assert_allclose(np.concatenate(parts), whole["g"].values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_run_goes_on_with_other_weights(factor):
    """The quantum follows the weights; what is underway already keeps its size."""
    plain = network(lognormal(Uniform(0.5, 3.0)))
    other = cx.with_parameters(plain, {"projections/contacts/strength": factor})
    start = cx.simulate(plain, 20.0, DT, record=RECORD)
    exact, floats = (
        cx.simulate(other, 10.0, DT, record=RECORD, state=start.state, gradients=g)["g"].values
        for g in (False, True)
    )
    np.testing.assert_allclose(exact, floats, rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("single_precision")
def test_a_quantum_is_a_power_of_two_and_no_sum_can_overflow():
    for weight in (1e-6, 0.1, 6.0, 1e5):
        c = wiring.fixed_in_degree(50, 40, 7, weight, 1.0, key=1)
        projections = network(c).projections
        quantum = float(exact_sums.quanta(projections)["post"]["glutamate"])
        mantissa, _ = np.frexp(quantum)
        assert mantissa == 0.5
        assert 2**29 <= 7 * np.float32(weight) / quantum <= 2**30
    both = {"a": projections["contacts"], "b": projections["contacts"]}
    assert exact_sums.quanta(both)["post"]["glutamate"] == 2 * quantum


def test_the_derivative_of_an_exact_run_is_refused_with_the_remedy():
    plain = network(lognormal(1.0))

    def loss(values, gradients):
        changed = cx.with_parameters(plain, values)
        run = cx.simulate(changed, 30.0, DT, record={"v": RECORD["v"]}, gradients=gradients)
        return run["v"].values.sum()

    names = ("projections/contacts/strength", "populations/pre/channels/leak/g")
    values = {name: float(cx.parameters(plain)[name].value) for name in names}
    for name in names:
        with pytest.raises(TypeError, match=r"gradients=True"):
            jax.grad(loss)({name: values[name]}, False)
    assert all(np.isfinite(x) for x in jax.grad(loss)(values, True).values())


def test_cells_without_a_row_send_nothing():
    few = wiring.fixed_out_degree(5, 8, 4, 2.0, 1.0, key=2)
    some = few.among(12, first=4)
    assert some.senders == slice(4, 9)
    run = cx.simulate(network(some), 40.0, DT, record=RECORD)
    fired = run["spikes"].values.sum(0)
    assert np.all(fired > 0)
    rows = some.dense()
    np.testing.assert_array_equal(np.flatnonzero(rows.sum(1)), np.arange(4, 9))
    late = np.vstack([np.zeros((11, 12)), run["spikes"].values[:-11]])  # 1 ms, then the next step
    arrived = late @ rows * np.exp(-DT / 2 / 5.0)
    g = np.zeros(8)
    for step, mine in enumerate(arrived):
        g = g * np.exp(-DT / 5.0) + mine
        np.testing.assert_allclose(run["g"].values[step], g, rtol=1e-6, atol=1e-9)
    assert g.max() > 0 and jnp.all(jnp.isfinite(run["v"].values))


def test_delays_that_differ_too_much_are_refused():
    far = network(from_arrays([0, 1], [0, 1], 1.0, np.array([1.0, 6600.0], np.float32), 2, 2))
    with pytest.raises(ValueError, match="'post' differ by 65990 steps, expected at most 65535"):
        cx.simulate(far, 1.0, DT)


FACILITATING = releases.TsodyksMarkram(0.09, 138.0, 670.0)
IN_RICH_CALCIUM = [  # release more than 1
    FACILITATING,
    releases.SlowDepression(FACILITATING),
    releases.Certain({"law": DodgeRahamimoff()}),
]


@pytest.mark.parametrize("release", IN_RICH_CALCIUM, ids=lambda r: type(r).__name__)
def test_a_quantum_has_room_for_the_largest_release(release):
    c = wiring.fixed_in_degree(50, 40, 7, 1.0, 1.0, key=1)
    plain = cx.Projection("pre", "post", "glutamate", c)
    strong = cx.Projection("pre", "post", "glutamate", c, release)
    one, more = (float(exact_sums.quanta({"c": p})["post"]["glutamate"]) for p in (plain, strong))
    assert more / one >= 0.5 * float(release.largest()) > 1.0


@pytest.mark.parametrize(
    "release",
    [kind() for kind in concrete_members(releases, releases.Release)] + IN_RICH_CALCIUM,
    ids=lambda r: type(r).__name__,
)
def test_no_spike_releases_more_than_the_largest_amount(release):
    """The quantum of exact sums rests on it. Spike trains from bursts in every step to silence."""
    spikes = np.random.default_rng(3).random((2000, 40)) < np.logspace(-3, 0, 40)

    def step(state, amount):
        return release.step(state, amount, cx.acsf(0.0, 8.0), DT)

    _, released = jax.lax.scan(step, release.init(40), jnp.asarray(spikes, float))
    assert float(jnp.max(released)) > (1.5 if release in IN_RICH_CALCIUM else 0.0)
    assert float(jnp.max(released)) <= float(jnp.max(release.largest())) * (1 + 1e-12)


def test_going_on_twice_with_other_weights_rounds_once(same_bits):
    plain = network(lognormal(Uniform(0.5, 3.0)))
    other = cx.with_parameters(plain, {"projections/contacts/strength": 3.0})
    start = cx.simulate(plain, 20.0, DT).state
    whole = cx.simulate(other, 10.0, DT, state=start)
    half = cx.simulate(other, 5.0, DT, state=start)
    same_bits(cx.simulate(other, 5.0, DT, state=half.state).state, whole.state)


@pytest.mark.usefixtures("single_precision")
@pytest.mark.parametrize("at_once", [0, 128])
def test_a_run_goes_on_with_every_bit(at_once, same_bits):
    """Slots that are half full of large numbers are added to after the break."""
    c = wiring.fixed_in_degree(200, 200, 60, LogNormal(2.0, 0.5), Uniform(0.1, 6.0), key=1)
    options = {"record": RECORD, "at_once": at_once}
    whole = cx.simulate(network(c), 30.0, DT, **options)
    half = cx.simulate(network(c), 15.0, DT, **options)
    rest = cx.simulate(network(c), 15.0, DT, state=half.state, **options)
    underway = np.concatenate([np.ravel(x) for x in jax.tree.leaves(half.state.underway.rings)])
    assert underway.max() > 2**25  # numbers that single precision would round
    same_bits(rest.state, whole.state)
    same_bits(rest["g"].values, whole["g"].values[150:])


@pytest.mark.usefixtures("single_precision")
def test_weights_that_change_while_spikes_are_underway_cannot_make_a_sum_overflow():
    """Three projections of large weight, each on in one piece, arrive in the same step."""
    spikes = {"k": stimuli.SpikeInput("pre", "ampa", np.array([0.0, 1.0, 2.0]), np.arange(3), 1e4)}
    delays = {"a": 3.0, "b": 2.0, "c": 1.0}
    projections = {
        name: cx.Projection(
            "pre",
            "post",
            "glutamate",
            from_arrays([k, k], [0, 1], 127.0, np.array([d, 0.5], np.float32), 3, 2),
        )
        for k, (name, d) in enumerate(delays.items())
    }
    receptors = {"ampa": synapses.Exponential(1e6)}
    lif = cells.leaky_integrate_and_fire
    populations = {"pre": lif(3, receptors), "post": lif(2, receptors)}
    state = None
    for name in delays:
        strengths = {f"projections/{x}/strength": float(x == name) for x in delays}
        piece = cx.with_parameters(
            cx.Network(cx.acsf(), populations, projections, spikes), strengths
        )
        run = cx.simulate(piece, 1.0, DT, record={"g": RECORD["g"]}, state=state)
        state = run.state
    g = cx.simulate(piece, 2.0, DT, record={"g": RECORD["g"]}, state=state)["g"].values
    np.testing.assert_allclose(g[-1, 0], 3 * 127.0, rtol=1e-4)
    assert np.all(g >= 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("release", ["Certain", "TsodyksMarkram"])
def test_every_cell_releases_as_the_fluid_around_it_has_it(release):
    """Cells 40 to 99 of 300 each contact one other, in 300 concentrations of magnesium."""
    n, some, mg = 300, np.arange(60), np.linspace(0.2, 4.0, 300)
    kind = getattr(releases, release)
    c = from_arrays(some, 299 - some, 1.0, 1.0, 60, n).among(n, first=40)
    lif, listening = cells.leaky_integrate_and_fire, {"ampa": synapses.Exponential(5.0)}
    kick = stimuli.SpikeInput("pre", "ampa", np.zeros(n), np.arange(n), 1e4)

    def conductance(factors, devices):
        plain = cx.Network(
            cx.acsf(mg),
            {"pre": lif(n, listening), "post": lif(n, listening)},
            {"c": cx.Projection("pre", "post", "glutamate", c, kind(factors=factors))},
            {"k": kick},
        )
        return cx.simulate(plain, 1.5, DT, record=RECORD, devices=devices)["g"].values[-1]

    law = DodgeRahamimoff()
    one, alone = (conductance(factors, 1) for factors in ({"law": law}, {}))
    np.testing.assert_array_equal(conductance({"law": law}, 3), one)
    assert np.all(alone[299 - some] > 0.5)
    found = (one / np.where(alone > 0, alone, 1.0))[299 - some]
    wanted = kind(factors={"law": law})
    amounts, env = jnp.ones(60), cx.acsf(mg[40:100])
    np.testing.assert_allclose(found, wanted.step(wanted.init(60), amounts, env, DT)[1], rtol=1e-6)
