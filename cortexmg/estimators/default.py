"""The estimators that are used where none is named."""

from cortexmg.bounds import Coordinates
from cortexmg.estimators.differences import Differences
from cortexmg.estimators.estimator import Estimator

FEW = 16  # parameters up to which every one has runs of its own


def default_estimator(coordinates: Coordinates) -> Estimator:
    """What the steps of a fit of these numbers use: docs/gradients.md says why."""
    if coordinates.size <= FEW:
        return Differences(0.2, points=1)
    return _all_at_once(coordinates)


def careful_estimator(coordinates: Coordinates) -> Estimator:
    """What the uncertainty of a fit is found with: less noise, for more runs."""
    return Differences(0.2) if coordinates.size <= FEW else _all_at_once(coordinates)


def _all_at_once(coordinates: Coordinates) -> Estimator:
    if any(place.shape for place in coordinates.places):  # numbers of single cells
        return Differences(0.2, directions=4, local=True)
    return Differences(0.2, directions="orthogonal")
