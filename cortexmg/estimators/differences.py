"""Differences between runs that share their noise: the reference, and the default of fits."""

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Key

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
    weighing design (Plackett and Burman 1946, doi:10.1093/biomet/33.4.305), the variance falls with
    the number of parameters at the same number of runs, but the bias has a share of every other
    parameter too. A number draws so many pairs in random signs (simultaneous perturbation: Spall
    1992, doi:10.1109/9.119632), for more parameters than one can afford runs. With `local`, a
    measure of single cells is taken to follow only those parameters per cell that belong to the
    same cell: what others do to it, in random signs, has no mean to first order.

    The bias grows with the square of `step`, the variance with 1 / step^2.
    """

    step: float = quantity("1", 0.2, above=0.0)  # of a coordinate
    directions: str | int = eqx.field(static=True, default="single")
    local: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        Part.__check_init__(self)
        d = self.directions
        number = isinstance(d, int) and not isinstance(d, bool) and d > 0
        if d not in ("single", "orthogonal") and not number:
            raise ValueError(
                f'Differences.directions must be "single", "orthogonal" or a number of pairs, got '
                f"{shown(self.directions)}."
            )

    def estimate(
        self, protocol: Protocol, u: Float[np.ndarray, " p"], keys: Key[Array, " s"], slope: Slope
    ) -> Estimate:
        signs = self._signs(u.size, keys)  # [seeds, pairs, p]
        there = np.broadcast_to(u, (signs.shape[0], 1, u.size))
        us = np.concatenate([there, u + self.step * signs, u - self.step * signs], axis=1)
        found = protocol.run(us, keys)  # [seeds, 1 + 2 pairs, q]
        up, down = np.split(found[:, 1:], 2, axis=1)
        # Each pair tells of each parameter that it changed.
        told = np.einsum("skq,skp->kspq", (up - down) / (2.0 * self.step), signs)
        told = np.where(np.moveaxis(signs, 1, 0)[..., None] != 0, told, np.nan)
        sensitivity = np.moveaxis(mean_over_seeds(told), -1, -2)
        if self.local:
            sensitivity = np.where(own_cell(protocol), sensitivity, 0.0)
        statistics = found[:, 0]
        gradients = pulled(slope(mean_over_seeds(statistics)), sensitivity)
        return Estimate(
            statistics, gradients, sensitivity, found[..., 0].size * len(protocol.conditions)
        )

    def _signs(self, p: int, keys: Key[Array, " s"]) -> Float[np.ndarray, "s pairs p"]:
        """In which direction each pair of each seed changes each parameter."""
        seeds = keys.shape[0]
        if self.directions == "single":
            return np.broadcast_to(np.eye(p), (seeds, p, p))
        seed = np.asarray(jax.random.key_data(keys)).ravel()
        draw = np.random.default_rng(np.random.SeedSequence([1992, *seed.tolist()]))
        if self.directions == "orthogonal":
            from scipy.linalg import hadamard  # loading it takes longer than all of this package

            # Random signs of the columns: what three parameters do together looks like the effect
            # of a fourth, and so differs in sign between seeds.
            columns = draw.choice([-1.0, 1.0], (seeds, 1, p))
            return hadamard(1 << (p - 1).bit_length())[:, :p] * columns
        return draw.choice([-1.0, 1.0], (seeds, int(self.directions), p))


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
