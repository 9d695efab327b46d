"""The response of a network from that of its cells to given spikes: an estimator that was tried.

In a recurrent network small differences grow until runs with common noise have nothing in common.
Cells that receive given spikes do not amplify them. So the spikes of a run are given to the same
network with its loop opened, where rates r follow from the parameters u and from the rates of what
is given, r = f(u, given). Closed, what is given is r: dr/du = (1 - df/dgiven)^-1 df/du. Assumption:
of the spikes that change, nothing matters but how many they are.
"""

from dataclasses import replace
from typing import Any

import equinox as eqx
import numpy as np

import cortexmg as cx
from cortexmg import cells, measures, recorders
from cortexmg.bounds import values_at
from cortexmg.estimators.estimator import Estimate, Estimator, mean_over_seeds, pulled
from cortexmg.protocol import Protocol
from cortexmg.stimuli import SpikeInput
from cortexmg.synapses import Exponential

Trains = dict[str, tuple[np.ndarray, np.ndarray]]  # by population: times (ms) and cells
REPLAY = "replay of {}"
KICK = 120.0  # nS: one arrival makes a cell of `_relay` fire in the same step


class OpenLoop(Estimator):
    """Derivatives of mean rates, NaN for others; 2 P + 2 per population + 2 runs a seed."""

    step: float = eqx.field(static=True, default=0.05)  # of a coordinate, to either side
    share: float = eqx.field(static=True, default=0.1)  # of spikes left out or added

    def estimate(self, protocol: Protocol, u: np.ndarray, keys: Any, slope: Any) -> Estimate:
        found = [self._of_seed(protocol, u, key) for key in keys]
        statistics, sensitivity = (np.array(x) for x in zip(*found, strict=True))
        gradients = pulled(slope(mean_over_seeds(statistics)), sensitivity)
        runs = len(keys) * (2 * u.size + 2 * len(_senders(protocol.network)) + 2)
        return Estimate(statistics, gradients, sensitivity, runs)

    def _of_seed(self, protocol: Protocol, u: np.ndarray, key: Any) -> tuple:
        known = {s.measure: protocol.measures[s.measure] for s in protocol.statistics}
        places = {m.population: i for i, m in enumerate(known.values()) if type(m) is measures.Rate}
        senders = _senders(protocol.network)
        closed = _run(protocol, protocol.network, u, key, [*{*senders, *places}])
        given = {name: closed[name] for name in senders}
        room = {name: int(1.3 * times.size) + 1000 for name, (times, _) in given.items()}

        def rates(u, given):
            spikes = _run(protocol, opened(protocol, given, room), u, key, list(places))
            return np.array([_rate(protocol, name, spikes) for name in places])

        here = np.full(len(protocol.statistics), np.nan)
        here[list(places.values())] = rates(u, given)
        assert all(here[i] == _rate(protocol, name, closed) for name, i in places.items()), "replay"
        moved = self.step * np.eye(u.size)
        direct = [(rates(u + e, given) - rates(u - e, given)) / (2 * self.step) for e in moved]
        loop, rng = np.zeros((len(places), len(places))), np.random.default_rng(0)
        for column, name in enumerate(places):
            if name in given:
                more, less = (changed(protocol, given, name, k * self.share, rng) for k in (1, -1))
                apart = _rate(protocol, name, more) - _rate(protocol, name, less)
                loop[:, column] = (rates(u, more) - rates(u, less)) / apart
        told = np.full((len(protocol.statistics), u.size), np.nan)
        told[list(places.values())] = np.linalg.solve(
            np.eye(len(places)) - loop, np.array(direct).T
        )
        return here, told


def opened(protocol: Protocol, given: Trains, room: dict[str, int]) -> cx.Network:
    """The network whose contacts come from cells that fire the given spikes, at most `room`."""
    network, after = protocol.network, protocol.settle + protocol.duration + 100.0
    populations, stimuli = dict(network.populations), dict(network.stimuli)
    for name, (times, ids) in given.items():
        n, order = network.populations[name].n, np.argsort(times, kind="stable")
        fill = room[name] - times.size
        # Half a step earlier: a spike carries the time of the end of its step.
        times = np.append(times[order] - protocol.dt / 2, np.full(fill, after))
        ids = np.append(ids[order], np.zeros(fill, int)).astype(np.int32)
        populations[REPLAY.format(name)] = _relay(n)
        stimuli[REPLAY.format(name)] = SpikeInput(REPLAY.format(name), "replay", times, ids, KICK)
    projections = {k: replace(p, pre=REPLAY.format(p.pre)) for k, p in network.projections.items()}
    return cx.Network(network.environment, populations, projections, stimuli)


def _relay(n: int) -> cx.Population:
    """Cells that fire in the step of an arrival, and then not for 2 ms."""
    receptors = {"replay": Exponential(0.5, 0.0, transmitter="replay")}
    return cells.leaky_integrate_and_fire(n, receptors, capacitance=10.0, leak=10.0)


def changed(protocol: Protocol, given: Trains, name: str, share: float, rng: Any) -> Trains:
    """The same with a share of the spikes of a population left out, or given to others as well."""
    times, ids = given[name]
    some = rng.random(times.size) < abs(share)
    if share < 0:
        return given | {name: (times[~some], ids[~some])}
    others = rng.integers(0, protocol.network.populations[name].n, some.sum())
    return given | {name: (np.append(times, times[some]), np.append(ids, others))}


def _senders(network: cx.Network) -> list[str]:
    return sorted({p.pre for p in network.projections.values()})


def _run(protocol: Protocol, network: cx.Network, u: Any, key: Any, names: list[str]) -> Trains:
    network = cx.with_parameters(network, values_at(protocol.coordinates.places, u))
    record = {name: recorders.Spikes(name) for name in names}
    duration = protocol.settle + protocol.duration
    run = cx.simulate(network, duration, protocol.dt, record=record, key=key)
    return {name: (run[name].times, run[name].ids) for name in names}


def _rate(protocol: Protocol, name: str, spikes: Trains) -> float:
    """Mean over the cells of a population (Hz), after it has settled."""
    seconds = protocol.network.populations[name].n * protocol.duration / 1000.0
    return float(np.sum(spikes[name][0] > protocol.settle) / seconds)
