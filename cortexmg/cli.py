"""The command line: `cortexmg sweep`, `run`, `fit`, `plan`, `bench` and `info`."""

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import jax
import typer

from cortexmg import evidence, ladder, outline, plots, results
from cortexmg.bench_command import measure
from cortexmg.cache import keep_compiled
from cortexmg.choice import MODELS, Cells, Model, Scale, Step, network_of, size_of
from cortexmg.fit_command import fit
from cortexmg.memory import check_memory
from cortexmg.parameters import parameters
from cortexmg.plan_command import plan
from cortexmg.selfcheck import check_arithmetic
from cortexmg.simulate import simulate
from cortexmg.starting import start
from cortexmg.states import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

KNOWN = ValueError, KeyError, TypeError, ArithmeticError, RuntimeError, MemoryError, OSError
SHORTEST, LARGE = 100.0, 100_000  # ms of a run; cells that are looked at before they are built

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Conductance-based cortical networks with magnesium and calcium as parameters.",
)

LADDER = "0.05,0.1,0.2,0.35,0.5,0.7,1.0,1.4,2.0"  # mM of magnesium

WiringKey = Annotated[int, typer.Option(help="Seed of wiring and initial state.")]
NoiseKey = Annotated[int, typer.Option(help="Seed of the noise.")]
Duration = Annotated[float, typer.Option(help="Time simulated and measured (ms).")]
Settle = Annotated[float, typer.Option(help="Time simulated before, not measured (ms).")]
Out = Annotated[Path, typer.Option(help="Folder for figure, data and account.")]
Act = Annotated[
    str | None, typer.Option("--mechanisms", help="Of the model, by commas, or none; default all.")
]
Set = Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE, a parameter to replace.")]


app.command()(fit)
app.command()(plan)
app.command("bench")(measure)


@app.command()
def sweep(
    model: Model = "cortex",
    n: Cells = None,
    scale: Scale = None,
    parameter: Annotated[str, typer.Option(help="What varies.")] = ladder.MAGNESIUM,
    values: Annotated[str, typer.Option(help="Values, by commas.")] = LADDER,
    duration: Duration = 2000.0,
    settle: Settle = 500.0,
    dt: Step = 0.05,
    key: WiringKey = 0,
    noise: NoiseKey = 1,
    mechanisms: Act = None,
    changes: Set = None,
    out: Out = Path("results/sweep"),
    quick: Annotated[
        bool, typer.Option(help="A small, short version, to see that it works.")
    ] = False,
) -> None:
    """Simulate a model at several values of a parameter, by default along a magnesium ladder."""
    size = size_of(model, n, scale, small=quick)
    if quick:
        duration, settle, values = 300.0, 200.0, "0.05,0.5,1,2"
    _check_before(model, size, dt, duration, out)
    keep_compiled()
    steps = _numbers(values)
    network = network_of(model, size, key, changes, mechanisms)
    runs = ladder.run_ladder(
        network,
        steps,
        parameter=parameter,
        duration=duration,
        settle=settle,
        dt=dt,
        key=noise,
        progress=True,
    )
    _end_if_too_short(runs[0], settle)
    rows = [ladder.summary(run, network, settle) for run in runs]
    print(f"{evidence.table(network)}\n")
    print(ladder.table(steps, rows, parameter.removesuffix("/outside").split("/")[-1]))
    account = results.account(
        network, command="sweep", model=model, parameter=parameter, values=steps,
        duration=duration, settle=settle, dt=dt, key=key, noise=noise, changes=changes or [],
        seconds=runs[0].seconds, complete=runs[0].complete,
    )  # fmt: skip
    _save(
        out,
        ladder.arrays(runs, steps, rows),
        account,
        lambda: ladder.figure(runs, steps, rows, network, parameter, settle),
    )


