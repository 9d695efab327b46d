"""The flagship network: a patch of cortex with Hodgkin-Huxley cells and NMDA receptors."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from cortexmg.cells import (
    RS_AREA,
    adaptive_exponential,
    destexhe,
    fast_spiking,
    leaky_integrate_and_fire,
    regular_spiking,
)
from cortexmg.channels import Afterhyperpolarisation, CalciumN
from cortexmg.connectivity import Connectivity
from cortexmg.distributions import ByDistance, LogNormal, Uniform
from cortexmg.environment import acsf
from cortexmg.factors import Factor, GABAPotentiation, ReleaseLaw
from cortexmg.factors.calcium_block import high_voltage
from cortexmg.factors.hill_release import intermediate, shallow, steep
from cortexmg.network import Network
from cortexmg.part import whole
from cortexmg.pools.calcium import soma
from cortexmg.population import Population
from cortexmg.projection import Projection
from cortexmg.releases import Certain, Release, SlowDepression, TsodyksMarkram
from cortexmg.sheet import Sheet
from cortexmg.stimuli import Poisson
from cortexmg.surface import Screening
from cortexmg.synapses import AMPA, GABAA, GABAB, NMDA, Synapse
from cortexmg.wiring import Gaussian, by_distance, fixed_in_degree
from cortexmg.wiring.draw import generator

CONTACTS = {"E": 160, "I": 40}  # onto every cell, at any size of the network
WEIGHTS = {"E to E": 0.34, "E to I": 0.36, "I to E": 2.2, "I to I": 5.2}  # nS, mean = s.d.
OUTSIDE = {"E": (97.0, 14.0), "I": (950.0, 2.0)}  # Hz, nS
NMDA_RATIO = {"E": 0.5, "I": 0.23}  # NMDA to AMPA peak conductance without magnesium
GABA_B = 10.0  # nS per cell, a third of the leak of E cells
REACH = {"E": 200.0, "I": 120.0}  # um, of the contacts of a cell
NEUTRAL = ("release", "gaba", "surface")  # which change nothing at the reference
MECHANISMS = (*NEUTRAL, "calcium")
# At these concentrations (mM) every factor is 1, and the numbers above hold.
REFERENCE = {"ca_ref": 1.2, "mg_ref": 1.0}
LAWS = {"E to E": steep, "E to I": shallow, "I to E": intermediate, "I to I": intermediate}
CALCIUM, POTASSIUM = 290.0, 100.0  # nS, of E cells: N-type calcium, and what calcium opens
U0 = 0.0792  # of E to E contacts: 0.5 at 2 mM calcium, where it is measured
# Slow depression takes this share of what is left when everything is released (an assumption), and
# contacts between E cells are then so many times as strong.
DEPLETION, STRENGTH = 0.2, 3.3


def cortex(
    n: int = 4000,
    key: int = 0,
    *,
    mg: float = 1.0,
    ca: float = 1.2,
    wiring: str = "uniform",
    gaba_b: bool = False,
    nmda: float = 1.0,
    mechanisms: Collection[str] = MECHANISMS,
    cells: str = "HH",
    slow_depression: bool = False,
) -> Network:
    """`n` cells, 80 % regular-spiking "E" and 20 % fast-spiking "I" (Pospischil et al. 2008).

    E cells contact AMPA and NMDA receptors of both kinds, I cells GABA_A receptors and, with
    `gaba_b`, GABA_B receptors (10 nS per cell, of which 0.8 are open in E and 2 in I cells: an
    assumption). `nmda` scales all NMDA conductances. Contacts between E cells depress. Weights are
    log-normal. `wiring` is "uniform", or "distance" on a periodic sheet with 4,000 cells per mm2.
    Numbers of contacts per cell do not depend on `n`. Sizes and weights are ours, set so that at 1
    mM magnesium and 1.2 mM calcium the network is in the asynchronous irregular state (an
    assumption, not a measurement).

    Besides the block of NMDA receptors, magnesium and calcium act through these `mechanisms`:
    "release" of glutamate and GABA, "gaba" (potentiation of GABA_A receptors), "surface" (charge of
    the membrane), none of which changes anything at 1 mM and 1.2 mM (but the last digits of sums),
    and "calcium": N-type channels that magnesium blocks, calcium in the soma of E cells, and
    potassium channels that it opens (Wang 1998, with a small part of his potassium conductance:
    there is an M-current too).
    Input from outside the network is held: its release does not follow the ions.

    With `slow_depression` contacts between E cells also depress for seconds, the more the more they
    release, and are 3.3 times as strong, which at 1 mM magnesium leaves the network asynchronous.
    Then it has synchronous events at 0.5 mM, and a slice with a tenth of its input bursts every two
    seconds at 0.1 mM; share and strength were chosen for that (experiments/01_magnesium_ladder). It
    settles within some 20 s.

    `cells` that integrate and fire, "LIF" or "AdEx", have the same capacitance and leak, and cost
    less; they have no calcium channels, and other rates.
    """
    n = whole("n", n, 2)
    _check_choices(wiring, mechanisms, cells)
    rng = generator(key, 1990)
    sizes = {"E": n * 4 // 5, "I": n - n * 4 // 5}
    populations = {}
    for name, size in sizes.items():
        receptors = _receptors(nmda * NMDA_RATIO[name], gaba_b, "gaba" in mechanisms)
        v0 = rng.uniform(-75.0, -60.0, size).astype(np.float32)
        surface = Screening(**REFERENCE) if "surface" in mechanisms else None
        populations[name] = replace(_cells(cells, name, size, receptors, v0), surface=surface)
    if "calcium" in mechanisms and cells == "HH":
        populations["E"] = _with_calcium(populations["E"])
    projections = {}
    for i, (name, weight) in enumerate(WEIGHTS.items()):
        pre, _, post = name.split()
        weight *= STRENGTH if slow_depression and name == "E to E" else 1.0
        contacts = _contacts(wiring, pre, post, sizes, weight, 4 * key + i)
        transmitter = {"E": "glutamate", "I": "gaba"}[pre]
        release = _release(name, "release" in mechanisms, slow_depression)
        projections[name] = Projection(pre, post, transmitter, contacts, release)
    stimuli = {f"outside {name}": Poisson(name, "ampa", *OUTSIDE[name]) for name in sizes}
    return Network(acsf(mg=mg, ca=ca), populations, projections, stimuli)


def _cells(kind: str, name: str, n: int, receptors: dict[str, Synapse], v0: Any) -> Population:
    detailed = {"E": regular_spiking, "I": fast_spiking}[name](n, receptors, v0)
    c, leak = detailed.capacitance, detailed.channels["leak"].g  # pyright: ignore
    if kind == "LIF":
        return leaky_integrate_and_fire(n, receptors, v0, capacitance=c, leak=leak, e_leak=-70.0)
    if kind == "AdEx":
        numbers = replace(destexhe({"E": "RS weak", "I": "FS"}[name]), capacitance=c, leak=leak)
        return adaptive_exponential(n, receptors, v0, numbers=numbers)
    return detailed


def _with_calcium(cells: Population) -> Population:
    channels = {
        **cells.channels,
        "ca_n": CalciumN(CALCIUM, factors={"mg": high_voltage(mg_ref=REFERENCE["mg_ref"])}),
        "ahp": Afterhyperpolarisation(POTASSIUM, -100.0),
    }
    return replace(cells, channels=channels, pools={"ca": soma(RS_AREA)})


def _check_choices(wiring: str, mechanisms: Collection[str], cells: str) -> None:
    if cells not in ("HH", "LIF", "AdEx"):
        raise ValueError(f'cells must be "HH", "LIF" or "AdEx", got {cells!r}.')
    if wiring not in ("uniform", "distance"):
        raise ValueError(f'wiring must be "uniform" or "distance", got {wiring!r}.')
    if isinstance(mechanisms, str) or not set(mechanisms) <= set(MECHANISMS):
        raise ValueError(f"mechanisms must be some of {MECHANISMS}, got {mechanisms!r}.")


def _release(projection: str, ions: bool, slow: bool) -> Release:
    factors: dict[str, ReleaseLaw] = {"ions": LAWS[projection](**REFERENCE)} if ions else {}
    if projection != "E to E":
        return Certain(factors)
    release = TsodyksMarkram(U0, factors=factors)
    return SlowDepression(release, share=DEPLETION * U0) if slow else release


def _receptors(nmda: float, gaba_b: bool, potentiated: bool) -> dict[str, Synapse]:
    potentiation: dict[str, Factor] = {"mg": GABAPotentiation()} if potentiated else {}
    receptors: dict[str, Synapse] = {
        "ampa": AMPA(),
        "nmda": NMDA(gain=nmda),
        "gaba_a": GABAA(factors=potentiation),
    }
    if gaba_b:
        receptors["gaba_b"] = GABAB(g_max=GABA_B, gain=0.05 * GABA_B)
    return receptors


def _contacts(
    wiring: str, pre: str, post: str, sizes: dict[str, int], weight: float, key: int
) -> Connectivity:
    n_pre, n_post = sizes[pre], sizes[post]
    k = min(CONTACTS[pre], n_pre - 1) if n_pre > 1 else 0
    weights = LogNormal(weight, weight)
    others = pre != post  # then cell i of one is not cell i of the other
    if wiring == "uniform":
        delay = Uniform(0.5, 2.5)
        return fixed_in_degree(n_pre, n_post, k, weights, delay, key=key, self_contacts=others)
    delay, sheet, kernel = ByDistance(300.0, 0.5), sheet_of(sizes), Gaussian(REACH[pre])
    return by_distance(
        sheet, n_pre, n_post, k, kernel, weights, delay, key=key, self_contacts=others
    )


def sheet_of(sizes: dict[str, int]) -> Sheet:
    """Where so many cells of each population lie: 4,000 per mm2 together."""
    side = 1e3 * float(np.sqrt(sum(sizes.values()) / 4000.0))
    return Sheet(side, side, True)
