"""What a fit may change: parameters by name, their bounds, and the coordinates they move in."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cortexmg.network import Network
from cortexmg.parameters import Parameter, parameters, with_parameters
from cortexmg.part import Part, Scalar, quantity, shown

LISTED = 20  # values that a message shows
LINEAR_UNITS = 4.0  # units of the coordinate from one bound to the other, if it is linear


class Bounds(Part):
    """Between what a parameter may lie, in its unit, and what is believed of it before.

    It moves in its logarithm where `low` is positive, otherwise in itself, in quarters of the
    range. `prior` is the median and the standard deviation of a normal distribution in that
    coordinate, such as (2.97, 0.4): 0.4 e-folds around 2.97; for a linear one, in the unit of the
    parameter.
    """

    low: Scalar = quantity("the parameter's unit")
    high: Scalar = quantity("the parameter's unit")
    prior: tuple[float, float] | None = eqx.field(
        static=True,
        default=None,
        converter=lambda x: tuple(x) if np.ndim(x) else x,
    )

    def check_rules(self) -> None:
        if not self.low < self.high:
            raise ValueError(
                f"Bounds.low must be below Bounds.high, got {self.low:g} and {self.high:g}."
            )
        if not np.float32(self.low) < np.float32(self.high):
            raise ValueError(
                f"Bounds.low and Bounds.high must differ in single precision, got {self.low!r} and "
                f"{self.high!r}: widen them, or leave the parameter out."
            )
        if self.prior is None:
            return
        pair = isinstance(self.prior, tuple) and len(self.prior) == 2
        if not pair or any(np.asarray(x).dtype.kind not in "fiu" for x in self.prior):
            raise TypeError(
                f"Bounds.prior must be two numbers, a median and a standard deviation, got "
                f"{shown(self.prior)}."
            )
        if not self.low <= self.prior[0] <= self.high:
            raise ValueError(
                f"Bounds.prior must be a median between {self.low:g} and {self.high:g} and a "
                f"standard deviation, got {shown(self.prior)}."
            )
        if not 0.0 < self.prior[1] < np.inf:
            raise ValueError(
                f"Bounds.prior needs a positive standard deviation, got {self.prior[1]:g}."
            )

    @property
    def logarithmic(self) -> bool:
        """Whether the coordinate is the logarithm."""
        return self.low > 0

    @property
    def unit(self) -> float:
        """How much a linear parameter changes when its coordinate changes by 1."""
        return (self.high - self.low) / LINEAR_UNITS

    def coordinate(self, value: Any) -> np.ndarray:
        """Where a value lies."""
        value = np.asarray(value, float)
        return np.asarray(np.log(value) if self.logarithmic else value / self.unit)

    def value(self, coordinate: Any) -> Any:
        """The value there; traced or not."""
        exp = np.exp if isinstance(coordinate, np.ndarray | float) else jnp.exp
        return exp(coordinate) if self.logarithmic else coordinate * self.unit

    def prior_there(self) -> tuple[float, float]:
        """Mean and s.d. of the prior in the coordinate; s.d. infinite without one."""
        if self.prior is None:
            return float(self.coordinate((self.low + self.high) / 2)), np.inf
        median, sd = self.prior
        return float(self.coordinate(median)), sd if self.logarithmic else sd / self.unit


class Place(NamedTuple):
    """Where one of the fitted parameters lies in the vector of coordinates."""

    name: str
    paths: tuple[str, ...]  # of the network, which share its value
    bounds: Bounds
    shape: tuple[int, ...]
    first: int
    size: int


class Coordinates:
    """All that a fit may change as one vector, and back; nothing, without bounds."""

    def __init__(
        self,
        network: Network,
        bounds: Mapping[str, Bounds],
        start: Mapping[str, Any] | None = None,
    ):
        """Raises: KeyError for an unknown name, ValueError for a start outside its bounds."""
        _check_names("bounds", bounds)
        _check_names("start", start or {})
        start, known = dict(start or {}), parameters(network)
        for name in start.keys() - bounds.keys():
            raise KeyError(f"start names {name!r}, which is not fitted: {sorted(bounds)} are.")
        self.places: list[Place] = []
        vector = []
        for name, b in bounds.items():
            if not isinstance(b, Bounds):
                raise TypeError(f"{name} needs Bounds(low, high), got {shown(b)}.")
            paths = paths_of(network, name, known)
            self._check_shared(paths)
            given = start[name] if name in start else common_value(name, known, paths)
            if np.ndim(given) and paths[0].endswith("connectivity/weights"):
                raise ValueError(
                    f"{name} is a weight for each contact, which fits cannot change: fit "
                    f"`strength`, which multiplies all, or give a start that is one number, which "
                    f"all contacts will share."
                )
            value = _numbers(f"The start of {name}", given)
            if not np.all((value >= b.low) & (value <= b.high)):
                raise ValueError(
                    f"{name} starts at {shown(value.tolist())}, outside its bounds {b.low:g} to "
                    f"{b.high:g}: give a start inside them, or wider bounds."
                )
            for legal in (value, np.full_like(value, b.low), np.full_like(value, b.high)):
                try:
                    with_parameters(network, dict.fromkeys(paths, legal))
                except ValueError as error:
                    raise ValueError(f"{name} within {b.low:g} to {b.high:g}: {error}") from None
            first = sum(x.size for x in vector)
            self.places.append(Place(name, paths, b, value.shape, first, value.size))
            vector.append(np.atleast_1d(b.coordinate(value)).ravel())
        self.start: Float[np.ndarray, " p"] = np.concatenate([np.zeros(0), *vector])
        ends = [(b.coordinate(b.low), b.coordinate(b.high)) for b in self._each()]
        self.low, self.high = np.array(ends).reshape(-1, 2).T
        self.logarithmic = np.array([b.logarithmic for b in self._each()], bool)
        believed = [b.prior_there() for b in self._each()]
        self.prior_mean, self.prior_sd = np.array(believed).reshape(-1, 2).T

    def named(self, u: np.ndarray) -> dict[str, Any]:
        """The values by the names that the user gave."""
        return {
            p.name: np.clip(x, p.bounds.low, p.bounds.high)
            for p, x in _parts(self.places, np.asarray(u, float))
        }

    @property
    def labels(self) -> list[str]:
        """A name for each entry of the vector."""
        return [
            p.name if p.shape == () else f"{p.name}[{i}]"
            for p in self.places
            for i in range(p.size)
        ]

    @property
    def size(self) -> int:
        """How many numbers are fitted."""
        return self.start.size

    def _each(self) -> list[Bounds]:
        return [p.bounds for p in self.places for _ in range(p.size)]

    def _check_shared(self, paths: tuple[str, ...]) -> None:
        for place in self.places:
            for path in set(paths) & set(place.paths):
                raise ValueError(f"{path} is fitted twice: under {place.name!r} and another name.")


def _check_names(what: str, given: Any) -> None:
    if not isinstance(given, Mapping) or any(not isinstance(name, str) for name in given):
        raise TypeError(f"{what} must be a dict by names of parameters, got {shown(given)}.")


def _numbers(what: str, given: Any) -> np.ndarray:
    if np.asarray(given).dtype.kind not in "fiu":
        raise TypeError(f"{what} must be numbers, got {shown(given)}.")
    return np.asarray(given, float)


def values_at(places: Sequence[Place], u: Float[Array, " p"] | np.ndarray) -> dict[str, Any]:
    """What `with_parameters` is given for these coordinates; traced or not."""
    return {path: x for p, x in _parts(places, u) for path in p.paths}


def _parts(places: Sequence[Place], u: Any) -> Iterator[tuple[Place, Any]]:
    for p in places:
        yield p, p.bounds.value(u[p.first : p.first + p.size].reshape(p.shape))


def listed(values: Mapping[str, Any]) -> str:
    """Values by name in a message, each on a line of its own, the first twenty."""
    some = list(values.items())[:LISTED]
    rows = [f"{k} = {f'{x:.6g}' if np.ndim(x) == 0 else shown(np.asarray(x))}" for k, x in some]
    more = len(values) - len(some)
    return "".join(f"\n  {row}" for row in rows + ([f"... and {more} more"] if more else []))


def paths_of(network: Network, name: str, known: Mapping[str, Parameter]) -> tuple[str, ...]:
    """The parameters that a name stands for: itself, or with `*` in it all that match.

    Raises: KeyError if there is none.
    """
    if name in known or "*" not in name:
        with_parameters(network, {name: known[name].value if name in known else 0.0})
        return (name,)
    paths = tuple(path for path in known if fnmatchcase(path, name))
    if not paths:
        raise KeyError(f"No parameter matches {name!r}: cortexmg.parameters lists all names.")
    return paths


def common_value(name: str, known: Mapping[str, Parameter], paths: tuple[str, ...]) -> Any:
    """The value that all these parameters have.

    Raises: ValueError if they differ.
    """
    values = [np.asarray(known[path].value, float) for path in paths]
    if any(v.shape != values[0].shape or np.any(v != values[0]) for v in values):
        raise ValueError(
            f"{name} stands for {len(paths)} parameters that differ, such as {paths[0]} and "
            f"{paths[-1]}: give a start for it, which all will share."
        )
    return values[0]
