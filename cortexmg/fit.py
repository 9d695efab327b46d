"""Fitting parameters to target statistics, by the gradients of an estimator and optax."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from cortexmg.aim import aim_of
from cortexmg.bounds import Bounds, Coordinates, Place, listed, values_at
from cortexmg.course import Course, Journal, beginning
from cortexmg.devices import Devices
from cortexmg.estimators import Estimator, careful_estimator, default_estimator
from cortexmg.fitted import TOO_MANY, Fit
from cortexmg.fitter import Fitter
from cortexmg.gauss_newton import NEEDS, Trust, gauss_newton
from cortexmg.network import Network
from cortexmg.parameters import endings, with_parameters
from cortexmg.part import shown, whole
from cortexmg.processes import is_key
from cortexmg.protocol import Protocol
from cortexmg.starting import start as start_jax
from cortexmg.states import key_of
from cortexmg.targets import Loss, Targets

if TYPE_CHECKING:  # loading it is slow, and most runs fit nothing
    import optax

BETWEEN = 0.381966  # of a range: no whole number of steps from ends that are


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
    where they are. In every step `seeds` runs, with noise of their own, are made under every
    condition: `settle` ms and then the `duration` ms that are measured. Strongly coupled networks
    need seconds to forget how they began.

    Left out, the estimator is `Differences(0.2, points=1)`, for which `seeds` should be even, and
    for more than 16 numbers of single cells one that changes all these at once; the uncertainty,
    of up to 2,000 numbers, is found with a more careful one. The optimiser is `gauss_newton()`, or
    Adam with clipped gradients where there are no residuals. It ends when four Gauss-Newton steps
    led nowhere (`tolerance`, in coordinates), when `patience` steps brought nothing better, or
    after `steps`.
    The result is the mean of the best four steps in a row, looked at with fresh noise of `seeds`
    runs, but at least eight. In a
    `folder` it is saved after every step, and goes on from there if it was interrupted, as if it
    had not been; Ctrl-C ends it early. With `progress` every step is told in a line.

    Raises: KeyError and ValueError for names, bounds, starts and targets that do not fit, before
    anything runs; TypeError for an estimator or optimiser that is none; FitFailed, with the values,
    where voltages or loss stop being finite or nothing responds to any parameter.
    """
    start_jax()  # before a key does, with one device
    if not isinstance(aim, Targets | Loss):
        raise TypeError(f"A fit needs Targets or a Loss, got {shown(aim)}.")
    check_how(estimator, seeds, key)
    _check_course(optimiser, steps, tolerance, patience)
    if not bounds:
        raise ValueError("Nothing to fit: give at least one parameter name and its Bounds.")
    coordinates = Coordinates(network, bounds, start)
    given = {"duration": duration, "settle": settle, "dt": dt, "devices": devices}
    protocol = Protocol(network, coordinates, aim.measures, aim.conditions, **given)
    _check_free(protocol)
    _check_bounds(protocol)
    estimator, look = _estimators(coordinates, estimator)
    optimiser = optimiser or _default_optimiser(aim, estimator)
    fitter = Fitter(protocol, aim_of(protocol, aim), estimator, look, optimiser, seeds, key)
    limits = steps, tolerance, patience
    journal = (
        Journal(Path(folder), network, fitter.settings) if folder else Journal(None, network, {})
    )
    fresh = beginning(coordinates.start, optimiser)
    _check_optimiser(optimiser, fresh, bool(folder))
    residuals = isinstance(aim, Targets) and estimator.gives_sensitivity
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
    return fitter.result(course, ended)


def check_how(estimator: Any, seeds: Any, key: Any) -> None:
    """Raise unless derivatives can be estimated in this way, from so many seeds."""
    if estimator is not None and not isinstance(estimator, Estimator):
        raise TypeError(
            f"estimator must be an Estimator, such as estimators.Differences(), got "
            f"{shown(estimator)}."
        )
    whole("seeds", seeds, 2)
    whole("key", key, 0)
    key_of(key)


