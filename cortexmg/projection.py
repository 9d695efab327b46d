"""Projections: who contacts whom, and with which transmitter."""

import equinox as eqx

from cortexmg.part import Part, Scalar, quantity, shown
from cortexmg.releases import Certain, Release
from cortexmg.rows import Wiring


class Projection(Part):
    """The contacts of one population onto another, or onto itself.

    Every spike of a cell of `pre` releases `transmitter` at its contacts; all receptors of `post`
    that listen to that transmitter see it. `strength` multiplies all weights.
    """

    pre: str = eqx.field(static=True)
    post: str = eqx.field(static=True)
    transmitter: str = eqx.field(static=True)
    connectivity: Wiring
    release: Release = Certain()
    strength: Scalar = quantity("1", 1.0, low=0.0)

    def __check_init__(self):
        kinds = {"pre": str, "post": str, "transmitter": str}
        kinds |= {"connectivity": Wiring, "release": Release}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(f"Projection.{name} must be a {kind.__name__}, got {shown(value)}.")
