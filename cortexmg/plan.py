"""What a run needs, before anything is built: memory by part, bytes per step, time by bandwidth.

All follows from shapes. The step is compiled, for the machine at hand and without arrays, to see
how many kernels it has and what they move. Compilers for other devices join operations in other
ways: some models were compiled by them (COMPILED), for the others the kernels are a guide and the
memory is what counts.
"""

from typing import Any, NamedTuple

import numpy as np

from cortexmg.clock import whole_steps
from cortexmg.connectivity import Connectivity
from cortexmg.frames import Record, frames_in, plan_of
from cortexmg.hardware import Device, memory_in_use
from cortexmg.kernels import Work, work_of_loop
from cortexmg.memory import (
    HOLES,
    Memory,
    advice,
    fitting,
    needed,
    needed_by_derivative,
    steps_at_once,
)
from cortexmg.network import Network
from cortexmg.outline import compiled_step, most_cells, queued
from cortexmg.rows import Wiring

RETURNED = 2**25  # bytes of an array from which on it is given back at once


class CompiledStep(NamedTuple):
    """What a step of a model with a million cells was compiled to for a device."""

    kernels: int
    loops: int
    moved_mb: float
    temp_mb: float
    dt: float  # ms
    date: str


# By benchmarks/accelerators.py, with the contacts of the model.
COMPILED = {
    ("cobahh", "t4"): CompiledStep(19, 0, 345.1, 30.94, 0.1, "2026-11-30"),
    ("cobahh", "a100"): CompiledStep(14, 0, 343.6, 30.44, 0.1, "2026-11-30"),
    ("cobahh", "h100"): CompiledStep(8, 0, 235.4, 2.69, 0.1, "2026-11-30"),
    ("cobahh", "b200"): CompiledStep(11, 0, 237.3, 2.346, 0.1, "2026-11-30"),
    ("cobahh", "v5e"): CompiledStep(231, 2, 2927, 57.92, 0.1, "2026-11-30"),
    ("cortex", "h100"): CompiledStep(54, 0, 680.9, 72.61, 0.05, "2026-11-30"),
    ("cortex", "t4"): CompiledStep(83, 0, 658, 64.41, 0.05, "2026-11-30"),
    ("cortex", "a100"): CompiledStep(57, 0, 680.1, 63.97, 0.05, "2026-11-30"),
    ("cortex", "b200"): CompiledStep(59, 0, 643.4, 64.31, 0.05, "2026-11-30"),
    ("cobahh", "v5p"): CompiledStep(194, 2, 2438, 117.6, 0.1, "2026-11-30"),
    ("cobahh", "v6e"): CompiledStep(207, 2, 3629, 137.5, 0.1, "2026-11-30"),
    ("cortex", "v5e"): CompiledStep(755, 3, 7435, 381.3, 0.05, "2026-11-30"),
    ("cortex", "v5p"): CompiledStep(862, 3, 1.102e04, 501.8, 0.05, "2026-11-30"),
    ("cortex", "v6e"): CompiledStep(881, 3, 1.547e04, 534.2, 0.05, "2026-11-30"),
}


class Forecast(NamedTuple):
    """What one network needs on one device."""

    device: Device
    cells: int
    contacts: int
    most: int  # cells whose contacts can be numbered
    memory: Memory
    step: Work
    delivered: float  # bytes that spikes move in a step
    dt: float  # ms
    how: str  # the step was compiled
    devices: int = 1  # of a CPU, among which the run is divided

    @property
    def total(self) -> float:
        """Bytes in all."""
        return sum(self.memory.values())

    @property
    def usable(self) -> float:
        """Bytes that arrays may take on the device."""
        return self.device.share * self.device.memory

    @property
    def fits(self) -> bool:
        """Whether there is room for all parts."""
        return self.total <= self.usable

    @property
    def moving(self) -> float:
        """Seconds per simulated second that moving the bytes takes at full bandwidth."""
        return 1e3 / self.dt * (self.step.moved + self.delivered) / self.device.bandwidth

    @property
    def launching(self) -> float:
        """Seconds per simulated second that the kernels take to start and finish."""
        return 1e3 / self.dt * self.step.kernels * self.device.kernel


def forecast(
    network: Network,
    record: Record,
    dt: float,
    rate: float,
    device: Device,
    *,
    host: bool = False,
    program: Any = None,
    known: CompiledStep | None = None,
    duration: float = 0.0,
    gradients: float = 0.0,
) -> Forecast:
    """What a network of shapes needs on a device, if its cells fire at `rate` Hz.

    On the `host` itself the libraries, the compiler and the network as it was built need room too.
    `program` is what `compiled_step` made for the device, if not for this machine, and `known` what
    another size was compiled to. What is recorded in `duration` (ms) is kept, of spikes as many as
    the rate makes. `gradients` is how long (ms) a run is that is differentiated in reverse, by a
    few numbers.
    """
    cells, plan = sum(network.sizes.values()), plan_of(record, dt)
    kept = frames_in(duration, dt, plan) if duration else 0
    steps = whole_steps(gradients, dt, "gradients") if gradients else 0
    delivering = queued(network) if device.kernel else network
    most = steps_at_once(cells, plan[0][0])
    memory = needed(delivering, record, dt, most, kept=kept, spikes=rate * 1e-3 * duration)
    if known and not program:
        how = f"as compiled for {device.name} on {known.date}, of a million cells"
        step = Work(known.kernels, round(known.moved_mb * cells), (Work(),) * known.loops)
        memory["temporaries of a step"] = known.temp_mb * cells
    else:
        how = "as compiled for this CPU" if device.kernel and not program else "as compiled"
        program = program or compiled_step(delivering, dt)
        step = work_of_loop(program.as_text())
        memory["temporaries of a step"] = program.memory_analysis().temp_size_in_bytes
    if host:
        piece = needed(network, record, dt, most)["recording"]
        memory = _on_the_host(memory, piece, cells)
    if steps:
        memory |= needed_by_derivative(network, dt, steps)
    wiring = [p.connectivity for p in network.projections.values()]
    contacts = [_room(c) for c in wiring] or [0]
    delivered = 1e-3 * rate * dt * sum(map(_bytes_by_spikes, wiring))
    most = most_cells(network)
    return Forecast(device, cells, sum(contacts), most, memory, step, delivered, dt, how)