def _check_course(optimiser: Any, steps: Any, tolerance: Any, patience: Any) -> None:
    if optimiser is not None and not (hasattr(optimiser, "init") and hasattr(optimiser, "update")):
        raise TypeError(
            f"optimiser must be one of optax, such as optax.adam(0.1), or gauss_newton(), got "
            f"{shown(optimiser)}."
        )
    whole("steps", steps, 1)
    whole("patience", patience, 1)
    number = isinstance(tolerance, int | float | np.number)
    if not number or isinstance(tolerance, bool) or not 0 <= tolerance < np.inf:
        raise ValueError(
            f"tolerance must be a number of at least 0, in coordinates, got {shown(tolerance)}."
        )


def _check_optimiser(optimiser: Any, fresh: Course, saved: bool) -> None:
    """Raise if steps could not be made with an optimiser, or its state not be saved."""
    if isinstance(fresh.optimiser, Trust):
        return
    extra = {}
    import optax

    if isinstance(optimiser, optax.GradientTransformationExtraArgs):
        extra = {"residuals": None, "value": 0.0}
    u = jnp.asarray(fresh.coordinates, jnp.result_type(float))
    try:
        with suppress(AttributeError):  # of one that looks into residuals, of which there are none
            optimiser.update(jnp.zeros_like(u), fresh.optimiser, u, **extra)
    except TypeError as error:
        raise TypeError(
            f"optimiser cannot be used, because it evaluates the loss itself or needs more than "
            f"gradient and loss ({error}): use optax.adam(0.1), or gauss_newton()."
        ) from error
    keys = [x for x in jax.tree.leaves(fresh.optimiser) if is_key(x)]
    if keys and saved:
        raise TypeError("optimiser has a random key in its state, which a folder does not keep.")


def _check_free(protocol: Protocol) -> None:
    """Raise if a condition sets what is fitted, whatever the condition."""
    for place in protocol.coordinates.places:
        if all(set(place.paths) <= values.keys() for values in protocol.conditions.values()):
            raise ValueError(
                f"{place.name} is set by every condition, {sorted(protocol.conditions)}, so that "
                f"nothing depends on its fitted value: fit others, or add a condition that leaves "
                f"it free."
            )


def _check_bounds(protocol: Protocol) -> None:
    """Raise if a network within the bounds could not be run, as far as one or two numbers decide.

    Looked at are both ends of each parameter, a place between them, for what must be a whole number
    of steps, and the ends of two that belong to one part, between which there may be a rule.
    """
    c, network = protocol.coordinates, protocol.network
    start, looked_at = values_at(c.places, c.start), []
    for i, place in enumerate(c.places):
        looked_at += [{place: share} for share in (0.0, BETWEEN, 1.0)]
        for other in c.places[:i]:
            if _owners(place) & _owners(other):
                looked_at += [{place: a, other: b} for a in (0.0, 1.0) for b in (0.0, 1.0)]
    for shares in looked_at:
        given = {p: p.bounds.low + x * (p.bounds.high - p.bounds.low) for p, x in shares.items()}
        there = {path: np.full(p.shape, x) for p, x in given.items() for path in p.paths}
        fixed = next(v for v in protocol.conditions.values() if not there.keys() <= v.keys())
        try:
            with_parameters(network, start | there | fixed).check(protocol.dt)
        except ValueError as error:
            raise ValueError(
                f"The bounds of {' and '.join(p.name for p in given)} hold values with which the "
                f"network cannot be run:{listed({p.name: x for p, x in given.items()})}\n{error}\n"
                f"Narrow the bounds, or leave out what cannot move freely."
            ) from None


def _owners(place: Place) -> set[str]:
    """The parts to which the numbers of a place belong."""
    return {path.rpartition("/")[0] for path in place.paths}


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


def _default_optimiser(aim: Targets | Loss, estimator: Estimator) -> Any:
    if isinstance(aim, Targets) and estimator.gives_sensitivity:
        return gauss_newton()
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
