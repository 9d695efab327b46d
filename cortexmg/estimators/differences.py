"""Differences between runs that share their noise: the reference, and the default of fits."""

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Key

from cortexmg.bounds import Coordinates
from cortexmg.estimators.estimator import (
    Estimate,
    Estimator,
    Slope,
    finite_runs,
    mean_over_seeds,
    pulled,
)
from cortexmg.hardware import memory_available
from cortexmg.part import Scalar, as_python, quantity, shown
from cortexmg.protocol import Protocol

COPIES = 3  # of a sensitivity, that a step of a fit needs
SIDES = {1: [1.0], 2: [-1.0, 1.0], 4: [-2.0, -1.0, 1.0, 2.0]}  # in steps, by number of points


class Differences(Estimator):
    """Differences between runs to either side of the coordinates.

    In which `directions`: "single" changes one parameter at a time, by `step` to either side. With
    four `points` also by twice that, which takes away the part of the bias that grows with the
    square of the step; with one, seeds in turn to one side and to the other: half of the runs, as
    little bias in the mean, but twice the noise. "orthogonal" changes all at once, in the signs of
    a Hadamard matrix, so that every pair tells of every parameter: as a weighing design (Plackett
    and Burman 1946, doi:10.1093/biomet/33.4.305). A number draws so many pairs in random signs
    (simultaneous perturbation: Spall 1992, doi:10.1109/9.119632), for more parameters than one can
    afford runs; what the others do is part of the noise.

    With `local` only numbers of single cells are changed together. Those that all cells share are
    changed one at a time, beside pairs that go as far as the outermost of their `points`. And a
    measure of single cells is taken to follow, of all numbers of single cells, that of its own.
    What other cells do to it, through synapses, is left out: it may well be there, but all of them
    together hide what one does. Measures of whole populations are told of all.

    No run leaves the bounds. The variance grows with 1 / step^2. Raises MemoryError if there is no
    room for the sensitivity of every statistic to every parameter.
    """

    step: Scalar = quantity("1", 0.1, above=0.0)  # of a coordinate
    directions: str | int = eqx.field(static=True, default="single", converter=as_python)
    points: int = eqx.field(static=True, default=2, converter=as_python)
    local: bool = eqx.field(static=True, default=False)

    def check_rules(self) -> None:
        d = self.directions
        number = isinstance(d, int) and not isinstance(d, bool) and d > 0
        if d not in ("single", "orthogonal") and not number:
            raise ValueError(
                f'Differences.directions must be "single", "orthogonal" or a number of pairs, got '
                f"{shown(self.directions)}."
            )
        if not isinstance(self.local, bool | np.bool_):
            raise TypeError(f"Differences.local must be True or False, got {shown(self.local)}.")
        known = isinstance(self.points, int) and self.points in SIDES
        if not known or not (self.points == 2 or d == "single" or self.local):
            raise ValueError(
                f'Differences.points must be 2, or 1 or 4 with directions="single" or local, got '
                f"{shown(self.points)}."
            )

    def estimate(
        self, protocol: Protocol, u: Float[np.ndarray, " p"], keys: Key[Array, " s"], slope: Slope
    ) -> Estimate:
        alone, seeds = self._alone(protocol.coordinates), keys.shape[0]
        _check_room(len(protocol.statistics), u.size, seeds)
        nodes = self._nodes(protocol, u, seeds)[:, alone]  # [seeds, alone, points]
        each = np.zeros((alone.sum(), 1, u.size))
        each[np.arange(alone.sum()), 0, np.flatnonzero(alone)] = 1.0
        moved = each * nodes[..., None]
        up, down = self._pairs(protocol, u, ~alone, keys)
        moved = [np.zeros((seeds, 1, u.size)), moved.reshape(seeds, -1, u.size), up, down]
        found = finite_runs(protocol, u + np.concatenate(moved, axis=1), keys)
        here, single, *pairs = np.split(found, np.cumsum([x.shape[1] for x in moved[:-1]]), axis=1)
        single, statistics = (single - here).reshape(*nodes.shape, found.shape[-1]), here[:, 0]
        told = np.empty((*statistics.shape, u.size))
        told[..., alone] = _by_single(nodes, single)
        for each, *pair in zip(told, (up - down)[..., ~alone], *pairs, strict=True):
            each[:, ~alone] = _by_pairs(*pair)  # of one seed: all would take twice the memory
        if self.local:
            np.copyto(told, 0.0, where=~own_cell(protocol))
        gradients = pulled(slope(mean_over_seeds(statistics)), told)
        return Estimate(statistics, gradients, told, found[..., 0].size * len(protocol.conditions))

    def _alone(self, coordinates: Coordinates) -> np.ndarray:
        """Which numbers are changed one at a time."""
        if self.directions == "single":
            return np.ones(coordinates.size, bool)
        scalar = [place.size == 1 for place in coordinates.places for _ in range(place.size)]
        return np.array(scalar) & self.local

    def _nodes(self, protocol: Protocol, u: np.ndarray, seeds: int) -> Float[np.ndarray, "s p k"]:
        """How far each run changes its parameter: 0 where half a step has no room."""
        c, sides = protocol.coordinates, np.array(SIDES[self.points])
        step = np.minimum(self.step, (c.high - c.low) / 2)[:, None]
        wanted = np.broadcast_to(step * sides, (seeds, u.size, self.points)).copy()
        low, high = (c.low - u)[:, None], (c.high - u)[:, None]
        if self.points == 1:  # seeds in turn to one side and to the other, where there is room
            wanted[1::2] *= -1.0
            room = np.where(wanted > 0, high, -low)
            wanted = np.where(room < step / 2, -wanted, wanted)
        nodes = np.clip(wanted, low, high)
        # Two that a bound brings close would weigh by the inverse of what is left between them.
        close = (np.abs(wanted) > 1.5 * step) & (np.abs(nodes) < 1.5 * step)
        nodes = np.where(close, np.clip(0.5 * wanted, low, high), nodes)
        return np.where(np.abs(nodes) < step / 2, 0.0, nodes)

    def _pairs(
        self, protocol: Protocol, u: np.ndarray, together: np.ndarray, keys: Key[Array, " s"]
    ) -> list[Float[np.ndarray, "s pairs p"]]:
        """How far each pair of runs changes all that are changed together: there and back."""
        c, signs = protocol.coordinates, np.zeros((keys.shape[0], 0, u.size))
        if together.any():
            drawn = self._signs(int(together.sum()), keys)
            signs = np.zeros((*drawn.shape[:2], u.size))
            signs[..., together] = drawn
        reach = self.step * max(SIDES[self.points])
        return [np.clip(u + k * reach * signs, c.low, c.high) - u for k in (1.0, -1.0)]

    def _signs(self, p: int, keys: Key[Array, " s"]) -> Float[np.ndarray, "s pairs p"]:
        """In which direction each pair of each seed changes each parameter."""
        seeds = keys.shape[0]
        seed = np.asarray(jax.random.key_data(keys)).ravel()
        draw = np.random.default_rng(np.random.SeedSequence([1992, *seed.tolist()]))
        if self.directions == "orthogonal":
            from scipy.linalg import hadamard  # loading it takes longer than all of this package

            # Random signs of the columns: what three parameters do together looks like the effect
            # of a fourth, and so differs in sign between seeds.
            columns = draw.choice([-1.0, 1.0], (seeds, 1, p))
            return hadamard(1 << (p - 1).bit_length())[:, :p] * columns
        return draw.choice([-1.0, 1.0], (seeds, int(self.directions), p))


