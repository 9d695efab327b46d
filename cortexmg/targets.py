"""What a fit aims at: statistics under conditions, and how far a network is from them."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cortexmg.measures import Measure
from cortexmg.part import check_members, shown
from cortexmg.protocol import Conditions, Protocol


class Target(NamedTuple):
    """The value that a measure should have under a condition.

    `sd` is its uncertainty on the scale on which the measure is compared (rates: in the
    logarithm, so that 0.1 is 10 %); left out, the `tolerance` of the measure.
    """

    measure: str
    value: Any  # one number, or one for each part of the measure
    condition: str = ""
    sd: Any = None


class Targets:
    """Values of measures under several conditions, weighted by their variance.

    The loss is half the sum of squared distances, each in standard deviations, minus the logarithm
    of a normal likelihood; beyond three standard deviations it grows linearly. A statistic that is
    undefined, such as the CV of silent cells, counts as far off, and is reported.
    """

    def __init__(
        self,
        measures: Mapping[str, Measure],
        targets: list[Target],
        conditions: Conditions | None = None,
    ):
        check_members("Targets.measures", measures, Measure)
        self.measures, self.targets = dict(measures), [Target(*t) for t in targets]
        self.conditions = dict(conditions or {"": {}})
        if not self.targets:
            raise ValueError("Targets needs at least one Target.")
        for t in self.targets:
            if t.measure not in self.measures or t.condition not in self.conditions:
                raise ValueError(
                    f"{shown(t)}: the measures are {sorted(self.measures)} and the conditions "
                    f"{sorted(self.conditions)}."
                )
            if sum((o.measure, o.condition) == (t.measure, t.condition) for o in self.targets) > 1:
                raise ValueError(
                    f"There are several targets for {t.measure!r} under {t.condition!r}: give one."
                )
            if t.sd is not None and not np.all(np.asarray(t.sd) > 0):
                raise ValueError(f"{shown(t)}: sd must be positive, got {shown(t.sd)}.")

    def aimed(self, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
        """Scaled value and s.d. of each statistic; s.d. infinite where there is no target."""
        value, sd = self._at_statistics(protocol)
        scaled = np.asarray(protocol.scaled(jnp.asarray(np.nan_to_num(value))), float)
        for s, x in zip(
            protocol.statistics, np.where(np.isfinite(scaled), 0.0, value), strict=True
        ):
            if x:
                raise ValueError(f"Target for {s} cannot be {x:g}: it has no such value.")
        return np.where(np.isfinite(value), scaled, 0.0), sd

    def wanted(self, protocol: Protocol) -> np.ndarray:
        """The value of each statistic, NaN where there is no target."""
        return self._at_statistics(protocol)[0]

    def _at_statistics(self, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
        """Value and s.d. of each statistic.

        Raises: ValueError if a target has not as many values as its measure, or no finite one.
        """
        statistics = protocol.statistics
        value, sd = np.full(len(statistics), np.nan), np.full(len(statistics), np.inf)
        for t in self.targets:
            place = t.measure, t.condition
            at = [i for i, s in enumerate(statistics) if (s.measure, s.condition) == place]
            if np.size(t.value) not in (1, len(at)) or not np.all(np.isfinite(t.value)):
                raise ValueError(
                    f"Target for {t.measure!r} must have 1 or {len(at)} values, all finite, got "
                    f"{shown(t.value)}: leave out what is undefined."
                )
            if np.size(t.sd) not in (1, len(at)):
                raise ValueError(
                    f"Target for {t.measure!r} must have an sd of 1 or {len(at)} values, got "
                    f"{shown(t.sd)}."
                )
            value[at] = t.value
            sd[at] = self.measures[t.measure].tolerance if t.sd is None else t.sd
        return value, sd


class Loss(NamedTuple):
    """A loss of one's own: a function of {condition: {measure: value}}, written in jax.numpy."""

    function: Callable[[dict[str, dict[str, Any]]], Float[Array, ""]]
    measures: Mapping[str, Measure]
    conditions: Conditions = {"": {}}  # noqa: RUF012


def observed(
    protocol: Protocol, statistics: Float[np.ndarray, "seeds q"], of_seeds: int = 1
) -> Targets:
    """Targets that are the mean of these statistics, such as those of a recording.

    Their s.d. is that between the seeds, divided by the root of `of_seeds`: how many runs the
    compared means are taken over, or the `tolerance` of the measure where seeds do not differ, as
    in silence. A measure of which a part is defined in fewer than two seeds is no target.
    """
    scaled = np.asarray(protocol.scaled(statistics))
    places: dict[tuple[str, str], list[int]] = {}
    for i, s in enumerate(protocol.statistics):
        if np.isfinite(scaled[:, i]).sum() > 1:
            places.setdefault((s.measure, s.condition), []).append(i)
    parts = Counter((s.measure, s.condition) for s in protocol.statistics)
    targets = []
    for place, at in places.items():
        if len(at) == parts[place]:
            sd = np.nanstd(scaled[:, at], axis=0, ddof=1) / np.sqrt(of_seeds)
            mean = np.nanmean(statistics[:, at], axis=0)
            sd = np.where(sd > 0, np.maximum(sd, 1e-3), protocol.measures[place[0]].tolerance)
            targets.append(Target(place[0], mean, place[1], sd))
    return Targets(protocol.measures, targets, protocol.conditions)
