"""Gauss-Newton steps with a memory and a trust region, as a transformation of optax."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from cortexmg.estimators.estimator import Residuals

if TYPE_CHECKING:  # loading it is slow, and most runs fit nothing
    import optax

WORSE = 2.0  # standard errors by which the loss must have grown for a step to be taken back
AHEAD = 0.3  # of a coordinate: how far a sensitivity is trusted, for the weight of its noise


class Known(NamedTuple):
    """What is known at a point, of the residuals in standard deviations of their targets."""

    weight: float  # of how many estimates it is the mean
    residual: Float[np.ndarray, " q"]
    error: Float[np.ndarray, " q"]  # variance
    sensitivity: Float[np.ndarray, "q p"]
    error_of_sensitivity: Float[np.ndarray, " q"]  # variance, summed over parameters

    def with_another(self, other: "Known") -> "Known":
        """The mean of both; what is undefined in one is that of the other."""
        w = other.weight / max(self.weight + other.weight, 1e-12)
        means = [
            np.where(np.isnan(b), a, np.where(np.isnan(a), b, (1 - w) * a + w * b))
            for a, b in zip(self[1:], other[1:], strict=True)
        ]
        return Known(self.weight + other.weight, *means)

    def carried(self, step: Float[np.ndarray, " p"], memory: float) -> "Known":
        """What is still known of it a step farther on."""
        change = self.sensitivity @ step
        led = change**2 / (1.0 + self.error)
        trust = memory * np.exp(-np.nan_to_num(led).mean())
        return self._replace(weight=self.weight * float(trust), residual=self.residual + change)


class Trust(NamedTuple):
    """Where the last good step led, what is known there, and how far the next may lead."""

    params: Float[np.ndarray, " p"]
    known: Known
    loss: float
    radius: float


def gauss_newton(
    longest: float = 0.5, damping: float = 1e-2, memory: float = 0.8
) -> "optax.GradientTransformationExtraArgs":
    """Steps to where linear statistics would meet their targets, none longer than `longest`.

    It needs the residuals and their sensitivity, which estimators that look forward give. Each
    statistic counts by its variance: that of its target, of its mean over seeds, and of what its
    sensitivity predicts. Estimates of earlier steps count as well, each step `memory` times less,
    and less the farther the step led, so that at rest the noise of 1 / (1 - memory) estimates is
    averaged. A step after which the loss has grown by more than noise is taken back, and the next
    is shorter. `damping` is that of Levenberg (1944, doi:10.1090/qam/10666) and Marquardt (1963,
    doi:10.1137/0111030).
    """
    import optax

    def init(params: np.ndarray) -> Trust:
        none = np.zeros(0)
        return Trust(params, Known(0.0, none, none, np.zeros((0, params.size)), none), np.inf, -1.0)

    def update(updates, state: Trust, params=None, *, residuals: Residuals | None = None, **_: Any):
        del updates
        if residuals is None or params is None:
            raise ValueError(
                "gauss_newton needs parameters, residuals and the sensitivity of every statistic. "
                "Reverse and Loss do not give them: use Differences or Forward with Targets, or "
                "another optimiser, such as optax.adam."
            )
        fresh = Known(1.0, *residuals[:4])
        noise = np.sqrt(np.nansum(fresh.residual**2 * fresh.error) + 0.5 * np.nansum(fresh.error))
        radius = state.radius if state.radius > 0 else longest
        if residuals.loss > state.loss + WORSE * noise:
            at, known, loss, radius = state.params, state.known, state.loss, max(radius / 3, 0.02)
        else:
            at, loss, known = params, residuals.loss, fresh
            radius = min(longest, 1.5 * radius)
            if state.known.weight:
                known = state.known.carried(params - state.params, memory).with_another(fresh)
        step = _step(at, known, residuals.low, residuals.high, radius, damping)
        return at + step - params, Trust(at, known, loss, radius)

    return optax.GradientTransformationExtraArgs(init, update)  # pyright: ignore


def _step(at, known: Known, low, high, radius: float, damping: float) -> np.ndarray:
    """The step from there to where the weighted residuals would be least, inside the bounds."""
    variance = 1.0 + known.error + AHEAD**2 * known.error_of_sensitivity
    certain = np.isfinite(known.residual + variance + known.sensitivity.sum(axis=1))
    variance = variance[certain]
    j = known.sensitivity[certain] / np.sqrt(variance)[:, None]
    downhill = -j.T @ (known.residual[certain] / np.sqrt(variance))
    free = ~((at <= low) & (downhill < 0)) & ~((at >= high) & (downhill > 0))
    hessian, step = (j.T @ j)[np.ix_(free, free)], np.zeros(at.size)
    # More damping shortens a step where residuals depend on it least, first; shortening it as a
    # whole would let what they hardly depend on decide how far the rest may go.
    ridge = damping * np.diag(np.maximum(np.diag(hessian), 1e-6))
    for more in [0.0, *np.logspace(-6, 8, 57)]:
        step[free] = np.linalg.solve(hessian + ridge + more * np.eye(len(ridge)), downhill[free])
        if np.max(np.abs(step), initial=0.0) <= radius:
            break
    return np.clip(at + step, low, high) - at
