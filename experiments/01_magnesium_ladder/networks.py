"""`cortex` with parts of its mechanisms of magnesium, and with noradrenaline."""

from dataclasses import replace
from typing import Any

import numpy as np

from cortexmg import models
from cortexmg.channels import IonLeak
from cortexmg.factors import Arousal
from cortexmg.models.up_down import ASLEEP
from cortexmg.network import Network
from cortexmg.population import Population
from cortexmg.tissues import Noradrenaline

CALCIUM = 1.2  # mM


def network_of(
    n: int, key: int, unblocked: bool = False, aroused: bool = False, **options: Any
) -> Network:
    """`cortex`, whose calcium channels do not feel magnesium, or whose cells feel noradrenaline."""
    network = models.cortex(n, key, ca=CALCIUM, **options)
    if unblocked:
        cells = network.populations["E"]
        channels = {**cells.channels, "ca_n": replace(cells.channels["ca_n"], factors={})}
        cells = replace(cells, channels=channels)
        network = replace(network, populations={**network.populations, "E": cells})
    if aroused:
        e_k = float(network.environment.reversal("k"))
        cells = {name: _feeling(p, e_k) for name, p in network.populations.items()}
        arousal = Noradrenaline(np.array([1.0]), np.array([0.0]))
        network = replace(network, populations=cells, tissues={"noradrenaline": arousal})
    return network


def _feeling(cells: Population, e_k: float) -> Population:
    """Cells whose potassium leak, AMPA and GABA_A receptors noradrenaline weakens.

    Assumption: a fifth of the leak is potassium's. With the rest it is what the leak was.
    """

    def felt(x: Any, what: str) -> dict:
        return {**x.factors, "noradrenaline": Arousal(ASLEEP[what])}

    leak = cells.channels["leak"]
    g = 0.2 * leak.g
    rest = replace(leak, g=leak.g - g, e=(leak.g * leak.e - g * e_k) / (leak.g - g))
    potassium = IonLeak("k", g)
    potassium = replace(potassium, factors=felt(potassium, "leak"))
    receptors = {
        x: replace(cells.receptors[x], factors=felt(cells.receptors[x], x))
        for x in ("ampa", "gaba_a")
    }
    return replace(
        cells,
        channels={**cells.channels, "leak": rest, "k leak": potassium},
        receptors={**cells.receptors, **receptors},
    )
