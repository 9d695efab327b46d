"""The command `cortexmg plan`."""

import inspect
from typing import Annotated

import typer

from cortexmg import ladder, outline
from cortexmg.choice import MODELS, builder_of
from cortexmg.hardware import DEVICES, device_named
from cortexmg.plan import COMPILED, forecast, table, verdict
from cortexmg.recorders import Recorder, Spikes


def plan(
    model: Annotated[str, typer.Argument(help=f"One of {', '.join(sorted(MODELS))}.")],
    n: Annotated[int | None, typer.Option("--n", "--cells", help="Number of cells.")] = None,
    scale: Annotated[
        float | None, typer.Option(help="Of a model that has one, above 0 and at most 1.")
    ] = None,
    contacts: Annotated[
        float | None, typer.Option("--contacts-per-cell", help="If not those of the model.")
    ] = None,
    device: Annotated[str, typer.Option(help=f"One of {', '.join(DEVICES)}, cpu.")] = "cpu",
    dt: Annotated[float, typer.Option(help="Integration step (ms).")] = 0.05,
    rate: Annotated[float, typer.Option(help="Mean rate that is assumed (Hz).")] = 10.0,
    spikes: Annotated[bool, typer.Option("--spikes", help="Record all spikes.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Record what `run` does.")] = False,
    gradients: Annotated[float, typer.Option(help="Differentiate a run of so many ms.")] = 0.0,
) -> None:
    """Show what a run would need, and how fast it could be, before anything is built.

    The exit code is 0 if the run fits into the memory of the device, and 3 if it does not.
    """
    target, build = device_named(device), builder_of(model, n)
    scaled = inspect.signature(build).parameters.get("scale")
    if scale is not None and scaled is None:
        raise ValueError(f"Model {model!r} has no scale; leave --scale away.")
    if scaled is not None and scale is None:
        scale = scaled.default
    network = outline.outline(build, n, contacts, scale)
    known = COMPILED.get((model, device)) if contacts is None else None
    recorders: dict[str, Recorder] = ladder.recorders_for(network) if record else {}
    if spikes:
        recorders |= {name: Spikes(name) for name in network.populations}
    host = device == "cpu"
    how = {"host": host, "known": known, "gradients": gradients}
    found = forecast(network, recorders, dt, rate, target, **how)
    print(f"{model}, {table(found, rate)}\n\n{verdict(found)}")
    if not found.fits:
        raise typer.Exit(3)