@app.command()
def run(
    model: Model,
    n: Cells = None,
    scale: Scale = None,
    duration: Duration = 1000.0,
    dt: Step = 0.05,
    key: WiringKey = 0,
    noise: NoiseKey = 1,
    mechanisms: Act = None,
    changes: Set = None,
    out: Out = Path("results/run"),
) -> None:
    """Simulate a model once and show rates and raster."""
    size = size_of(model, n, scale)
    _check_before(model, size, dt, duration, out)
    keep_compiled()
    network = network_of(model, size, key, changes, mechanisms)
    record = ladder.recorders_for(network)
    done = simulate(network, duration, dt, record=record, key=noise, progress=True)
    _end_if_too_short(done, 0.0)
    row = ladder.summary(done, network, 0.0)
    print(f"{evidence.table(network)}\n")
    for name, value in row.items():
        print(f"{name:20s} {value:10.3f}")
    account = results.account(
        network, command="run", model=model, duration=done.stop, dt=dt, key=key, noise=noise,
        changes=changes or [], seconds=done.seconds, complete=done.complete,
    )  # fmt: skip
    trains = {name: done[name] for name in network.populations}
    _save(out, ladder.arrays([done], [0.0], [row]), account, lambda: plots.raster(trains))


@app.command()
def info(
    names: Annotated[
        str | None, typer.Option("--parameters", help="List those of a model.")
    ] = None,
) -> None:
    """Show models, devices and versions, and check that this JAX computes right numbers."""
    if names:
        for name, p in parameters(network_of(names, size_of(names))).items():
            shape = getattr(p.value, "shape", ())
            print(f"{name}  {list(shape) if shape else f'{float(p.value):g}'} {p.unit}")
        return
    for name, f in sorted(MODELS.items()):
        print(f"model    {name:12s} {(inspect.getdoc(f) or '').splitlines()[0]}")
    start()
    for device in jax.devices():
        print(f"device   {device} ({device.device_kind})")
    for name, version in results.versions().items():
        print(f"version  {name} {version}")
    print(f"version  commit {results.commit()}")
    check_arithmetic()
    print("check    JAX computes right numbers here")


def main() -> None:
    """Entry point: known errors become one line and exit code 1, wrong usage 2, Ctrl-C 130."""
    try:
        app()
    except KNOWN as error:
        # A KeyError prints its text in quotes, an OSError has a number first.
        text = error.args[0] if isinstance(error, KeyError) else error
        print(f"error: {text}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _check_before(model: str, size: dict[str, Any], dt: float, duration: float, out: Path) -> None:
    """Raise before anything is built if statistics, results or network would have no place."""
    if not duration >= SHORTEST:
        least = f"at least {SHORTEST:g} ms, two bins of the correlation"
        raise ValueError(f"--duration must be {least}, got {duration:g} ms.")
    results.check_folder(out)
    start()  # before anything asks JAX for its devices
    if "scale" in size or size.get("n", 0) > LARGE:
        check_memory(outline.outline(MODELS[model], **size, dt=dt), {}, dt, 1)


def _end_if_too_short(run: Run, settle: float) -> None:
    if run.complete:
        return
    print(f"interrupted at {run.stop:g} ms; results are of the time until then", file=sys.stderr)
    if run.stop - settle < SHORTEST:
        raise typer.Exit(130)


def _save(out: Path, data: dict, account: dict, draw: "Callable[[], Figure]") -> None:
    """Save everything, say where, and exit with 130 if the run was interrupted.

    What was simulated is saved even if it cannot be drawn.
    """
    try:
        drawn = draw()
    except Exception:
        print(f"data and account are in {results.save(out, data, account)}", file=sys.stderr)
        raise
    folder = results.save(out, data, account, {"figure.png": lambda path: plots.save(drawn, path)})
    print(f"\n{account['settings']['seconds']:.1f} s; figure, data and account are in {folder}")
    if not account["settings"]["complete"]:
        raise typer.Exit(130)


def _numbers(text: str) -> list[float]:
    try:
        return [float(x) for x in text.split(",")]
    except ValueError:
        raise ValueError(f"--values takes numbers separated by commas, got {text!r}.") from None
