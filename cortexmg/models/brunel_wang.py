"""Working memory by persistent activity: the network of Brunel and Wang."""

import numpy as np

from cortexmg.cells import leaky_integrate_and_fire
from cortexmg.connectivity import Connectivity
from cortexmg.environment import acsf
from cortexmg.network import Network
from cortexmg.population import Population
from cortexmg.projection import Projection
from cortexmg.releases import Saturating
from cortexmg.stimuli import Poisson
from cortexmg.synapses import NMDA, Exponential, Synapse, TwoExponentialKinetics
from cortexmg.wiring import from_arrays
from cortexmg.wiring.draw import generator

N_E, N_I, GROUPS, SHARE = 800, 200, 5, 0.1  # cells; selective groups, each a tenth of the E cells
W_PLUS = 2.1  # potentiation within a group
NMDA_PORT = "glutamate at NMDA receptors"  # these saturate, the AMPA receptors do not


def brunel_wang(key: int = 0, cue: float = 0.0) -> Network:
    """Brunel and Wang (2001, doi:10.1023/A:1011204814320): 800 E and 200 I cells, all to all.

    `cue` is the extra input rate (Hz per cell) of the first selective group, for as long as the
    run lasts; the next run, without it, shows whether the group has kept it.
    """
    rng = generator(key, 2001)
    cells = {"E": _cells(rng, N_E, 500.0, 25.0, 2.0), "I": _cells(rng, N_I, 200.0, 20.0, 1.0)}
    projections = {}
    for post, n, ampa, nmda in (("E", N_E, 0.104, 0.327), ("I", N_I, 0.081, 0.258)):
        factor = _structure() if post == "E" else np.ones((N_E, N_I))
        quick, slow = _all_to_all(ampa * factor), _all_to_all(nmda * factor)
        projections[f"E to {post}, AMPA"] = Projection("E", post, "glutamate", quick)
        projections[f"E to {post}, NMDA"] = Projection("E", post, NMDA_PORT, slow, Saturating())
        inhibit = _all_to_all(np.full((N_I, n), {"E": 1.25, "I": 0.973}[post]))
        projections[f"I to {post}"] = Projection("I", post, "gaba", inhibit)
    cued = np.where(np.arange(N_E) < SHARE * N_E, cue, 0.0).astype(np.float32)
    stimuli = {
        "outside E": Poisson("E", "ampa", 2400.0 + cued, 2.08),
        "outside I": Poisson("I", "ampa", 2400.0, 1.62),
    }
    return Network(acsf(), cells, projections, stimuli)


def _cells(rng: np.random.Generator, n: int, pF: float, nS: float, refractory: float) -> Population:
    kinetics = TwoExponentialKinetics(2.0, 100.0)
    receptors: dict[str, Synapse] = {
        "ampa": Exponential(2.0, 0.0, transmitter="glutamate"),
        # Their gate is a fraction, not normalised to its peak, and rises from what is occupied.
        "nmda": NMDA(kinetics, gain=kinetics.peak() * 100.0 / 98.0, transmitter=NMDA_PORT),
        "gaba_a": Exponential(10.0, -70.0, transmitter="gaba"),
    }
    return leaky_integrate_and_fire(
        n,
        receptors,
        rng.uniform(-70.0, -50.0, n).astype(np.float32),
        capacitance=pF,
        leak=nS,
        reset=-55.0,
        refractory=refractory,
    )


def _structure() -> np.ndarray:
    """Factor of each E to E contact: strong within a group, weak into it from outside."""
    w_minus = 1.0 - SHARE * (W_PLUS - 1.0) / (1.0 - SHARE)
    group = np.minimum(np.arange(N_E) // int(SHARE * N_E), GROUPS)  # the last is not selective
    same = group[:, None] == group[None, :]
    return np.where(group[None, :] == GROUPS, 1.0, np.where(same, W_PLUS, w_minus))


def _all_to_all(weights: np.ndarray) -> Connectivity:
    pre, post = np.indices(weights.shape).reshape(2, -1)
    return from_arrays(pre, post, weights.ravel().astype(np.float32), 0.5, *weights.shape)
