"""How every statistic of a network depends on every parameter, from one call."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from cortexmg.bounds import Bounds, Coordinates, common_value, paths_of
from cortexmg.devices import Devices
from cortexmg.estimators import Estimator, unbiased_estimator
from cortexmg.estimators.estimator import check_derivatives, mean_over_seeds, variance_of_mean
from cortexmg.fit_checks import check_how
from cortexmg.measures import Measure
from cortexmg.network import Network, check_network
from cortexmg.parameters import endings, parameters, with_parameters
from cortexmg.part import quantities
from cortexmg.protocol import Protocol, keys_of
from cortexmg.recipe import Conditions
from cortexmg.starting import start

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = 120  # characters of a line, after which a table goes on below
# Times smaller or larger, where no bounds are given: as far as is legal, and farther than any
# difference goes (four points of 0.1 reach 1.22).
FREE = (2.0, 1.5, 1.25)


class Sensitivity(NamedTuple):
    """Derivatives of statistics, on the scale on which fits compare them, by parameters.

    Rates are in the logarithm of rate + 0.1 Hz, conductances in that of conductance + 0.001 nS, and
    parameters in theirs, but for those whose bounds begin at 0 or below: -0.5 means that 10 % more
    of the parameter makes about 5 % less. NaN is what is undefined: a statistic in too few seeds,
    or a parameter that the condition itself sets.
    """

    statistics: list[str]
    parameters: list[str]
    values: Float[np.ndarray, "q p"]
    errors: Float[np.ndarray, "q p"]  # standard errors over seeds

    def __str__(self) -> str:
        wide = max(map(len, self.parameters))
        cells = [
            [f"{x:+.3g} +- {e:.2g}" if np.isfinite(x) else "-" for x, e in zip(*both, strict=True)]
            for both in zip(self.values, self.errors, strict=True)
        ]
        columns = [
            [f"{x:>{max(map(len, [name, *each]))}s}" for x in (name, *each)]
            for name, each in zip(self.statistics, cells, strict=True)
        ]
        names = [f"{name:{wide}s}" for name in ("", *self.parameters)]
        blocks = [names]
        for column in columns:
            if blocks[-1] is not names and len(f"{blocks[-1][0]}  {column[0]}") > PAGE:
                blocks.append(names)
            blocks[-1] = [f"{row}  {x}" for row, x in zip(blocks[-1], column, strict=True)]
        return "\n\n".join("\n".join(block) for block in blocks)

    def figure(self) -> "Figure":
        """A heat map: red where a statistic rises, blue where it falls, pale below two s.e.

        Colours are relative to the largest derivative of each statistic; numbers are as they are.
        """
        from cortexmg.plots import heat_map  # loading it is slow

        names, label = endings(self.parameters), "Derivative, of the largest"
        return heat_map(self.values, self.errors, self.statistics, names, label)


def sensitivity(
    network: Network,
    names: Sequence[str] | Mapping[str, Bounds] | None,
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
    progress: bool = False,
) -> Sensitivity:
    """The derivative of every measure, under every condition, by every named parameter.

    Arguments as `fit`, but for the estimator, which left out is `Differences(0.1, points=4)`, and
    for more than 16 numbers of single cells one that changes all these at once. Parameters without
    `Bounds` must be positive. With None for `names` they are all that are one positive number, but
    for those of wiring, which are fixed, and of spike rules: a network of `cortex` has about 120,
    with four runs for each, per seed and condition. With `progress`, how much of that is done.

    Raises: KeyError for unknown names, TypeError or ValueError for other arguments that do not fit
    and for what has no logarithm, before anything runs; ArithmeticError where voltages or
    derivatives do not stay finite.
    """
    start()  # before a key does, with one device
    check_network(network)
    check_how(estimator, seeds, key)
    if isinstance(names, str):
        raise TypeError(f"names must be a list of names, Bounds by name or None, got {names!r}.")
    if not isinstance(names, Mapping):
        names = _free(network, _positive(network) if names is None else names)
    if not names:
        raise ValueError("No parameter is named: give names, Bounds by name, or None for all.")
    coordinates = Coordinates(network, names)
    given = {"duration": duration, "settle": settle, "dt": dt, "devices": devices}
    given |= {"progress": progress}
    protocol = Protocol(network, coordinates, measures, conditions, **given)
    estimator = estimator or unbiased_estimator(coordinates)
    if not estimator.gives_sensitivity:
        raise ValueError(f"{type(estimator).__name__} gives gradients of a loss alone.")
    keys = keys_of(key, 0, seeds)
    found = check_derivatives(estimator.estimate(protocol, coordinates.start, keys, np.zeros_like))
    slopes = protocol.slopes(mean_over_seeds(found.statistics))[:, None]
    slopes = np.where(_set(protocol), np.nan, slopes)
    return Sensitivity(
        list(map(str, protocol.statistics)),
        coordinates.labels,
        slopes * mean_over_seeds(found.told),
        np.abs(slopes) * np.sqrt(variance_of_mean(found.told)),
    )


def _set(protocol: Protocol) -> Bool[np.ndarray, "q p"]:
    """Which parameters are set by the condition of a statistic, so that it has no derivative."""
    by_condition = {
        condition: np.concatenate(
            [np.full(p.size, set(p.paths) <= values.keys()) for p in protocol.coordinates.places]
        )
        for condition, values in protocol.conditions.items()
    }
    return np.stack([by_condition[s.condition] for s in protocol.statistics])


def _positive(network: Network) -> list[str]:
    """The names of positive numbers, one for all cells, on which runs may depend smoothly.

    Not those of spike rules: widths are of derivatives alone, and refractoriness is whole steps.
    """
    return [
        name
        for name, (owner, field) in quantities(network).items()
        if np.ndim(value := getattr(owner, field.name)) == 0 and value > 0
        if not field.metadata["fixed"] and "/rule/" not in name
    ]


def _free(network: Network, names: Sequence[str]) -> dict[str, Bounds]:
    """Bounds around what the network has, as far as numbers there are legal."""
    known, fields, bounds = parameters(network), quantities(network), {}
    for name in names:
        paths = paths_of(network, name, known)
        value = np.asarray(common_value(name, known, paths))
        if not np.all(value > 0):
            raise ValueError(f"{name} is not positive, so give Bounds instead of its name alone.")
        legal = fields[paths[0]][1].metadata
        bounds[name] = _legal(network, name, paths, value, legal["low"], legal["high"])
    return bounds


def _legal(
    network: Network, name: str, paths: tuple[str, ...], value: np.ndarray, low: float, high: float
) -> Bounds:
    """The widest bounds around a value at both of which the network can be made.

    Raises: ValueError if there are none, by a rule between two numbers.
    """
    refused: Exception | None = None
    for free in FREE:
        ends = max(value.min() / free, low), min(value.max() * free, high)
        try:
            for end in ends:
                with_parameters(network, dict.fromkeys(paths, np.full_like(value, end)))
        except ValueError as error:
            refused = error
            continue
        return Bounds(*map(float, ends))
    raise ValueError(f"{name} has no room around it ({refused}): give Bounds for it.") from refused
