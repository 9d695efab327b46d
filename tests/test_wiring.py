import tracemalloc
import zlib
from typing import Any

import jax
import numpy as np
import pytest
from scipy import stats

from cortexmg.distributions import ByDistance, LogNormal, Normal, Uniform
from cortexmg.sheet import Sheet
from cortexmg.wiring import (
    Exponential,
    Gaussian,
    by_distance,
    fixed_in_degree,
    fixed_out_degree,
    fixed_probability,
    fixed_total_number,
    from_arrays,
    one_to_one,
    procedural,
    procedural_by_distance,
    stored,
)
from cortexmg.wiring.uniform import _with_room

SHEET = Sheet(1000.0, 800.0, periodic=True)
CUT = stats.truncnorm(-1.0, np.inf, 1.0, 1.0)  # what is left of Normal(1, 1)


def drawn(rule, n, key: Any = 0, **options):
    """Contacts among `n` cells by each rule, about 6 per cell."""
    if rule is by_distance:
        return by_distance(SHEET, n, n, 6, Gaussian(150.0), 0.5, 1.5, key=key, **options)
    if rule is fixed_probability:
        return fixed_probability(n, n, 6 / n, 0.5, 1.5, key=key, **options)
    if rule is fixed_total_number:
        return fixed_total_number(n, n, 6 * n, 0.5, 1.5, key=key, **options)
    return rule(n, n, 6, 0.5, 1.5, key=key, **options)


def p_value(counts, mean, variance, constraints=0):
    """Of chi-square: counts that are as uneven by chance, when so many follow from the others."""
    square = np.sum((np.ravel(counts) - mean) ** 2) / variance
    return stats.chi2.sf(square, np.size(counts) - constraints)


def likely(*counts):
    """Whether the counts are neither too uneven nor too even to be random (as `p_value`)."""
    return 1e-4 < p_value(*counts) < 1 - 1e-4


degree_rules = pytest.mark.parametrize("rule", [fixed_in_degree, fixed_out_degree])
rules = pytest.mark.parametrize(
    "rule",
    [fixed_in_degree, fixed_out_degree, fixed_probability, fixed_total_number, by_distance],
)


@degree_rules
@pytest.mark.parametrize("multiple", [True, False])
@pytest.mark.parametrize("n_pre, n_post, k", [(70, 40, 9), (40, 70, 30), (1, 5, 1), (5, 1, 1)])
def test_degrees_are_exact(rule, multiple, n_pre, n_post, k):
    wiring = rule(n_pre, n_post, k, 0.5, 1.5, key=0, multiple=multiple)
    degree, n = (
        (wiring.in_degree(), n_post) if rule is fixed_in_degree else (wiring.out_degree(), n_pre)
    )
    np.testing.assert_array_equal(degree, np.full(n, k))
    if not multiple:
        assert wiring.dense().max() == 0.5


@rules
def test_no_self_contacts(rule):
    contacts = drawn(rule, 20, self_contacts=False)
    assert np.all(contacts.pre() != contacts.targets[: contacts.n_contacts])
    assert np.trace(drawn(rule, 20, self_contacts=True).dense()) > 0


@pytest.mark.parametrize("rule", [fixed_in_degree, fixed_out_degree, by_distance])
def test_no_multiple_contacts(rule):
    assert drawn(rule, 30, multiple=False).dense().max() == 0.5
    assert drawn(rule, 30, multiple=True).dense().max() > 0.5


@rules
def test_rows_are_sorted_by_target(rule):
    contacts = drawn(rule, 200)
    targets = contacts.targets[: contacts.n_contacts]
    np.testing.assert_array_equal(np.lexsort((targets, contacts.pre())), np.arange(targets.size))
    assert not np.any(contacts.targets[contacts.n_contacts :])


# Thousands of wirings are drawn in less than half of the time without type checks.
many_draws = pytest.mark.usefixtures("without_type_checks")


