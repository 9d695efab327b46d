"""How benchmarks/speed.py talks to a simulator, which may live in an environment of its own.

usage: echo | python with_SIMULATOR.py MODEL N DURATION_MS THREADS SEED

MODEL is cobahh or ei_nmda. When everything is compiled and at least 500 ms are simulated, a line of
JSON says so (compile_s: seconds, versions). Each line on stdin then makes the simulator go on for
DURATION_MS, after which a line of JSON says how long that took and what came of it (seconds,
rate_hz: spikes per cell and second of simulated time, peak_mb of memory). The process waits in
between, so that simulators can take turns, and ends with its input.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

TRANSIENT = 500.0  # ms
DT = 0.1  # ms


class Task(NamedTuple):
    model: str
    n: int
    duration: float  # ms
    threads: int
    seed: int


def task() -> Task:
    """What the command line asks for."""
    if len(sys.argv) != 6:
        sys.exit(f"usage: {sys.argv[0]} MODEL N DURATION_MS THREADS SEED")
    model, n, duration, threads, seed = sys.argv[1:]
    return Task(model, int(n), float(duration), int(threads), int(seed))


def serve(turns: Iterator[dict[str, Any]], versions: dict[str, str | None]) -> None:
    """Print the first of `turns`, then one more for each line on stdin."""
    print(json.dumps(next(turns) | {"versions": versions}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(next(turns) | {"peak_mb": peak_mb()}), flush=True)


def peak_mb() -> float:
    """The most memory that this process has held (MB); getrusage counts its parent's too."""
    found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else float("nan")


def with_and_without(forward: Callable[[], Any], derivative: Callable[[], Any]) -> dict[str, float]:
    """The least seconds of each, called in turns for half a second and at least twice.

    The first call after a wait finds cold caches. Both return when their results have arrived.
    """
    times: list[list[float]] = []
    began = time.perf_counter()
    while len(times) < 2 or time.perf_counter() - began < 0.5:
        times.append([])
        for call in (forward, derivative):
            start = time.perf_counter()
            call()
            times[-1].append(time.perf_counter() - start)
    least = [min(column) for column in zip(*times, strict=True)]
    return {"forward_s": least[0], "seconds": least[1]}


def in_turns(run: Callable[[], tuple[float, int]], task: Task) -> Iterator[dict[str, Any]]:
    """Turns of a compiler in the process: `run` goes on for the duration.

    It gives the seconds that took and the number of spikes. Its first call compiles, and what that
    takes longer than the second is the compilation.
    """
    (cold, _), (warm, _) = run(), run()
    for _ in range(int(-(-TRANSIENT // task.duration)) - 2):
        run()
    yield {"compile_s": max(0.0, cold - warm)}
    while True:
        seconds, spikes = run()
        yield {"seconds": seconds, "rate_hz": spikes / task.n / task.duration * 1e3}
