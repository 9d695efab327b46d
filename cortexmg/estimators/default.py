"""The estimator that is used where none is named."""

from cortexmg.bounds import Coordinates
from cortexmg.estimators.differences import Differences
from cortexmg.estimators.estimator import Estimator

FEW = 16  # parameters up to which every one has runs of its own


def default_estimator(coordinates: Coordinates) -> Estimator:
    """What a fit of these numbers uses: docs/gradients.md says why."""
    if coordinates.size <= FEW:
        return Differences()
    per_cell = any(place.shape for place in coordinates.places)
    return (
        Differences(directions=4, local=True) if per_cell else Differences(directions="orthogonal")
    )
