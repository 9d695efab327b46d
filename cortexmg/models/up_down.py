"""UP and DOWN states, which noradrenaline ends: adaptive cells between deep sleep and waking."""

from dataclasses import replace
from itertools import product

import numpy as np

from cortexmg.cells import AdEx, adaptive_exponential
from cortexmg.channels import IonLeak, Leak
from cortexmg.environment import Environment, acsf
from cortexmg.factors import Arousal
from cortexmg.models.cortex import REFERENCE
from cortexmg.network import Network
from cortexmg.part import whole
from cortexmg.population import Population
from cortexmg.projection import Projection
from cortexmg.starting import start
from cortexmg.stimuli import Poisson
from cortexmg.surface import Screening
from cortexmg.synapses import Exponential, Synapse
from cortexmg.tissues import Noradrenaline
from cortexmg.wiring import fixed_in_degree
from cortexmg.wiring.draw import generator

CONTACTS = {"E": 400, "I": 100}  # onto every cell
WEIGHTS = {"E": 1.5, "I": 9.0}  # nS
CELLS = {
    "E": AdEx(200.0, 10.0, -66.0, -50.0, 2.0, 1500.0, 0.0, 1.5, reset=-65.0, refractory=5.0),
    "I": AdEx(200.0, 10.0, -67.0, -48.0, 0.5, 1500.0, 0.0, 0.0, reset=-65.0, refractory=2.5),
}
ASLEEP = {"leak": 1.8, "ampa": 1.98, "gaba_a": 1.3, "adaptation": 10.0}  # relative to waking
POTASSIUM_LEAK = 5.0  # nS, of the leak: enough to hold cells at -70 mV in sleep
# Rare and large, four contacts of each cell outside: from -70 mV only such input begins UP states.
OUTSIDE, OUTSIDE_WEIGHT = 19.0, 4.0 * WEIGHTS["E"]  # Hz, nS


def up_down(
    n: int = 4000, key: int = 0, *, mg: float = 1.0, ca: float = 1.2, activity: float = 1.0
) -> Network:
    """`n` adaptive exponential cells, 80 % of them excitatory, as in Destexhe (2009) and later.

    The locus coeruleus has this `activity`, relative to waking; magnesium lowers what it releases.
    At 1 the network is asynchronous: E cells fire at 6 Hz, with a coefficient of variation of 0.96.
    At 0, as in a slice, leak, AMPA and GABA are those of deep sleep (Krishnan et al. 2016,
    doi:10.7554/eLife.18607) and adaptation is ten times as strong (assumption): 0.8 times a second
    an UP state of 0.6 s at -58 mV, between them 0.7 s at -71 mV. At 2 mM of magnesium and of
    calcium surface charge keeps it silent, asleep and awake. Release from contacts is held.
    Form, contacts and weights of E cells are those of di Volo et al. (2019, Neural Comput 31:653).
    Assumptions, chosen for these states: adaptation that decays in 1.5 s, weights and threshold of
    I cells, rest, half of the leak potassium's, input from outside. For 4,000 cells: fewer go up
    and down more often, more less often. Results: experiments/06_up_down.
    """
    n = whole("n", n, 2)
    start()  # reversals are computed
    rng = generator(key, 2019)
    sizes, env = {"E": n * 4 // 5, "I": n - n * 4 // 5}, acsf(mg=mg, ca=ca)
    populations = {
        name: _cells(name, size, rng.uniform(-65.0, -55.0, size).astype(np.float32), env)
        for name, size in sizes.items()
    }
    projections = {}
    for i, (pre, post) in enumerate(product("EI", "EI")):
        others = pre != post
        k = min(CONTACTS[pre], sizes[pre] - (not others))
        contacts = fixed_in_degree(
            sizes[pre], sizes[post], k, WEIGHTS[pre], 1.5, key=4 * key + i, self_contacts=others
        )
        transmitter = {"E": "glutamate", "I": "gaba"}[pre]
        projections[f"{pre} to {post}"] = Projection(pre, post, transmitter, contacts)
    stimuli = {f"outside {p}": Poisson(p, "ampa", OUTSIDE, OUTSIDE_WEIGHT) for p in sizes}
    arousal = Noradrenaline(np.array([activity]), np.array([0.0]))
    return Network(env, populations, projections, stimuli, {"noradrenaline": arousal})


def _cells(kind: str, n: int, v0: np.ndarray, env: Environment) -> Population:
    receptors: dict[str, Synapse] = {
        "ampa": Exponential(5.0, 0.0, factors=_arousal("ampa")),
        "gaba_a": Exponential(5.0, -80.0, transmitter="gaba", factors=_arousal("gaba_a")),
    }
    cells, numbers = adaptive_exponential(n, receptors, v0, numbers=CELLS[kind]), CELLS[kind]
    e_k, rest = float(env.reversal("k")), numbers.leak - POTASSIUM_LEAK
    channels = dict(cells.channels)
    # Both leaks together are that of the cell, awake.
    other = (numbers.leak * numbers.e_leak - POTASSIUM_LEAK * e_k) / rest
    channels["leak"] = Leak(rest, other)
    channels["k leak"] = IonLeak("k", POTASSIUM_LEAK, factors=_arousal("leak"))
    channels["adaptation"] = replace(channels["adaptation"], factors=_arousal("adaptation"))
    return replace(cells, channels=channels, surface=Screening(**REFERENCE))


def _arousal(what: str) -> dict:
    return {"noradrenaline": Arousal(ASLEEP[what])}
