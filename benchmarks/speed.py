"""cortexmg and other simulators on the same networks, taking turns in one run.

usage: python benchmarks/speed.py [--sizes cobahh:4000 ...] [--threads 1 2] [--repetitions 5]
           [--peers c brainpy=peers/bin/python brian2 nest=other/bin/python]

Peers are c (a plain C program, compiled here by gcc), brainpy, brian2 and nest, each in the
environment of the Python after "=" or in this one; without --peers, all that are found here. How
to install one is said in its script in peers/.

With several threads cortexmg takes part as `simulate` runs by default, and where that does not
divide the cells, also with the cells divided among as many CPU devices. Every simulator is a
process that compiles, runs at least 500 ms of simulated time and waits. First each runs on for an
equal time to compare rates; who deviates from cortexmg by more than 20 % is told and not timed.
Then each does so `--repetitions` times, one after the other. Timing ends when results have arrived;
building and compilation are not in it. With one thread a process is bound to one core. One JSON
line per simulator, network and number of threads is appended to results/speed.jsonl, from which
benchmarks/report.py makes tables and figures.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cortexmg import bench
from cortexmg.devices import SHARE

HERE = Path(__file__).parent
SIZES = [f"cobahh:{n}" for n in (4000, 20_000, 100_000, 400_000)]
SIZES += ["ei_nmda:10000", "ei_nmda:50000"]
PEERS = ("brainpy", "brian2", "nest")
TOLERANCE = 0.2  # of rates: first-order steps of 0.1 ms cost COBAHH 10 %, a wiring 5 %
C_FLAGS = ["-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512", "-fopenmp"]


class Simulator:
    """A process that speaks the protocol of peers/protocol.py, ready for its first turn."""

    def __init__(self, name: str, command: list[str], threads: int):
        self.name, self.threads = name, threads
        if threads == 1:
            command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), *command]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.first = self._answer()

    def turn(self) -> dict[str, Any]:
        """Let it go on for the agreed duration."""
        stdin = self._process.stdin
        assert stdin
        stdin.write("\n")
        stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        """The next line of JSON; what simulators print besides is skipped."""
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        self.end()
        raise RuntimeError(
            f"{self.name} stopped with exit code {self._process.returncode}, expected an answer: "
            f"see what it said, or leave it out of --peers."
        )

    def end(self) -> None:
        """Close its input, at which it ends."""
        self._process.communicate()


def pythons(peers: list[str] | None) -> dict[str, str]:
    """The Python of each peer, given as NAME or NAME=PYTHON; by default of those found here.

    Raises: ValueError for a peer that there is no script for.
    """
    if peers is None:
        peers = [name for name in PEERS if importlib.util.find_spec(name)]
        peers += ["c"] if shutil.which("gcc") else []
    found = {}
    for peer in peers:
        name, _, python = peer.partition("=")
        if name not in {*PEERS, "c"}:
            raise ValueError(f"--peers takes {', '.join(PEERS)} and c, got {name!r}.")
        found[name] = python or sys.executable
    return found


def commands(pythons: dict[str, str], folder: str) -> dict[str, list[str]]:
    """How each simulator is called, cortexmg first; the C program is compiled into `folder`."""
    scripts = {"cortexmg": sys.executable} | {k: v for k, v in pythons.items() if k != "c"}
    found = {k: [v, str(HERE / "peers" / f"with_{k}.py")] for k, v in scripts.items()}
    if "c" in pythons:
        program = str(Path(folder) / "plain_c")
        source = str(HERE / "peers" / "plain_c.c")
        subprocess.run(["gcc", *C_FLAGS, source, "-o", program, "-lmvec", "-lm"], check=True)
        found["c"] = [program]
    return found


def taking_part(
    called: dict[str, list[str]], model: str, n: int, duration: float, threads: int, seed: int
) -> dict[str, list[str]]:
    """How each is called for one network; cortexmg divided too, where it is not by default."""
    words = [model, str(n), f"{duration:g}", str(threads), str(seed)]
    found = {name: [*command, *words] for name, command in called.items()}
    if threads > 1 and n < threads * SHARE:
        found[divided(threads)] = [*found["cortexmg"], str(threads)]
    return found


def divided(threads: int) -> str:
    """The name of cortexmg where cells are divided among as many CPU devices as threads."""
    return f"cortexmg, {threads} devices"


def compared(simulators: list[Simulator], duration: float, repetitions: int) -> list[dict]:
    """A row for each: the first is what the rates of the others are compared with.

    Times are seconds per simulated second; they are None where the rate deviates too much.
    """
    checks = [s.turn()["rate_hz"] for s in simulators]
    deviations = [rate / checks[0] - 1.0 for rate in checks]
    equal = [abs(d) <= TOLERANCE for d in deviations]
    for s, rate, d in zip(simulators, checks, deviations, strict=True):
        print(f"  {s.name} ({s.threads}): {rate:.2f} Hz, {d:+.1%}", file=sys.stderr)
    answers: list[list[dict]] = [[] for _ in simulators]
    for _ in range(repetitions):
        for s, mine, fair in zip(simulators, answers, equal, strict=True):
            if fair:
                mine.append(s.turn())
    rows = []
    for s, mine, rate, d in zip(simulators, answers, checks, deviations, strict=True):
        row = {"participant": s.name, "threads": s.threads, "check_hz": rate, "deviation": d}
        untimed = {"seconds": None, "median": None, "rate_hz": rate, "peak_mb": None}
        timed = bench.timed(mine, duration) | {"peak_mb": mine[-1]["peak_mb"]} if mine else untimed
        rows.append(row | timed | s.first)
    return rows


def network_rows(model: str, n: int, called: dict[str, list[str]], options) -> list[dict]:
    """The rows of one network, with all numbers of threads."""
    simulators, duration = [], bench.length(n)
    try:
        for threads in options.threads:
            mine = taking_part(called, model, n, duration, threads, options.seed)
            for name, command in mine.items():
                print(f"{model} with {n:,} cells: {name} ({threads}) ...", file=sys.stderr)
                simulators.append(Simulator(name, command, threads))
        rows = compared(simulators, duration, options.repetitions)
    finally:
        for s in simulators:
            s.end()
    network = {"model": model, "n": n, "duration": duration, "dt": bench.DT, "seed": options.seed}
    return [network | row | {"repetitions": options.repetitions} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--peers", nargs="*")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "speed.jsonl")
    options = parser.parse_args()
    sizes, run = bench.parsed(options.sizes), time.strftime("%Y-%m-%dT%H:%M:%S")
    about = {"run": run} | bench.circumstances()
    with tempfile.TemporaryDirectory() as folder:
        called = commands(pythons(options.peers), folder)
        for model, n in sizes:
            for row in network_rows(model, n, called, options):
                print(json.dumps(row), flush=True)
                bench.append(options.out, about | row)


if __name__ == "__main__":
    main()
