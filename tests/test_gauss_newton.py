"""Gauss-Newton steps: where they lead, what they remember, and when they are taken back."""

import numpy as np
import pytest

import cortexmg as cx
from cortexmg.bounds import Coordinates
from cortexmg.course import beginning
from cortexmg.estimators import Differences, careful_estimator, default_estimator
from cortexmg.gauss_newton import Known, Residuals

J = np.array([[2.0, 0.5], [-1.0, 3.0], [0.3, 1.0]])
GOAL = np.array([0.2, -0.1])
LOW, HIGH = np.full(2, -9.0), np.full(2, 9.0)


def residuals(u, sensitivity=None, loss=None):
    """Those of a linear problem without noise; the sensitivity is new if it is given."""
    r = J @ (u - GOAL)
    told = np.full(J.shape, np.nan) if sensitivity is None else sensitivity
    error = np.full(3, np.nan) if sensitivity is None else np.zeros(3)
    loss = 0.5 * float(r @ r) if loss is None else loss
    known = Known(1.0, r, np.zeros(3), float(sensitivity is not None), told, error)
    return Residuals(known, 0, loss, LOW, HIGH)


def test_a_linear_problem_is_solved_in_one_step():
    newton = cx.gauss_newton(damping=0.0)
    u = np.zeros(2)
    change, state = newton.update(u, newton.init(u), u, residuals=residuals(u, J))
    np.testing.assert_allclose(u + change, GOAL, atol=1e-9)
    assert not state.needs_sensitivity


@pytest.mark.parametrize(("error", "of_sensitivity"), [(0.0, 0.0), (1.0, 0.0), (1.0, 50.0)])
def test_noise_leaves_the_place_of_the_least_loss(error, of_sensitivity):
    """A statistic that wants 1, with noise, and a prior of the same weight that wants 0."""
    newton, u = cx.gauss_newton(secants=0), np.array([0.3])
    state, ends = newton.init(u), (np.full(1, -5.0), np.full(1, 5.0))
    noise, of_slopes = np.array([error, 0.0]), np.array([of_sensitivity, 0.0])
    for _ in range(40):
        r = np.array([u[0] - 1.0, u[0]])
        known = Known(1.0, r, noise, 1.0, np.ones((2, 1)), of_slopes)
        found = Residuals(known, 1, 0.5 * float(r @ r), *ends)
        change, state = newton.update(u, state, u, residuals=found)
        u = u + change
    np.testing.assert_allclose(u, 0.5, atol=1e-6)


def test_a_statistic_that_does_not_count_takes_nothing_from_a_prior():
    """A steep one whose noise is not known, one that wants 1, and a prior that wants 0."""
    newton, u = cx.gauss_newton(secants=0), np.array([0.3])
    state, ends = newton.init(u), (np.full(1, -5.0), np.full(1, 5.0))
    slopes, noise = np.array([[20.0], [1.0], [1.0]]), np.array([np.nan, 0.0, 0.0])
    for _ in range(20):
        r = slopes[:, 0] * u[0] - np.array([30.0, 1.0, 0.0])
        known = Known(1.0, r, noise, 1.0, slopes, np.zeros(3))
        found = Residuals(known, 1, 0.5 * float(r[1:] @ r[1:]), *ends)
        change, state = newton.update(u, state, u, residuals=found)
        u = u + change
    np.testing.assert_allclose(u, 0.5, atol=1e-6)


def test_a_secant_step_gives_the_sensitivity_the_change_that_was_found():
    newton = cx.gauss_newton(damping=0.0, memory=1.0, secants=5)
    u, wrong, losses = np.zeros(2), 2.0 * J + 0.3, []
    state = newton.init(u)
    for k in range(6):
        before = state.params, residuals(state.params).found.residual
        told = residuals(u, wrong if k == 0 else None)
        change, state = newton.update(u, state, u, residuals=told)
        if k == 1:
            step, changed = u - before[0], told.found.residual - before[1]
            np.testing.assert_allclose(state.known.sensitivity @ step, changed, rtol=1e-6)
        losses.append(told.loss)
        u = u + change
    assert losses[-1] < 1e-2 * losses[0]
    assert state.needs_sensitivity


def test_a_step_that_made_it_worse_is_taken_back_and_asks_for_a_sensitivity():
    newton = cx.gauss_newton()
    u = np.zeros(2)
    change, state = newton.update(u, newton.init(u), u, residuals=residuals(u, J))
    there = u + change
    back, after = newton.update(u, state, there, residuals=residuals(there, loss=1e3))
    assert after.needs_sensitivity and after.radius < state.radius
    np.testing.assert_array_equal(after.params, u)
    assert np.max(np.abs(there + back - u)) <= after.radius + 1e-12


@pytest.mark.parametrize("n, local", [(4, False), (40, True)])
def test_many_numbers_of_single_cells_are_changed_together(n, local):
    net = cx.models.cortex(n * 5 // 4, cells="LIF")
    drive = "stimuli/outside E/weight"
    each = Coordinates(net, {drive: cx.Bounds(1.0, 50.0)}, {drive: np.full(n, 14.0)})
    for choice in (default_estimator, careful_estimator):
        found = choice(each)
        assert isinstance(found, Differences) and found.local == local


@pytest.mark.parametrize("kept", [True, False])
def test_steps_that_are_taken_back_again_and_again_are_no_rest(kept):
    there, good = np.array([0.073]), np.array([0.033])
    state = cx.gauss_newton().init(there if kept else good)
    course = beginning(there, cx.gauss_newton())._replace(
        optimiser=state, tried=np.tile(there, (6, 1)), losses=np.full(6, 13.4)
    )
    assert course.rests(0.02) == kept


@pytest.mark.parametrize(
    "change, words",
    [
        ({"longest": -1.0}, ["GaussNewton.longest", "above 0", "-1"]),
        ({"damping": -1e-3}, ["GaussNewton.damping", "at least 0"]),
        ({"memory": 5.0}, ["GaussNewton.memory", "at least 0 and at most 1", "5"]),
        ({"memory": "a"}, ["GaussNewton.memory", "must be a number", "'a'"]),
        ({"secants": 0.5}, ["GaussNewton.secants", "whole number", "0.5"]),
    ],
)
def test_steps_that_cannot_be_made_are_refused(is_refused, change, words):
    is_refused(lambda: cx.gauss_newton(**change), words)
