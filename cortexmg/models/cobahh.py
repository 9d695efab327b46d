"""COBAHH: the Hodgkin-Huxley benchmark network."""

import numpy as np

from cortexmg.cells import traub_miles
from cortexmg.environment import acsf
from cortexmg.network import Network
from cortexmg.part import whole
from cortexmg.projection import Projection
from cortexmg.synapses import Exponential, Synapse
from cortexmg.wiring import fixed_probability
from cortexmg.wiring.draw import generator


def cobahh(n: int = 4000, key: int = 0) -> Network:
    """Benchmark 3 of Brette et al. (2007, doi:10.1007/s10827-007-0038-6) with `n` cells.

    80 % of the cells excite; 64 E and 16 I contacts per cell on average at any size. One
    population "cells", the E cells first, for a step of 0.1 ms. Contacts act after the shortest
    delay, one step. Of the conductances drawn for the beginning, negative ones (1 in 260 of E, 1 in
    21 of I) are 0.
    """
    n = whole("n", n, 2)
    rng = generator(key, 2007)
    n_e, p = n * 4 // 5, min(1.0, 80.0 / n)

    def start(mean: float, sd: float) -> np.ndarray:
        return np.maximum(10.0 * rng.normal(mean, sd, n), 0.0).astype(np.float32)

    receptors: dict[str, Synapse] = {
        "ampa": Exponential(5.0, 0.0, start(4.0, 1.5), transmitter="glutamate"),
        "gaba_a": Exponential(10.0, -80.0, start(20.0, 12.0), transmitter="gaba"),
    }
    cells = traub_miles(n, receptors, v0=rng.normal(-65.0, 5.0, n).astype(np.float32), shut=True)
    excite = fixed_probability(n_e, n, p, 6.0, 0.1, key=2 * key).among(n)
    inhibit = fixed_probability(n - n_e, n, p, 67.0, 0.1, key=2 * key + 1).among(n, first=n_e)
    projections = {
        "E": Projection("cells", "cells", "glutamate", excite),
        "I": Projection("cells", "cells", "gaba", inhibit),
    }
    return Network(acsf(), {"cells": cells}, projections)
