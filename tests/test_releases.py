"""Release by chance: its mean and variance, and that its draws follow from nothing but names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import cortexmg as cx
from cortexmg import cells, recorders, stimuli, synapses, wiring
from cortexmg.quantal import Quantal
from cortexmg.releases import Binomial, Certain, SlowDepression
from cortexmg.rows import Rows

DT, N = 0.1, 300


def shares(sites, chances, contacts=100, steps=100, largest=(1.0,)):
    """What contacts release, of the average, [steps, rows, contacts]."""
    n = len(chances)
    rows = Rows(jnp.arange(n + 1) * contacts, jnp.zeros(n * contacts, int), jnp.zeros(1, int))
    amounts, seed = jnp.asarray(chances * largest)[None], jnp.array([1, 2], jnp.uint32)
    each = jnp.repeat(jnp.arange(steps), n)
    varied = Quantal(rows, amounts, jnp.asarray(largest), each, seed, sites)
    found = jax.jit(lambda v, i: v.of_rows(i, jnp.int32(0), contacts).share)(
        varied, jnp.tile(jnp.arange(n), steps)
    )
    return np.asarray(found).reshape(steps, n, contacts)


@pytest.mark.parametrize("sites", [1, 2, 7, 100])
def test_outcomes_are_binomial(sites):
    chances = np.array([0.03, 0.3, 0.8, 1.0])
    found, p = shares(sites, chances), chances[:, None]
    k = np.rint(found * sites * p)
    np.testing.assert_allclose(found, k / (sites * p), rtol=1e-12)
    expected = np.array([stats.binom.pmf(np.arange(8), sites, q) for q in chances])
    seen = np.array([[np.mean(k[:, i] == j) for j in range(8)] for i in range(4)])
    error = np.sqrt(expected * (1 - expected) / 10**4 + 1e-8)
    assert np.all(np.abs(seen - expected) < 5 * error)
    spread = np.sqrt((1 - chances) / (sites * chances))
    assert np.all(np.abs(found.mean((0, 2)) - 1) <= 4 * spread / 100)
    np.testing.assert_allclose(found.std((0, 2)), spread, rtol=0.05)


def test_contacts_cells_and_spikes_are_independent():
    found = shares(1, np.full(50, 0.4), 20, 200) - 1
    found /= found.std()
    for axis in range(3):
        x = np.moveaxis(found, axis, 0).reshape(found.shape[axis], -1)
        correlation = x @ x.T / x.shape[1]
        off = correlation[~np.eye(len(x), dtype=bool)] * np.sqrt(x.shape[1])
        assert abs(off.std() - 1) < 0.1 and np.abs(off).max() < 6


def test_chances_are_those_of_each_cell():
    """Cells that release 2, 3 and 4 times as much at most, as likely as they were."""
    chances = np.array([0.1, 0.5, 0.9])
    alike = shares(2, chances, 20, 10)
    np.testing.assert_allclose(shares(2, chances, 20, 10, np.arange(2.0, 5.0)), alike, rtol=1e-12)


def test_projections_draw_each_for_themselves(single_precision):
    """Also those that are wired alike: otherwise cells would hear an outcome twice."""
    once = network(RANDOM)
    alike = once.projections["stored"]
    g = []
    for names, silent in (("a", {}), ("ab", {"projections/a/strength": 0.0}), ("ab", {})):
        each = dict.fromkeys(names, alike)
        some = cx.Network(cx.acsf(), once.populations, each, once.stimuli)
        found = run(cx.with_parameters(some, silent))["g"].values[-1]
        g.append(np.asarray(found, float))
    assert np.corrcoef(g[0], g[1])[0, 1] < 0.99 and np.any(g[0] != g[1])
    np.testing.assert_allclose(g[2], g[0] + g[1], rtol=1e-5, atol=1e-5)


def test_cells_that_have_not_fired_keep_the_average():
    np.testing.assert_array_equal(shares(3, np.zeros(2), 5, 1), 1.0)


def network(release):
    """Volleys onto cells that only listen; stored and computed contacts, pairs with several."""
    rng = np.random.default_rng(3)
    pre, post = rng.integers(0, N, (2, 3000))
    pre, post = (np.concatenate([x, x[:500], x[:100]]) for x in (pre, post))
    weights, delays = (rng.uniform(1.0, 2.0, 3600).astype(np.float32) for _ in range(2))
    stored = wiring.from_arrays(pre, post, weights, delays, N, N)
    computed = wiring.procedural(N, N, 16, 0.5, 1.0, key=2)
    kicks = [np.full(N, t) for t in (1.0, 4.0, 5.5)], [np.arange(N)] * 3
    lif, ampa = cells.leaky_integrate_and_fire, {"ampa": synapses.Exponential(5.0)}
    return cx.Network(
        cx.acsf(),
        {"a": lif(N, ampa), "b": lif(N, ampa, v0=-70.0)},
        {
            "stored": cx.Projection("a", "b", "glutamate", stored, release, 0.1),
            "computed": cx.Projection("a", "b", "glutamate", computed, release, 0.1),
        },
        {"kick": stimuli.SpikeInput("a", "ampa", *map(np.concatenate, kicks), 1000.0)},
    )


RECORD = {"g": recorders.Probe("b", "receptors/ampa", every=None)}
RANDOM = Binomial(sites=2)


def run(network, duration=10.0, at_once=0, **options):
    return cx.simulate(network, duration, DT, record=RECORD, at_once=at_once, **options)


@pytest.fixture(scope="module")
def one():
    """A run in one piece on one device, spike by spike."""
    with jax.enable_x64(False):
        return run(network(RANDOM), devices=1)


def test_the_mean_input_is_that_of_the_average(single_precision, one):
    average = run(network(RANDOM.release))
    a, b = (np.asarray(x["g"].values, float)[-1] for x in (average, one))
    assert np.mean(a) > 0.1
    error = np.std(b - a) / np.sqrt(N)
    assert 0 < error < 0.05 * np.mean(a)
    assert abs(np.mean(b - a)) < 4 * error


@pytest.mark.slow
def test_where_release_is_certain_no_bit_changes(single_precision, same_bits):
    certain, random = run(network(Certain())), run(network(Binomial(Certain(), 3)))
    same_bits(certain.recordings, random.recordings)
    same_bits(certain.state.populations, random.state.populations)


def test_draws_do_not_depend_on_devices_or_interruption(single_precision, same_bits, one):
    first = run(network(RANDOM), 4.7, devices=2)
    rest = run(network(RANDOM), 5.3, state=first.state, devices=1)
    same_bits(one.state, rest.state)
    both = np.concatenate([first["g"].values, rest["g"].values])
    np.testing.assert_array_equal(both, one["g"].values)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_draws_do_not_depend_on_a_queue(single_precision, same_bits, one, devices):
    queue = run(network(RANDOM), at_once=64, devices=devices)
    same_bits(one.recordings, queue.recordings)
    same_bits(one.state.populations, queue.state.populations)


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [0, 64])
def test_a_sweep_draws_as_single_runs_do(single_precision, one, at_once):
    u0 = {"projections/stored/release/release/u0": [0.2, 0.5, 0.5]}
    keys = jax.vmap(lambda k: jax.random.key(k, impl="threefry2x32"))(jnp.array([0, 0, 1]))
    runs = cx.sweep(network(RANDOM), u0, 10.0, DT, record=RECORD, key=keys, at_once=at_once)
    np.testing.assert_allclose(runs[1]["g"].values, one["g"].values, rtol=1e-5)
    for other in (0, 2):
        assert not np.allclose(runs[other]["g"].values, one["g"].values, rtol=1e-2)


@pytest.mark.slow
def test_derivatives_are_those_of_the_average_with_the_same_outcomes():
    name = "projections/stored/strength"

    def total(x, key):
        changed = cx.with_parameters(network(RANDOM), {name: x})
        values = run(changed, 10.0, None, gradients=True, key=key)["g"].values
        return values[-1].sum(), values

    keys = jax.vmap(lambda k: jax.random.key(k, impl="threefry2x32"))(jnp.arange(2))
    totals = jax.jit(jax.vmap(jax.value_and_grad(total, has_aux=True), (None, 0)))
    (sums, values), slopes = totals(0.1, keys)
    (more, _), _ = totals(0.2, keys)
    np.testing.assert_allclose(slopes, (more - sums) / 0.1, rtol=1e-9)
    assert slopes[1] != slopes[0]
    exact = run(network(RANDOM), key=keys[1])["g"].values
    np.testing.assert_allclose(exact, values[1], rtol=1e-6, atol=1e-6)


def test_a_release_that_varies_twice_is_refused(without_type_checks):
    with pytest.raises(TypeError, match="Binomial.release must be a Release without chance"):
        Binomial(Binomial())
    with pytest.raises(TypeError, match="SlowDepression.release must be a Release without chance"):
        SlowDepression(Binomial())
    with pytest.raises(ValueError, match="Binomial.sites must be a whole number of at least 1"):
        Binomial(sites=0)
    with pytest.raises(ValueError, match="Binomial.sites must be at most 100, got 101"):
        Binomial(sites=101)
