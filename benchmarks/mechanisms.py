"""What each mechanism costs: `cortex` with it, beside the block of NMDA receptors alone.

Runs of all networks in turns, in one process; the least time of several counts.
"""

import argparse

import numpy as np

import cortexmg as cx
from cortexmg import models
from cortexmg.models.cortex import MECHANISMS

RECORD = {"E": cx.recorders.PopulationRate("E", every=10.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    chosen = {"block": (), **{name: (name,) for name in MECHANISMS}, "all": MECHANISMS}
    networks = {k: models.cortex(options.cells, mechanisms=v) for k, v in chosen.items()}
    states = {k: cx.simulate(x, 100.0, record=RECORD).state for k, x in networks.items()}
    seconds: dict[str, list[float]] = {k: [] for k in networks}
    for repetition in range(1 + options.repetitions):
        for name, network in networks.items():
            run = cx.simulate(network, 100.0, state=states[name], record=RECORD)
            if repetition:  # the first one compiles
                seconds[name].append(run.seconds)
    print(f"cortex({options.cells}), 100 ms, least and median of {options.repetitions}")
    for name, s in seconds.items():
        ratio = min(s) / min(seconds["block"])
        print(f"{name:10s}{min(s):8.3f} s{np.median(s):8.3f} s{ratio:8.2f} x")


if __name__ == "__main__":
    main()
