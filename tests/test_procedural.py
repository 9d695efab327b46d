"""Procedural wiring: the law it follows, the same contacts everywhere, the same run as stored."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import cortexmg as cx
from cortexmg import cells, recorders, stimuli, synapses, wiring
from cortexmg.distributions import ByDistance, LogNormal
from cortexmg.procedural import blocks_of
from cortexmg.sheet import Sheet

N_E, N_I = 700, 300
SHEET = Sheet(1000.0, 700.0)


def network(e, i):
    receptors = {"ampa": synapses.AMPA(), "gaba_a": synapses.GABAA()}
    return cx.Network(
        cx.acsf(),
        {
            "E": cells.leaky_integrate_and_fire(N_E, receptors),
            "I": cells.leaky_integrate_and_fire(N_I, receptors),
        },
        {
            "E to I": cx.Projection("E", "I", "glutamate", e),
            "I to E": cx.Projection("I", "E", "gaba", i),
        },
        {"outside": stimuli.Poisson("E", "ampa", rate=1500.0, weight=3.0)},
    )


@pytest.mark.slow
@pytest.mark.usefixtures("single_precision")
def test_a_run_is_that_with_the_same_contacts_stored(same_bits):
    e = wiring.procedural(N_E, N_I, 40, 0.5, 1.0, key=1)
    near, delay = wiring.Gaussian(80.0), ByDistance(300.0, 0.5)
    i = wiring.procedural_by_distance(
        SHEET, N_I, N_E, 40, near, 0.5, delay, key=2, self_contacts=True
    )
    record = {"E": recorders.Spikes("E"), "I": recorders.Spikes("I")}
    first = cx.simulate(network(e, i), 50.0, 0.1, record=record, devices=1)
    assert first["I"].times.size > 100
    for e_, i_, count in ((wiring.stored(e), wiring.stored(i), 1), (e, i, 3)):
        other = cx.simulate(network(e_, i_), 50.0, 0.1, record=record, devices=count)
        same_bits((first.recordings, first.state), (other.recordings, other.state))


def threefry(key, counter):
    """Threefry2x32-13 as Salmon et al. (2011, doi:10.1145/2063384.2063405) give it, in Python."""
    keys, (a, b) = [*key, key[0] ^ key[1] ^ 0x1BD11BDA], counter
    a, b = (a + keys[0]) % 2**32, (b + keys[1]) % 2**32
    for k, left in zip(range(13), 2 * [13, 15, 26, 6, 17, 29, 16, 24], strict=False):
        a = (a + b) % 2**32
        b = a ^ (b << left | b >> 32 - left) % 2**32
        if k % 4 == 3:
            s = (k + 1) // 4
            a, b = (a + keys[s % 3]) % 2**32, (b + keys[(s + 1) % 3] + s) % 2**32
    return a, b


def test_the_reference_generator_is_that_of_the_paper():
    # Known answers that come with the paper's library, Random123.
    assert threefry((0, 0), (0, 0)) == (0x9D1C5EC6, 0x8BD50731)
    ones = 0xFFFFFFFF
    assert threefry((ones,) * 2, (ones,) * 2) == (0xFD36D048, 0x2D17272C)


def test_contacts_follow_from_seed_cell_and_number_as_documented():
    k, n_pre, n_post = 96, 5, 1001
    c = wiring.procedural(n_pre, n_post, k, 1.0, 1.0, key=3)
    blocks = blocks_of(k)
    assert blocks == 4
    seed, expected = tuple(int(x) for x in c.seed), []
    for cell in range(n_pre):
        for j in range(k):
            part = (j * blocks // k << 30) + (threefry(seed, (cell, j))[0] >> 2)  # of 2^32
            expected.append((cell, part * n_post >> 32))
    kept = wiring.stored(c)
    found = zip(kept.pre().tolist(), kept.targets[: kept.n_contacts].tolist(), strict=True)
    assert sorted(expected) == list(found)


@pytest.mark.parametrize(
    "n, k, itself",
    [(2, 40, False), (9, 1, True), (300, 7, False), (300, 333, True), (301, 64, False)],
)
def test_every_cell_makes_k_legal_contacts(n, k, itself):
    c = wiring.procedural(n, n, k, 1.0, 1.0, key=n, self_contacts=itself)
    kept = wiring.stored(c)
    assert np.all(kept.out_degree() == k) and c.n_contacts == n * k
    targets = kept.targets[: kept.n_contacts]
    assert np.all(kept.in_degree() <= c.fan_in) and targets.min() >= 0 and targets.max() < n
    if not itself:
        assert not np.any(kept.pre() == targets)


def test_every_target_is_as_likely_as_the_others():
    c = wiring.stored(wiring.procedural(20_000, 1003, 64, 1.0, 1.0, key=5))
    received = c.in_degree()
    assert 0.001 < stats.chisquare(received).pvalue < 0.999  # neither uneven nor too even
    # Which cells get it from one cell says nothing about those that get it from the next.
    pairs = np.zeros((20_000, 2))
    for j, target in enumerate((17, 901)):
        pairs[c.pre()[c.targets[: c.n_contacts] == target], j] = 1
    assert (
        stats.chi2_contingency(
            [[np.sum((pairs[:, 0] == a) & (pairs[:, 1] == b)) for b in (0, 1)] for a in (0, 1)]
        ).pvalue
        > 0.001
    )


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("kernel", [wiring.Gaussian, wiring.Exponential])
def test_contacts_lie_as_far_away_as_the_kernel_says(kernel, periodic):
    sheet, n, shape = Sheet(2000.0, 2000.0, periodic=periodic), 10_000, kernel(60.0)
    c = wiring.procedural_by_distance(sheet, n, n, 32, shape, 1.0, ByDistance(200.0, 0.5), key=7)
    kept, at = wiring.stored(c), sheet.positions(n)
    pre, targets = kept.pre(), kept.targets[: kept.n_contacts]
    inside = np.all(np.abs(at[pre] - 1000.0) < 300.0, axis=1)  # far from the edges
    step = (at[targets] - at[pre])[inside]
    # A lattice of 20 um adds its own variance, of a uniform number, to each coordinate.
    expected = np.mean(shape.radius((np.arange(10_000) + 0.5) / 10_000) ** 2) / 2 + 20.0**2 / 12
    np.testing.assert_allclose(np.var(step, axis=0), expected, rtol=0.03)
    np.testing.assert_allclose(np.mean(step, axis=0), 0.0, atol=1.5)
    distance = sheet.distance(at[pre], at[targets])
    late = np.asarray(kept.delays)[: kept.n_contacts] - (0.5 + distance / 200.0)
    assert np.max(np.abs(late)) < 20.0 / 200.0  # the ring against the middle of the cell
    lost = 1.0 - kept.n_contacts / c.n_contacts
    assert (0.01 < lost < 0.1) if not periodic else (0.01 < lost < 0.03)  # with themselves
    assert kept.in_degree().max() == c.fan_in


def test_pairs_are_as_likely_as_points_of_the_kernel_say():
    """On a small lattice of oblong cells, against draws in floating point."""
    sheet, kernel, n_pre, n_post = Sheet(57.6, 10.0, periodic=True), wiring.Gaussian(8.0), 3, 10
    drawn = wiring.procedural_by_distance(
        sheet, n_pre, n_post, 8192, kernel, 1.0, 1.0, key=1, self_contacts=True
    )
    counts = wiring.stored(drawn).dense()
    columns, rows = sheet.lattice(n_post)
    assert sheet.width / columns > 1.4 * sheet.height / rows
    at = sheet.positions(n_pre)
    points = kernel.displacements(np.random.default_rng(3), 10**6)
    for i in range(n_pre):
        near = sheet.nearest(at[i] + points, n_post)
        share = np.bincount(near[near >= 0], minlength=n_post) / near.size
        np.testing.assert_allclose(counts[i] / 8192, share, atol=5 * (0.25 / 8192) ** 0.5)


@pytest.mark.slow
def test_its_gradient_is_that_of_stored_contacts():
    def rate(c, weight):
        p = {"c": cx.Projection("E", "E", "glutamate", c)}
        lif = cells.leaky_integrate_and_fire(40, {"ampa": synapses.AMPA()})
        drive = {"s": stimuli.StepCurrent("E", np.linspace(200.0, 500.0, 40), 0.0)}
        n = cx.Network(cx.acsf(), {"E": lif}, p, drive)
        n = cx.with_parameters(n, {"projections/c/connectivity/weights": weight})
        run = cx.simulate(n, 20.0, 0.1, record={"v": recorders.Probe("E")}, gradients=True)
        return jnp.mean(run["v"].values)

    drawn = wiring.procedural(40, 40, 16, 0.5, 1.0, key=1)
    found = jax.grad(lambda w: rate(drawn, w))(0.5)
    assert found != 0.0
    np.testing.assert_allclose(found, jax.grad(lambda w: rate(wiring.stored(drawn), w))(0.5))


def test_it_takes_no_memory_per_contact():
    few, many = (
        sum(np.asarray(x).nbytes for x in jax.tree.leaves(c))
        for c in (wiring.procedural(10**6, 10**6, k, 1.0, 1.0, key=1) for k in (10, 10_000))
    )
    assert few == many < 100


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: wiring.procedural(9, 9, 0, 1.0, 1.0, key=1), ["k", "at least 1", "0"]),
        (lambda: wiring.procedural(9, 9, -3, 1.0, 1.0, key=1), ["k", "-3"]),
        (lambda: wiring.procedural(9, 9, 2.5, 1.0, 1.0, key=1), ["k", "2.5"]),
        (lambda: wiring.procedural(9, 9, 2, LogNormal(1.0, 1.0), 1.0, key=1), ["weight", "number"]),
        (lambda: wiring.procedural(9, 9, 2, 1.0, ByDistance(1.0, 1.0), key=1), ["delay", "number"]),
        (lambda: wiring.procedural(9, 8, 2, 1.0, 1.0, key=1, self_contacts=False), ["9", "8"]),
        (lambda: wiring.procedural(1, 1, 2, 1.0, 1.0, key=1, self_contacts=False), ["only 0"]),
        (lambda: wiring.procedural(9, 9, 2, 1.0, 1.0, key=-1), ["key", "-1"]),
        (lambda: wiring.procedural(9, 9, 2, 1.0, 0.0, key=1), ["delay", "0"]),
        (
            lambda: wiring.procedural_by_distance(
                SHEET, 90_000, 90_000, 2, wiring.Gaussian(1e9), 1.0, 1.0, key=1
            ),
            ["kernel", "wiring.procedural"],
        ),
        (
            lambda: wiring.procedural_by_distance(None, 9, 9, 2, None, 1.0, 1.0, key=1),
            ["procedural_by_distance", "Sheet"],
        ),
        (
            lambda: wiring.stored(wiring.procedural(10**6, 10**6, 10_000, 1.0, 1.0, key=1)),
            ["10000000000 contacts", "2^31"],
        ),
    ],
)  # fmt: skip
def test_what_it_refuses(make, words):
    with pytest.raises((ValueError, TypeError)) as info:
        make()
    assert all(word in str(info.value) for word in words), info.value
