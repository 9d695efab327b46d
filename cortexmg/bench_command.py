"""The command `cortexmg bench`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cortexmg import bench


def measure(
    what: Annotated[
        str, typer.Argument(help="speed, or scale: millions of cells, in about ten minutes.")
    ] = "speed",
    sizes: Annotated[
        str | None, typer.Option(help=f"MODEL:CELLS, by commas; {','.join(bench.SIZES)}.")
    ] = None,
    repetitions: Annotated[
        int | None,
        typer.Option(min=1, help=f"Runs of each, of which the median; {bench.REPETITIONS}."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to which a line of JSON per network is added.")
    ] = None,
) -> None:
    """Measure how fast this machine simulates, as a table that can be pasted into an issue."""
    rows, chosen = [], bench.cases(what, sizes, repetitions)
    if out:
        bench.append(out)  # before anything is measured: a file that cannot be written is told
    for model, n, how in chosen:
        print(f"{model} with {n:,} cells ...", file=sys.stderr)
        rows.append(bench.in_a_process_of_its_own(model, n, how))
        if out:
            bench.append(out, rows[-1])
    print(bench.report(rows, what))