def _by_single(
    nodes: Float[np.ndarray, "s p k"], change: Float[np.ndarray, "s p k q"]
) -> Float[np.ndarray, "s q p"]:
    """The sensitivity to parameters that runs changed one at a time, so far."""
    weights = np.array([_weights(x) for x in nodes.reshape(-1, nodes.shape[-1])])
    return np.einsum("spk,spkq->sqp", weights.reshape(nodes.shape), change)


def _by_pairs(
    apart: Float[np.ndarray, "pairs p"],
    above: Float[np.ndarray, "pairs q"],
    below: Float[np.ndarray, "pairs q"],
) -> Float[np.ndarray, "q p"]:
    """The sensitivity to parameters that runs changed together: the mean of what pairs tell."""
    defined = np.isfinite(above - below)
    number = np.where(defined.any(axis=0), defined.sum(axis=0), np.nan)
    return (np.where(defined, above - below, 0.0) / number).T @ (1.0 / apart)


def _weights(nodes: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Of how much the values at the nodes differ from that at 0, in the derivative there.

    It is that of the polynomial through all of them. Nodes that bounds made equal count once.
    """
    x, first = np.unique(np.concatenate([[0.0], nodes]), return_index=True)
    weights, unit = np.zeros(nodes.size + 1), np.max(np.abs(x))
    slope = np.eye(x.size)[1]
    weights[first] = np.linalg.solve(np.vander(x / unit, increasing=True).T, slope) / unit
    return weights[1:]


def _check_room(statistics: int, parameters: int, seeds: int) -> None:
    """Raise MemoryError if a sensitivity has none, before anything runs."""
    needed = 8.0 * COPIES * seeds * statistics * parameters
    if needed > (room := memory_available()):
        raise MemoryError(
            f"The sensitivity of {statistics:,} statistics to {parameters:,} parameters in {seeds} "
            f"seeds needs {needed / 1e6:,.0f} MB and {room / 1e6:,.0f} MB are left: use Reverse, "
            f"which finds the gradient of the loss alone, or fit fewer numbers."
        )


def own_cell(protocol: Protocol) -> np.ndarray:
    """Whether a statistic is told of a parameter: not if they belong to different cells, [q, p]."""
    own = np.ones((len(protocol.statistics), protocol.coordinates.size), bool)
    for place in protocol.coordinates.places:
        populations = {_population(protocol, path) for path in place.paths}
        if place.size == 1 or None in populations:
            continue
        for i, s in enumerate(protocol.statistics):
            if s.part is not None:
                there = protocol.measures[s.measure].population in populations
                cells = (np.arange(place.size) == s.part) & there
                own[i, place.first : place.first + place.size] = cells
    return own


def _population(protocol: Protocol, path: str) -> str | None:
    """The population to whose cells the parameters of a path belong, if to any."""
    kind, name = path.split("/")[:2]
    if kind == "stimuli":
        return protocol.network.stimuli[name].target
    return name if kind == "populations" else None
