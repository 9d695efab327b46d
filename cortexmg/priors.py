"""Ranges and priors of the numbers on which the sensitivity to magnesium and calcium rests."""

from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from cortexmg.bounds import Bounds, common_value
from cortexmg.network import Network
from cortexmg.parameters import parameters
from cortexmg.part import shown


class Range(NamedTuple):
    """What a number may be, and its s.d.: in e-folds, of a fit's prior."""

    pattern: str
    low: float
    high: float
    sd: float


# Spreads between published values (docs/gradients.md); where none is published, an assumption.
SETS: dict[str, list[Range]] = {
    "nmda block": [
        Range("populations/*/block/mg_half", 1.0, 9.0, 0.3),
        Range("populations/*/block/slope", 0.05, 0.09, 0.1),
    ],
    "nmda weight": [Range("populations/*/receptors/nmda/gain", 0.01, 3.0, 0.5)],
    "release": [
        Range("projections/*/release/u0", 0.02, 0.95, 0.3),
        Range("projections/*/k_steep", 0.8, 4.0, 0.3),
        Range("projections/*/k_shallow", 0.8, 4.0, 0.3),
        Range("projections/*/k_mg", 1.0, 10.0, 0.4),
    ],
    "noradrenaline": [Range("tissues/*/k_mg", 1.0, 20.0, 0.6)],
    "gaba": [
        Range("populations/*/receptors/*/factors/*/f0", 0.5, 1.0, 0.13),
        Range("populations/*/receptors/gaba*/factors/*/k", 0.05, 2.0, 0.5),
    ],
    "calcium channels": [Range("populations/*/channels/*/factors/*/k_mg", 0.5, 20.0, 0.5)],
    "surface charge": [
        Range("populations/*/surface/slope", 4.0, 13.4, 0.2),
        Range("populations/*/surface/potency", 0.4, 1.0, 0.2),
        Range("populations/*/surface/other", 0.05, 2.0, 0.5),
    ],
    "pump": [
        Range("populations/*/channels/*/maximum", 6.0, 600.0, 0.3),
        Range("populations/*/channels/*/factors/*/k_pump", 0.2, 0.8, 0.3),
        Range("populations/*/channels/*/factors/energy/k_mg", 0.02, 0.2, 0.3),
    ],
}


def priors(network: Network, *sets: str, shared: bool = True) -> dict[str, Bounds]:
    """Bounds for `fit`, of these sets or of all, with priors around what the network has.

    Each is for a pattern where all that match have one value, so that they share it; if they
    differ, or with `shared=False`, for every number by itself; not for what is 0 in the network.

    Raises: ValueError for an unknown set, or one of which the network has nothing.
    """
    known, found = parameters(network), {}
    for name in sets or SETS:
        if not isinstance(name, str) or name not in SETS:
            raise ValueError(f"No set {shown(name)} of priors: choose among {sorted(SETS)}.")
        before = len(found)
        for r in SETS[name]:
            every = [path for path in known if fnmatchcase(path, r.pattern)]
            paths = [path for path in every if _closest(path) == r.pattern]
            values = {np.asarray(known[path].value, float).tobytes() for path in paths}
            names = [r.pattern] if shared and len(values) == 1 and paths == every else paths
            for each in names:
                here = tuple(paths) if each == r.pattern else (each,)
                median = float(np.mean(common_value(each, known, here)))
                if median <= 0.0:  # what a network does without has no logarithm
                    continue
                found[each] = Bounds(min(r.low, median), max(r.high, median), (median, r.sd))
        if sets and len(found) == before:
            raise ValueError(f"The network has nothing of the set {name!r}.")
    return found


def _closest(path: str) -> str:
    """Of the patterns that match, the longest: K_Mg of a pump is not that of a calcium channel."""
    patterns = (r.pattern for ranges in SETS.values() for r in ranges)
    return max((p for p in patterns if fnmatchcase(path, p)), key=len)