def _on_the_host(memory: Memory, piece: float, cells: int) -> Memory:
    """The same with what a process here needs besides; `piece` is recorded at a time (bytes)."""
    # What pieces of a run leave behind is given back late, in holes that the next does not fill:
    # measured 0.6 to 1 of what is there once per cell, with glibc, which returns larger arrays.
    wiring, small = memory["wiring"], 4.0 * cells < RETURNED
    changing = piece + memory["cells"] + memory["temporaries of a step"] if small else 0.0
    # This process has just done what another one will do before it builds the network.
    first = {"libraries and compiler": memory_in_use(), "wiring": wiring}
    return {**first, "wiring, copied to the device": wiring, **memory, HOLES: 0.75 * changing}


def divided(f: Forecast, devices: int) -> Forecast:
    """The same run on the host, divided among some of its devices.

    Their parts of the wiring are cut from the whole before they are copied.
    """
    memory = dict(f.memory)
    parts = {"wiring, as it is divided": 2.0 * memory.pop("wiring, copied to the device")}
    first = {name: memory.pop(name) for name in ("libraries and compiler", "wiring")}
    return f._replace(memory={**first, **parts, **memory}, devices=devices)


def largest_that_fits(f: Forecast) -> int:
    """About how many cells fit on the device and can be numbered, with as many contacts each."""
    return min(f.most, fitting(f.memory, f.usable, f.cells))


def table(f: Forecast, rate: float) -> str:
    """The forecast as text, for cells that fire at `rate` Hz."""
    # For a CPU rows are gathered, and then added; on a GPU one kernel does both and moves less.
    least = "about" if "this CPU" in f.how else "at least"
    where = f.device.name
    if not f.device.kernel:
        where = f"{f.devices} devices of {where}" if f.devices > 1 else f"one device of {where}"
    lines = [f"{f.cells:,} cells, {f.contacts:,} contacts, dt {f.dt:g} ms, on {where}", ""]
    lines += [f"  {name:30s} {size / 1e6:12,.1f} MB" for name, size in f.memory.items()]
    lines += [
        f"  {'in all':30s} {f.total / 1e6:12,.1f} MB of {f.usable / 1e6:,.0f} MB that "
        f"{'JAX takes by default' if f.device.share < 1.0 else 'there are'}",
        "",
        f"A step, {f.how}:",
        f"  {f.step.kernels} kernels that move {f.step.moved / 1e6:,.3f} MB; "
        f"{f.step.all_loops} loops whose length depends on data;",
        f"  spikes at {rate:g} Hz move another {f.delivered / 1e6:,.3f} MB.",
        f"Per simulated second {least} {f.moving:.3g} s to move the bytes at "
        f"{f.device.bandwidth / 1e9:,.0f} GB/s ({f.device.source})",
    ]
    if f.device.kernel:
        lines.append(
            f"and {f.launching:.3g} s for {f.device.kernel * 1e6:g} us per kernel (assumed)."
        )
        if "this CPU" in f.how:
            lines.append(
                "Compilers for the device make other kernels, often fewer on a GPU and more on a "
                "TPU: benchmarks/accelerators.py asks them."
            )
    else:
        lines.append("on one thread; arithmetic comes on top: `cortexmg bench` measures it.")
    return "\n".join(lines)


def verdict(f: Forecast, asked: int | None = None) -> str:
    """Whether it fits, and if not what to do; `asked` are more cells than can be numbered."""
    if asked is not None:
        return (
            f"It does not fit: of {asked:,} cells a projection would have more than 2^31 contacts, "
            f"and above are as many as can be numbered. About {largest_that_fits(f):,} cells fit."
        )
    if f.fits:
        return f"It fits; about {largest_that_fits(f):,} cells would."
    return f"It does not fit. {advice(f.memory, f.usable, f.cells)}"


def _room(c: Wiring) -> int:
    """For how many contacts there is room in its arrays, or how many are computed."""
    return np.shape(c.targets)[0] if isinstance(c, Connectivity) else c.n_contacts


def _bytes_by_spikes(c: Wiring) -> float:
    """Bytes that one spike of every cell moves: contacts are read, targets read and written."""
    per_contact = np.result_type(c.targets).itemsize if isinstance(c, Connectivity) else 0
    per_contact += sum(4 for x in (c.weights, c.delays) if np.ndim(x))
    return _room(c) * (per_contact + 8.0)
