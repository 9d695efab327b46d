"""`cortex` in a slice: most of its input from outside is cut off."""

from dataclasses import replace
from typing import Any

from cortexmg.models.cortex import cortex
from cortexmg.network import Network
from cortexmg.synapses import AMPA


def cortex_slice(n: int = 4000, key: int = 0, *, drive: float = 0.2, **options: Any) -> Network:
    """`cortex` of which a share `drive` of the input from outside is left.

    What is left stands for the spontaneous release and firing of a slice (an assumption: at a
    fifth, a slice is all but silent at 1.3 mM magnesium and 2 mM calcium). It reaches AMPA
    receptors of its own, "outside", so that those of contacts can be blocked or recorded alone.
    `options` are those of `cortex`.
    """
    if not drive >= 0.0:
        raise ValueError(f"drive must be at least 0, the share of input that is left, got {drive}.")
    network = cortex(n, key, **options)
    populations = {
        name: replace(p, receptors={**p.receptors, "outside": AMPA(transmitter="outside")})
        for name, p in network.populations.items()
    }
    stimuli = {
        name: replace(s, receptor="outside", rate=drive * s.rate)
        for name, s in network.stimuli.items()
    }
    return replace(network, populations=populations, stimuli=stimuli)
