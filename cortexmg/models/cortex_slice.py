"""`cortex` in a slice: most of its input from outside is cut off."""

import math
from dataclasses import replace
from typing import Any

from cortexmg.cells import FS_AREA, RS_AREA
from cortexmg.channels import KCC2, HillPump, Inactivation, IonLeak, Leak
from cortexmg.environment import Environment
from cortexmg.factors import PumpEnergy
from cortexmg.models.barreto_cressman import AREA, RATIO, VOLUME
from cortexmg.models.cortex import OUTSIDE, cortex
from cortexmg.network import Network
from cortexmg.part import number
from cortexmg.pools import IonBalance
from cortexmg.population import Population
from cortexmg.starting import start
from cortexmg.stimuli import Poisson
from cortexmg.synapses import AMPA
from cortexmg.tissues import ExtracellularSpace, Uptake
from cortexmg.units import mM_per_pA_ms

DEPTH = VOLUME / AREA  # um, of the volume inside beneath an area of membrane
# mM: potassium reverses at -100 mV, as in `cortex`, and GABA_A receptors at -82 mV.
INSIDE = {"k": 3.5 * math.exp(100.0 / 26.6405), "cl": 3.3}
# Wei, Ullah and Schiff (2014): mM/ms of cotransport and uptake, 1/ms of exchange with the bath.
COTRANSPORT, UPTAKE, EXCHANGE = 0.3e-3, 5e-3, 0.25e-3


def cortex_slice(
    n: int = 4000,
    key: int = 0,
    *,
    drive: float = 0.2,
    ions: bool = False,
    **options: Any,
) -> Network:
    """`cortex` of which a share `drive` of the input from outside is left.

    What is left stands for the spontaneous release and firing of a slice (an assumption: at a
    fifth, a slice is all but silent at 1.3 mM magnesium and 2 mM calcium). It reaches AMPA
    receptors of its own, "outside", so that those of contacts can be blocked or recorded alone.

    With `ions`, sodium, potassium and chloride that channels and receptors carry change what is
    inside every cell, and outside in one space for all, and so the reversals.
    KCC2, glia and exchange with the bath are those of Wei, Ullah and Schiff (2014, J Neurosci
    34:11733), per volume, without their NKCC1; the pump is that of Kager, Wadman and Somjen (2000,
    doi:10.1152/jn.2000.84.1.495), and volumes are those of Barreto and Cressman (2011, J Biol Phys
    37:361) for an area of membrane. Assumptions: that these go together; that leaks and pump are
    such that no ion moves at the reversal of the leak of `cortex`, of whose conductance chloride
    takes a fifth (E) or an eighth (I); and that N-type calcium channels inactivate. Sodium inside
    is 12 mM, at which the pump still answers to it: sodium reverses at 66 mV, in `cortex` at 50.
    For cells="HH".

    `options` are those of `cortex`.
    """
    if number(drive) is None or not drive >= 0.0:
        raise ValueError(
            f"drive must be at least 0, the share of input that is left, got {drive!r}."
        )
    if ions and (cells := options.get("cells", "HH")) != "HH":
        raise ValueError(f'ions=True needs cells="HH", whose channels carry ions, got {cells!r}.')
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
    return _with_ions(network) if ions else network


def _with_ions(network: Network) -> Network:
    start()  # reversals are computed
    env = network.environment
    held = {ion: replace(env.ions[ion], inside=inside) for ion, inside in INSIDE.items()}
    env = replace(env, ions={**env.ions, **held})
    areas = {"E": RS_AREA, "I": FS_AREA}
    populations = {
        name: _with_balance(p, areas[name] * DEPTH, env) for name, p in network.populations.items()
    }
    volume = sum(p.n * areas[name] * DEPTH / RATIO for name, p in network.populations.items())
    tissues = {"space": ExtracellularSpace(volume, exchange=EXCHANGE, glia=Uptake(UPTAKE))}
    return replace(network, environment=env, populations=populations, tissues=tissues)


def _with_balance(cells: Population, volume: float, env: Environment) -> Population:
    """The same cells, of which each ion is in balance at the reversal of their leak."""
    channels = dict(cells.channels)
    leak = channels.pop("leak")
    assert isinstance(leak, Leak)
    for name in {"na", "k", "m", "ahp"} & set(channels):
        channels[name] = replace(channels[name], e=None)
    channels |= _balanced(float(leak.g), float(leak.e), volume, env)
    if "ca_n" in channels:
        channels["ca_n"] = replace(channels["ca_n"], inactivation=Inactivation())
    receptors = {name: replace(r, e=None) for name, r in cells.receptors.items()}
    pools = {**cells.pools, "ions": IonBalance(volume)}
    return replace(cells, channels=channels, receptors=receptors, pools=pools)


def _balanced(g: float, e: float, volume: float, env: Environment) -> dict[str, Any]:
    """Leaks of `g` nS, pump and KCC2 that together move no ion, and no charge, at `e` mV."""
    drive = {ion: e - env.reversal(ion) for ion in IonBalance.ions}
    kcc2 = KCC2(COTRANSPORT * volume / mM_per_pA_ms(1, 1.0))
    out = kcc2.turnover(env)
    chloride = out / drive["cl"]
    # Of the potassium that the pump takes in, KCC2 lets out a part, and the leak the rest.
    turnover = (g - chloride + out / drive["k"]) / (2.0 / drive["k"] - 3.0 / drive["na"])
    pump = HillPump(factors={"energy": PumpEnergy()})
    return {
        "na leak": IonLeak("na", float(-3.0 * turnover / drive["na"])),
        "k leak": IonLeak("k", float((2.0 * turnover - out) / drive["k"])),
        "cl leak": IonLeak("cl", float(chloride)),
        "kcc2": kcc2,
        "pump": replace(pump, maximum=float(turnover / pump.turnover(env) * pump.maximum)),
    }
