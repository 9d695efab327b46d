"""Search without gradients, by ask and tell, on the loss that a fit has."""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import cortexmg as cx
from cortexmg.aim import Aim, aim_of
from cortexmg.estimators.estimator import mean_over_seeds
from cortexmg.protocol import Protocol, keys_of
from cortexmg.targets import Targets

SIMULATOR_FAILED = 1e9  # the loss where voltages did not stay finite or nothing is defined


class Runs:
    """The runs of a search, counted: whole populations of candidates in one call.

    Every call has fresh noise, which all candidates of the call share: they are compared with
    common random numbers, as the pairs of a difference are.
    """

    def __init__(self, protocol: Protocol, aim: Targets, seeds: int, key: int):
        self.protocol, self.goal, self.seeds, self.key = protocol, aim_of(protocol, aim), seeds, key
        self.calls, self.seconds = 0, 0.0
        of_each = (protocol.settle + protocol.duration) * 1e-3 * len(protocol.conditions)
        self.cost = seeds * of_each  # simulated seconds of a candidate

    def statistics(self, us: np.ndarray, apart: bool = False) -> np.ndarray:
        """The mean over seeds of each candidate [m, p], with its own noise if `apart`, [m, q]."""
        m = 1 if apart else len(us)
        keys = keys_of(self.key, self.calls, self.seeds * (len(us) // m))
        rows = np.repeat(us[:, None], self.seeds, axis=0) if apart else None
        given = rows if apart else np.broadcast_to(us, (self.seeds, *us.shape))
        found = self.protocol.run(given, keys)
        self.calls += 1
        self.seconds += len(us) * self.cost
        if apart:
            return mean_over_seeds(np.moveaxis(found.reshape(len(us), self.seeds, -1), 1, 0))
        return mean_over_seeds(found)

    def losses(self, us: np.ndarray) -> np.ndarray:
        """The loss of each candidate."""
        return np.array([loss_of(self.goal, x) for x in self.statistics(us)])


def loss_of(goal: Aim, mean: np.ndarray) -> float:
    """The loss of a fit, and a large number where a fit would raise FitFailed."""
    if np.any(np.isinf(mean)) or not np.any(np.isfinite(mean)):
        return SIMULATOR_FAILED
    loss = goal.loss(mean)
    return loss if np.isfinite(loss) else SIMULATOR_FAILED


class CMA:
    """CMA-ES (Hansen's `cma`) inside the bounds; what it recommends is the mean."""

    def __init__(self, start, low, high, *, sigma: float, population: int, key: int, **more: Any):
        import cma

        options = {"bounds": [low, high], "popsize": population, "seed": key + 1, "verbose": -9}
        # It would stop for a flat or noisy loss; only the budget ends a search here.
        options |= {"tolfun": 0, "tolfunhist": 0, "tolx": 0, "tolstagnation": 10**9} | more
        self.es = cma.CMAEvolutionStrategy(start, sigma, options)

    def ask(self) -> np.ndarray:
        return np.array(self.es.ask())

    def tell(self, us: np.ndarray, losses: np.ndarray) -> None:
        self.es.tell(list(us), losses.tolist())

    @property
    def recommended(self) -> np.ndarray:
        return np.asarray(self.es.result.xfavorite)


class Nevergrad:
    """One optimiser of Nevergrad, told that the loss is noisy and how often it may ask."""

    def __init__(
        self,
        start,
        low,
        high,
        *,
        name: str,
        sigma: float,
        population: int,
        evaluations: int,
        key: int,
    ):
        import nevergrad as ng

        space = ng.p.Array(init=np.asarray(start)).set_bounds(low, high, method="clipping")
        space.set_mutation(sigma=sigma)
        space.random_state = np.random.RandomState(key)
        space.function.deterministic = False
        self.population, self.asked = population, []
        made = ng.optimizers.registry[name]
        self.optimiser = made(parametrization=space, budget=evaluations, num_workers=population)

    def ask(self) -> np.ndarray:
        self.asked = [self.optimiser.ask() for _ in range(self.population)]
        return np.array([x.value for x in self.asked])

    def tell(self, us: np.ndarray, losses: np.ndarray) -> None:
        del us
        for candidate, loss in zip(self.asked, losses, strict=True):
            self.optimiser.tell(candidate, float(loss))

    @property
    def recommended(self) -> np.ndarray:
        return np.asarray(self.optimiser.provide_recommendation().value)


Recommended = Iterator[tuple[float, np.ndarray]]  # simulated seconds, coordinates


def searched(search: CMA | Nevergrad, runs: Runs, start: np.ndarray, budget: float) -> Recommended:
    """What a search recommends after every generation, until it has used its simulated seconds."""
    yield 0.0, start
    while runs.seconds < budget:
        us = search.ask()
        search.tell(us, runs.losses(us))
        yield runs.seconds, search.recommended


def stepped(fit: cx.Fit) -> Recommended:
    """The same of a fit: where each step led, and at last its result."""
    each, done = fit.seconds / fit.runs, 0
    for runs, u in zip(fit.curve["runs"], fit.curve["coordinates"], strict=True):
        yield done * each, u
        done += int(runs)
    yield fit.seconds, fit.coordinates


def followed(make: Callable[[], cx.Fit], start, hidden: np.ndarray, each: bool) -> dict[str, Any]:
    """A fit as a line of results; one that fails has not left its start."""
    try:
        found = make()
    except cx.FitFailed as e:
        ended, sd, way = f"failed: {str(e)[:80]}", [], iter([(0.0, start)])
    else:
        ended, sd, way = found.ended, found.sd, stepped(found)
    said = {"sd": [round(float(x), 3) for x in sd]} if each else {}
    return {"ended": ended, "curve": curve_of(way, hidden, each)} | said


def curve_of(recommended: Recommended, hidden: np.ndarray, each: bool) -> dict[str, list]:
    """Errors, |log ratio| to the hidden values, against simulated and wall seconds."""
    began = time.perf_counter()
    curve: dict[str, list] = {k: [] for k in ("seconds", "wall", "median", "max", "close")}
    errors = []
    for seconds, u in recommended:
        error = np.abs(u - hidden)
        row = seconds, time.perf_counter() - began, np.median(error), error.max()
        for name, x in zip(curve, [*row, np.mean(error < np.log(1.1))], strict=True):
            curve[name].append(round(float(x), 4))
        errors.append(error.round(4).tolist())
    return curve | ({"errors": errors} if each else {})


class Lines:
    """Results, a line of JSON each; what is there already is not done again."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.all = [json.loads(x) for x in path.read_text().splitlines()] if path.exists() else []

    def do(self, method: str, key: int, make: Callable[[], dict[str, Any]]) -> None:
        """Append what `make` returns, with the wall time it took, unless it is there."""
        if any((x["method"], x["key"]) == (method, key) for x in self.all):
            return
        began = time.perf_counter()
        line = {"method": method, "key": key} | make()
        line["total wall"] = round(time.perf_counter() - began, 1)
        self.all.append(line)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        c = line["curve"]
        print(f"{method} {key}: median error {c['median'][-1]:.3f}, {c['seconds'][-1]:.0f} "
              f"simulated s, {line['total wall']:.0f} s", flush=True)  # fmt: skip

    def forget(self, method: str) -> None:
        """Leave out what is there of a method, so that it is done again."""
        self.all = [x for x in self.all if x["method"] != method]
        self.path.write_text("".join(json.dumps(x) + "\n" for x in self.all))


def compete(
    doc: str | None,
    lines: Path,
    methods: Sequence[str],
    starts: Mapping[str, int],
    problem_of: Callable[[bool], Any],
    one: Callable[[Any, str, int], dict[str, Any]],
) -> None:
    """The command line of a comparison: every method from its first starts."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=methods)
    parser.add_argument("--starts", type=int)
    parser.add_argument("--again", action="store_true", help="Forget what --only has done.")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    quick = lines.with_stem(lines.stem + "_quick")
    done = Lines(args.out or (quick if args.quick else lines))
    if args.again and args.only:
        done.forget(args.only)
    problem = problem_of(args.quick)
    starts = dict.fromkeys(methods, 1) if args.quick else starts
    for key in range(args.starts or max(starts.values())):
        for method in [args.only] if args.only else methods:
            if key < (args.starts or starts[method]):
                done.do(method, key, lambda m=method, k=key: one(problem, m, k))
