"""Gauss-Newton steps with a memory, as a transformation of optax."""

from typing import Any, NamedTuple

import numpy as np
import optax
from jaxtyping import Float

Vector = Float[np.ndarray, " p"]


class Memory(NamedTuple):
    """What earlier estimates still say, carried along to where the fit is now."""

    weight: float  # of all earlier ones together, in estimates
    residual: Float[np.ndarray, " q"]  # in standard deviations
    sensitivity: Float[np.ndarray, "q p"]  # of the residual


def gauss_newton(
    longest: float = 0.5, damping: float = 1e-2, memory: float = 0.8
) -> optax.GradientTransformationExtraArgs:
    """Steps to where linear statistics would meet their targets, none longer than `longest`.

    It needs the residuals and their sensitivity, which estimators that look forward give. Estimates
    of earlier steps count as well, each step `memory` times less, and less the farther the step
    led: residuals are carried along by the sensitivity, so that at rest the noise of the residual
    is averaged over 1 / (1 - memory) estimates. `damping` is that of Levenberg (1944,
    doi:10.1090/qam/10666), in the coordinates.
    """

    def init(params: Vector) -> Memory:
        return Memory(0.0, np.zeros(0), np.zeros((0, params.size)))

    def update(
        updates, state: Memory, params=None, *, residual=None, sensitivity=None, box=None, **_: Any
    ):
        if sensitivity is None or residual is None or params is None:
            raise ValueError(
                "gauss_newton needs parameters, residuals and the sensitivity of every statistic. "
                "Reverse and Loss do not give them: use Differences or Forward with Targets, or "
                "another optimiser, such as optax.adam."
            )
        state = _remembered(state, residual, sensitivity)
        j, (low, high) = state.sensitivity, box or (-np.inf, np.inf)
        downhill = -j.T @ state.residual
        free = ~((params <= low) & (downhill < 0)) & ~((params >= high) & (downhill > 0))
        hessian = j.T @ j
        ridge = np.diag(damping * np.maximum(np.diag(hessian), 1e-6))
        step = np.zeros(params.size)
        step[free] = np.linalg.solve((hessian + ridge)[np.ix_(free, free)], downhill[free])
        step *= min(1.0, longest / max(float(np.max(np.abs(step))), 1e-12))
        step = np.clip(params + step, low, high) - params
        trust = memory * float(np.exp(-np.sum((j @ step) ** 2) / max(1, j.shape[0])))
        return step, Memory(state.weight * trust, state.residual + j @ step, j)

    return optax.GradientTransformationExtraArgs(init, update)  # pyright: ignore


def _remembered(state: Memory, residual: np.ndarray, sensitivity: np.ndarray) -> Memory:
    """The mean of the new estimate and of those remembered; what is undefined counts as nothing."""
    known = np.isfinite(residual) & np.all(np.isfinite(sensitivity), axis=1)
    residual = np.where(known, residual, 0.0)
    sensitivity = np.where(known[:, None], sensitivity, 0.0)
    if not state.weight:
        return Memory(1.0, residual, sensitivity)
    w = state.weight / (1.0 + state.weight)
    return Memory(
        1.0 + state.weight,
        np.where(known, w * state.residual + (1 - w) * residual, state.residual),
        np.where(known[:, None], w * state.sensitivity + (1 - w) * sensitivity, state.sensitivity),
    )
