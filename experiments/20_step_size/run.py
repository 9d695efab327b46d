"""How much do rates depend on the step, and how does the scheme compare with exponential Euler?

The three benchmark networks at four steps, and a population of integrate-and-fire cells with NMDA
receptors whose conductances are held as exponential Euler holds them: at their value at the
beginning of a step, so that every arrival counts for dt / 2 tau too much. Run with --quick for a
small version.
"""

import argparse
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import cortexmg as cx
from cortexmg import models, recorders, results, stimuli, synapses
from cortexmg.cells import leaky_integrate_and_fire

HERE = Path(__file__).parent
STEPS = [0.1, 0.05, 0.025, 0.0125]  # ms


def rate(network: cx.Network, population: str, duration: float, dt: float) -> float:
    """Mean rate (Hz) after the first 500 ms."""
    count = {"n": recorders.PopulationRate(population, every=100.0)}
    run = cx.simulate(network, 500.0 + duration, dt=dt, record=count, key=1)
    return float(np.mean(run["n"].values[5:]))


def driven_cells(dt: float, scheme: str) -> cx.Network:
    """400 cells without contacts, each with 2,400 AMPA and NMDA arrivals per second."""
    taus = {"ampa": 2.0, "nmda": 100.0}
    # What exponential Euler adds: an arrival is not decayed to the middle of its step.
    excess = {k: float(jnp.exp(dt / 2 / t)) if scheme == "Euler" else 1.0 for k, t in taus.items()}
    kinetics = synapses.TwoExponentialKinetics(2.0, 100.0)
    receptors = {
        "ampa": synapses.Exponential(2.0, 0.0, gain=excess["ampa"]),
        "nmda": synapses.NMDA(kinetics, gain=0.1 * excess["nmda"]),
    }
    cells = leaky_integrate_and_fire(400, receptors)
    inputs = {
        "ampa": stimuli.Poisson("cells", "ampa", 2400.0, 1.2),
        "nmda": stimuli.Poisson("cells", "nmda", 2400.0, 0.1),
    }
    return cx.Network(cx.acsf(), {"cells": cells}, {}, inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    steps, seconds = (STEPS[:2], 0.4) if quick else (STEPS, 4.0)
    cases = {
        "cobahh(4000)": lambda dt: (models.cobahh(4000), "cells", 250 * seconds),
        "ei_nmda(2000)": lambda dt: (models.ei_nmda(2000), "cells", 1e3 * seconds),
        "cortex(1000), E": lambda dt: (models.cortex(1000), "E", 1e3 * seconds),
        "driven cells": lambda dt: (driven_cells(dt, "ours"), "cells", 2e3 * seconds),
        "driven cells, Euler": lambda dt: (driven_cells(dt, "Euler"), "cells", 2e3 * seconds),
    }
    print(f"{'rate (Hz) at dt (ms)':24s}" + "".join(f"{dt:10g}" for dt in steps))
    rows = {}
    for name, case in cases.items():
        rows[name] = [rate(*case(dt), dt) for dt in steps]
        print(f"{name:24s}" + "".join(f"{hz:10.2f}" for hz in rows[name]), flush=True)
    if not quick:
        results.write(HERE / "results/rates.json", dt=steps, rates=rows)


if __name__ == "__main__":
    main()
