"""Fitting parameters to target statistics, by the gradients of an estimator and optax."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from cortexmg.aim import Aim, aim_of
from cortexmg.bounds import Bounds, Coordinates
from cortexmg.course import Course, Journal, beginning
from cortexmg.devices import Devices
from cortexmg.estimators import Differences, Estimate, Estimator
from cortexmg.estimators.estimator import Residuals, mean_over_seeds, variance_over_seeds
from cortexmg.fitted import Fit, fitted
from cortexmg.gauss_newton import gauss_newton
from cortexmg.network import Network
from cortexmg.part import shown
from cortexmg.protocol import Protocol
from cortexmg.targets import Loss, Targets

if TYPE_CHECKING:  # loading it is slow, and most runs fit nothing
    import optax

FEW = 16  # parameters up to which every one has runs of its own
LAST = 2**31 - 1  # the step of the keys with which the result is looked at


class FitFailed(ArithmeticError):
    """A fit met something that is not a number; `values` are the parameters that caused it."""

    def __init__(self, message: str, values: dict[str, Any]):
        super().__init__(message)
        self.values = values


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
    condition: `settle` ms and then the `duration` ms that are measured.

    Left out, the estimator is `Differences()`, with random directions for more than 16 numbers,
    and the optimiser `gauss_newton()`, or Adam with clipped gradients where there are no residuals.
    It ends when four steps led nowhere (`tolerance`, in coordinates), when `patience` steps brought
    nothing better, or after `steps`. The result is the mean of the best four steps in a row, looked
    at with fresh noise. In a `folder` it is saved after every step, and goes on from there if it
    was interrupted, as if it had not been; Ctrl-C ends it early.

    Raises: KeyError and ValueError for names, bounds, starts and targets that do not fit, before
    anything runs; FitFailed, with the values, where voltages or loss stop being finite or nothing
    responds to any parameter.
    """
    coordinates = Coordinates(network, bounds, start)
    given = {"duration": duration, "settle": settle, "dt": dt, "devices": devices}
    protocol = Protocol(network, coordinates, aim.measures, aim.conditions, **given)
    for name, number, least in (
        ("steps", steps, 1),
        ("seeds", seeds, 2),
        ("patience", patience, 1),
    ):
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise ValueError(f"{name} must be a whole number from {least} on, got {shown(number)}.")
    estimator = estimator or default_estimator(coordinates.size)
    optimiser = optimiser or _default_optimiser(aim, estimator)
    fitter = Fitter(protocol, aim_of(protocol, aim), estimator, optimiser, seeds, key)
    journal = Journal(Path(folder) if folder else None, network, fitter.settings)
    course = journal.read(beginning(coordinates.start, optimiser))
    ended = "all steps done"
    try:
        while course.steps < steps:
            course = fitter.next(course)
            journal.write(course)
            _say(course, coordinates, progress)
            if course.rests(tolerance):
                ended = "converged"
                break
            if course.steps - 1 - course.best()[1] >= patience:
                ended = "no better"
                break
    except KeyboardInterrupt:
        if not course.steps:
            raise
        ended = "interrupted"
    return fitter.result(course, ended)


