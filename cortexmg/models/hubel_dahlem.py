"""Huebel-Dahlem: single cells whose ions move and are conserved, with spreading depolarisation."""

import numpy as np

from cortexmg.channels import CressmanPotassium, IonLeak, SigmoidPump, SlavedSodium
from cortexmg.environment import Environment, Ion
from cortexmg.network import Network
from cortexmg.part import whole
from cortexmg.pools import IonBalance, Pool
from cortexmg.population import Population
from cortexmg.sheet import Sheet
from cortexmg.tissues import Buffer, ExtracellularSpace, voxels_of
from cortexmg.units import FARADAY, whole_cell_nS, whole_cell_pA, whole_cell_pF
from cortexmg.wiring.draw import generator

INSIDE, OUTSIDE = 2160.0, 720.0  # um3
AREA = 9.55589e-5 * FARADAY * 100.0  # um2, of what converts current to concentration


def hubel_dahlem(n: int = 1, key: int = 0) -> Network:
    """`n` cells of Huebel and Dahlem (2014, PLoS Comput Biol 10:e1003941), each in its own voxel.

    With the glial buffer and without a bath, as in their published program. Where the pump is off
    for long enough, they stay depolarised for more than a minute. The first cell begins at rest,
    the others up to 2 mV away. For a step of 0.02 to 0.05 ms.
    """
    n = whole("n", n, 1)
    rng = generator(key, 2014)
    away = rng.uniform(-2.0, 2.0, n + 1)[1:] * (np.arange(n) > 0)

    def g(density: float) -> float:
        return whole_cell_nS(density, AREA)

    channels = {
        "na": SlavedSodium(g(0.1)),
        "k": CressmanPotassium(g(0.04)),
        "na leak": IonLeak("na", g(0.0175e-3)),
        "k leak": IonLeak("k", g(0.05e-3)),
        "cl leak": IonLeak("cl", g(0.02e-3)),
        "pump": SigmoidPump(whole_cell_pA(6.8, AREA)),
    }
    pools: dict[str, Pool] = {"ions": IonBalance(INSIDE)}
    cells = Population(
        n, whole_cell_pF(1.0, AREA), channels, pools=pools, v0=(-67.19 + away).astype(np.float32)
    )
    ions = {
        "na": Ion(125.306, 25.231, 1),
        "k": Ion(4.0, 129.258, 1),
        "cl": Ion(123.272, 9.9, -1),
    }
    voxels = voxels_of(Sheet(50.0 * n, 50.0), n)
    space = ExtracellularSpace(OUTSIDE, voxels, 0.0, 0.0, Buffer())
    return Network(Environment(ions), {"cells": cells}, tissues={"space": space})
