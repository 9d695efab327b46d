"""How fast networks run here: wall seconds per simulated second, apart from compilation."""

import json
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

from cortexmg import results
from cortexmg.choice import builder_of
from cortexmg.hardware import peak_memory
from cortexmg.network import Network
from cortexmg.recorders import PopulationRate
from cortexmg.simulate import simulate

SIZES = ("cobahh:4000", "cobahh:100000", "ei_nmda:10000")
DT, FIRST, TRANSIENT = 0.1, 50.0, 500.0  # ms
COLUMNS = {
    "model": "network",
    "n": "cells",
    "rate_hz": "rate (Hz)",
    "median": "s per simulated second",
    "compile_s": "compilation (s)",
    "peak_mb": "peak memory (MB)",
}


def turns(network: Network, duration: float) -> Iterator[dict[str, Any]]:
    """A network of one population "cells" run on and on: one more `duration` (ms) for each item.

    The first item comes after a transient and has the seconds of compilation: two runs of equal
    length come first, and what the first takes longer. The others have the seconds of a run, which
    has ended when its recordings are on the host, and its mean rate.
    """
    record = {"rate": PopulationRate("cells", every=FIRST)}

    def run(time_: float, state=None):
        began = time.perf_counter()
        done = simulate(network, time_, dt=DT, record=record, state=state)
        return done, time.perf_counter() - began

    done, cold = run(FIRST)
    done, warm = run(FIRST, done.state)
    done, _ = run(TRANSIENT - 2 * FIRST, done.state)
    yield {"compile_s": max(0.0, cold - warm)}
    while True:
        done, _ = run(duration, done.state)
        yield {"seconds": done.seconds, "rate_hz": float(np.mean(done["rate"].values))}


def measured(network: Network, repetitions: int) -> dict[str, Any]:
    """Times (s per simulated second) and rates of a network after a transient, see `turns`."""
    n = network.populations["cells"].n
    duration = length(n)
    going = turns(network, duration)
    first = next(going)
    rows = [next(going) for _ in range(repetitions)]
    times = [row["seconds"] / duration * 1e3 for row in rows]
    return first | {
        "n": n,
        "seconds": min(times),
        "median": float(np.median(times)),
        "rate_hz": float(np.mean([row["rate_hz"] for row in rows])),
        "peak_mb": peak_mb(),
        "repetitions": repetitions,
        "duration": duration,
        "dt": DT,
    }


def length(n: int) -> float:
    """How long a repetition with `n` cells is (ms of simulated time)."""
    return float(np.clip(round(6e6 / n, -2), 300.0, 1000.0))


def circumstances() -> dict[str, Any]:
    """When, where and with what a measurement was made."""
    device = jax.devices()[0]
    kind = processor() if device.platform == "cpu" else device.device_kind
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": results.commit(),
        "device": str(device),
        "kind": kind,
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "versions": results.versions(),
    }


def peak_mb() -> float:
    """The most memory that was taken, of the device, or of the process on a CPU (MB)."""
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    return (stats or {}).get("peak_bytes_in_use", peak_memory()) / 1e6


def processor() -> str:
    """The name of the processor here."""
    try:
        found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def in_a_process_of_its_own(model: str, n: int, repetitions: int) -> dict[str, Any]:
    """One row of measurements; apart, because peak memory is that of a process.

    Raises: RuntimeError with the error of that process, if it failed.
    """
    words = [sys.executable, "-m", "cortexmg.bench", model, str(n), str(repetitions)]
    # A program that was kept would hide the time of compilation.
    apart = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    run = subprocess.run(words, capture_output=True, text=True, env=apart)
    if run.returncode:
        said = re.findall(r"^[\w.]*(?:Error|Interrupt): .*$", run.stderr, re.MULTILINE)
        reason = said[-1] if said else f"exit code {run.returncode}"
        raise RuntimeError(f"{model} with {n:,} cells could not be measured: {reason}")
    return json.loads(run.stdout.splitlines()[-1])


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


def append(file: Path, row: dict[str, Any]) -> None:
    """Add a row as one line of JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a") as out:
        out.write(json.dumps(row) + "\n")


def table(rows: Sequence[dict[str, Any]], columns: dict[str, str] = COLUMNS) -> str:
    """Rows as a table in Markdown."""
    lines = ["| " + " | ".join(columns.values()) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_shown(row.get(k)) for k in columns) + " |" for row in rows]
    return "\n".join(lines)


def heading(row: dict[str, Any]) -> str:
    """Device and versions of a row, in one line."""
    versions = {k: row["versions"][k] for k in ("jax", "jaxlib", "python")}
    named = ", ".join(f"{k} {v}" for k, v in versions.items())
    commit, _, edited = (row["commit"] or row["versions"]["cortexmg"]).partition("+")
    mine = f"cortexmg {commit[:12]}{'+' if edited else ''}{edited}"
    return f"{row['kind']} ({row['device']}, {row['cores']} cores), {named}, {mine}"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "")


def _main() -> None:
    model, n, repetitions = sys.argv[1:]
    row = {"model": model} | measured(builder_of(model, int(n))(int(n)), int(repetitions))
    print(json.dumps(row | circumstances()))


if __name__ == "__main__":
    _main()
