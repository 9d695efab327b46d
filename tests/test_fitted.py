"""What a fit says of its uncertainty: laws over random sensitivities."""

import numpy as np
import pytest

from cortexmg.fitted import uncertainty

QUIET = np.zeros((4, 24))
FREE = np.full(12, np.inf)


def judged(members, dead=0, noise=0.1, draws=100, prior=FREE):
    """S.d. of 12 parameters by 24 statistics known to `noise`, and what they would be without it.

    Of the first `members` one combination acts on nothing; the `dead` after them do not act.
    """
    rng, found, true = np.random.default_rng(members), [], []
    for _ in range(draws):
        j = rng.normal(size=(24, 12))
        v = np.zeros(12)
        v[:members] = rng.choice([-1.0, 1.0], members) / np.sqrt(max(members, 1))
        j -= np.outer(j @ v, v)
        j[:, members : members + dead] = 0.0
        told = j + 2.0 * noise * rng.normal(size=(4, 24, 12))  # of the mean of 4 seeds
        found.append(uncertainty(told, QUIET, prior)[0])
        true.append(np.linalg.norm(np.linalg.pinv(j), axis=1))
    return np.array(found), np.array(true)


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize(
    "members",
    [x if x in (2, 3, 7, 12) else pytest.param(x, marks=pytest.mark.slow) for x in range(2, 13)],
)
def test_what_acts_on_nothing_together_is_undetermined_however_many_they_are(members, noise):
    found, true = judged(members, noise=noise)
    assert np.mean(np.isinf(found[:, :members])) > 0.95
    if members < 12:
        others = found[:, members:] / true[:, members:]
        assert np.mean(np.isinf(others)) < 0.03
        np.testing.assert_allclose(np.median(others), 1.0, rtol=0.05)


@pytest.mark.parametrize("dead", [1, 4])
@pytest.mark.parametrize("members", [0, 3])
def test_what_is_beside_parameters_that_do_not_act_is_as_certain_as_without_them(members, dead):
    found, true = judged(members, dead)
    beside = found[:, members + dead :] / true[:, members + dead :]
    assert np.mean(np.isinf(found[:, : members + dead])) > 0.95
    assert np.mean(np.isinf(beside)) < 0.02
    np.testing.assert_allclose(np.median(beside), 1.0, rtol=0.05)


def test_nothing_is_undetermined_where_every_parameter_acts_in_its_own_way():
    found, true = judged(0)
    np.testing.assert_allclose(np.median(found / true), 1.0, rtol=0.05)
    assert np.all(np.isfinite(found))


def test_where_nothing_is_told_the_prior_is_what_is_known():
    prior = np.where(np.arange(12) < 2, 0.5, np.inf)
    found, _ = judged(0, dead=2, prior=prior)
    np.testing.assert_allclose(np.median(found[:, :2]), 0.5, rtol=0.02)
    assert np.all(found[:, :2] <= 0.5 * (1 + 1e-9))


@pytest.mark.parametrize("noise", [0.1, 2.0, 10.0])
def test_noise_alone_is_no_more_than_the_prior(noise):
    rng, said = np.random.default_rng(0), []
    for _ in range(50):
        told = 2.0 * noise * rng.normal(size=(4, 15, 2))
        said.append(uncertainty(told, QUIET[:, :15], np.array([0.5, 1.0]))[0])
    np.testing.assert_allclose(np.median(said, axis=0), [0.5, 1.0], rtol=0.05)


@pytest.mark.parametrize("more", [24, 200])
def test_statistics_without_a_target_tell_nothing(more):
    rng, said = np.random.default_rng(1), []
    for _ in range(50):
        j = rng.normal(size=(24, 12)) * (np.arange(12) >= 4)
        told = j + 0.2 * rng.normal(size=(4, 24, 12))
        told = np.concatenate([told, np.zeros((4, more, 12))], axis=1)
        said.append(uncertainty(told, np.zeros((4, 24 + more)), FREE)[0])
    said = np.isinf(said)
    assert np.mean(said[:, :4]) > 0.95 and np.mean(said[:, 4:]) < 0.03


