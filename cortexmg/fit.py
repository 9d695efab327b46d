"""Fitting parameters to target statistics, by the gradients of an estimator and optax."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from cortexmg.aim import aim_of
from cortexmg.bounds import Bounds, Coordinates
from cortexmg.course import Course, Journal, beginning
from cortexmg.devices import Devices
from cortexmg.doubts import TOO_MANY
from cortexmg.estimators import Estimator, careful_estimator, default_estimator
from cortexmg.fit_checks import check_bounds, check_course, check_free, check_how, check_optimiser
from cortexmg.fitted import Fit
from cortexmg.fitter import Fitter
from cortexmg.gauss_newton import NEEDS, Trust, gauss_newton
from cortexmg.network import Network, check_network
from cortexmg.parameters import endings
from cortexmg.part import shown
from cortexmg.protocol import Protocol
from cortexmg.starting import start as start_jax
from cortexmg.targets import Loss, Targets

if TYPE_CHECKING:  # loading it is slow, and most runs fit nothing
    import optax


def fit(
    network: Network,
    bounds: Mapping[str, Bounds],
    aim: Targets | Loss,
    *,
    optimiser: "optax.GradientTransformation | None" = None,
    estimator: Estimator | None = None,
    steps: int = 30,
    seeds: int = 4,
    start: Mapping[str, Any] | None = None,
    duration: float = 1000.0,
    settle: float = 500.0,
    dt: float = 0.05,
    key: int = 0,
    tolerance: float = 0.02,
    patience: int = 10,
    folder: str | Path | None = None,
    devices: Devices = None,
    progress: bool = False,
) -> Fit:
    """Find the values of the named parameters for which the network meets its targets.

    `bounds` maps names of `parameters`, or patterns with `*` whose matches share one value, to
    `Bounds`; a value that is an array, one per cell, is as many numbers. They begin at `start`, or
    where they are; a start that is one number makes one of them, which all cells share. In every
    step `seeds` runs, with noise of their own, are made under every condition: `settle` ms and then
    the `duration` ms that are measured. Strongly coupled networks need seconds to forget how they
    began.

    Left out, the estimator is `Differences(0.2, points=1)`, for which `seeds` should be even, and
    for more than 16 numbers of single cells one that changes all these at once; the uncertainty,
    of up to 2,000 numbers, is found with a more careful one. The optimiser is `gauss_newton()`, or
    Adam with clipped gradients where there are no residuals. It ends when four Gauss-Newton steps
    led nowhere (`tolerance`, in coordinates), when `patience` steps brought nothing better, or
    after `steps`.
    The result is the mean of the best four steps in a row (of fewer than seven, of half of them),
    looked at with fresh noise of `seeds` runs, but at least eight. In a `folder` it is saved after
    every step, and goes on from there if it was interrupted, as if it had not been; Ctrl-C ends it
    early. With `progress` every step is told in a line.

    Raises: KeyError and ValueError for names, bounds, starts and targets that do not fit, before
    anything runs; TypeError for an estimator or optimiser that is none; FitFailed, with the values,
    where voltages or loss stop being finite or nothing responds to any parameter.
    """
    start_jax()  # before a key does, with one device
    check_network(network)
    if not isinstance(aim, Targets | Loss):
        raise TypeError(f"A fit needs Targets or a Loss, got {shown(aim)}.")
    check_how(estimator, seeds, key)
    check_course(optimiser, steps, tolerance, patience)
    if not bounds:
        raise ValueError("Nothing to fit: give at least one parameter name and its Bounds.")
    coordinates = Coordinates(network, bounds, start)
    given = {"duration": duration, "settle": settle, "dt": dt, "devices": devices}
    protocol = Protocol(network, coordinates, aim.measures, aim.conditions, **given)
    check_free(protocol)
    check_bounds(protocol)
    estimator, look = _estimators(coordinates, estimator)
    residuals = isinstance(aim, Targets) and estimator.gives_sensitivity
    optimiser = _taking_more(optimiser or (gauss_newton() if residuals else clipped_adam()))
    fitter = Fitter(protocol, aim_of(protocol, aim), estimator, look, optimiser, seeds, key)
    limits = steps, tolerance, patience
    journal = (
        Journal(Path(folder), network, fitter.settings) if folder else Journal(None, network, {})
    )
    fresh = beginning(coordinates.start, optimiser)
    check_optimiser(optimiser, fresh, bool(folder))
    if isinstance(fresh.optimiser, Trust) and not residuals:
        raise ValueError(NEEDS)
    course = journal.read(fresh)
    try:
        while not (ended := _end(course, *limits)):
            course = fitter.next(course)
            journal.write(course)
            _say(course, coordinates, progress)
    except KeyboardInterrupt:
        if not course.steps:
            raise
        ended = "interrupted"
        if progress and not jax.process_index():
            print("interrupted: looking at the result", file=sys.stderr, flush=True)
    return fitter.result(course, ended)


def _estimators(
    coordinates: Coordinates, given: Estimator | None
) -> tuple[Estimator, Estimator | None]:
    """That of the steps, and that with which the result is looked at: none without uncertainty."""
    steps, look = given or default_estimator(coordinates), careful_estimator(coordinates)
    if coordinates.size > TOO_MANY:
        return steps, None
    return steps, given if given and given.gives_sensitivity else look


def _end(course: Course, steps: int, tolerance: float, patience: int) -> str:
    """Why a fit ends with this course, or "" if it goes on."""
    if course.rests(tolerance):
        return "converged"
    if course.steps and course.steps - 1 - course.best()[1] >= patience:
        return "no better"
    return "all steps done" if course.steps >= steps else ""


def _taking_more(optimiser: Any) -> Any:
    """The optimiser, which may also be given loss and residuals and leave them unused."""
    import optax

    return optax.with_extra_args_support(optimiser)


def clipped_adam() -> "optax.GradientTransformation":
    """What a fit uses where there are no residuals."""
    import optax

    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1))


def _say(course: Course, coordinates: Coordinates, progress: bool) -> None:
    """One line about the last step."""
    if not progress or jax.process_index():
        return
    values = coordinates.named(course.tried[-1])
    few = zip(endings(list(values)), values.values(), strict=True)
    some = ", ".join(f"{name} {np.mean(x):.4g}" for name, x in list(few)[:6])
    text = f"step {course.steps}: loss {course.losses[-1]:.4g}, {course.runs.sum()} runs, {some}"
    print(text, file=sys.stderr, flush=True)
