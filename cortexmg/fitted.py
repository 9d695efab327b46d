"""What a fit found, and how sure it is of it."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from cortexmg.aim import Aim
from cortexmg.bounds import Coordinates
from cortexmg.course import Course
from cortexmg.estimators import Estimate
from cortexmg.estimators.estimator import mean_over_seeds
from cortexmg.protocol import Protocol

INSEPARABLE = 0.95  # correlation from which two parameters count as one
VAGUE = 1.0  # units of a coordinate: an e-fold, or a quarter of the range


class Fit(NamedTuple):
    """The best values of a fit, the way to them, and their uncertainty.

    Uncertainties and their correlation are in the coordinates: for a parameter that moves in its
    logarithm, 0.1 is 10 %.
    """

    values: dict[str, Any]  # by the names that were given
    labels: list[str]  # of the numbers among them, one per entry of what follows
    coordinates: Float[np.ndarray, " p"]
    sd: Float[np.ndarray, " p"]
    correlation: Float[np.ndarray, "p p"]
    gradient_noise: Float[np.ndarray, " p"]  # s.e. of the gradient over seeds, at the end
    loss: float
    curve: dict[str, np.ndarray]  # "loss", "coordinates", "gradients" of every step
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
            rows.append(f"{label:{width}s} {found:12.5g} {se:10.2g} {target:12.5g}")
        done = f"\n{self.ended} after {len(self.curve['loss'])} steps, {self.runs} runs"
        rows.append(f"{done}, {self.seconds:.0f} s of biology; loss {self.loss:.4g}")
        return "\n".join(rows + [f"warning: {w}" for w in self.warnings])


def fitted(
    protocol: Protocol, goal: Aim, course: Course, ended: str, u: np.ndarray, estimate: Estimate
) -> Fit:
    """The result of a course, whose best coordinates `u` were looked at with an estimate."""
    c, runs = protocol.coordinates, course.runs + estimate.runs
    mean = mean_over_seeds(estimate.statistics)
    scale, off = goal.scale(mean), (u - c.prior_mean) / c.prior_sd
    told = scale[:, None] * mean_over_seeds(estimate.told)
    sd, correlation = uncertainty(told, scale * estimate.statistics, c.prior_sd)
    error = estimate.statistics.std(axis=0) / np.sqrt(estimate.statistics.shape[0] - 1)
    found = zip(mean, error, goal.wanted(), strict=True)
    missing = [str(s) for s, m in zip(protocol.statistics, mean, strict=True) if np.isnan(m)]
    said = [f"{s} is undefined here and was left out: too few spikes." for s in missing]
    return Fit(
        values=c.named(u),
        labels=c.labels,
        coordinates=u,
        sd=sd,
        correlation=correlation,
        gradient_noise=course.noise[-1],
        loss=goal.loss(mean) + 0.5 * float(np.sum(off**2)),
        curve={"loss": course.losses, "coordinates": course.tried, "gradients": course.gradients},
        statistics=dict(zip(map(str, protocol.statistics), found, strict=True)),
        warnings=warnings_of(c, u, sd, correlation) + said,
        ended=ended,
        runs=runs,
        seconds=runs * (protocol.duration + protocol.settle) * 1e-3,
    )


def uncertainty(
    sensitivity: Float[np.ndarray, "q p"], noise: Float[np.ndarray, "seeds q"], prior_sd: np.ndarray
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, "p p"]]:
    """S.d. and correlation of the parameters, from residuals in standard deviations.

    The covariance is that of the targets carried back through the sensitivity (Gauss-Newton), and
    that of the mean over seeds on top. Parameters that nothing depends on have an infinite s.d.
    """
    known = np.all(np.isfinite(sensitivity), axis=1) & np.all(np.isfinite(noise), axis=0)
    j, noise = sensitivity[known], noise[:, known]
    hessian = j.T @ j + np.diag(1.0 / prior_sd**2)
    inverse = np.linalg.pinv(hessian, rcond=1e-10, hermitian=True)
    seeds = (noise - noise.mean(axis=0)) @ (inverse @ j.T).T / np.sqrt(noise.shape[0])
    covariance = inverse + seeds.T @ seeds / max(1, noise.shape[0] - 1)
    sd = np.sqrt(np.diag(covariance))
    correlation = covariance / np.maximum(np.outer(sd, sd), 1e-300)
    # What the inverse leaves out has no bound on it.
    lost = np.diag(np.eye(len(sd)) - inverse @ hessian) > 1e-3
    return np.where(lost, np.inf, sd), correlation


def warnings_of(
    coordinates: Coordinates, u: np.ndarray, sd: np.ndarray, correlation: np.ndarray
) -> list[str]:
    """In plain words, what the statistics do not tell."""
    labels, said = coordinates.labels, []
    pairs = np.argwhere(np.triu(np.abs(correlation) > INSEPARABLE, 1))
    for a, b in pairs[:10]:
        how = "their ratio" if correlation[a, b] > 0 else "their product"
        said.append(
            f"{labels[a]} and {labels[b]} cannot be told apart (correlation "
            f"{correlation[a, b]:+.3f}): the targets fix little more than {how}. Add a condition "
            f"or a measure on which they act differently, or fix one."
        )
    for i in np.flatnonzero(sd > VAGUE)[:10]:
        said.append(
            f"the targets hardly determine {labels[i]} (s.d. {sd[i]:.2g} in its coordinate): add a "
            f"condition that depends on it, a prior, or leave it out."
        )
    for i in np.flatnonzero((u <= coordinates.low) | (u >= coordinates.high))[:10]:
        said.append(f"{labels[i]} ended at a bound: widen it if that is not meant.")
    more = len(pairs) + int(np.sum(sd > VAGUE))
    return said + ([f"{more} such findings in all"] if len(pairs) > 10 else [])