@many_draws
@degree_rules
@pytest.mark.parametrize("self_contacts", [True, False])
@pytest.mark.parametrize(
    "multiple, k",  # without several contacts of a pair by drawing again, and by ranking
    [(True, 2), (False, 2), (False, 5), pytest.param(True, 5, marks=pytest.mark.slow)],
)
def test_every_pair_is_equally_likely(rule, self_contacts, multiple, k):
    n, draws = 11, 400
    options = {"self_contacts": self_contacts, "multiple": multiple}
    matrices = [rule(n, n, k, 1.0, 1.5, key=i, **options).dense() for i in range(draws)]
    count = np.sum(matrices, axis=0)
    pairs = count[~np.eye(n, dtype=bool)] if not self_contacts else count.ravel()
    assert pairs.sum() == draws * n * k
    # Distinct partners vary less than independent ones: the variance lacks k - 1 of the rest.
    others = n if self_contacts else n - 1
    shrink = 1.0 if multiple else np.sqrt((1 - k / others) * others / (others - 1))
    expected = pairs.mean()
    constraints = n  # each cell's degree is fixed
    assert likely(pairs, expected, expected * shrink**2, constraints)


@degree_rules
@pytest.mark.parametrize("k", [150, 700])  # by drawing again, and by ranking
def test_degrees_in_several_blocks(rule, k):
    """More contacts than are drawn and sorted at once."""
    n_fixed, n = 5000 if k == 150 else 1000, 1000
    ends = (n, n_fixed) if rule is fixed_in_degree else (n_fixed, n)
    wiring = rule(*ends, k, 1.0, 1.5, key=2, multiple=False)
    fixed, free = wiring.in_degree(), wiring.out_degree()
    if rule is fixed_out_degree:
        fixed, free = free, fixed
    np.testing.assert_array_equal(fixed, np.full(n_fixed, k))
    variance = n_fixed * k / n * (1 - k / n) * n / (n - 1)
    assert likely(free, n_fixed * k / n, variance, 1)
    assert wiring.dense().max() == 1.0


@degree_rules
@pytest.mark.parametrize("k", [2, 4])
def test_every_set_of_partners_is_equally_likely(rule, k):
    n, draws = 9 if k == 2 else 7, 1500
    wiring = (
        fixed_in_degree(n, draws, k, 1.0, 1.5, key=5, multiple=False).dense()
        if rule is fixed_in_degree
        else fixed_out_degree(draws, n, k, 1.0, 1.5, key=5, multiple=False).dense().T
    )
    _, counts = np.unique(2 ** np.arange(n) @ wiring, return_counts=True)
    sets = {2: 36, 4: 35}[k]
    assert counts.size == sets and likely(counts, draws / sets, draws / sets, 1)


