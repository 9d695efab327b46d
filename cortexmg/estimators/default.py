"""The estimators that are used where none is named."""

from typing import Any

from cortexmg.bounds import Coordinates
from cortexmg.estimators.differences import Differences
from cortexmg.estimators.estimator import Estimator

FEW = 16  # numbers of single cells up to which every one has runs of its own


def default_estimator(coordinates: Coordinates) -> Estimator:
    """What the steps of a fit of these numbers use: docs/gradients.md says why."""
    return Differences(0.2, points=1, **_of_cells(coordinates))


def careful_estimator(coordinates: Coordinates) -> Estimator:
    """What the uncertainty of a fit is found with: less noise, for more runs."""
    return Differences(0.2, **_of_cells(coordinates))


def unbiased_estimator(coordinates: Coordinates) -> Estimator:
    """What `sensitivity` uses: right where statistics bend, for twice the runs of two points."""
    return Differences(0.1, points=4, **_of_cells(coordinates))


def _of_cells(coordinates: Coordinates) -> dict[str, Any]:
    """All single cells at once, where there are many."""
    numbers = sum(place.size for place in coordinates.places if place.size > 1)
    return {"directions": 4, "local": True} if numbers > FEW else {}
