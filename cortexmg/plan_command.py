"""The command `cortexmg plan`."""

import math
from typing import Annotated

import jax
import typer

from cortexmg import ladder
from cortexmg.cache import keep_compiled
from cortexmg.choice import MODELS, Cells, Model, Scale, Step, size_of
from cortexmg.clock import whole_steps
from cortexmg.devices import mesh_of
from cortexmg.hardware import DEVICES, device_named
from cortexmg.network import Network
from cortexmg.outline import SMALL, most_cells, outline
from cortexmg.plan import COMPILED, divided, forecast, table, verdict
from cortexmg.recorders import Recorder, Spikes
from cortexmg.starting import start


def plan(
    model: Model,
    n: Cells = None,
    scale: Scale = None,
    contacts: Annotated[
        float | None, typer.Option("--contacts-per-cell", help="If not those of the model.")
    ] = None,
    device: Annotated[str, typer.Option(help=f"One of {', '.join(DEVICES)}, cpu.")] = "cpu",
    devices: Annotated[
        int | None, typer.Option(help="Of the CPU here, if not as `run` would do.")
    ] = None,
    duration: Annotated[float, typer.Option(help="Time simulated (ms).")] = 1000.0,
    dt: Step = 0.05,
    rate: Annotated[float, typer.Option(help="Mean rate that is assumed (Hz).")] = 10.0,
    spikes: Annotated[bool, typer.Option("--spikes", help="Record all spikes.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Record what `run` does.")] = False,
    gradients: Annotated[float, typer.Option(help="Differentiate a run of so many ms.")] = 0.0,
) -> None:
    """Show what a run would need, and how fast it could be, before anything is built.

    The exit code is 0 if the run fits into the memory of the device, and 3 if it does not.
    """
    target, size, host = device_named(device), size_of(model, n, scale), device == "cpu"
    _check(rate, duration, dt, devices, host)
    start()
    # The forecast of the host counts what compiling has taken, which a kept program would hide.
    if not host:
        keep_compiled()
    if n is not None:  # more than can be numbered do not fit, whatever the device
        size["n"] = min(n, most_cells(outline(MODELS[model], SMALL[1], contacts)))
    network = outline(MODELS[model], **size, contacts=contacts, dt=dt)
    parts = _parts(network, devices, duration, dt, bool(gradients)) if host else 1
    recorders: dict[str, Recorder] = ladder.recorders_for(network) if record else {}
    if spikes:
        recorders |= {name: Spikes(name) for name in network.populations}
    row = COMPILED.get((model, device))
    known = row if row and row.dt == dt and contacts is None else None
    how = {"host": host, "known": known, "duration": duration, "gradients": gradients}
    found = forecast(network, recorders, dt, rate, target, **how)
    several = divided(found, parts) if parts > 1 else found
    if several.fits or devices is not None:  # one by default, where there is no room for more
        found = several
    beyond = n if n != size.get("n") else None
    print(f"{model}, {table(found, rate)}\n\n{verdict(found, beyond)}")
    if beyond or not found.fits:
        raise typer.Exit(3)


def _check(rate: float, duration: float, dt: float, devices: int | None, host: bool) -> None:
    whole_steps(duration, dt, "duration")
    if not 0.0 <= rate < math.inf:
        raise ValueError(f"--rate must be at least 0 Hz and finite, got {rate:g}.")
    if devices is not None and not host:
        raise ValueError(
            f"--devices are those of the CPU here, got {devices} with another --device, of which "
            f"one is looked at: leave --devices away."
        )


def _parts(
    network: Network, devices: int | None, duration: float, dt: float, derivative: bool
) -> int:
    """Among how many devices of the CPU here `simulate` divides a run."""
    cells, steps = sum(network.sizes.values()), whole_steps(duration, dt, "duration")
    if jax.default_backend() != "cpu":
        return 1
    mesh = mesh_of(devices, 1, 0 if derivative else cells, steps)
    return mesh.size if mesh else 1
