"""The estimators that are used where none is named."""

from cortexmg.bounds import Coordinates
from cortexmg.estimators.differences import Differences
from cortexmg.estimators.estimator import Estimator

FEW = 16  # numbers up to which every one has runs of its own, though they belong to single cells


def default_estimator(coordinates: Coordinates) -> Estimator:
    """What the steps of a fit of these numbers use: docs/gradients.md says why."""
    return _of_cells(coordinates) or Differences(0.2, points=1)


def careful_estimator(coordinates: Coordinates) -> Estimator:
    """What the uncertainty of a fit is found with: less noise, for more runs."""
    return _of_cells(coordinates) or Differences(0.2)


def unbiased_estimator(coordinates: Coordinates) -> Estimator:
    """What `sensitivity` uses: right where statistics bend, for twice the runs of two points."""
    return _of_cells(coordinates) or Differences(0.1, points=4)


def _of_cells(coordinates: Coordinates) -> Estimator | None:
    """All cells at once, where there are many."""
    many = coordinates.size > FEW and any(place.shape for place in coordinates.places)
    return Differences(0.2, directions=4, local=True) if many else None
