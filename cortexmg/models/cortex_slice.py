"""`cortex` in a slice: most of its input from outside is cut off."""

import math
from dataclasses import replace
from typing import Any

from cortexmg.cells import FS_AREA, RS_AREA
from cortexmg.channels import IonLeak, Leak, SigmoidPump
from cortexmg.environment import Environment, Ion
from cortexmg.factors import PumpEnergy
from cortexmg.models.barreto_cressman import AREA, RATIO, VOLUME
from cortexmg.models.cortex import OUTSIDE, cortex
from cortexmg.network import Network
from cortexmg.pools import SodiumBalance
from cortexmg.population import Population
from cortexmg.stimuli import Poisson
from cortexmg.synapses import AMPA
from cortexmg.tissues import Potassium, Uptake

DEPTH = VOLUME / AREA  # um, of the volume inside beneath an area of membrane
K_INSIDE = 3.5 * math.exp(100.0 / 26.6405)  # mM: potassium reverses at -100 mV, as in `cortex`
SODIUM_INSIDE = 21.6  # mM, at which the pump makes up for the leak


def cortex_slice(
    n: int = 4000, key: int = 0, *, drive: float = 0.2, potassium: bool = False, **options: Any
) -> Network:
    """`cortex` of which a share `drive` of the input from outside is left.

    What is left stands for the spontaneous release and firing of a slice (an assumption: at a
    fifth, a slice is all but silent at 1.3 mM magnesium and 2 mM calcium). It reaches AMPA
    receptors of its own, "outside", so that those of contacts can be blocked or recorded alone.

    With `potassium`, what potassium channels and leak carry out gathers outside, in one space for
    all cells, and moves their reversals; pump, glia and bath clear it, with volumes, glia and
    exchange of Barreto and Cressman (2011, J Biol Phys 37:361) for an area of membrane, and a pump
    that makes up for the leak at rest (assumptions). The leak is divided into potassium and sodium
    so that it reverses where it did. Not counted: what receptors carry. `options` are those of
    `cortex`.
    """
    if not drive >= 0.0:
        raise ValueError(f"drive must be at least 0, the share of input that is left, got {drive}.")
    network = cortex(n, key, **options)
    populations = {
        name: replace(p, receptors={**p.receptors, "outside": AMPA(transmitter="outside")})
        for name, p in network.populations.items()
    }
    stimuli = {
        f"outside {name}": Poisson(name, "outside", drive * rate, weight)
        for name, (rate, weight) in OUTSIDE.items()
    }
    network = replace(network, populations=populations, stimuli=stimuli)
    return _with_potassium(network) if potassium else network


def _with_potassium(network: Network) -> Network:
    env = network.environment
    ions = {"k": Ion(env.ions["k"].outside, K_INSIDE, 1), "na": Ion(144.0, SODIUM_INSIDE, 1)}
    env = replace(env, ions={**env.ions, **ions})
    areas = {"E": RS_AREA, "I": FS_AREA}
    populations = {name: _with_pump(p, areas[name], env) for name, p in network.populations.items()}
    volume = sum(p.n * areas[name] * DEPTH / RATIO for name, p in network.populations.items())
    tissues = {"potassium": Potassium(volume, glia=Uptake())}
    return replace(network, environment=env, populations=populations, tissues=tissues)


def _with_pump(cells: Population, area: float, env: Environment) -> Population:
    channels = dict(cells.channels)
    leak = channels.pop("leak")
    assert isinstance(leak, Leak)
    e_k, e_na = env.reversal("k"), env.reversal("na")
    sodium = leak.g * (leak.e - e_k) / (e_na - e_k)
    for name in {"na", "k", "m", "ahp"} & set(channels):
        channels[name] = replace(channels[name], e=None)
    channels["k leak"] = IonLeak("k", float(leak.g - sodium))
    channels["na leak"] = IonLeak("na", float(sodium))
    pump = SigmoidPump(factors={"energy": PumpEnergy()}, electrogenic=False)
    share = pump.activity(env.ions["na"].inside, env.ions["k"].outside)
    rest = float(sodium * (e_na - leak.e) / (3.0 * share))  # three ions out for each turnover
    channels["pump"] = replace(pump, maximum=rest)
    pools = {**cells.pools, "na": SodiumBalance(area * DEPTH, RATIO)}
    return replace(cells, channels=channels, pools=pools)
