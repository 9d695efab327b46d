"""The cortical microcircuit: the cells below 1 mm2 of early sensory cortex, layer by layer.

Potjans and Diesmann (2014, doi:10.1093/cercor/bhs358). Tables are in the order of POPULATIONS;
rows of PROBABILITIES are targets, columns are sources. Numbers that the paper does not give are
those of its implementation in NEST: V0 (of each layer, for a short transient) and RATES, the mean
rates of one run at full scale.
"""

import math

import numpy as np

from cortexmg.cells import leaky_integrate_and_fire
from cortexmg.connectivity import Connectivity
from cortexmg.distributions import Normal
from cortexmg.environment import acsf
from cortexmg.network import Network
from cortexmg.part import number, shown
from cortexmg.projection import Projection
from cortexmg.stimuli import Poisson, StepCurrent, Stimulus
from cortexmg.synapses import ExponentialCurrent, Synapse
from cortexmg.wiring import fixed_total_number
from cortexmg.wiring.draw import generator

POPULATIONS = ("L23E", "L23I", "L4E", "L4I", "L5E", "L5I", "L6E", "L6I")
SIZES = (20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948)
PROBABILITIES = (  # that a pair has at least one contact
    (0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0),
    (0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0),
    (0.0077, 0.0059, 0.0497, 0.1350, 0.0067, 0.0003, 0.0453, 0.0),
    (0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0),
    (0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0),
    (0.0548, 0.0269, 0.0257, 0.0022, 0.0600, 0.3158, 0.0086, 0.0),
    (0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252),
    (0.0364, 0.0010, 0.0034, 0.0005, 0.0277, 0.0080, 0.0658, 0.1443),
)
OUTSIDE_CONTACTS = (1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100)
OUTSIDE_RATE = 8.0  # Hz, of each outside contact
RATES = (0.903, 2.965, 4.414, 5.876, 7.569, 8.633, 1.105, 7.829)  # Hz
V0 = (  # mV, mean and standard deviation
    (-68.28, 5.36), (-63.16, 4.57), (-63.33, 4.74), (-63.45, 4.94),
    (-63.11, 4.94), (-61.66, 4.55), (-66.72, 5.46), (-61.43, 4.48),
)  # fmt: skip
CAPACITANCE, TAU_MEMBRANE, TAU_SYNAPSE = 250.0, 10.0, 0.5  # pF, ms
PSP, INHIBITION = 0.15, 4.0  # mV, peak of an excitatory potential; times as strong
DELAYS = {"E": 1.5, "I": 0.75}  # ms; the standard deviation is half of it
SHORTEST_DELAY = 0.1  # ms, the step of the published simulations


def microcircuit(scale: float = 1.0, key: int = 0) -> Network:
    """77,169 integrate-and-fire cells with 0.3e9 contacts at `scale` 1, four layers of E and I.

    Weights are in pA: arrivals add exponential currents (see `ExponentialCurrent`). Cells receive
    Poisson trains from outside. Below 1, `scale` reduces cells and contacts per cell alike;
    weights then grow by 1 / sqrt(scale), and a constant current keeps the mean of the input:
    van Albada et al. (2015, doi:10.1371/journal.pcbi.1004490). At full scale the contacts take
    3.6 GB.
    """
    if number(scale) is None or not 0.0 < scale <= 1.0:
        raise ValueError(f"scale must be above 0 and at most 1, got {shown(scale)}.")
    scale = float(scale)
    rng = generator(key, 2014)
    sizes = [max(1, round(n * scale)) for n in SIZES]
    populations, stimuli, dc = {}, {}, compensation(scale)
    for i, (name, n) in enumerate(zip(POPULATIONS, sizes, strict=True)):
        v0 = rng.normal(*V0[i], n).astype(np.float32)
        populations[name] = leaky_integrate_and_fire(
            n, _receptors(), v0, capacitance=CAPACITANCE, leak=CAPACITANCE / TAU_MEMBRANE,
            e_leak=-65.0, reset=-65.0,
        )  # fmt: skip
        stimuli |= _outside(name, scale, OUTSIDE_CONTACTS[i], dc[i])
    projections = {}
    for i, contacts in enumerate(np.rint(contact_numbers() * scale**2).astype(int).ravel()):
        post, pre = divmod(i, len(POPULATIONS))
        if PROBABILITIES[post][pre]:
            ends = POPULATIONS[pre], POPULATIONS[post]
            wiring = _contacts(*ends, sizes[pre], sizes[post], int(contacts), scale, 64 * key + i)
            transmitter = "glutamate" if ends[0].endswith("E") else "gaba"
            projections[" to ".join(ends)] = Projection(*ends, transmitter, wiring)
    return Network(acsf(), populations, projections, stimuli)


