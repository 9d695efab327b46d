"""Gauss-Newton steps with a memory and a trust region, as a transformation of optax."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from cortexmg.part import Part, Scalar, count, quantity

if TYPE_CHECKING:  # loading it is slow, and most runs fit nothing
    import optax

WORSE = 2.0  # standard errors by which the loss must have grown for a step to be taken back
AHEAD = 0.3  # of a coordinate: how far a sensitivity is trusted, for the weight of its noise
LEAST = 0.05  # of a coordinate: the least radius of the trust region
TINY = 1e-12  # so that where statistics tell nothing a prior counts in full
CHANGE = 0.5  # how much of a sensitivity may have changed since it was measured


class Known(NamedTuple):
    """What is known at a point, of the residuals in standard deviations; NaN where undefined."""

    estimates: float  # of how many the residual is the mean
    residual: Float[np.ndarray, " q"]
    error: Float[np.ndarray, " q"]  # variance
    sensitivities: float  # of how many estimates the sensitivity is the mean
    sensitivity: Float[np.ndarray, "q p"]
    error_of_sensitivity: Float[np.ndarray, " q"]  # variance, summed over parameters

    def with_another(self, other: "Known") -> "Known":
        """The mean of both; what is undefined in one is that of the other."""
        r, s = ((self.estimates, other.estimates), (self.sensitivities, other.sensitivities))
        return Known(
            sum(r),
            _mean(self.residual, other.residual, *r),
            _mean(self.error, other.error, *r),
            sum(s),
            _mean(self.sensitivity, other.sensitivity, *s),
            _mean(self.error_of_sensitivity, other.error_of_sensitivity, *s),
        )

    def carried(self, step: Float[np.ndarray, " p"], memory: float) -> "Known":
        """What is still known of it a step farther on."""
        change = self.sensitivity @ step
        led = np.nan_to_num(change**2 / (1.0 + self.error)).mean()
        trust = memory * float(np.exp(-led))
        return self._replace(
            estimates=self.estimates * trust,
            residual=self.residual + change,
            sensitivities=self.sensitivities * trust,
        )

    def bent(self, fresh: "Known", step: Float[np.ndarray, " p"]) -> "Known":
        """The sensitivity that leads from here, whence a step was predicted, to what was found.

        As far as the difference is more than noise: a filtered secant update.
        """
        length = max(float(step @ step), 1e-12)
        noise = fresh.error + self.error / max(self.estimates, 1.0)
        spread = CHANGE**2 * np.mean(self.sensitivity**2, axis=1) * length
        gain = spread / np.maximum(spread + noise, 1e-12)
        more = np.nan_to_num(gain * (fresh.residual - self.residual))
        return self._replace(sensitivity=self.sensitivity + more[:, None] * step / length)


class Residuals(NamedTuple):
    """What a step is told of the point at which it begins."""

    found: Known  # by one estimate, or none of the sensitivity of statistics
    priors: int  # how many residuals at the end are those of priors
    loss: float
    low: Float[np.ndarray, " p"]
    high: Float[np.ndarray, " p"]


class Trust(NamedTuple):
    """Where the last good step led, what is known there, and how far the next may lead."""

    params: Float[np.ndarray, " p"]
    known: Known
    loss: float
    noise: float  # s.e. of the loss
    radius: float
    secants: int  # steps that may still do without a fresh sensitivity

    @property
    def needs_sensitivity(self) -> bool:
        """Whether the next step needs more than the statistics."""
        return int(self.secants) <= 0


class GaussNewton(Part):
    """How long steps are, and what they remember: what `gauss_newton` is given."""

    longest: Scalar = quantity("1", above=0.0)  # of a coordinate
    damping: Scalar = quantity("1", low=0.0)
    memory: Scalar = quantity("1", low=0.0, high=1.0)
    secants: int = count(low=0)


NEEDS = (
    "gauss_newton needs parameters, residuals and the sensitivity of every statistic. Reverse and "
    "Loss do not give them: use Differences or Forward with Targets, or another optimiser, such as "
    "optax.adam."
)


def gauss_newton(
    longest: float = 0.5, damping: float = 1e-3, memory: float = 0.8, secants: int = 1
) -> "optax.GradientTransformationExtraArgs":
    """Steps to where linear statistics would meet their targets, none longer than `longest`.

    It needs the residuals and, every `secants` + 1 steps and after one that made the loss worse,
    their sensitivity, which estimators that look forward give; in between the sensitivity follows
    the residuals (Broyden 1965, doi:10.1090/S0025-5718-1965-0198670-6). Each
    statistic counts by its variance: that of its target, of its mean over seeds, and of what its
    sensitivity predicts; a prior counts for less by as much as the statistics that tell of its
    parameter. Estimates of earlier steps count as well, each step `memory` times less,
    and less the farther the step led, so that at rest the variance of the noise is (1 - memory) /
    (1 + memory) of that of one. A step after which the loss has grown by more than noise is taken
    back, and the next is shorter. `damping` is that of Levenberg (1944, doi:10.1090/qam/10666) and
    Marquardt (1963, doi:10.1137/0111030).

    Raises: ValueError for a number outside its range.
    """
    import optax

    how = GaussNewton(longest, damping, memory, secants)

    def init(params: np.ndarray) -> Trust:
        none = np.zeros(0)
        known = Known(0.0, none, none, 0.0, np.zeros((0, params.size)), none)
        return Trust(params, known, np.inf, 0.0, how.longest, 0)

    def update(updates, state: Trust, params=None, *, residuals: Residuals | None = None, **_: Any):
        del updates
        if residuals is None or params is None:
            raise ValueError(NEEDS)
        state = _moved(state, params, residuals, how)
        low, high = residuals.low, residuals.high
        weights = _weights(state.known, residuals.priors)
        step = _step(state.params, state.known, weights, low, high, state.radius, how.damping)
        return state.params + step - params, state

    return optax.GradientTransformationExtraArgs(init, update)  # pyright: ignore


def _moved(state: Trust, params: np.ndarray, told: Residuals, how: GaussNewton) -> Trust:
    """The state with what was found at the parameters that it led to, or taken back."""
    fresh, measured = told.found, told.found.sensitivities > 0
    # Of half the sum of squares of normal residuals.
    noise = np.sqrt(np.nansum(fresh.residual**2 * fresh.error + 0.5 * fresh.error**2))
    worse = told.loss - state.loss
    if worse > WORSE * np.hypot(noise, state.noise):
        # A loss that was low by chance would turn all later steps back.
        unsure = state._replace(noise=1.5 * max(state.noise, noise), secants=0)
        return unsure._replace(radius=max(state.radius / 3, LEAST))
    known = fresh
    if state.known.estimates:
        step = params - state.params
        known = state.known.carried(step, how.memory)
        known = (known if measured else known.bent(fresh, step)).with_another(fresh)
    left = how.secants if measured else state.secants - 1
    return Trust(params, known, told.loss, noise, min(how.longest, 1.5 * state.radius), left)


def _mean(a: np.ndarray, b: np.ndarray, of_a: float, of_b: float) -> np.ndarray:
    """The weighted mean, or that which is defined."""
    share = of_b / max(of_a + of_b, 1e-12)
    mean = (1 - share) * a + share * b
    return np.where(np.isnan(b), a, np.where(np.isnan(a), b, mean))


def _weights(known: Known, priors: int) -> np.ndarray:
    """How much each residual counts, the last of which are `priors`; 0 where one is undefined."""
    variance = 1.0 + known.error + AHEAD**2 * known.error_of_sensitivity
    certain = np.isfinite(known.residual + variance + known.sensitivity.sum(axis=1))
    weights = np.where(certain, 1.0 / variance, 0.0)
    # Noise makes statistics count for less. Priors must do so too, on average over what tells of
    # their parameter, or they would decide more than in the loss.
    told, q = np.where(certain, known.sensitivity.T, 0.0).T ** 2, weights.size - priors
    share = (weights[:q] @ told[:q] + TINY) / (np.sum(told[:q], axis=0) + TINY)
    weights[q:] = [share[k] for k in np.argmax(told[q:], axis=1)]
    return weights


def _step(at, known: Known, weights, low, high, radius: float, damping: float) -> np.ndarray:
    """The step from there to where the weighted residuals would be least, inside the bounds."""
    root = np.sqrt(weights)
    j = np.nan_to_num(known.sensitivity) * root[:, None]
    downhill = -j.T @ (np.nan_to_num(known.residual) * root)
    free = ~((at <= low) & (downhill < 0)) & ~((at >= high) & (downhill > 0))
    hessian, step = (j.T @ j)[np.ix_(free, free)], np.zeros(at.size)
    # More damping shortens a step where residuals depend on it least, first; shortening it as a
    # whole would let what they hardly depend on decide how far the rest may go.
    size, axes = np.linalg.eigh(hessian + damping * np.diag(np.maximum(np.diag(hessian), 1e-6)))
    along = axes.T @ downhill[free]
    for more in [0.0, *np.logspace(-6, 8, 57)]:
        step[free] = axes @ (along / (size + more))
        if np.max(np.abs(step), initial=0.0) <= radius:
            break
    return np.clip(at + step, low, high) - at
