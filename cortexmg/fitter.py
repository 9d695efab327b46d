"""How every step of a fit is made."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cortexmg.aim import Aim
from cortexmg.bounds import listed
from cortexmg.course import Course
from cortexmg.estimators import Estimate, Estimator
from cortexmg.estimators.estimator import (
    Broken,
    Diverged,
    Overflow,
    check_derivatives,
    mean_over_seeds,
    variance_of_mean,
    without_derivatives,
)
from cortexmg.fitted import Fit, fitted
from cortexmg.gauss_newton import Known, Residuals, Trust
from cortexmg.measures import CellRates, Rate
from cortexmg.part import shown
from cortexmg.protocol import Protocol, keys_of

LAST = 2**31 - 1  # the step of the keys with which the result is looked at
# At least so many seeds look at it. How certain eight parameters are was not to be had from two:
# what noise turns a lost direction towards was lost, too, in half of the fits.
LOOK = 8
REMEDY = "Start where cells fire and stay finite, narrow the bounds, or use a smaller dt."


class FitFailed(Broken):
    """A fit met something that is not a number, or nothing that it could follow.

    `why` is that in a few words, `values` are the parameters that caused it, `best` the best ones
    before (None at the first step).
    """

    def __init__(
        self, why: str, values: dict[str, Any], best: dict[str, Any] | None, remedy: str = REMEDY
    ):
        before = "" if best is None else f"\nThe best before:{listed(best)}"
        super().__init__(f"{why}, at{listed(values)}{before}\n{remedy}")
        self.why, self.values, self.best = why, values, best


class Fitter(NamedTuple):
    """How every step of a fit is made."""

    protocol: Protocol
    goal: Aim
    estimator: Estimator  # of its steps
    look: Estimator | None  # of its result
    optimiser: Any
    seeds: int
    key: int

    def next(self, course: Course) -> Course:
        """One step of the optimiser, inside the bounds."""
        u, c = course.coordinates, self.protocol.coordinates
        measured = getattr(course.optimiser, "needs_sensitivity", True)
        estimate = self.estimate(self.estimator if measured else None, u, course)
        mean = mean_over_seeds(estimate.statistics)
        off = (u - c.prior_mean) / c.prior_sd
        loss = self.goal.loss(mean) + 0.5 * float(np.sum(off**2))
        gradients = estimate.gradients + off / c.prior_sd
        if not np.isfinite(loss) or (measured and not np.all(np.isfinite(gradients))):
            why = f"The loss is {loss:g} and its gradient {shown(gradients.mean(axis=0))}"
            raise self._failed(why, course)
        if not np.any(gradients) and self._nothing_responds(estimate, mean):
            raise self._failed(
                "Nothing responds to any parameter", course, None, self._remedy(mean)
            )
        more = {"residuals": self._residuals(estimate, mean, off, loss), "value": loss}
        gradient = gradients.mean(axis=0)
        asked = gradient, u
        if not isinstance(course.optimiser, Trust):  # members of optax compute in JAX's precision
            asked = tuple(jnp.asarray(x, jnp.result_type(float)) for x in asked)
        change, state = self.optimiser.update(asked[0], course.optimiser, asked[1], **more)
        moved = np.clip(u + np.asarray(change, float), c.low, c.high)
        noise = np.sqrt(variance_of_mean(gradients + self._noise(estimate, mean)))
        return course.after(moved, state, loss, gradient, noise, estimate.runs)

    def estimate(
        self, estimator: Estimator | None, u: np.ndarray, course: Course, last: bool = False
    ) -> Estimate:
        """Statistics at `u`, with noise of its own, and derivatives if an estimator is given."""
        step, seeds = (LAST, max(LOOK, self.seeds)) if last else (course.steps, self.seeds)
        keys = keys_of(self.key, step, seeds)
        try:
            if estimator is None:
                return without_derivatives(self.protocol, u, keys)
            return check_derivatives(estimator.estimate(self.protocol, u, keys, self.goal.slope))
        except Diverged as broken:
            raise self._failed(broken.why, course, broken.values) from broken
        except Overflow as broken:
            raise self._failed(str(broken), course) from broken

    def result(self, course: Course, ended: str) -> Fit:
        """What a course has found, looked at with fresh noise.

        Where a neighbour that the careful look needs fails, memory is too small for it, or Ctrl-C
        is pressed during it, the result is there all the same, without its uncertainty.
        """
        c, estimate, lost = self.protocol.coordinates, None, ""
        u = np.clip(course.best()[0], c.low, c.high)
        try:
            estimate = self.estimate(self.look, u, course, last=True)
        except FitFailed as failed:
            lost = f"{failed.why}, at{listed(failed.values)}"
        except MemoryError as failed:
            lost = str(failed)
        except KeyboardInterrupt:
            ended = lost = "interrupted"
        if estimate is None:
            estimate = self.estimate(None, u, course, last=True)._replace(sensitivity=None)
        fit = fitted(self.protocol, self.goal, course, ended, u, estimate)
        said = [f"the uncertainty could not be computed: {lost}"] if lost else []
        return fit._replace(warnings=said + fit.warnings)

    def _nothing_responds(self, estimate: Estimate, mean: np.ndarray) -> bool:
        """Whether a gradient is 0 for that reason, and not because the aim is met."""
        if estimate.sensitivity is None:
            return bool(np.any(self.goal.slope(mean)))
        return not np.any(np.nan_to_num(estimate.sensitivity))

    def _remedy(self, mean: np.ndarray) -> str:
        """What to do where nothing responds: something else in silence than where cells fire."""
        p = self.protocol
        found = listed({str(s): x for s, x in zip(p.statistics, mean, strict=True)})
        counted = {name for name, m in p.measures.items() if isinstance(m, Rate | CellRates)}
        if np.any(mean[[s.measure in counted for s in p.statistics]] > 0):
            return (
                f"The statistics are{found}\nCells fire, so silence is not why: fit what these "
                f"statistics depend on, or add conditions or measures that depend on what is "
                f"fitted."
            )
        silent = {p.measures[s.measure].population for s in p.statistics if s.measure in counted}
        which = f"No cell of {' and '.join(sorted(silent))} fires" if silent else "If no cell fires"
        return (
            f"The statistics are{found}\n{which}: a target for their MeanVoltage gives a "
            f"direction, or start where they fire, or fit what reaches them."
        )

    def _failed(
        self,
        why: str,
        course: Course,
        values: dict[str, Any] | None = None,
        remedy: str = REMEDY,
    ) -> FitFailed:
        named = self.protocol.coordinates.named
        best = named(course.best()[0]) if course.steps else None
        return FitFailed(why, values or named(course.coordinates), best, remedy)

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit that goes on must have in common with the one that was saved."""
        p, c = self.protocol, self.protocol.coordinates
        return {
            "command": "fit",
            # Lists: what is saved follows their order.
            "parameters": [
                [place.name, place.bounds.low, place.bounds.high, place.bounds.prior]
                for place in c.places
            ],
            "start": c.start.tolist(),
            "measures": [[name, repr(m)] for name, m in p.measures.items()],
            "conditions": [[name, values] for name, values in p.conditions.items()],
            "aim": self.goal.account(),
            "times": [p.settle, p.duration, p.dt],
            "precision": str(jnp.result_type(float)),
            "estimator": repr(self.estimator),
            "optimiser": str(jax.tree.map(np.shape, self.optimiser.init(c.start))),
            "seeds": self.seeds,
            "key": self.key,
        }

    def _noise(self, estimate: Estimate, mean: np.ndarray) -> Any:
        """What the statistics of each seed add to its gradient, [seeds, p].

        Estimates have the slope of the loss at the mean of all seeds for each of them.
        """
        if estimate.sensitivity is None:
            return 0.0
        slopes = self.goal.bend(mean, np.nan_to_num(estimate.statistics - mean))
        return slopes @ np.nan_to_num(mean_over_seeds(estimate.sensitivity))

    def _residuals(
        self, estimate: Estimate, mean: np.ndarray, off: np.ndarray, loss: float
    ) -> Residuals | None:
        """What `gauss_newton` needs: residuals and their sensitivity, those of priors below."""
        residual, c = self.goal.residual(mean), self.protocol.coordinates
        if residual is None or estimate.sensitivity is None:
            return None
        scale = self.goal.scale(mean)
        told = scale[:, None] * mean_over_seeds(estimate.sensitivity)
        error = scale**2 * variance_of_mean(estimate.statistics)
        error_of_told = variance_of_mean(estimate.sensitivity).sum(axis=1) * scale**2
        believed = np.isfinite(c.prior_sd)
        none = np.zeros(believed.sum())
        found = Known(
            1.0,
            np.concatenate([residual, off[believed]]),
            np.concatenate([error, none]),
            float(np.any(np.isfinite(told))),
            np.concatenate([told, np.diag(1.0 / c.prior_sd)[believed]]),
            np.concatenate([error_of_told, none]),
        )
        return Residuals(found, none.size, loss, c.low, c.high)