@pytest.mark.parametrize("rows", [1, 3])
def test_a_cell_on_which_nothing_acts_is_not_known_by_the_noise_of_a_few_statistics(rows):
    rng, said = np.random.default_rng(2), []
    for _ in range(20):
        told = np.zeros((4, 32 * rows, 32))
        for cell in range(32):
            acts = float(cell % 2)
            own = slice(cell * rows, cell * rows + rows)
            told[:, own, cell] = acts + 0.2 * rng.normal(size=(4, rows))
        said.append(uncertainty(told, np.zeros((4, 32 * rows)), np.full(32, np.inf))[0])
    said = np.isinf(said)
    assert np.mean(said[:, 0::2]) > 0.9 and np.mean(said[:, 1::2]) < 0.03


@pytest.mark.parametrize("burst", [0.0, 30.0, 300.0])
def test_one_seed_in_which_a_burst_was_ignited_does_not_hide_what_all_others_tell(burst):
    rng, found, true = np.random.default_rng(3), [], []
    for _ in range(200):
        j = 3.0 * rng.normal(size=(24, 3)) * [1.0, 1.0, 0.0]
        told = j + 2.0 * rng.normal(size=(8, 24, 3))
        acted = rng.integers(8), slice(12, 16), rng.integers(3)
        told[acted] += burst * rng.normal(size=4)
        found.append(uncertainty(told, np.zeros((8, 24)), FREE[:3])[0])
        true.append(np.linalg.norm(np.linalg.pinv(j[:, :2]), axis=1))
    found, true = np.array(found), np.array(true)
    assert np.mean(np.isinf(found[:, :2])) < 0.01
    np.testing.assert_allclose(np.median(found[:, :2] / true), 1.0, rtol=0.12)
    assert np.mean(np.isinf(found[:, 2])) > 0.9


def test_noise_that_is_now_and_then_large_is_no_information():
    rng = np.random.default_rng(4)
    told = rng.standard_t(2, size=(200, 8, 24, 2)) * [1.0, 1.0] + [3.0, 0.0]
    said = np.isinf([uncertainty(x, np.zeros((8, 24)), FREE[:2])[0] for x in told])
    assert np.mean(said[:, 0]) < 0.01 and np.mean(said[:, 1]) > 0.8


@pytest.mark.parametrize("chance", [1 / 8, 1 / 4])
def test_bursts_in_several_seeds_do_not_hide_what_other_statistics_tell(chance):
    rng, said = np.random.default_rng(5), []
    for _ in range(100):
        told = 3.0 * rng.normal(size=(24, 8)) * (np.arange(8) < 7) + 2.0 * rng.normal(
            size=(8, 24, 8)
        )
        ignited = rng.random((8, 1, 8)) < chance
        told[:, 12:14] += 100.0 * rng.normal(size=(8, 2, 8)) * ignited
        said.append(np.isinf(uncertainty(told, np.zeros((8, 24)), FREE[:8])[0]))
    assert np.mean(np.array(said)[:, :7]) < 0.06 and np.mean(np.array(said)[:, 7]) > 0.95


def test_a_statistic_that_is_noisy_in_every_seed_counts_in_full():
    rng, found = np.random.default_rng(6), []
    for _ in range(100):
        told = np.zeros((8, 24, 2))
        told[..., 0] = 3.0 * rng.normal(size=24) + rng.normal(size=(8, 24))
        told[:, 0, 0] = 10.0 * rng.normal(size=8)  # and it alone tells of the second parameter
        told[:, 0, 1] = 10.0 + rng.normal(size=8)
        found.append(uncertainty(told, np.zeros((8, 24)), FREE[:2])[0][1])
    assert np.all(np.isfinite(found)) and np.median(found) == pytest.approx(0.1, rel=0.1)


def test_an_outlier_does_not_hide_all_that_one_statistic_tells():
    rng, found = np.random.default_rng(7), []
    for _ in range(100):
        told = 10.0 + rng.normal(size=(8, 1, 1))
        told[rng.integers(8)] += 100.0 * rng.normal()
        found.append(uncertainty(told, np.zeros((8, 1)), FREE[:1])[0][0])
    assert np.mean(np.isinf(found)) < 0.02 and np.median(found) == pytest.approx(0.1, rel=0.1)