def contact_numbers() -> np.ndarray:
    """Contacts of each pair of populations at full scale, [target, source].

    So many contacts between random pairs leave a fraction 1 - p of the pairs without one.
    """
    pairs = np.outer(SIZES, SIZES).astype(float)
    return np.log1p(-np.asarray(PROBABILITIES)) / np.log1p(-1.0 / pairs)


def peak_current(pre: str, post: str) -> float:
    """Current (pA) of one arrival at full scale, positive for inhibition too.

    That of L4E at L23E is doubled, as L4 would drive L2/3 too little otherwise.
    """
    ratio = TAU_MEMBRANE / TAU_SYNAPSE
    # V of a unit current that decays with tau_syn, at its peak (mV/pA).
    rest = ratio ** (1.0 / (1.0 - ratio)) - ratio ** (ratio / (1.0 - ratio))
    excite = PSP * CAPACITANCE * (1.0 / TAU_SYNAPSE - 1.0 / TAU_MEMBRANE) / rest
    if pre.endswith("I"):
        return INHIBITION * excite
    return 2.0 * excite if (pre, post) == ("L4E", "L23E") else excite


def compensation(scale: float) -> np.ndarray:
    """Constant current (pA) by which a smaller circuit misses its mean input.

    With `scale` times the contacts, of 1 / sqrt(scale) times the weight, the variance of the input
    stays and its mean is sqrt(scale) of what it was, if all populations have their RATES.
    """
    signs = [1.0 if pre.endswith("E") else -1.0 for pre in POPULATIONS]
    currents = [[peak_current(pre, post) for pre in POPULATIONS] for post in POPULATIONS]
    per_cell = contact_numbers() / np.asarray(SIZES)[:, None]
    inside = np.sum(per_cell * np.asarray(currents) * signs * RATES, axis=1)
    outside = np.asarray(OUTSIDE_CONTACTS) * OUTSIDE_RATE * peak_current("E", "")
    return 1e-3 * TAU_SYNAPSE * (1.0 - math.sqrt(scale)) * (inside + outside)


def _receptors() -> dict[str, Synapse]:
    return {
        "excitation": ExponentialCurrent(TAU_SYNAPSE),
        "inhibition": ExponentialCurrent(TAU_SYNAPSE, -1.0, transmitter="gaba"),
    }


def _outside(name: str, scale: float, contacts: int, dc: float) -> dict[str, Stimulus]:
    rate = round(contacts * scale) * OUTSIDE_RATE
    weight = peak_current("E", "") / math.sqrt(scale)
    found: dict[str, Stimulus] = {}
    found[f"outside {name}"] = Poisson(name, "excitation", rate, weight, most=31)
    if scale < 1.0:
        found[f"compensation {name}"] = StepCurrent(name, dc)
    return found


def _contacts(
    pre: str, post: str, n_pre: int, n_post: int, contacts: int, scale: float, key: int
) -> Connectivity:
    """Weights and delays are normal, with standard deviations of 10 and 50 %."""
    weight, delay = peak_current(pre, post) / math.sqrt(scale), DELAYS[pre[-1]]
    return fixed_total_number(
        n_pre, n_post, contacts, Normal(weight, 0.1 * weight),
        Normal(delay, 0.5 * delay, SHORTEST_DELAY), key=key,
    )  # fmt: skip
