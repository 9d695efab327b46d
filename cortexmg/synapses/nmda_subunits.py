"""NMDA receptors by their GluN2 subunit, which sets decay, magnesium block and zinc."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cortexmg.factors import Factor, ZincInhibition
from cortexmg.magnesium import Block, jahr_stevens
from cortexmg.part import PerCell, shown
from cortexmg.synapses.nmda import NMDA
from cortexmg.synapses.two_exponential import TwoExponentialKinetics


class Subunit(NamedTuple):
    """What a GluN2 subunit makes of a receptor."""

    tau_decay: float  # ms, at 36 degrees
    weaker: float  # how many times as much magnesium blocks as much
    zinc: ZincInhibition | None  # where it is inhibited at less than tens of micromoles


# From general knowledge. Decay: in the middle of what Vicini et al. (1998) and Cull-Candy et al.
# (2001) report (40-60, 150-300, 200-300, 1700-2000 ms). Block: ratios of the IC50 at -100 mV (2.4,
# 2.1, 14.2, 10.2 uM) of Kuner and Schoepfer (1996, J Neurosci 16:3549). Zinc: `ZincInhibition`.
# Qian, Buller and Johnson (2005, J Physiol 562:319) measured that 2D is blocked at least 4 times
# less than 2A at all voltages.
SUBUNITS = {
    "2A": Subunit(50.0, 1.0, ZincInhibition(0.6, 15e-6)),
    "2B": Subunit(225.0, 1.0, ZincInhibition(0.9, 1e-3)),
    "2C": Subunit(250.0, 6.0, None),
    "2D": Subunit(1850.0, 4.5, None),
}
ADULT_CORTEX = {"2A": 0.6, "2B": 0.4}  # assumption


def nmda_of_subunits(
    shares: Mapping[str, float] = ADULT_CORTEX,
    gain: PerCell = 1.0,
    block: Block | None = None,
    zinc: bool = True,
) -> dict[str, NMDA]:
    """NMDA receptors for `Population.receptors`, one for each subunit: "nmda_2A" and so on.

    `shares` are those of the peak conductance, for "2A", "2B", "2C" and "2D", and add up to 1; by
    default 0.6 and 0.4 of 2A and 2B, an assumption for adult cortex. An arrival of weight w opens
    w * gain nS in all, without magnesium. `block` is that of 2A and 2B (Jahr and Stevens unless
    given). Assumption: all subunits rise alike, and have the fraction of calcium of `NMDA`.
    """
    _check(shares)
    block = jahr_stevens() if block is None else block
    receptors = {}
    for name, share in shares.items():
        subunit = SUBUNITS[name]
        factors: dict[str, Factor] = {"zinc": subunit.zinc} if zinc and subunit.zinc else {}
        receptors[f"nmda_{name}"] = NMDA(
            TwoExponentialKinetics(2.0, subunit.tau_decay, 1.7),
            block.weaker(subunit.weaker),
            gain=share * gain,
            factors=factors,
        )
    return receptors


def _check(shares: Mapping[str, float]) -> None:
    if not isinstance(shares, Mapping) or not set(shares) <= set(SUBUNITS):
        raise ValueError(
            f"nmda_of_subunits needs shares by name of subunit, of {sorted(SUBUNITS)}, got "
            f"{shown(shares)}: write {{'2A': 0.6, '2B': 0.4}}."
        )
    given = np.array([float(x) for x in shares.values()])
    if np.any(~(given >= 0.0)) or not abs(given.sum() - 1.0) < 1e-6:
        raise ValueError(
            f"nmda_of_subunits: shares must be at least 0 and add up to 1, got {shown(shares)}, "
            f"which make {given.sum():g}: scale them, and set the conductance by gain."
        )
