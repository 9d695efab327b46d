"""Differences between runs that share their noise: the reference, and the default of fits."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.linalg import hadamard

from cortexmg.estimators.estimator import (
    Estimate,
    Estimator,
    Slope,
    mean_over_seeds,
    pulled,
)
from cortexmg.part import Part, quantity, shown
from cortexmg.protocol import Protocol


class Differences(Estimator):
    """Central differences over pairs of runs, `step` to either side of the coordinates.

    In which `directions`: "single" changes one parameter in each pair. "orthogonal" changes all in
    each, in the signs of a Hadamard matrix, so that every pair tells of every parameter: as a
    weighing design, the variance falls with the number of parameters at the same number of runs
    (Plackett and Burman 1946, doi:10.1093/biomet/33.4.305). A number draws so many pairs in random
    signs (simultaneous perturbation: Spall 1992, doi:10.1109/9.119632), for more parameters than
    one can afford runs. With `local`, a measure of single cells is taken to follow only those
    parameters per cell that belong to the same cell: what others do to it, in random signs, has no
    mean to first order.

    The bias grows with the square of `step`, the variance with 1 / step^2.
    """

    step: float = quantity("of a coordinate", 0.2, above=0.0)
    directions: str | int = eqx.field(static=True, default="orthogonal")
    local: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        Part.__check_init__(self)
        number = isinstance(self.directions, int) and not isinstance(self.directions, bool)
        if self.directions not in ("single", "orthogonal") and not (number and self.directions > 0):
            raise ValueError(
                f'Differences.directions must be "single", "orthogonal" or a number of pairs, got '
                f"{shown(self.directions)}."
            )

    def estimate(
        self, protocol: Protocol, u: Float[np.ndarray, " p"], keys: Key[Array, " s"], slope: Slope
    ) -> Estimate:
        signs = self._signs(u.size, keys)
        us = np.concatenate([u[None], u + self.step * signs, u - self.step * signs])
        found = protocol.run(us, keys)  # [seeds, 1 + 2 pairs, q]
        up, down = np.split(found[:, 1:], 2, axis=1)
        # Each pair tells of each parameter that it changed; pairs with undefined ones of none.
        told = np.einsum("spq,pj->spqj", (up - down) / (2.0 * self.step), signs)
        told = np.where((signs != 0)[None, :, None, :], told, np.nan)
        sensitivity = mean_over_seeds(np.moveaxis(told, 1, 0))
        if self.local:
            sensitivity = np.where(own_cell(protocol), sensitivity, 0.0)
        statistics = found[:, 0]
        gradients = pulled(slope(mean_over_seeds(statistics)), sensitivity)
        return Estimate(statistics, gradients, sensitivity, self.runs(protocol, keys.shape[0]))

    def runs(self, protocol: Protocol, seeds: int) -> int:
        pairs = self._signs(protocol.coordinates.size, jax.random.key(0)).shape[0]
        return seeds * len(protocol.conditions) * (1 + 2 * pairs)

    def _signs(self, p: int, keys: Any) -> Float[np.ndarray, "pairs p"]:
        if self.directions == "single":
            return np.eye(p)
        if self.directions == "orthogonal":
            return hadamard(1 << (p - 1).bit_length())[:, :p].astype(float)
        seed = np.asarray(jax.random.key_data(keys)).ravel()
        draw = np.random.default_rng(np.random.SeedSequence([1992, *seed.tolist()]))
        return draw.choice([-1.0, 1.0], (int(self.directions), p))


def own_cell(protocol: Protocol) -> np.ndarray:
    """Whether a statistic is told of a parameter: not if they belong to different cells, [q, p]."""
    own = np.ones((len(protocol.statistics), protocol.coordinates.size), bool)
    for place in protocol.coordinates.places:
        if not place.shape:
            continue
        population = _population(protocol, place.paths[0])
        for i, s in enumerate(protocol.statistics):
            if s.part is not None and protocol.measures[s.measure].population == population:
                cells = np.arange(place.size) == s.part
                own[i, place.first : place.first + place.size] = cells
    return own


def _population(protocol: Protocol, path: str) -> str | None:
    """The population to whose cells the parameters of a path belong."""
    kind, name = path.split("/")[:2]
    if kind == "stimuli":
        return protocol.network.stimuli[name].target
    return name if kind == "populations" else None
