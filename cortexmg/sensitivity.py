"""How every statistic of a network depends on every parameter, from one call."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from cortexmg.bounds import Bounds, Coordinates, common_value, paths_of
from cortexmg.devices import Devices
from cortexmg.estimators import Differences, Estimator
from cortexmg.estimators.estimator import check_derivatives, mean_over_seeds, variance_of_mean
from cortexmg.measures import Measure
from cortexmg.network import Network
from cortexmg.parameters import parameters
from cortexmg.protocol import Conditions, Protocol, keys_of

FREE = 10.0  # times smaller or larger, where no bounds are given


class Sensitivity(NamedTuple):
    """Derivatives of statistics, on the scale on which fits compare them, by parameters.

    Rates and conductances are in their logarithm, and so are parameters, but for those whose bounds
    begin at 0 or below: -0.5 means that 10 % more of the parameter makes about 5 % less.
    """

    statistics: list[str]
    parameters: list[str]
    values: Float[np.ndarray, "q p"]
    errors: Float[np.ndarray, "q p"]  # standard errors over seeds

    def __str__(self) -> str:
        wide = max(map(len, self.statistics))
        short = [name[-24:] for name in self.parameters]
        rows = [" " * wide + "".join(f" {name:>24s}" for name in short)]
        for name, each, errors in zip(self.statistics, self.values, self.errors, strict=True):
            cells = [f" {f'{x:+.3g} +- {e:.2g}':>24s}" for x, e in zip(each, errors, strict=True)]
            rows.append(f"{name:{wide}s}" + "".join(cells))
        return "\n".join(rows)


def sensitivity(
    network: Network,
    names: Sequence[str] | Mapping[str, Bounds],
    measures: Mapping[str, Measure],
    conditions: Conditions | None = None,
    *,
    estimator: Estimator | None = None,
    seeds: int = 8,
    duration: float = 1000.0,
    settle: float = 500.0,
    dt: float = 0.05,
    key: int = 0,
    devices: Devices = None,
) -> Sensitivity:
    """The derivative of every measure, under every condition, by every named parameter.

    Arguments as `fit`, but for the estimator, which left out is `Differences(0.1, points=4)`.
    Parameters without `Bounds` must be positive.

    Raises: KeyError for unknown names, ValueError for what has no logarithm, ArithmeticError where
    voltages or derivatives do not stay finite.
    """
    bounds = names if isinstance(names, Mapping) else _free(network, names)
    coordinates = Coordinates(network, bounds)
    given = {"duration": duration, "settle": settle, "dt": dt, "devices": devices}
    protocol = Protocol(network, coordinates, measures, conditions, **given)
    estimator = estimator or Differences(0.1, points=4)
    if not estimator.gives_sensitivity:
        raise ValueError(f"{type(estimator).__name__} gives gradients of a loss alone.")
    keys = keys_of(key, 0, seeds)
    found = check_derivatives(estimator.estimate(protocol, coordinates.start, keys, np.zeros_like))
    slopes = protocol.slopes(mean_over_seeds(found.statistics))[:, None]
    return Sensitivity(
        list(map(str, protocol.statistics)),
        coordinates.labels,
        slopes * mean_over_seeds(found.told),
        np.abs(slopes) * np.sqrt(variance_of_mean(found.told)),
    )


def _free(network: Network, names: Sequence[str]) -> dict[str, Bounds]:
    known, bounds = parameters(network), {}
    for name in names:
        value = np.asarray(common_value(name, known, paths_of(network, name, known)))
        if not np.all(value > 0):
            raise ValueError(f"{name} is not positive, so give Bounds instead of its name alone.")
        bounds[name] = Bounds(float(value.min()) / FREE, float(value.max()) * FREE)
    return bounds
