"""The command `cortexmg fit`."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from cortexmg import fit_plots, plots, results
from cortexmg.cache import keep_compiled
from cortexmg.fit_config import read


def fit(
    config: Annotated[Path, typer.Argument(help="A TOML file: see docs/gradients.md.")],
    out: Annotated[
        Path, typer.Option(help="Folder for report, figure and data; the fit goes on from there.")
    ] = Path("results/fit"),
) -> None:
    """Find parameters with which a network meets target statistics, as a file describes.

    The course is kept beside the results, in OUT-course: interrupted, the same command goes on.
    """
    given = read(config)
    results.check_folder(out)
    keep_compiled()
    course = out.with_name(out.name + "-course")
    found = given.run(folder=course, progress=True)
    print(found)
    account = results.account(
        given.network, command="fit", config=config.read_text(), ended=found.ended,
        values={k: np.asarray(v).tolist() for k, v in found.values.items()},
        sd=dict(zip(found.labels, found.sd.tolist(), strict=True)), loss=found.loss,
        statistics=found.statistics, warnings=found.warnings, runs=found.runs,
        seconds=found.seconds,
    )  # fmt: skip
    arrays = {
        "coordinates": found.coordinates,
        "sd": found.sd,
        "gradient_noise": found.gradient_noise,
        **{f"curve {name}": x for name, x in found.curve.items()},
    }
    if found.correlation is not None:
        arrays["correlation"] = found.correlation
    drawn = fit_plots.report(found)
    folder = results.save(out, arrays, account, {"figure.png": lambda p: plots.save(drawn, p)})
    print(f"\nfigure, data and account are in {folder}")
    if found.ended == "interrupted":
        raise typer.Exit(130)
