"""A small network, with all that is random given, against Brian2 and NEURON (see reference/)."""

from pathlib import Path

import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, recorders, statistics, stimuli, synapses, wiring

N = {"E": 80, "I": 20}
FIRST = {"E": 0, "I": 80}
TRANSMITTER = {"E": "glutamate", "I": "gaba"}
RECORD = {name: recorders.Spikes(name) for name in N}
DT = 0.005  # ms, the finest step of the reference
AGREE_UNTIL = 89.0  # ms; all four reference runs agree in every spike until then
WITHIN = 0.1  # ms


@pytest.fixture(scope="module")
def reference():
    with np.load(Path(__file__).parent / "reference" / "network.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def network(reference):
    receptors = {
        "ampa": synapses.AMPA(),
        "nmda": synapses.NMDA(gain=0.5),
        "gaba_a": synapses.GABAA(),
    }
    kinds = {"E": cells.regular_spiking, "I": cells.fast_spiking}
    of = {name: slice(FIRST[name], FIRST[name] + n) for name, n in N.items()}
    source, target = reference["source"], reference["target"]

    def contacts(pre, post):
        chosen = np.isin(source, np.arange(100)[of[pre]]) & np.isin(
            target, np.arange(100)[of[post]]
        )
        return wiring.from_arrays(
            source[chosen] - FIRST[pre],
            target[chosen] - FIRST[post],
            reference["weight"][chosen],
            reference["delay"][chosen],
            N[pre],
            N[post],
        )

    return cx.Network(
        cx.acsf(mg=1.0),
        {name: kinds[name](n, receptors, reference["v0"][of[name]]) for name, n in N.items()},
        {f"{a} to {b}": cx.Projection(a, b, TRANSMITTER[a], contacts(a, b)) for a in N for b in N},
        # nA
        {name: stimuli.StepCurrent(name, 1e3 * reference["drive"][of[name]]) for name in N},
    )


def by_cell(ids, times):
    """The spike times of each of the 100 cells."""
    return [np.sort(times[ids == cell]) for cell in range(100)]


def trains(run):
    ids = np.concatenate([run[name].ids + FIRST[name] for name in N])
    return by_cell(ids, np.concatenate([run[name].times for name in N]))


def reference_trains(reference, which):
    return by_cell(reference[f"{which}_ids"], reference[f"{which}_times"])


def agree_until(ours, theirs):
    """The first time at which a spike of one has no partner in the other, or infinity."""
    apart = [np.inf]
    for a, b in zip(ours, theirs, strict=True):
        n = min(a.size, b.size)
        far = np.flatnonzero(np.abs(a[:n] - b[:n]) > WITHIN + 1e-9)
        if far.size:
            apart.append(min(a[far[0]], b[far[0]]))
        elif a.size != b.size:
            apart.append(max(a, b, key=np.size)[n])
    return min(apart)


@pytest.mark.parametrize("simulator", ["brian2", "neuron"])
def test_every_spike_agrees_until_rounding_must_separate_chaotic_runs(
    network, reference, simulator
):
    run = cx.simulate(network, AGREE_UNTIL + WITHIN + 0.9, dt=DT, record=RECORD)
    ours = trains(run)
    theirs = reference_trains(reference, f"{simulator}_dt0p005")
    theirs = [t[t <= run.stop] for t in theirs]
    assert sum(np.sum(t <= AGREE_UNTIL) for t in theirs) == 210
    assert agree_until(ours, theirs) > AGREE_UNTIL
    shift = np.concatenate(
        [a[a <= 80.0] - b[: np.sum(a <= 80.0)] for a, b in zip(ours, theirs, strict=True)]
    )
    assert abs(shift.mean()) < 0.015  # less than three steps: no systematic delay
    assert np.abs(shift).max() < WITHIN / 2


def test_the_references_do_not_agree_for_longer_than_is_said(reference):
    whole = [
        reference_trains(reference, f"{simulator}_dt0p0{step}")
        for simulator in ("brian2", "neuron")
        for step in ("1", "05")
    ]
    until = min(agree_until(a, b) for a in whole for b in whole)
    assert AGREE_UNTIL < until < AGREE_UNTIL + 1.0


def figures(by_name, stop=1000.0):
    """Rates of both populations (Hz) and the mean CV, as in the notes of the reference."""
    rates = [
        sum(t.size for t in by_name[FIRST[k] : FIRST[k] + n]) / n / stop * 1e3 for k, n in N.items()
    ]
    intervals = [np.diff(t) for t in by_name if t.size >= 4]
    return np.asarray([*rates, np.mean([np.std(x) / np.mean(x) for x in intervals])])


@pytest.mark.slow
def test_rates_and_irregularity_are_within_the_spread_of_chaotic_runs(network, reference):
    members = 8
    v0 = np.asarray(network.populations["E"].v0, float)
    # Spikes are sent in whole steps, so what moves none by a step is forgotten.
    moved = v0 + 0.1 * np.random.default_rng(0).standard_normal((members, 80))
    runs = cx.sweep(network, {"populations/E/v0": moved}, 1000.0, dt=0.01, record=RECORD)
    ours = np.stack([figures(trains(run)) for run in runs])
    theirs = np.stack([
        figures(reference_trains(reference, f"{simulator}_dt0p0{step}"))
        for simulator in ("brian2", "neuron")
        for step in ("1", "05")
    ])  # fmt: skip
    spread = np.std(ours, axis=0, ddof=1)
    assert np.all(np.abs(theirs - ours.mean(0)) < 4.0 * spread)
    error = spread * np.sqrt(1 / len(ours) + 1 / len(theirs))
    assert np.all(np.abs(theirs.mean(0) - ours.mean(0)) < 3.5 * error)
    correlation = [statistics.pairwise_correlation(run["E"]) for run in runs]
    their_correlation = [
        statistics.pairwise_correlation(as_trains(reference, f"{simulator}_dt0p005", runs[0]["E"]))
        for simulator in ("brian2", "neuron")
    ]
    far = np.abs(np.subtract.outer(their_correlation, np.mean(correlation)))
    assert np.all(far < 4.0 * np.std(correlation, ddof=1))


def as_trains(reference, which, like):
    """The E spikes of a reference run, as those of a run of ours."""
    ids, times = reference[f"{which}_ids"], reference[f"{which}_times"]
    order = np.argsort(times[ids < 80], kind="stable")
    return like._replace(ids=ids[ids < 80][order].astype(np.int32), times=times[ids < 80][order])
