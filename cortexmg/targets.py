"""What a fit aims at: statistics under conditions, and how far a network is from them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cortexmg.bounds import Coordinates
from cortexmg.devices import Devices
from cortexmg.measures import Measure
from cortexmg.network import Network
from cortexmg.part import check_members, shown, whole
from cortexmg.protocol import Protocol, keys_of
from cortexmg.recipe import Conditions, check_conditions

LEAST = 0.01  # of the tolerance of a measure: no target is known better than that
OBSERVED = 2**31 - 2  # the step of the keys of runs that make targets: no step of a fit has it


class Target(NamedTuple):
    """The value that a measure should have under a condition.

    `sd` is its uncertainty on the scale on which the measure is compared (rates: the logarithm of
    rate + 0.1 Hz, so that 0.1 is 10 % of rates well above that); left out, the `tolerance` of the
    measure.
    """

    measure: str
    value: Any  # one number, or one for each part of the measure: NaN for one without target
    condition: str = ""
    sd: Any = None


ROUNDING = 1e-5  # by which what is measured in single precision may pass what a measure can be


class Targets:
    """Values of measures under several conditions, weighted by their variance.

    The loss is half the sum of squared distances, each in standard deviations, minus the logarithm
    of a normal likelihood, but pseudo-Huber: 9 (sqrt(1 + (d / 3)^2) - 1) for a distance d, which
    beyond three standard deviations grows linearly. A statistic that is
    undefined, such as the CV of silent cells, counts as far off, and is reported.
    """

    def __init__(
        self,
        measures: Mapping[str, Measure],
        targets: list[Target],
        conditions: Conditions | None = None,
    ):
        check_members("Targets.measures", measures, Measure)
        known = isinstance(targets, list | tuple)
        if not known or not all(isinstance(t, tuple) for t in targets):
            raise TypeError(f"Targets.targets must be a list of Target, got {shown(targets)}.")
        self.measures, self.targets = dict(measures), [Target(*t) for t in targets]
        check_conditions(conditions or {})
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
            _check_numbers(t, self.measures[t.measure])

    def aimed(self, protocol: Protocol) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value, scaled value and s.d. of each statistic: NaN, 0 and inf where it has no target."""
        value, sd = self._at_statistics(protocol)
        scaled = np.asarray(protocol.scaled(jnp.asarray(np.nan_to_num(value))), float)
        given = np.isfinite(value)
        for i in np.flatnonzero(given & ~np.isfinite(scaled)):
            s, x = protocol.statistics[i], value[i]
            raise ValueError(f"Target for {s} cannot be {x:g}: it has no such value.")
        return value, np.where(given, scaled, 0.0), sd

    def _at_statistics(self, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
        """Value and s.d. of each statistic.

        Raises: ValueError if a target has not as many values as its measure.
        """
        q = len(protocol.statistics)
        value, sd = np.full(q, np.nan), np.full(q, np.inf)
        for t in self.targets:
            at = protocol.entries[t.condition, t.measure]
            parts = at.stop - at.start
            for what, given in (("value", t.value), ("sd", t.sd)):
                if np.size(given) not in (1, parts):
                    raise ValueError(
                        f"Target for {t.measure!r} must have one {what}, or one for each of its "
                        f"{parts} parts, got {np.size(given)}: {shown(given)}."
                    )
            value[at] = t.value
            known = self.measures[t.measure].tolerance if t.sd is None else t.sd
            sd[at] = np.where(np.isnan(value[at]), np.inf, known)
        return value, sd


def _check_numbers(t: Target, measure: Measure) -> None:
    """Raise unless the measure can have this value, and the sd is positive and finite for each."""
    value, sd = (np.ravel(np.asarray(x)) for x in (t.value, 1.0 if t.sd is None else t.sd))
    for name, x in (("value", value), ("sd", sd)):
        if x.dtype.kind not in "fiu":
            raise TypeError(f"{shown(t)}: {name} must be numbers, got {shown(getattr(t, name))}.")
    if np.any(np.isinf(value)) or np.all(np.isnan(value)):
        raise ValueError(
            f"{shown(t)}: value must be finite, and NaN only for parts without target, got "
            f"{shown(t.value)}: leave out what is undefined as a whole."
        )
    low, high = measure.least, measure.most
    if np.any((value < low - ROUNDING) | (value > high + ROUNDING)):
        span = f"from {low:g} to {high:g}" if high < np.inf else f"at least {low:g}"
        raise ValueError(f"{shown(t)}: {type(measure).__name__} is {span}, got {shown(t.value)}.")
    if not np.all((sd > 0) & (sd < np.inf)):
        raise ValueError(f"{shown(t)}: sd must be positive and finite, got {shown(t.sd)}.")


class Loss(NamedTuple):
    """A loss of one's own: a function of {condition: {measure: value}}, written in jax.numpy.

    It returns one number. A fit in a folder goes on with a loss that computes the same.
    """

    function: Callable[[dict[str, dict[str, Any]]], Float[Array, ""]]
    measures: Mapping[str, Measure]
    conditions: Conditions = {"": {}}  # noqa: RUF012


def observed(
    network: Network,
    measures: Mapping[str, Measure],
    conditions: Conditions | None = None,
    *,
    seeds: int = 24,
    of_seeds: int = 4,
    duration: float = 1000.0,
    settle: float = 500.0,
    dt: float = 0.05,
    key: int = 0,
    devices: Devices = None,
) -> Targets:
    """Targets that a network has met: the statistics of `seeds` runs, with noise that no fit has.

    With `of_seeds` as many as the `seeds` of the fit, the s.d. of each is that of the mean which
    the fit compares; as the fit adds its own noise to that, the uncertainty that it states is
    rather too large. Other arguments as `fit`; the network is run as it is. What is undefined in
    all runs but one is no target.

    Raises: KeyError for unknown names, ValueError for what cannot be measured or run,
    ArithmeticError where voltages do not stay finite.
    """
    whole("seeds", seeds, 2)
    whole("of_seeds", of_seeds, 1)
    given = {"duration": duration, "settle": settle, "dt": dt, "devices": devices}
    protocol = Protocol(network, Coordinates(network, {}), measures, conditions, **given)
    found = protocol.run(np.zeros((seeds, 1, 0)), keys_of(key, OBSERVED, seeds))[:, 0]
    broken = np.flatnonzero(np.isinf(found).any(axis=0))
    if broken.size:
        under = f" ({protocol.statistics[broken[0]]})"
        raise ArithmeticError(f"Voltages stopped being finite{under}: use a smaller dt.")
    return targets_of(protocol, found, of_seeds)


def targets_of(
    protocol: Protocol, statistics: Float[np.ndarray, "seeds q"], of_seeds: int = 1
) -> Targets:
    """Targets that are the mean of these statistics, such as those of a recording.

    Their s.d. is that between the seeds, divided by the root of `of_seeds`: how many runs the
    compared means are taken over. It is at least a hundredth of the `tolerance` of the measure, and
    all of that where seeds do not differ, as in silence. A part that is defined in fewer than two
    seeds has no target.

    Raises: ValueError if no part is defined in two.
    """
    scaled = np.asarray(protocol.scaled(statistics))
    known = np.isfinite(scaled).sum(axis=0) > 1
    if not known.any():
        raise ValueError(
            f"None of the measures {sorted(protocol.measures)} is defined in two runs or more, "
            f"such as the CV of silent cells: measure for longer, or what is always defined (Rate)."
        )
    mean, sd = np.full((2, known.size), np.nan)
    mean[known] = np.nanmean(statistics[:, known], axis=0)
    sd[known] = np.nanstd(scaled[:, known], axis=0, ddof=1) / np.sqrt(of_seeds)
    # Of equal numbers the s.d. may not be 0, by rounding.
    differ = np.fmax.reduce(scaled) > np.fmin.reduce(scaled)
    targets = []
    for (condition, measure), at in protocol.entries.items():
        if known[at].any():
            tolerance = protocol.measures[measure].tolerance
            each = np.where(differ[at], np.maximum(sd[at], LEAST * tolerance), tolerance)
            targets.append(Target(measure, mean[at], condition, each))
    return Targets(protocol.measures, targets, protocol.conditions)
