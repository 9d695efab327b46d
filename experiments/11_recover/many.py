"""128 hidden parameters, a drive per E cell: how many simulated seconds does it take to find them?

Targets are the rates of every E cell and of both populations under three conditions. Every run is
a line of results/many.jsonl, of which figure.py draws the figure. `--only fit --again` repeats our
fits alone; `--quick` tries every method in a minute. Simulation-based inference is left out: a
network that returns a density of 128 numbers given 390 would be trained on some thousand
simulations, and has nothing that tells it that a cell's rate speaks of its own drive.
"""

from pathlib import Path
from typing import Any

import numpy as np
from search import CMA, Nevergrad, Runs, compete, curve_of, followed, searched

import cortexmg as cx
from cortexmg import measures, models
from cortexmg.bounds import Coordinates
from cortexmg.protocol import Protocol, keys_of
from cortexmg.targets import targets_of

DRIVE = "stimuli/outside E/weight"
TYPICAL, SPREAD = 14.0, 0.2  # nS, of the hidden drives, and the s.d. of their logarithm
WITHIN = 6.0  # times the start, or that part of it: so far do the bounds lie
MEASURES = {
    "rates": measures.CellRates("E", bin=10.0),
    "rate E": measures.Rate("E"),
    "rate I": measures.Rate("I"),
}
CONDITIONS = {
    "control": {},
    "2 mM Ca": {"environment/ions/ca/outside": 2.0},
    "0.5 mM Mg": {"environment/ions/mg/outside": 0.5},
}
TIMES = {"duration": 2000.0, "settle": 200.0, "dt": 0.2}
RECORDED, SEEDS, FIT_STEPS = 24, 3, 10
FAR = 1.5, 2.0  # times that the homogeneous start is off
SIGMA = 0.3  # initial, of a coordinate
POPULATION = 32  # CMA-ES suggests 18 for 128 parameters
METHODS = ("fit", "CMA-ES", "Nevergrad")
STARTS = {"fit": 5, "CMA-ES": 5, "Nevergrad": 5}
BUDGET = {"CMA-ES": 10_000.0, "Nevergrad": 5000.0}  # simulated s


class Problem:
    """The network, its hidden drives, and what a fit is told of them."""

    def __init__(self, quick: bool):
        self.net, self.quick = models.cortex(100 if quick else 160, cells="LIF"), quick
        self.times = TIMES | ({"duration": 600.0} if quick else {})
        n = self.net.sizes["E"]
        self.hidden = np.log(TYPICAL) + SPREAD * np.random.default_rng(11).normal(size=n)
        hidden = {DRIVE: np.exp(self.hidden)}
        there = Coordinates(self.net, bounds_around(TYPICAL), hidden)
        protocol, recorded = self._protocol(there), 4 if quick else RECORDED
        u = np.broadcast_to(there.start, (recorded, 1, n))
        found = protocol.run(u, keys_of(1112, 0, recorded))[:, 0]
        self.aim = targets_of(protocol, found, of_seeds=SEEDS)

    def start(self, key: int) -> float:
        """The drive of all cells: 1.5 to 2 times too large and, for odd keys, too small."""
        off = np.random.default_rng([12, key]).uniform(*np.log(FAR)) * (-1) ** key
        return TYPICAL * float(np.exp(off))

    def protocol(self, key: int) -> Protocol:
        """What is run, from a start."""
        start = self.start(key)
        each = {DRIVE: np.full(self.hidden.size, start)}
        return self._protocol(Coordinates(self.net, bounds_around(start), each))

    def _protocol(self, coordinates: Coordinates) -> Protocol:
        return Protocol(self.net, coordinates, MEASURES, CONDITIONS, **self.times)


def bounds_around(start: float) -> dict[str, cx.Bounds]:
    """A sixth to six times the start, so that their middle does not tell the hidden values."""
    return {DRIVE: cx.Bounds(start / WITHIN, start * WITHIN)}


def fit(problem: Problem, key: int) -> dict[str, Any]:
    """A fit with the defaults for so many parameters."""
    steps = 2 if problem.quick else FIT_STEPS
    start = problem.start(key)
    each = {DRIVE: np.full(problem.hidden.size, start)}
    given = {"start": each, "seeds": SEEDS, "key": key, "steps": steps} | problem.times
    return followed(
        lambda: cx.fit(problem.net, bounds_around(start), problem.aim, **given),
        problem.protocol(key).coordinates.start,
        problem.hidden,
        False,
    )


def without_gradients(problem: Problem, key: int, method: str) -> dict[str, Any]:
    """A search from the same start, with one run under every condition for each candidate."""
    protocol, budget = problem.protocol(key), 300.0 if problem.quick else BUDGET[method]
    c, runs = protocol.coordinates, Runs(protocol, problem.aim, 1, 100 + key)
    kind, how = {
        # A full covariance matrix of 128 parameters would take some 10,000 generations to learn.
        "CMA-ES": (CMA, {"CMA_diagonal": True}),
        "Nevergrad": (Nevergrad, {"name": "TBPSA", "evaluations": int(budget / runs.cost)}),
    }[method]
    how |= {"population": POPULATION, "sigma": SIGMA, "key": key}
    search = kind(c.start, c.low, c.high, **how)
    way = searched(search, runs, c.start, budget)
    return how | {"curve": curve_of(way, problem.hidden, False)}


def one(problem: Problem, method: str, key: int) -> dict[str, Any]:
    """A run of a method."""
    return fit(problem, key) if method == "fit" else without_gradients(problem, key, method)


if __name__ == "__main__":
    lines = Path(__file__).parent / "results" / "many.jsonl"
    compete(__doc__, lines, METHODS, STARTS, Problem, one)
