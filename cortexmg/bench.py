"""How fast networks run here: wall seconds per simulated second, apart from compilation."""

import json
import math
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cortexmg import models, results
from cortexmg.choice import network_of, size_of
from cortexmg.devices import SHARE, WORK, Devices, mesh_of
from cortexmg.hardware import cores, of_processor, peak_memory
from cortexmg.network import Network
from cortexmg.recorders import PopulationRate
from cortexmg.simulate import simulate
from cortexmg.starting import start

SIZES, REPETITIONS = ("cobahh:4000", "cobahh:100000", "ei_nmda:10000"), 3
# Networks as large as a computer of 24 GB can simulate: numbers of cells, and how they are wired.
SCALE: tuple[tuple[int, dict[str, Any]], ...] = (
    (1_000_000, {"contacts": 100}),
    (1_000_000, {"contacts": 1000, "procedural": True}),
    (4_000_000, {"contacts": 1000, "procedural": True}),
)
DT, FIRST, TRANSIENT = 0.1, 50.0, 500.0  # ms
COLUMNS = {
    "model": "network",
    "n": "cells",
    "rate_hz": "rate (Hz)",
    "median": "s per simulated second",
    "compile_s": "compilation (s)",
    "peak_mb": "peak memory (MB)",
}
SCALE_COLUMNS = COLUMNS | {"contacts": "contacts", "wiring": "wiring", "build_s": "building (s)"}


def turns(
    network: Network,
    duration: float,
    transient: float = TRANSIENT,
    devices: Devices = None,
    dt: float = DT,
) -> Iterator[dict[str, Any]]:
    """A network run on and on: one more `duration` (ms) for each item.

    The first item comes after a transient and has the seconds of compilation: two runs of equal
    length come first, and what the first takes longer. The others have the seconds of a run, which
    has ended when its recordings are on the host, without those in which a call makes arrays of a
    network and divides it, and the mean rate of all cells.
    """
    start()
    sizes, steps = network.sizes, round(duration / dt)
    devices = mesh_of(devices, 1, sum(sizes.values()), steps) or 1  # the same for all runs
    record = {name: PopulationRate(name, every=FIRST) for name in sizes}

    def run(time_: float, state=None):
        began = time.perf_counter()
        done = simulate(network, time_, dt=dt, record=record, state=state, devices=devices)
        return done, time.perf_counter() - began

    done, cold = run(FIRST)
    done, warm = run(FIRST, done.state)
    if transient > 2 * FIRST:
        done, _ = run(transient - 2 * FIRST, done.state)
    yield {"compile_s": max(0.0, cold - warm)}
    while True:
        done, _ = run(duration, done.state)
        rates = [np.mean(done[name].values) for name in sizes]
        rate = float(np.average(rates, weights=[*sizes.values()]))
        yield {"seconds": done.seconds, "rate_hz": rate}


def measured(
    network: Network,
    repetitions: int,
    duration: float | None = None,
    transient: float = TRANSIENT,
) -> dict[str, Any]:
    """Times (s per simulated second) and rates of a network after a transient, see `turns`."""
    n = network.populations["cells"].n
    duration = duration or length(n)
    going = turns(network, duration, transient)
    first = next(going)
    rows = [next(going) for _ in range(repetitions)]
    about = {"repetitions": repetitions, "duration": duration, "dt": DT}
    return first | {"n": n} | timed(rows, duration) | {"peak_mb": peak_mb()} | about


def timed(turns: Sequence[dict[str, Any]], duration: float) -> dict[str, float]:
    """What some turns of `duration` ms took (s per simulated second), and their mean rate (Hz)."""
    each = np.array([turn["seconds"] for turn in turns]) / duration * 1e3
    rate = float(np.mean([turn["rate_hz"] for turn in turns]))
    return {"seconds": float(each.min()), "median": float(np.median(each)), "rate_hz": rate}


def large(n: int, contacts: int, procedural: bool = False) -> dict[str, Any]:
    """One row of `bench scale`: a `balanced` network, 100 ms of it after 100 ms."""
    began = time.perf_counter()
    network = models.balanced(n, contacts=contacts, procedural=procedural)
    built = time.perf_counter() - began
    total = sum(p.connectivity.n_contacts for p in network.projections.values())
    row = {"contacts": total, "wiring": "procedural" if procedural else "stored"}
    return row | {"build_s": built} | measured(network, 1, 100.0, 100.0)


def length(n: int) -> float:
    """How long a repetition with `n` cells is (ms of simulated time).

    From 50,000 cells on it is so long that a CPU divides a run by default.
    """
    least = 100.0 * math.ceil(WORK * DT / 100.0 / n)
    return float(np.clip(least, 300.0, 4000.0 if n >= 2 * SHARE else 1000.0))


