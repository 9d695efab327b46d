"""Eight hidden parameters: how many simulated seconds does a fit need, and how many do others?

The same network, targets, starts, bounds and loss for all; the bounds lie around the start. Every
run is a line of results/rivals.jsonl, whose `curve` holds errors against simulated seconds.
`--only fit --again` repeats our fits alone; `--quick` tries every method in a minute or two.
figure.py draws the figure and prints the table.
"""

from pathlib import Path
from typing import Any

import numpy as np
from problem import CONDITIONS, EIGHT, MEASURES, SEEDS, TIMES, network, start_of, targets
from search import CMA, Nevergrad, Runs, compete, curve_of, followed, searched

import cortexmg as cx
from cortexmg.bounds import Coordinates
from cortexmg.protocol import Protocol

NAMES = list(EIGHT)
WITHIN = 6.0  # times the start, or that part of it: so far do the bounds lie
HIDDEN = np.log([EIGHT[k][1] for k in NAMES])
FIT_STEPS = 30
SIGMA = 0.5  # initial, of a coordinate: starts are 0.7 to 1.4 off
POPULATION = 24  # CMA-ES suggests 10 without noise; this fills 6 batches of 16 runs
WORKERS = 12  # candidates at once, of Nevergrad
ROUNDS = 10  # of sequential inference
METHODS = ("fit", "CMA-ES", "Nevergrad", "NPE", "TSNPE")
STARTS = {"fit": 5, "CMA-ES": 5, "Nevergrad": 5, "NPE": 5, "TSNPE": 5}
BUDGET = {"CMA-ES": 12_000.0, "Nevergrad": 3000.0, "NPE": 3200.0, "TSNPE": 4800.0}  # simulated s


class Problem:
    """The network, what is known of it, and the budget of each rival in simulated seconds."""

    def __init__(self, quick: bool):
        self.net, self.quick = network(100 if quick else 400), quick
        self.aim = targets(self.net, NAMES, 6 if quick else 48)
        self.budget = dict.fromkeys(BUDGET, 300.0) if quick else BUDGET

    def protocol(self, key: int) -> Protocol:
        """What is run, from a start."""
        start = start_of(NAMES, key)
        coordinates = Coordinates(self.net, bounds_around(start), start)
        return Protocol(self.net, coordinates, MEASURES, CONDITIONS, **TIMES)


def bounds_around(start: dict[str, float]) -> dict[str, cx.Bounds]:
    """A sixth to six times the start, in which the hidden value lies, but not in the middle.

    Bounds around the hidden value would tell it: the middle of its prior is what inference finds
    before any simulation, and where Nevergrad looks first.
    """
    return {k: cx.Bounds(x / WITHIN, x * WITHIN) for k, x in start.items()}


def fit(problem: Problem, key: int) -> dict[str, Any]:
    """A fit by gradients, with the defaults."""
    steps = 2 if problem.quick else FIT_STEPS
    start = start_of(NAMES, key)
    given = {"start": start, "seeds": SEEDS[len(NAMES)], "key": key, "steps": steps} | TIMES
    return followed(
        lambda: cx.fit(problem.net, bounds_around(start), problem.aim, **given),
        problem.protocol(key).coordinates.start,
        HIDDEN,
        True,
    )


def without_gradients(problem: Problem, key: int, method: str) -> dict[str, Any]:
    """A search from the same start, with one run under every condition for each candidate."""
    protocol, budget = problem.protocol(key), problem.budget[method]
    c, runs = protocol.coordinates, Runs(protocol, problem.aim, 1, 100 + key)
    kind, how = {
        "CMA-ES": (CMA, {"population": POPULATION}),
        # NGOpt chooses among optimisers by dimension, noise and budget.
        "Nevergrad": (
            Nevergrad,
            {"name": "NGOpt", "population": WORKERS, "evaluations": int(budget / runs.cost)},
        ),
    }[method]
    search = kind(c.start, c.low, c.high, sigma=SIGMA, key=key, **how)
    return how | {"curve": curve_of(searched(search, runs, c.start, budget), HIDDEN, True)}


def inference(problem: Problem, key: int, method: str) -> dict[str, Any]:
    """Simulation-based inference, which has no start but the prior."""
    from inference import amortised, truncated

    protocol = problem.protocol(key)
    runs = Runs(protocol, problem.aim, 1, 100 + key)
    if method == "NPE":
        way = amortised(runs, problem.budget[method], key)
    else:
        way = truncated(runs, problem.budget[method], ROUNDS, key)
    return {"curve": curve_of(way, HIDDEN, True)}


def one(problem: Problem, method: str, key: int) -> dict[str, Any]:
    """A run of a method."""
    if method in ("NPE", "TSNPE"):
        return inference(problem, key, method)
    return fit(problem, key) if method == "fit" else without_gradients(problem, key, method)


if __name__ == "__main__":
    lines = Path(__file__).parent / "results" / "rivals.jsonl"
    compete(__doc__, lines, METHODS, STARTS, Problem, one)
