"""EI-NMDA: a benchmark network of integrate-and-fire cells with magnesium-gated NMDA receptors."""

import numpy as np

from cortexmg.cells import leaky_integrate_and_fire
from cortexmg.environment import acsf
from cortexmg.network import Network
from cortexmg.part import whole
from cortexmg.projection import Projection
from cortexmg.stimuli import Poisson
from cortexmg.synapses import NMDA, Exponential, Synapse, TwoExponentialKinetics
from cortexmg.wiring import fixed_in_degree
from cortexmg.wiring.draw import generator


def ei_nmda(n: int = 10_000, key: int = 0) -> Network:
    """`n` LIF cells, 80 % of them exciting, each with 800 E and 200 I contacts from random cells.

    An E spike adds 0.1 nS of AMPA (2 ms) and NMDA conductance with dx/dt = -x/2,
    dg/dt = -g/100 + x/2, x += 0.02 nS; an I spike adds 3 nS of GABA_A (5 ms, -70 mV). Each cell
    receives 2,400 outside events of 1.5 nS per second. One population "cells", the E cells first.
    """
    n = whole("n", n, 2)
    rng = generator(key, 800)
    n_e, kinetics = n * 4 // 5, TwoExponentialKinetics(2.0, 100.0)
    # x += 0.02 makes g = 0.02 / 2 * 2 * 100 / 98 (exp(-t/100) - exp(-t/2)), for a weight of 0.1.
    gain = 0.02 / 0.1 * 100.0 / 98.0 * kinetics.peak()
    receptors: dict[str, Synapse] = {
        "ampa": Exponential(2.0, 0.0, transmitter="glutamate"),
        "nmda": NMDA(kinetics, gain=gain),
        "gaba_a": Exponential(5.0, -70.0, transmitter="gaba"),
    }
    v0 = rng.uniform(-70.0, -50.0, n).astype(np.float32)
    excite = fixed_in_degree(n_e, n, 800, 0.1, 1.5, key=2 * key).among(n)
    inhibit = fixed_in_degree(n - n_e, n, 200, 3.0, 1.5, key=2 * key + 1).among(n, first=n_e)
    projections = {
        "E": Projection("cells", "cells", "glutamate", excite),
        "I": Projection("cells", "cells", "gaba", inhibit),
    }
    stimuli = {"outside": Poisson("cells", "ampa", 2400.0, 1.5)}
    return Network(
        acsf(), {"cells": leaky_integrate_and_fire(n, receptors, v0)}, projections, stimuli
    )