class Fitter(NamedTuple):
    """How every step of a fit is made."""

    protocol: Protocol
    goal: Aim
    estimator: Estimator
    optimiser: Any
    seeds: int
    key: int

    def next(self, course: Course) -> Course:
        """One step of the optimiser, inside the bounds."""
        u, c = course.coordinates, self.protocol.coordinates
        estimate = self.estimate(self.estimator, u, course.steps)
        mean = mean_over_seeds(estimate.statistics)
        off = (u - c.prior_mean) / c.prior_sd
        loss = self.goal.loss(mean) + 0.5 * float(np.sum(off**2))
        gradients = estimate.gradients + off / c.prior_sd
        if not np.isfinite(loss) or not np.all(np.isfinite(gradients)):
            self._fail(f"The loss is {loss:g} and its gradient {shown(gradients.mean(axis=0))}", u)
        if not np.any(gradients):
            self._fail(f"Nothing responds to any parameter (statistics {shown(mean)})", u)
        import optax

        extra = {}
        if isinstance(self.optimiser, optax.GradientTransformationExtraArgs):
            extra = {"residuals": self._residuals(estimate, mean, off, loss)}
        change, state = self.optimiser.update(gradients.mean(axis=0), course.optimiser, u, **extra)
        moved = np.clip(u + np.asarray(change, float), c.low, c.high)
        return course.after(moved, state, loss, gradients, estimate.runs)

    def estimate(self, estimator: Estimator, u: np.ndarray, step: int) -> Estimate:
        """Statistics and derivatives at `u`, with the noise of a step."""
        keys = keys_of(self.key, step, self.seeds)
        estimate = estimator.estimate(self.protocol, u, keys, self.goal.slope)
        if np.any(np.isinf(estimate.statistics)) or not np.any(np.isfinite(estimate.statistics)):
            self._fail("Voltages stopped being finite, or no statistic is defined", u)
        return estimate

    def result(self, course: Course, ended: str) -> Fit:
        """What a course has found, looked at with fresh noise."""
        c = self.protocol.coordinates
        u = np.clip(course.best()[0], c.low, c.high)
        look = self.estimator if self.estimator.gives_sensitivity else default_estimator(c.size)
        return fitted(self.protocol, self.goal, course, ended, u, self.estimate(look, u, LAST))

    def _fail(self, why: str, u: np.ndarray) -> NoReturn:
        values = self.protocol.coordinates.named(u)
        raise FitFailed(
            f"{why}, at {shown(values)}. Start where cells fire and stay finite, narrow the "
            f"bounds, or use a smaller dt; what was reached before is in the folder of the fit.",
            values,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit that goes on must have in common with the one that was saved."""
        p, c = self.protocol, self.protocol.coordinates
        return {
            "command": "fit",
            "parameters": {
                place.name: [place.bounds.low, place.bounds.high, place.bounds.prior]
                for place in c.places
            },
            "start": c.start.tolist(),
            "statistics": list(map(str, p.statistics)),
            "conditions": p.conditions,
            "targets": [x if np.isfinite(x) else None for x in self.goal.wanted().tolist()],
            "times": [p.settle, p.duration, p.dt],
            "estimator": repr(self.estimator),
            "seeds": self.seeds,
            "key": self.key,
        }

    def _residuals(
        self, estimate: Estimate, mean: np.ndarray, off: np.ndarray, loss: float
    ) -> Residuals | None:
        """What `gauss_newton` needs: residuals and their sensitivity, those of priors below."""
        residual, c = self.goal.residual(mean), self.protocol.coordinates
        if residual is None or estimate.sensitivity is None:
            return None
        scale, seeds = self.goal.scale(mean), len(estimate.statistics)
        told = scale[:, None] * mean_over_seeds(estimate.sensitivity)
        error = scale**2 * variance_over_seeds(estimate.statistics) / seeds
        error_of_told = variance_over_seeds(estimate.sensitivity).sum(axis=1) * scale**2 / seeds
        believed = np.isfinite(c.prior_sd)
        none = np.zeros(believed.sum())
        return Residuals(
            np.concatenate([residual, off[believed]]),
            np.concatenate([error, none]),
            np.concatenate([told, np.diag(1.0 / c.prior_sd)[believed]]),
            np.concatenate([error_of_told, none]),
            loss,
            c.low,
            c.high,
        )


def default_estimator(size: int) -> Estimator:
    """What a fit of so many numbers uses: docs/gradients.md says why."""
    return Differences() if size <= FEW else Differences(directions=4, local=True)


def keys_of(key: int, step: int, seeds: int) -> jax.Array:
    """The keys of the runs of a step, [seeds]."""
    of_step = jax.random.fold_in(jax.random.key(key, impl="philox4x32"), step)
    return jax.vmap(lambda i: jax.random.fold_in(of_step, i))(jnp.arange(seeds))


def _default_optimiser(aim: Targets | Loss, estimator: Estimator) -> Any:
    if isinstance(aim, Targets) and estimator.gives_sensitivity:
        return gauss_newton()
    import optax

    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1))


def _say(course: Course, coordinates: Coordinates, progress: bool) -> None:
    """One line about the last step."""
    if not progress:
        return
    values = coordinates.named(course.tried[-1])
    some = ", ".join(f"{k.split('/')[-1]} {np.mean(v):.4g}" for k, v in list(values.items())[:6])
    text = f"step {course.steps}: loss {course.losses[-1]:.4g}, {course.runs} runs, {some}"
    print(text, file=sys.stderr, flush=True)
