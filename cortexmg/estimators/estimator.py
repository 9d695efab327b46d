"""The interface of an estimator of derivatives."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Key

from cortexmg.bounds import listed
from cortexmg.part import Part
from cortexmg.protocol import Protocol

# From the mean of the statistics over seeds to the derivative of the loss by them.
Slope = Callable[[Float[np.ndarray, " q"]], Float[np.ndarray, " q"]]


class Broken(ArithmeticError):
    """What leaves a process of a pool as it was made, with all that it carries."""

    def __reduce__(self):
        return type(self).__new__, (type(self), *self.args), self.__dict__


class Diverged(Broken):
    """Voltages of a run did not stay finite; `values` are the parameters that caused it."""

    def __init__(self, values: dict[str, Any], condition: str):
        under = f" under {condition!r}" if condition else ""
        self.why, self.values = f"Voltages stopped being finite{under}", values
        super().__init__(f"{self.why}, at{listed(values)}")


class Overflow(Broken):
    """Derivatives of a run grew beyond all numbers."""

    def __init__(self, lost: int, seeds: int):
        super().__init__(
            f"Derivatives of {lost} of {seeds} seeds grew beyond all numbers, as they do where "
            f"cells excite one another strongly: use Differences, or Tangents with damping, a "
            f"horizon, or a larger width"
        )


class Estimate(NamedTuple):
    """Statistics at a point, and derivatives there by the coordinates of the parameters."""

    statistics: Float[np.ndarray, "seeds q"]
    gradients: Float[np.ndarray, "seeds p"]  # of the loss of the mean over seeds
    sensitivity: Float[np.ndarray, "seeds q p"] | None  # of the statistics; None if not computed
    runs: int  # simulated, those of all conditions counted

    @property
    def told(self) -> Float[np.ndarray, "seeds q p"]:
        """The sensitivity; raises TypeError if its estimator gives none."""
        if self.sensitivity is None:
            raise TypeError("This estimate holds gradients of the loss alone: use Differences.")
        return self.sensitivity

    @property
    def gradient(self) -> Float[np.ndarray, " p"]:
        """The mean over seeds."""
        return self.gradients.mean(axis=0)


class Estimator(Part):
    """How derivatives of statistics are found.

    A batch of seeds, `keys`, makes one estimate; all its runs share the noise of their seed.
    """

    gives_sensitivity: ClassVar[bool] = True  # of every statistic, not of the loss alone

    @abc.abstractmethod
    def estimate(
        self, protocol: Protocol, u: Float[np.ndarray, " p"], keys: Key[Array, " s"], slope: Slope
    ) -> Estimate:
        """Statistics and derivatives at the coordinates `u`."""


def finite_runs(
    protocol: Protocol, us: Float[np.ndarray, "s m p"], keys: Key[Array, " s"]
) -> Float[np.ndarray, "s m q"]:
    """The statistics of runs. Raises: Diverged."""
    found = protocol.run(us, keys)
    check_finite(protocol, us, found)
    return found


def check_finite(protocol: Protocol, us: np.ndarray, found: np.ndarray) -> None:
    """Raise Diverged if a run at one of these coordinates did not stay finite."""
    broken = np.argwhere(np.isinf(found))
    if broken.size:
        *run, q = broken[0]
        values = protocol.coordinates.named(us[tuple(run)])
        raise Diverged(values, protocol.statistics[q].condition)


def without_derivatives(
    protocol: Protocol, u: Float[np.ndarray, " p"], keys: Key[Array, " s"]
) -> Estimate:
    """The statistics alone: gradients and sensitivity are undefined."""
    us = np.broadcast_to(u, (keys.shape[0], 1, u.size))
    found = finite_runs(protocol, us, keys)[:, 0]
    gradients = np.full((keys.shape[0], u.size), np.nan)
    sensitivity = np.broadcast_to(np.nan, (*found.shape, u.size))  # in no memory
    return Estimate(found, gradients, sensitivity, keys.shape[0] * len(protocol.conditions))


def mean_over_seeds(statistics: Float[np.ndarray, "seeds *rest"]) -> Float[np.ndarray, "*rest"]:
    """Mean of what is defined; NaN where nothing is."""
    defined = np.isfinite(statistics)
    number = defined.sum(axis=0)
    total = np.sum(statistics, axis=0, where=defined)
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)


def variance_of_mean(x: Float[np.ndarray, "seeds *rest"]) -> Float[np.ndarray, "*rest"]:
    """Variance of the mean of what is defined; NaN where fewer than two are."""
    number = np.isfinite(x).sum(axis=0)
    squares = mean_over_seeds((x - mean_over_seeds(x)) ** 2)
    return np.where(number > 1, squares / np.maximum(number - 1, 1), np.nan)


def check_derivatives(estimate: Estimate) -> Estimate:
    """The same. Raises: Overflow, where derivatives are infinite. NaN is what is undefined."""
    told = estimate.gradients if estimate.sensitivity is None else estimate.sensitivity
    lost = np.isinf(told).any(axis=tuple(range(1, told.ndim)))
    if lost.any():
        raise Overflow(int(lost.sum()), lost.size)
    return estimate


def pulled(slope: np.ndarray, sensitivity: np.ndarray) -> Float[np.ndarray, "seeds p"]:
    """Gradients of the loss from the sensitivity of each seed; what is undefined is left out."""
    mean = np.nan_to_num(mean_over_seeds(sensitivity))
    return np.array([slope @ np.where(np.isfinite(x), x, mean) for x in sensitivity])