def circumstances() -> dict[str, Any]:
    """When, where and with what a measurement was made."""
    device = jax.devices()[0]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": results.commit(),
        "device": str(device),
        "kind": processor() if device.platform == "cpu" else device.device_kind,
        "cores": cores(),
        "versions": results.versions(),
    }


def peak_mb() -> float:
    """The most memory that was taken, of the device, or of the process on a CPU (MB)."""
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    return (stats or {}).get("peak_bytes_in_use", peak_memory()) / 1e6


def processor() -> str:
    """The name of the processor here."""
    found = of_processor("model name")
    return found[1] if found else platform.processor() or platform.machine()


def in_a_process_of_its_own(model: str, n: int, how: int | dict[str, Any]) -> dict[str, Any]:
    """One row of measurements; apart, because peak memory is that of a process.

    `how` is how many repetitions, or how a network of `bench scale` is wired.

    Raises: RuntimeError with the error of that process, if it failed.
    """
    words = [sys.executable, "-m", "cortexmg.bench", model, str(n), json.dumps(how)]
    # A program that was kept would hide the time of compilation.
    apart = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    run = subprocess.run(words, capture_output=True, text=True, env=apart)
    if run.returncode:
        said = re.findall(r"^[\w.]*(?:Error|Interrupt): .*$", run.stderr, re.MULTILINE)
        reason = said[-1] if said else f"exit code {run.returncode}"
        raise RuntimeError(f"{model} with {n:,} cells could not be measured: {reason}")
    return json.loads(run.stdout.splitlines()[-1])


def cases(what: str, sizes: str | None, repetitions: int | None) -> list[tuple[str, int, Any]]:
    """Models, numbers of cells and how each is measured, for "speed" (of `sizes`) or "scale".

    Raises: ValueError for anything else, and for sizes or repetitions of "scale".
    """
    if what == "speed":
        chosen = SIZES if sizes is None else sizes.split(",")
        return [(*size, repetitions or REPETITIONS) for size in parsed(chosen)]
    if what != "scale":
        raise ValueError(f"bench measures speed or scale, got {what!r}.")
    if sizes is not None or repetitions is not None:
        raise ValueError("bench scale has sizes of its own: leave --sizes and --repetitions away.")
    return [("balanced", n, how) for n, how in SCALE]


def report(rows: Sequence[dict[str, Any]], what: str) -> str:
    """What was measured, as text that can be pasted into an issue."""
    columns = COLUMNS if what == "speed" else SCALE_COLUMNS
    return (
        f"{heading(rows[0])}\n\n{table(rows, columns)}\n\nMedians of {rows[0]['repetitions']} "
        f"after the results have arrived, without compilation."
    )


def parsed(sizes: Sequence[str]) -> list[tuple[str, int]]:
    """Models and numbers of cells, each given as MODEL:CELLS.

    Raises: ValueError for anything else, and for models that have no population "cells".
    """
    found = []
    for size in sizes:
        model, _, n = size.partition(":")
        if not n.isdecimal() or int(n) < 1:
            raise ValueError(f"--sizes takes MODEL:CELLS such as {SIZES[0]}, got {size!r}.")
        if model not in {x.split(":")[0] for x in SIZES}:
            raise ValueError(f"--sizes takes the models cobahh and ei_nmda, got {model!r}.")
        found.append((model, int(n)))
    return found


def append(file: Path, *rows: dict[str, Any]) -> None:
    """Add rows as lines of JSON; with none, see that they can be added."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def table(rows: Sequence[dict[str, Any]], columns: dict[str, str] = COLUMNS) -> str:
    """Rows as a table in Markdown."""
    lines = ["| " + " | ".join(columns.values()) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_shown(row.get(k)) for k in columns) + " |" for row in rows]
    return "\n".join(lines)


def heading(row: dict[str, Any]) -> str:
    """Device and versions of a row, in one line."""
    versions = {k: row["versions"][k] for k in ("jax", "jaxlib", "python")}
    named = ", ".join(f"{k} {v}" for k, v in versions.items())
    commit, plus, edited = (row["commit"] or row["versions"]["cortexmg"]).partition("+")
    mine = f"cortexmg {commit[:12]}{plus}{edited}"
    return f"{row['kind']} ({row['device']}, {row['cores']} cores), {named}, {mine}"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "")


def _main() -> None:
    model, n, how = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    if isinstance(how, dict):
        row = large(n, **how)
    else:
        row = measured(network_of(model, size_of(model, n)), how)
    print(json.dumps({"model": model} | row | circumstances()))


if __name__ == "__main__":
    _main()
