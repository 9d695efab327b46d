"""Projections: who contacts whom, and with which transmitter."""

import equinox as eqx

from cortexmg.part import Part, Scalar, quantity
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
