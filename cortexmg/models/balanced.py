"""Balanced: Hodgkin-Huxley cells in an irregular state, with any number of cells and contacts."""

import numpy as np

from cortexmg import wiring
from cortexmg.cells import traub_miles
from cortexmg.environment import acsf
from cortexmg.network import Network
from cortexmg.part import whole
from cortexmg.projection import Projection
from cortexmg.rows import Wiring
from cortexmg.stimuli import Poisson
from cortexmg.synapses import Exponential, Synapse
from cortexmg.wiring.draw import generator


def balanced(
    n: int = 10_000, key: int = 0, contacts: int = 100, procedural: bool = False
) -> Network:
    """`n` Traub-Miles cells of which each makes `contacts` contacts, for runs at a large scale.

    80 % of the cells excite. Each is driven from outside, and inhibition balances that at about
    10 Hz: 13 with 100 contacts, 8 with 1,000, which share more input. The sum of the weights that a
    cell makes is fixed (20 nS of E, 3,000 of I); delays are 1 ms. One population "cells", the
    E cells first. The contacts of a `procedural` network are computed when they are needed.
    Assumption: the weights and the drive, chosen for this rate at a step of 0.1 ms.
    """
    n = whole("n", n, 2)
    contacts = whole("contacts", contacts, 1)
    rng = generator(key, 1952)
    rule = wiring.procedural if procedural else wiring.fixed_out_degree
    n_e = n * 4 // 5

    def draw(n_pre: int, total: float, key: int) -> Wiring:
        return rule(n_pre, n, contacts, total / contacts, 1.0, key=key)

    receptors: dict[str, Synapse] = {
        "ampa": Exponential(5.0, 0.0, transmitter="glutamate"),
        "gaba_a": Exponential(10.0, -80.0, transmitter="gaba"),
    }
    cells = traub_miles(n, receptors, v0=rng.normal(-65.0, 5.0, n).astype(np.float32))
    excite = draw(n_e, 20.0, 2 * key).among(n)
    inhibit = draw(n - n_e, 3000.0, 2 * key + 1).among(n, first=n_e)
    projections = {
        "E": Projection("cells", "cells", "glutamate", excite),
        "I": Projection("cells", "cells", "gaba", inhibit),
    }
    outside = {"outside": Poisson("cells", "ampa", rate=700.0, weight=3.0)}
    return Network(acsf(), {"cells": cells}, projections, outside)
