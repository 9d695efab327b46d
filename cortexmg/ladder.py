"""The main job: one network along a ladder of values of a parameter, usually magnesium."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cortexmg import plots, statistics
from cortexmg.network import Network
from cortexmg.parameters import parameters
from cortexmg.recorders import Conductance, Probe, Recorder, Spikes
from cortexmg.simulate import sweep
from cortexmg.states import Run
from cortexmg.synapses import NMDA

MAGNESIUM = "environment/ions/mg/outside"
WATCHED = 400  # cells of each population whose voltage goes into the synchrony index
SAVED = 20  # of these, whose voltage is saved


def recorders_for(network: Network) -> dict[str, Recorder]:
    """Spikes and some voltages of every population, and its NMDA conductances."""
    record: dict[str, Recorder] = {}
    for name, p in network.populations.items():
        record[name] = Spikes(name)
        record[f"{name}/v"] = Probe(name, "v", range(min(WATCHED, p.n)), every=1.0)
        for receptor, r in p.receptors.items():
            if isinstance(r, NMDA):
                record[f"{name}/{receptor}"] = Conductance(name, receptor, every=1.0)
    return record


def run_ladder(
    network: Network,
    values: Sequence[float],
    *,
    parameter: str = MAGNESIUM,
    duration: float = 2000.0,
    settle: float = 500.0,
    dt: float = 0.05,
    key: int = 1,
    progress: bool = False,
) -> list[Run]:
    """`network` at each value of `parameter`, all in one program, for `settle` + `duration` ms."""
    record = recorders_for(network)
    time = settle + duration
    return sweep(
        network,
        {parameter: np.asarray(values)},
        time,
        dt=dt,
        record=record,
        key=key,
        progress=progress,
    )


def summary(run: Run, network: Network, settle: float) -> dict[str, float]:
    """Statistics of a run after `settle` ms, by column: each name ends with its population.

    chi is the synchrony of the voltages; correlation that of spike counts in 50 ms; unblocked is
    the fraction of the NMDA conductance that magnesium lets through.
    """
    row: dict[str, float] = {}
    for name, p in network.populations.items():
        trains = run[name].between(run.start + settle, run.stop)
        voltages = run[f"{name}/v"]
        row[f"rate {name}"] = statistics.mean_rate(trains)
        row[f"CV {name}"] = statistics.mean_cv(trains)
        row[f"corr {name}"] = statistics.pairwise_correlation(trains)
        row[f"chi {name}"] = statistics.synchrony(voltages.values[voltages.t > run.start + settle])
        row[f"bursts/min {name}"] = statistics.bursts(trains).per_minute
        opened = [run[f"{name}/{k}"] for k, r in p.receptors.items() if isinstance(r, NMDA)]
        if opened:
            later = opened[0].t > run.start + settle
            bound = sum(np.sum(x.values.bound[later]) for x in opened)
            through = sum(np.sum(x.values.open[later]) for x in opened)
            row[f"unblocked {name}"] = float(through / bound) if bound else float("nan")
    return row


def table(values: Sequence[float], rows: Sequence[Mapping[str, float]], title: str) -> str:
    """The summaries as a table in plain text."""
    columns = list(rows[0])
    width = [max(len(c), 8) for c in columns]
    lines = [title.rjust(8) + "".join(c.rjust(w + 2) for c, w in zip(columns, width, strict=True))]
    for value, row in zip(values, rows, strict=True):
        cells = (_number(row[c]).rjust(w + 2) for c, w in zip(columns, width, strict=True))
        lines.append(f"{value:8g}" + "".join(cells))
    return "\n".join(lines)


def arrays(
    runs: Sequence[Run], values: Sequence[float], rows: Sequence[Mapping[str, float]]
) -> dict[str, np.ndarray]:
    """Everything recorded and every statistic, by name, ready to be saved."""
    found: dict[str, np.ndarray] = {"values": np.asarray(values)}
    for column in rows[0]:
        found[f"summary/{column}"] = np.asarray([row[column] for row in rows])
    for i, run in enumerate(runs):
        for name, recording in run.recordings.items():
            for field, x in _leaves(recording).items():
                found[f"run {i}/{name}/{field}"] = x
    return found


def figure(
    runs: Sequence[Run],
    values: Sequence[float],
    rows: Sequence[Mapping[str, float]],
    network: Network,
    parameter: str,
    settle: float,
):
    """Rasters along the ladder above rates and synchrony against the parameter."""
    names = list(network.populations)
    first = runs[0].start + settle
    window = (first, min(first + 1000.0, runs[0].stop))
    panels: dict[str, Any] = {
        "rate (Hz)": {name: [row[f"rate {name}"] for row in rows] for name in names},
        "synchrony": {
            f"{label} {name}": [row[f"{label} {name}"] for row in rows]
            for label in ("chi", "corr")
            for name in names[:2]
        },
    }
    rasters = [{name: run[name] for name in names} for run in runs]
    how: dict[str, Any] = {"window": window, "log": min(values) >= 0.0 < max(values)}
    if parameter != MAGNESIUM:
        unit = parameters(network)[parameter].unit
        how["unit"] = "" if unit == "1" else unit
        how["name"] = " ".join(parameter.split("/")[-2:])
    return plots.ladder(rasters, values, panels, **how)


def _number(x: float) -> str:
    return "-" if np.isnan(x) else f"{x:.3f}" if abs(x) < 1 else f"{x:.2f}"


def _leaves(recording: Any) -> dict[str, np.ndarray]:
    """The arrays of a recording by field name."""
    if hasattr(recording, "ids"):
        return {"ids": recording.ids, "times": recording.times}
    if hasattr(recording.values, "_asdict"):
        return {"t": recording.t, **recording.values._asdict()}
    return {"t": recording.t, "values": np.asarray(recording.values)[:, :SAVED]}
