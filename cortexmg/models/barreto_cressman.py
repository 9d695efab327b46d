"""Barreto-Cressman: single cells whose potassium and sodium move, at the edge of seizure."""

import numpy as np

from cortexmg.channels import CressmanPotassium, CressmanSodium, IonLeak, Leak, SigmoidPump
from cortexmg.environment import Environment, Ion
from cortexmg.network import Network
from cortexmg.part import whole
from cortexmg.pools import Pool, SodiumBalance
from cortexmg.population import Population
from cortexmg.sheet import Sheet
from cortexmg.tissues import ExtracellularSpace, Uptake, voxels_of
from cortexmg.units import FARADAY, whole_cell_nS, whole_cell_pA, whole_cell_pF
from cortexmg.wiring.draw import generator

AREA = 615.752  # um2, a sphere of 7 um
RATE = 0.044494542e-3  # mM/ms at 1 uA/cm2
VOLUME = whole_cell_pA(1.0, AREA) * 1e3 / (FARADAY * RATE)  # um3, for which that holds
RATIO = 7.0  # of the volumes inside and outside


def barreto_cressman(n: int = 1, key: int = 0, bath: float = 4.0) -> Network:
    """`n` cells of Barreto and Cressman (2011, J Biol Phys 37:361), each in a voxel of its own.

    In 8 mM of potassium in the `bath` they fire in bursts, in 4 and 6 mM they rest. The first cell
    begins at the published state, the others at voltages up to 2 mV away. The pump moves ions
    without a net current. The published number of spikes needs a step
    of 0.01 ms; at 0.025 ms there are 4 % more.
    """
    n = whole("n", n, 1)
    rng = generator(key, 2011)
    away = rng.uniform(-2.0, 2.0, n + 1)[1:] * (np.arange(n) > 0)

    def g(density: float) -> float:
        return whole_cell_nS(density, AREA)

    channels = {
        "na": CressmanSodium(g(0.1)),
        "k": CressmanPotassium(g(0.04)),
        "na leak": IonLeak("na", g(0.0175e-3)),
        "k leak": IonLeak("k", g(0.05e-3)),
        "cl leak": Leak(g(0.05e-3), -81.94),
        "pump": SigmoidPump(whole_cell_pA(1.25e-3 / RATE, AREA), electrogenic=False),
    }
    pools: dict[str, Pool] = {"na": SodiumBalance(VOLUME, RATIO, start=18.5077)}
    cells = Population(
        n, whole_cell_pF(1.0, AREA), channels, pools=pools, v0=(-67.3736 + away).astype(np.float32)
    )
    ions = {"na": Ion(144.0, 18.0, 1), "k": Ion(bath, 140.0, 1)}
    voxels = voxels_of(Sheet(50.0 * n, 50.0), n)
    space = ExtracellularSpace(
        VOLUME / RATIO, voxels, 1.333e-3, 0.0, Uptake(), start=3.92156, ions=("k",)
    )
    return Network(Environment(ions), {"cells": cells}, tissues={"space": space})