@pytest.mark.parametrize("p", [0.003, 0.2, 0.7])
@pytest.mark.parametrize("self_contacts", [True, False])
def test_probability_gives_independent_contacts(p, self_contacts):
    n = 400
    wiring = fixed_probability(n, n, p, 1.0, 1.5, key=3, self_contacts=self_contacts)
    matrix = wiring.dense()
    assert matrix.max() == 1.0
    columns = n if self_contacts else n - 1
    assert stats.binomtest(wiring.n_contacts, n * columns, p).pvalue > 1e-4
    for degree in (wiring.in_degree(), wiring.out_degree()):
        # Chi-square of the counts about the binomial mean is the dispersion test.
        assert likely(degree, columns * p, columns * p * (1 - p))
    reciprocal = np.sum(matrix * matrix.T) - np.trace(matrix)
    trials = n * (n - 1) // 2
    assert stats.binomtest(int(reciprocal) // 2, trials, p * p).pvalue > 1e-4


@many_draws
def test_probability_reaches_every_pair_equally():
    count = sum(fixed_probability(7, 9, 0.3, 1.0, 1.5, key=i).dense() for i in range(1000))
    assert likely(count, 300, 1000 * 0.3 * 0.7)


def test_probability_in_several_blocks():
    """More contacts than are drawn at once, down to the last pair."""
    full = fixed_probability(1100, 1000, 1.0, 1.0, 1.5, key=0)
    assert full.n_contacts == 1_100_000 and full.dense().min() == 1.0
    many = fixed_probability(1200, 1200, 0.6, 1.0, 1.5, key=0)
    assert stats.binomtest(many.n_contacts, 1200**2, 0.6).pvalue > 1e-4
    assert many.dense().max() == 1.0


def test_probability_0_and_1():
    assert fixed_probability(5, 7, 0.0, 1.0, 1.5, key=0).n_contacts == 0
    assert np.all(fixed_probability(5, 7, 1.0, 1.0, 1.5, key=0).dense() == 1.0)
    alone = fixed_probability(1, 1, 1.0, 1.0, 1.5, key=0, self_contacts=False)
    assert alone.n_contacts == 0
    np.testing.assert_array_equal(
        fixed_probability(4, 4, 1.0, 1.0, 1.5, key=0, self_contacts=False).dense(), 1 - np.eye(4)
    )


@many_draws
@pytest.mark.parametrize("self_contacts", [True, False])
def test_a_total_number_reaches_every_pair_equally_and_independently(self_contacts):
    n, draws, contacts = 11, 400, 60
    options = {"self_contacts": self_contacts}
    matrices = [
        fixed_total_number(n, n, contacts, 1.0, 1.5, key=i, **options).dense() for i in range(draws)
    ]
    assert all(matrix.sum() == contacts for matrix in matrices)
    counts = np.array(matrices)[:, ~np.eye(n, dtype=bool) | self_contacts]
    mean = draws * contacts / counts.shape[1]
    assert likely(counts.sum(0), mean, mean, 1)
    # Pairs share the contacts of each draw: in all of them together, counts are multinomial.
    variance = contacts / counts.shape[1]
    assert likely(counts[:50], variance, variance, 50)


@pytest.mark.parametrize("n_pre, n_post, n_contacts", [(3000, 700, 1_500_000), (2, 900, 1_500_000)])
def test_a_total_number_in_several_blocks_and_in_rows_longer_than_one(n_pre, n_post, n_contacts):
    wiring = fixed_total_number(n_pre, n_post, n_contacts, 1.0, 1.5, key=3)
    assert wiring.n_contacts == n_contacts
    for degree, n in ((wiring.out_degree(), n_pre), (wiring.in_degree(), n_post)):
        assert likely(degree, n_contacts / n, n_contacts / n, 1)
    inside = wiring.dense().ravel()
    assert likely(inside, inside.mean(), inside.mean(), 1)
    rising = np.diff(wiring.targets[:n_contacts].astype(np.int32)) >= 0
    rising[wiring.starts[1:-1] - 1] = True  # from one row to the next
    assert np.all(rising)


WIDE = 2**16 + 1  # cells whose numbers take four bytes


@pytest.mark.parametrize("n_pre", [1, 3000])
def test_a_total_number_takes_little_more_memory_than_its_result(n_pre):
    tracemalloc.start()
    try:
        wiring = fixed_total_number(n_pre, WIDE, 3_000_000, Normal(1.0, 0.1), 1.0, key=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    stored = sum(np.asarray(x).nbytes for x in (wiring.starts, wiring.targets, wiring.weights))
    assert peak < 2.0 * stored


def test_no_contact_in_all():
    assert fixed_total_number(3, 4, 0, LogNormal(1.0, 1.0), 1.0, key=0).n_contacts == 0
    alone = fixed_total_number(1, 1, 0, 1.0, 1.0, key=0, self_contacts=False)
    assert alone.n_contacts == 0


def test_a_normal_distribution_is_cut_where_it_is_told_and_bounds_the_delays():
    delays = Normal(0.75, 0.375, 0.1)
    left = stats.truncnorm((0.1 - 0.75) / 0.375, np.inf, 0.75, 0.375)
    wirings = [fixed_in_degree(50, 50, k, 1.0, delays, key=k) for k in (1, 4000)]
    assert all(wiring.delay_min == 0.1 < wiring.delays.min() for wiring in wirings)
    drawn = wirings[1].delays[: wirings[1].n_contacts]
    np.testing.assert_allclose(drawn.mean(), left.mean(), atol=5 * left.std() / drawn.size**0.5)
    assert stats.kstest(drawn[::10], left.cdf).pvalue > 1e-3


# Counts of few contacts, and the mean, variance and constraints with which `likely` judges them.
JUDGED = {
    "degree": lambda key: (
        fixed_in_degree(50, 100, 10, 1.0, 1.5, key=key).out_degree(), 20, 20, 1
    ),
    "degree without multiple contacts": lambda key: (
        fixed_out_degree(100, 50, 10, 1.0, 1.5, key=key, multiple=False).in_degree(),
        20, 20 * (1 - 10 / 50) * 50 / 49, 1,
    ),
    "total": lambda key: (
        fixed_total_number(50, 50, 1000, 1.0, 1.5, key=key).in_degree(), 20, 20, 1
    ),
    "probability": lambda key: (
        fixed_probability(50, 50, 0.4, 1.0, 1.5, key=key).in_degree(), 20, 20 * 0.6
    ),
}  # fmt: skip


@many_draws
@pytest.mark.parametrize("judged", JUDGED.values(), ids=JUDGED)
def test_what_is_likely_is_judged_by_p_values_that_are_uniform(judged):
    """So that 1e-4 is the chance of a false alarm, at either end."""
    p = np.array([p_value(*judged(key)) for key in range(1000)])
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    for tail in (p < 0.01, p > 0.99):
        assert 2 <= np.sum(tail) <= 22  # 10 expected; 1e-3 of draws lie outside


def test_room_grows_when_there_are_more_contacts_than_expected():
    targets = np.arange(20, dtype=np.int32)
    longer = _with_room(targets, 25, 8)
    assert longer.size >= 33
    np.testing.assert_array_equal(longer, np.pad(targets, (0, longer.size - 20)))
    assert _with_room(targets, 12, 8) is targets


@pytest.mark.parametrize("kernel", [Gaussian(80.0), Exponential(45.0)])
def test_distances_follow_the_kernel(kernel):
    n = 90_000
    wiring = by_distance(SHEET, n, n, 6, kernel, 1.0, 1.5, key=1, self_contacts=True)
    np.testing.assert_array_equal(wiring.in_degree(), np.full(n, 6))
    place = SHEET.positions(n)
    pre, post = place[wiring.pre()], place[wiring.targets[: wiring.n_contacts]]
    distance = SHEET.distance(pre, post)
    bins = np.arange(0.0, 320.0, 20.0)
    found = np.searchsorted(np.sort(distance), bins) / distance.size
    if isinstance(kernel, Gaussian):
        expected = stats.rayleigh.cdf(bins, scale=80.0)
    else:
        expected = stats.gamma.cdf(bins, 2, scale=45.0)
    # The error of 540,000 draws is 0.001 at most; rounding to sites 3 um apart adds to it.
    np.testing.assert_allclose(found, expected, atol=0.006)
    expected = wiring.n_contacts / 100
    assert likely(np.bincount(wiring.pre() % 100, minlength=100), expected, expected, 1)
    offset = (pre - post + [500, 400]) % [1000, 800] - [500, 400]
    np.testing.assert_allclose(offset.mean(axis=0), 0.0, atol=4 * offset.std() / 540_000**0.5)


def test_open_edges_draw_again():
    n, sheet = 2500, Sheet(500.0, 500.0)
    wiring = by_distance(sheet, n, n, 40, Gaussian(60.0), 1.0, 1.5, key=1)
    np.testing.assert_array_equal(wiring.in_degree(), np.full(n, 40))
    place = sheet.positions(n)
    pre, post = place[wiring.pre()], place[wiring.targets[: wiring.n_contacts]]
    middle = np.all(np.abs(post - 250) < 80, axis=1)
    corner = np.all(post < 25, axis=1)
    np.testing.assert_allclose((pre - post)[middle].std(axis=0), 60.0, rtol=0.03)
    # At the corner, each coordinate is normal and cut off at the edge.
    x = post[corner, 0]
    shift = [stats.truncnorm.mean(-x0 / 60, np.inf, scale=60) for x0 in np.unique(x)]
    np.testing.assert_allclose((pre - post)[corner].mean(axis=0), np.mean(shift), rtol=0.15)


def test_two_populations_share_a_sheet():
    wiring = by_distance(
        SHEET, 3000, 500, 10, Gaussian(50.0), 1.0, ByDistance(300.0, 0.5), key=0, self_contacts=True
    )
    n = wiring.n_contacts
    pre = SHEET.positions(3000)[wiring.pre()]
    post = SHEET.positions(500)[wiring.targets[:n]]
    distance = SHEET.distance(pre, post)
    assert 0 < distance.max() < 300
    np.testing.assert_allclose(wiring.delays[:n], 0.5 + distance / 300.0, rtol=1e-6)
    assert wiring.delay_min == 0.5 and wiring.delays.max() <= wiring.delay_max < 1.5


def test_an_unreachable_partner_is_an_error():
    for kernel, sheet in ((Gaussian(1.0), SHEET), (Gaussian(1e6), Sheet(1000.0, 800.0))):
        with pytest.raises(ValueError, match="lack contacts after 1000 draws"):
            by_distance(sheet, 9, 9, 2, kernel, 1.0, 1.5, key=0)


@pytest.mark.parametrize(
    "distribution, mean, sd",
    [
        (Uniform(0.5, 2.0), 1.25, 1.5 / 12**0.5),
        (Normal(2.0, 0.4), 2.0, 0.4),
        (Normal(1.0, 1.0), CUT.mean(), CUT.std()),
        (LogNormal(0.7, 0.5), 0.7, 0.5),
        (LogNormal(0.7, 0.0), 0.7, 0.0),
    ],
)
def test_weights_and_delays_have_the_moments_asked_for(distribution, mean, sd):
    wiring = fixed_in_degree(500, 500, 400, distribution, distribution, key=4)
    n = wiring.n_contacts
    for values in (wiring.weights[:n], wiring.delays[:n]):
        assert values.dtype == np.float32 and values.min() > 0
        np.testing.assert_allclose(values.mean(), mean, atol=5 * sd / n**0.5 + 1e-6)
        np.testing.assert_allclose(values.std(), sd, rtol=0.03, atol=1e-6)
    assert not np.any(wiring.weights[n:]) and wiring.weights.size == wiring.targets.size
    assert wiring.delay_min <= wiring.delays.min() * (1 + 1e-6)
    assert wiring.delay_max >= wiring.delays.max() * (1 - 1e-6)
    if sd:
        assert abs(np.corrcoef(wiring.weights[:n], wiring.delays[:n])[0, 1]) < 0.01


@rules
def test_a_key_determines_everything(rule):
    a, b, other = drawn(rule, 100, key=7), drawn(rule, 100, key=7), drawn(rule, 100, key=8)
    np.testing.assert_array_equal(a.starts, b.starts)
    np.testing.assert_array_equal(a.targets, b.targets)
    assert not np.array_equal(a.dense(), other.dense())
    assert a.targets.shape == other.targets.shape
    assert jax.tree.structure(a) == jax.tree.structure(other)


def test_jax_keys():
    a, b, c = (drawn(fixed_in_degree, 50, key=jax.random.key(i)) for i in (1, 1, 2))
    np.testing.assert_array_equal(a.targets, b.targets)
    assert not np.array_equal(a.targets, c.targets)


def test_weights_do_not_move_the_wiring():
    plain = fixed_in_degree(50, 50, 9, 0.5, 1.5, key=1)
    varied = fixed_in_degree(50, 50, 9, LogNormal(0.5, 0.5), Uniform(1.0, 2.0), key=1)
    np.testing.assert_array_equal(plain.targets, varied.targets)
    assert (plain.weights, plain.delays) == (0.5, 1.5)
    assert (varied.delay_min, varied.delay_max) == (1.0, 2.0)


@pytest.mark.parametrize(
    "rule, expected",
    [
        (fixed_in_degree, 321643597),
        (fixed_out_degree, 3391267738),
        (fixed_probability, 2837160699),
        (fixed_total_number, 3235655766),
        (by_distance, 3918710353),
    ],
)
def test_wiring_stays_what_it_was(rule, expected):
    """Published results depend on it: NumPy may change its streams, and so may a careless edit."""
    wiring = drawn(rule, 300, key=2024)
    targets = np.asarray(wiring.targets, np.int32)
    assert zlib.crc32(targets.tobytes() + wiring.starts.tobytes()) == expected


def test_given_wiring():
    diagonal = one_to_one(3, [1.0, 2.0, 3.0], [3.0, 1.0, 2.0])
    np.testing.assert_array_equal(diagonal.dense(), np.diag([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(diagonal.delays[:3], [3.0, 1.0, 2.0])
    assert (diagonal.delay_min, diagonal.delay_max) == (1.0, 3.0)
    assert one_to_one(5, Uniform(1.0, 2.0), 1.0, key=3).weights[:5].min() >= 1.0
    empty = from_arrays([], [], [], [], 3, 4)
    assert empty.n_contacts == 0 and empty.dense().shape == (3, 4)
    for rule in (fixed_in_degree, fixed_out_degree):
        assert rule(3, 4, 0, LogNormal(1.0, 1.0), 1.0, key=0, multiple=False).n_contacts == 0


def test_order_within_a_pair_is_kept():
    wiring = from_arrays([1, 0, 1, 1], [2, 0, 0, 2], [1, 2, 3, 4], 1.0, 2, 3)
    np.testing.assert_array_equal(wiring.starts, [0, 1, 4])
    np.testing.assert_array_equal(wiring.targets[:4], [0, 0, 2, 2])
    np.testing.assert_array_equal(wiring.weights[:4], [2, 3, 1, 4])


def test_given_contacts_in_several_blocks_are_sorted_by_row_target_and_turn():
    rng = np.random.default_rng(0)
    n_pre, n_post, n = 30, 200, 400_000  # row 0 alone is more than is sorted at once
    pre, post = rng.integers(0, n_pre, n), rng.integers(0, n_post, n)
    pre[: n // 2] = 0
    turn = np.arange(n, dtype=np.float32)
    wiring = from_arrays(pre, post, turn, 1.0 + turn, n_pre, n_post)
    order = np.lexsort((turn, post, pre))
    np.testing.assert_array_equal(wiring.pre(), pre[order])
    np.testing.assert_array_equal(wiring.targets[:n], post[order])
    np.testing.assert_array_equal(wiring.weights[:n], turn[order])
    np.testing.assert_array_equal(wiring.delays[:n], 1.0 + turn[order])
    assert not np.any(wiring.targets[n:]) and not np.any(wiring.weights[n:])


@pytest.mark.parametrize("per_contact", [False, True])
def test_given_contacts_take_little_more_memory_than_their_result(per_contact):
    n, cells = 1_500_000, WIDE
    rng = np.random.default_rng(0)
    ends = [rng.integers(0, cells, n, dtype=np.int32) for _ in range(2)]
    weight: Any = rng.random(n, dtype=np.float32) if per_contact else 1.0
    tracemalloc.start()
    try:
        wiring = from_arrays(*ends, weight, 1.0, cells, cells)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    stored = sum(np.asarray(x).nbytes for x in (wiring.starts, wiring.targets, wiring.weights))
    assert peak < 1.7 * stored  # 1.3 and 1.4 times


def in_degree(n_pre=10, n_post=10, k=3, weight: Any = 0.5, delay: Any = 1.5, **options):
    return fixed_in_degree(n_pre, n_post, k, weight, delay, **{"key": 0, **options})


def total(n_contacts: Any, n=10):
    return fixed_total_number(n, n, n_contacts, 0.5, 1.5, key=0, self_contacts=False)


NEAR = Gaussian(300.0)


def spatial(
    n_pre=9,
    n_post=9,
    k=3,
    weight: Any = 0.5,
    delay: Any = 1.5,
    kernel: Any = NEAR,
    **options,
):
    return by_distance(SHEET, n_pre, n_post, k, kernel, weight, delay, key=0, **options)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: in_degree(n_pre=0), ValueError, "n_pre must be .* at least 1, got 0"),
        (lambda: in_degree(n_post=-4), ValueError, "n_post must be .* at least 1, got -4"),
        (lambda: in_degree(k=-1), ValueError, "k must be a whole number of at least 0, got -1"),
        (lambda: in_degree(k=11, multiple=False), ValueError, "k = 11 .* only 10 are available"),
        (
            lambda: in_degree(k=10, multiple=False, self_contacts=False),
            ValueError,
            "k = 10 .* only 9 are available",
        ),
        (lambda: in_degree(1, 1, 1, self_contacts=False), ValueError, "only 0 are available"),
        (lambda: in_degree(9, 8, self_contacts=False), ValueError, "n_pre = 9 and n_post = 8"),
        (lambda: in_degree(10**6, 10**6, 10**4), ValueError, "split the projection"),
        (
            lambda: fixed_out_degree(9, 9, 10, 1.0, 1.0, key=0, multiple=False),
            ValueError,
            "only 9 are available",
        ),
        (lambda: in_degree(weight=-1.0), ValueError, "weights must be at least 0 nS, got -1"),
        (lambda: in_degree(weight=np.nan), ValueError, "weights must be finite"),
        (lambda: in_degree(weight="big"), TypeError, "weight must be a number .* got 'big'"),
        (lambda: in_degree(weight=True), TypeError, "weight must be a number .* got True"),
        (lambda: in_degree(weight=[1.0] * 30), TypeError, "weight .* wiring.from_arrays"),
        (lambda: in_degree(delay=0.0), ValueError, "delays must be above 0 ms, got 0"),
        (lambda: in_degree(delay=-1.0), ValueError, "delays must be above 0 ms, got -1"),
        (lambda: in_degree(delay=np.nan), ValueError, "delays must be finite .in ms., got nan"),
        (
            lambda: in_degree(delay=Uniform(0.0, 1.0)),
            ValueError,
            "delay must be longer than 0",
        ),
        (lambda: in_degree(delay=None), TypeError, "delay must be a number .* got None"),
        (lambda: in_degree(delay=ByDistance(300.0, 1.0)), TypeError, "delay cannot be ByDistance"),
        (lambda: spatial(weight=ByDistance(300.0, 1.0)), TypeError, "weight cannot be ByDist"),
        (lambda: in_degree(key=-1), TypeError, "key must be .* got -1"),
        (lambda: in_degree(key=1.5), TypeError, "key"),
        (lambda: in_degree(key=jax.random.split(jax.random.key(0))), TypeError, "key must be"),
        (lambda: fixed_probability(5, 5, 1.1, 1.0, 1.0, key=0), ValueError, "p must .* got 1.1"),
        (lambda: fixed_probability(5, 5, -0.1, 1.0, 1.0, key=0), ValueError, "p must .* -0.1"),
        (lambda: fixed_probability(5, 5, np.nan, 1.0, 1.0, key=0), ValueError, "p must .* nan"),
        (lambda: fixed_probability(10**6, 10**6, 0.5, 1.0, 1.0, key=0), ValueError, "split"),
        (lambda: total(-1), ValueError, "n_contacts must be .* of at least 0, got -1"),
        (lambda: total(2**31), ValueError, "split the projection"),
        (lambda: total(4, 1), ValueError, "need two cells, got 1"),
        (lambda: spatial(9, 8), ValueError, "self_contacts=False needs"),
        (lambda: spatial(k=9, multiple=False), ValueError, "only 8 are available"),
        (lambda: spatial(kernel=50.0), TypeError, "kernel"),
        (lambda: from_arrays([0], [0, 1], 1.0, 1.0, 3, 3), ValueError, "got 1 and 2 entries"),
        (lambda: from_arrays([0, 3], [0, 1], 1.0, 1.0, 3, 3), ValueError, r"pre: contact 1 .* 3,"),
        (lambda: from_arrays([0, 1], [-1, 1], 1.0, 1.0, 3, 3), ValueError, "post: contact 0 .* -1"),
        (lambda: from_arrays([0.5], [1], 1.0, 1.0, 3, 3), TypeError, "whole numbers, got float64"),
        (lambda: from_arrays([[0]], [[1]], 1.0, 1.0, 3, 3), TypeError, r"shape \(1, 1\)"),
        (lambda: from_arrays([0], [1], [1.0, 2.0], 1.0, 3, 3), ValueError, "weight .* 1 contacts"),
        (lambda: from_arrays([0], [1], 1.0, ["a"], 3, 3), TypeError, "delay must hold numbers"),
        (
            lambda: from_arrays([0], [1], 1.0, [0.0], 3, 3),
            ValueError,
            "delays must be above 0 ms, got 0 at index 0",
        ),
        (lambda: from_arrays([0, 0], [1, 1], [1, -2], 1.0, 3, 3), ValueError, "got -2 at index 1"),
        (lambda: one_to_one(0, 1.0, 1.0), ValueError, "at least 1, got 0"),
        (lambda: Uniform(2.0, 1.0), ValueError, "low <= high, got low=2.0 and high=1.0"),
        (lambda: Uniform(-1.0, 1.0), ValueError, "Uniform.low must be at least 0"),
        (lambda: Normal(1.0, 1.1), ValueError, "Normal needs sd <= mean"),
        (lambda: Normal(1.0, 0.6, 0.5), ValueError, "sd <= mean - low, got low=0.5, mean=1.0"),
        (lambda: Normal(1.0, 0.0, 1.0), ValueError, "sd <= mean - low, got low=1.0"),
        (lambda: Normal(1.0, 0.1, -1.0), ValueError, "Normal.low must be at least 0"),
        (lambda: Normal(0.0, 0.0), ValueError, "Normal.mean must be above 0"),
        (lambda: LogNormal(1.0, -0.1), ValueError, "LogNormal.sd must be at least 0"),
        (lambda: LogNormal(np.inf, 1.0), ValueError, "LogNormal.mean must be finite"),
        (lambda: ByDistance(0.0, 1.0), ValueError, "speed must be above 0 um/ms"),
        (lambda: ByDistance(300.0, 0.0), ValueError, "offset must be above 0 ms"),
        (lambda: Gaussian(0.0), ValueError, "Gaussian.scale must be above 0 um"),
        (lambda: Exponential(-1.0), ValueError, "Exponential.scale must be above 0 um"),
    ],
)
def test_illegal_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("k", [0, -1, 2.5, True])
def test_procedural_cells_make_contacts(is_refused, k):
    words = ["k must be a whole number of at least 1", f"got {k}"]
    is_refused(lambda: procedural(9, 9, k, 1.0, 1.0, key=0), words)
    is_refused(lambda: procedural_by_distance(SHEET, 9, 9, k, NEAR, 1.0, 1.0, key=0), words)


@pytest.mark.parametrize("whole", [np.int32, np.int64, np.uint16])
def test_numbers_of_numpy_are_numbers(whole, without_type_checks):
    n, k = 60_000, 2  # whose products overflow
    for rule, number in (
        (fixed_probability, 1e-4),
        (fixed_in_degree, k),
        (fixed_out_degree, k),
        (fixed_total_number, n),
        (procedural, k),
    ):
        given = number if rule is fixed_probability else whole(number)
        made = rule(whole(n), whole(n), given, 1.0, 1.0, key=0)
        expected = rule(n, n, number, 1.0, 1.0, key=0)
        assert made.n_contacts == expected.n_contacts and type(made.n_pre) is int
        for x, y in zip(jax.tree.leaves(made), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(x, y)
    assert by_distance(SHEET, whole(9), whole(9), whole(2), NEAR, 1.0, 1.0, key=0).n_contacts == 18
    assert one_to_one(whole(4), 1.0, 1.0).n_contacts == 4


def test_only_procedural_wiring_can_be_stored(is_refused):
    for given in (3, in_degree()):
        is_refused(lambda given=given: stored(given), ["stored takes wiring that procedural"])
