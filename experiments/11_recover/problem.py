"""The hidden values, the recordings that are made with them, and what a fit is told."""

import numpy as np

import cortexmg as cx
from cortexmg import measures, models
from cortexmg.bounds import Coordinates
from cortexmg.protocol import Protocol, keys_of
from cortexmg.targets import targets_of

FOUR = {  # name: parameter, hidden value
    "Mg": ("environment/ions/mg/outside", 0.7),
    "K0": ("populations/*/receptors/nmda/block/mg_half", 3.57),
    "K_Mg": ("projections/*/release/factors/ions/k_mg", 2.97),
    "NMDA weight": ("populations/E/receptors/nmda/gain", 0.5),
}
EIGHT = FOUR | {
    "NMDA weight I": ("populations/I/receptors/nmda/gain", 0.23),
    "drive E": ("stimuli/outside E/weight", 14.0),
    "drive I": ("stimuli/outside I/weight", 2.0),
    "inhibition": ("projections/I to E/strength", 1.0),
}
MEASURES = {
    "rate E": measures.Rate("E"),
    "rate I": measures.Rate("I"),
    "CV E": measures.CV("E"),
    "synchrony E": measures.Synchrony("E"),
    "voltage E": measures.MeanVoltage("E"),
    "voltage I": measures.MeanVoltage("I"),
}
CA, MG = "environment/ions/ca/outside", "environment/ions/mg/outside"
CONDITIONS = {  # among those of which each parameter has one that it acts on in its own way
    "control": {},
    "2 mM Ca": {CA: 2.0},
    "2 mM Ca and Mg": {CA: 2.0, MG: 2.0},
    "0.1 mM Mg, NMDA blocked": {MG: 0.1, "populations/*/receptors/nmda/gain": 0.0},
}
TIMES = {"duration": 600.0, "settle": 200.0, "dt": 0.2}
RECORDED = 48  # runs of the recording
COMPARED = 3  # the s.d. of a target is that of a mean over so many
SEEDS = {1: 4, 2: 4, 8: 2}  # runs of a step of a fit, by the number of parameters
FAR = 4.0  # a start is 2 to 4 times off


def network(n: int = 400):
    """The cortical network with integrate-and-fire cells, at the hidden values."""
    return models.cortex(n, mg=0.7, cells="LIF")


def bounds_of(names: list[str]) -> dict[str, cx.Bounds]:
    """From a sixth to six times the hidden value."""
    return {EIGHT[k][0]: cx.Bounds(EIGHT[k][1] / 6, EIGHT[k][1] * 6) for k in names}


def start_of(names: list[str], key: int, far: float = FAR) -> dict[str, float]:
    """Each value 2 to `far` times too large or too small."""
    rng = np.random.default_rng([11, key])
    off = rng.uniform(np.log(2), np.log(far), len(names)) * rng.choice([-1, 1], len(names))
    return {EIGHT[k][0]: EIGHT[k][1] * float(np.exp(d)) for k, d in zip(names, off, strict=True)}


def targets(net, names: list[str], recorded: int = RECORDED) -> cx.Targets:
    """The statistics of runs that no fit sees, at the hidden values, with their uncertainty."""
    protocol = Protocol(net, Coordinates(net, bounds_of(names)), MEASURES, CONDITIONS, **TIMES)
    u = np.broadcast_to(protocol.coordinates.start, (recorded, 1, len(names)))
    found = protocol.run(u, keys_of(1111, 0, recorded))[:, 0]
    return targets_of(protocol, found, of_seeds=COMPARED)


def error(fit: cx.Fit, names: list[str]) -> dict[str, float]:
    """How far a fit is from the hidden values, as the logarithm of their ratio."""
    return {k: float(np.log(fit.values[EIGHT[k][0]] / EIGHT[k][1])) for k in names}
