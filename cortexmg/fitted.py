"""What a fit found, and how sure it is of it."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from cortexmg.aim import Aim
from cortexmg.course import Course
from cortexmg.doubts import TOO_MANY, missed, not_told, without_effect
from cortexmg.estimators import Estimate
from cortexmg.estimators.estimator import mean_over_seeds, variance_of_mean
from cortexmg.protocol import Protocol

UNKNOWN = 1e-10  # of the curvature of the loss, and of 1: below that there is none
CLEAR = 3.0  # standard deviations of noise beyond its mean: from there on something is seen
CHANCE = 2.0  # beyond the root of their number: no farther does noise turn lost directions
NOTHING = 0.01  # of what noise alone would tell: what counts as told where nothing else tells
OUTLYING = 10.0  # times the variance of most seeds: beyond, a statistic counts for less
EIGHT = 8  # seeds: of so many one is trimmed at either end, of fewer none
MAD = 1.4826  # s.d. of normal numbers, in their median absolute deviations


class Fit(NamedTuple):
    """The best values of a fit, the way to them, and their uncertainty.

    Uncertainties and their correlation are in the coordinates: for a parameter that moves in its
    logarithm, 0.1 is 10 %. A loss of one's own has none: it does not say how certain its zero is.
    Nor have fits of more than 2,000 numbers, whose `correlation` is None.
    """

    values: dict[str, Any]  # by the names that were given
    labels: list[str]  # of the numbers among them, one per entry of what follows
    coordinates: Float[np.ndarray, " p"]
    sd: Float[np.ndarray, " p"]
    correlation: Float[np.ndarray, "p p"] | None
    gradient_noise: Float[np.ndarray, " p"]  # s.e. of the last gradient over seeds
    loss: float  # with that of the priors
    curve: dict[str, np.ndarray]  # "loss", "coordinates", "gradients", "runs" of every step
    statistics: dict[str, tuple[float, float, float]]  # found, its s.e., target; at the end
    warnings: list[str]
    ended: str  # "converged", "no better", "all steps done", "interrupted"
    runs: int  # simulated
    seconds: float  # of biology, in all runs

    def __str__(self) -> str:
        width = max(map(len, [*self.labels, *self.statistics]))
        rows = [f"{'parameter':{width}s} {'value':>12s} {'s.d. (coordinate)':>18s}"]
        flat = np.concatenate([np.ravel(x) for x in self.values.values()])
        for label, value, sd in list(zip(self.labels, flat, self.sd, strict=True))[:40]:
            rows.append(f"{label:{width}s} {value:12.5g} {sd:18.3g}")
        if len(self.labels) > 40:
            rows.append(f"... and {len(self.labels) - 40} more")
        rows.append(f"\n{'statistic':{width}s} {'found':>12s} {'s.e.':>10s} {'target':>12s}")
        for label, (found, se, target) in list(self.statistics.items())[:40]:
            aim = "-" if np.isnan(target) else f"{target:.5g}"
            rows.append(f"{label:{width}s} {found:12.5g} {se:10.2g} {aim:>12s}")
        done = f"\n{self.ended} after {len(self.curve['loss'])} steps, {self.runs} runs"
        rows.append(f"{done}, {self.seconds:.0f} s of biology; loss {self.loss:.4g}")
        return "\n".join(rows + [f"warning: {w}" for w in self.warnings])


def fitted(
    protocol: Protocol, goal: Aim, course: Course, ended: str, u: np.ndarray, estimate: Estimate
) -> Fit:
    """The result of a course, whose best coordinates `u` were looked at with an estimate."""
    c, runs = protocol.coordinates, int(course.runs.sum()) + estimate.runs
    mean = mean_over_seeds(estimate.statistics)
    scale, off = goal.scale(mean), (u - c.prior_mean) / c.prior_sd
    sd, correlation = np.full(c.size, np.nan), None
    if c.size <= TOO_MANY:
        correlation = np.full((c.size, c.size), np.nan)
        if goal.residual(mean) is not None and estimate.sensitivity is not None:
            told = scale[:, None] * estimate.told
            sd, correlation = uncertainty(told, scale * estimate.statistics, c.prior_sd)
    error = np.sqrt(variance_of_mean(estimate.statistics))
    found = zip(mean, error, goal.wanted(), strict=True)
    said = [
        *not_told(c, u, sd, correlation),
        *missed(protocol, mean, goal.missed(mean)),
        *without_effect(protocol, estimate.statistics),
    ]
    return Fit(
        values=c.named(u),
        labels=c.labels,
        coordinates=u,
        sd=sd,
        correlation=correlation,
        gradient_noise=_last(course.noise[np.isfinite(course.noise).all(axis=1)], c.size),
        loss=goal.loss(mean) + 0.5 * float(np.sum(off**2)),
        curve={
            "loss": course.losses,
            "coordinates": course.tried,
            "gradients": course.gradients,
            "runs": course.runs,
        },
        statistics=dict(zip(map(str, protocol.statistics), found, strict=True)),
        warnings=said,
        ended=ended,
        runs=runs,
        seconds=runs * (protocol.duration + protocol.settle) * 1e-3,
    )


def _last(noise: Float[np.ndarray, "steps p"], size: int) -> Float[np.ndarray, " p"]:
    return noise[-1] if noise.size else np.full(size, np.nan)


def uncertainty(
    sensitivity: Float[np.ndarray, "seeds q p"],
    noise: Float[np.ndarray, "seeds q"],
    prior_sd: Float[np.ndarray, " p"],
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, "p p"]]:
    """S.d. and correlation of the parameters, from residuals in standard deviations.

    The covariance is that of the targets carried back through the sensitivity (Gauss-Newton), and
    that of the mean over seeds on top. Parameters that nothing depends on, or only together with
    others, have an infinite s.d. if they have no prior.
    """
    number = np.isfinite(noise).sum(axis=0)
    known = np.all(np.isfinite(mean_over_seeds(sensitivity)), axis=1) & (number > 1)
    sensitivity, number = sensitivity[:, known], number[known]
    counts = _counts(sensitivity)
    sensitivity = counts[:, None] * _trimmed(sensitivity)
    noise = counts * (noise[:, known] - mean_over_seeds(noise[:, known]))
    j, noise = mean_over_seeds(sensitivity), noise / np.sqrt(number * (number - 1))
    # Noise of the sensitivity looks like information. In its unit that is 1 in every direction.
    spurious = np.nan_to_num(variance_of_mean(sensitivity)).sum(axis=0)
    unit = np.sqrt(np.maximum(spurious, UNKNOWN * (1.0 + np.sum(j**2, axis=0))))
    j = j / unit
    size, axes = np.linalg.eigh(j.T @ j)
    lost = size <= 1.0 + CLEAR * np.sqrt(2.0 / _rows(j @ axes))
    size = np.where(lost, NOTHING, size - 1.0)
    undetermined = _undetermined(size, axes, lost, int(np.any(j != 0, axis=1).sum()))
    blind = np.where(undetermined[:, None], axes[:, lost], 0.0)
    away = np.eye(len(unit)) - blind @ np.linalg.pinv(blind, rcond=1e-3)
    told = away @ (axes * size) @ axes.T @ away
    # Only where no prior decides, for which anything added would be information.
    free = np.where(np.isinf(prior_sd), np.sqrt(NOTHING), 0.0)
    told += np.outer(free, free) * (np.eye(len(unit)) - away)
    inverse = np.linalg.inv(told + np.diag(1.0 / (prior_sd * unit) ** 2))
    of_seeds = np.nan_to_num(noise) @ j @ (axes * ~lost) @ axes.T @ away @ inverse
    covariance = inverse + of_seeds.T @ of_seeds
    sd = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(sd, sd)
    return np.where(undetermined & np.isinf(prior_sd), np.inf, sd / unit), correlation


def _trimmed(x: Float[np.ndarray, "seeds *rest"]) -> Float[np.ndarray, "seeds *rest"]:
    """Seeds with the mean that is left without the least and the largest of every eight.

    Their s.e. is that of a trimmed mean: Tukey and McLaughlin (1963, Sankhya A 25:331). Fewer than
    eight are as they were.
    """
    n = np.isfinite(x).sum(axis=0)
    cut = n // EIGHT
    inner = np.maximum(n - 2 * cut, 1)
    ascending = np.sort(np.where(np.isfinite(x), x, np.nan), axis=0)  # NaN last
    low = np.take_along_axis(ascending, cut[None], axis=0)
    high = np.take_along_axis(ascending, np.maximum(n - cut - 1, 0)[None], axis=0)
    held = np.clip(x, low, high)
    mean = mean_over_seeds(held)
    trimmed = (n * mean - cut * (low[0] + high[0])) / inner
    spread = np.sqrt(n * (n - 1) / np.maximum(inner * (inner - 1), 1))
    return np.where(cut > 0, trimmed + (held - mean) * spread, x)


def _counts(sensitivity: Float[np.ndarray, "seeds q p"]) -> Float[np.ndarray, " q"]:
    """By how much the residual of each statistic counts: 1, and less where a few seeds decide.

    A difference of which one side ignites a burst, in some seeds, has a sensitivity ten times that
    of all others there, whose noise would hide what the other statistics tell.
    """
    noise = np.nan_to_num(variance_of_mean(sensitivity))
    seeds = np.isfinite(sensitivity).sum(axis=0)
    middle = np.nanmedian(sensitivity, axis=0)
    usual = (MAD * np.nanmedian(np.abs(sensitivity - middle), axis=0)) ** 2 / seeds
    room = np.maximum(OUTLYING * usual, middle**2)
    # If most are alike, all others are of interest; of fewer seeds the deviation is hardly known.
    few = (usual > 0) & (noise > room) & (seeds >= EIGHT)
    share = np.divide(room, noise, where=few, out=np.ones_like(noise))
    return share.min(axis=1, initial=1.0)


def _rows(along: Float[np.ndarray, "q p"]) -> Float[np.ndarray, " p"]:
    """In how many statistics each direction is seen: the fewer, the farther noise alone gets."""
    square = np.sum(along**2, axis=0)
    number = np.divide(square**2, np.sum(along**4, axis=0), where=square > 0, out=square + 1.0)
    return np.maximum(number, 1.0)


def _undetermined(
    size: Float[np.ndarray, " p"], axes: Float[np.ndarray, "p p"], lost: np.ndarray, rows: int
) -> np.ndarray:
    """Which parameters have a part in the directions that are lost.

    Noise of 1 in `rows` statistics turns a lost direction towards a parameter by as much as the
    others leave that parameter uncertain: its part must be larger.
    """
    part = np.sum(axes[:, lost] ** 2, axis=1)
    uncertain = np.sum(axes[:, ~lost] ** 2 / size[~lost], axis=1)
    return part > (np.sqrt(lost.sum()) + CHANCE) ** 2 / max(rows, 1) * uncertain
