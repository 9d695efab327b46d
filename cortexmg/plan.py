"""What a run needs, before anything is built: memory by part, bytes per step, time by bandwidth.

All follows from shapes. The step is compiled, for the machine at hand and without arrays, to see
how many kernels it has and what they move; other devices join operations in other ways, so for
them the kernels are a guide and the memory is what counts.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cortexmg.connectivity import MOST_CONTACTS, Connectivity
from cortexmg.frames import Record, plan_of, run_frame
from cortexmg.hardware import Device, memory_here, memory_in_use
from cortexmg.kernels import Work, work_of_loop
from cortexmg.network import Network, State
from cortexmg.outline import compiled_step, shapes, state_of
from cortexmg.recorders import Spikes
from cortexmg.rows import Wiring
from cortexmg.transmission import STEPS

Memory = dict[str, float]  # bytes by part

REMEDY = {
    "libraries and compiler": "use a machine with more memory",
    "wiring": "fewer contacts per cell, or one weight and one delay for all contacts of a "
    "projection, which are otherwise stored for each",
    "wiring, copied to the device": "fewer contacts per cell, or one weight and one delay for all",
    "cells": "fewer cells, or fewer channels and receptors",
    "spikes and inputs underway": "shorter delays or a larger dt",
    "recording": "record fewer cells, or less often",
    "temporaries of a step": "fewer cells, or one delay for all contacts of a projection",
}


CELL_STEPS = 5e7  # of a piece of a run: about half a second on one core
STATES = 3  # held at once: two pieces back, one back, and the one being computed


class Forecast(NamedTuple):
    """What one network needs on one device."""

    device: Device
    cells: int
    contacts: int
    longest: int  # contacts of the largest projection that stores them
    memory: Memory
    step: Work
    delivered: float  # bytes that spikes move in a step
    dt: float  # ms

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
) -> Forecast:
    """What a network of shapes needs on a device, if its cells fire at `rate` Hz.

    On the `host` itself the libraries, the compiler and the network as it was built need room too.
    `program` is what `compiled_step` made for the device, if not for this machine.
    """
    cells = sum(network.sizes.values())
    most = steps_at_once(cells, plan_of(record, dt)[0][0])
    memory = needed(network, record, dt, most)
    program = program or compiled_step(network, dt)
    memory["temporaries of a step"] = program.memory_analysis().temp_size_in_bytes
    if host:
        # This process has just done what another one will do before it builds the network.
        first = {"libraries and compiler": memory_in_use(), "wiring": memory.pop("wiring")}
        memory = {**first, "wiring, copied to the device": first["wiring"], **memory}
    wiring = [p.connectivity for p in network.projections.values()]
    contacts = [_room(c) for c in wiring] or [0]
    stored = [_room(c) for c in wiring if isinstance(c, Connectivity)] or [0]
    delivered = 1e-3 * rate * dt * sum(map(_bytes_by_spikes, wiring))
    step = work_of_loop(program.as_text())
    return Forecast(device, cells, sum(contacts), max(stored), memory, step, delivered, dt)


def needed(
    network: Network,
    record: Record,
    dt: float,
    most: int,
    members: int = 1,
    exact: bool = True,
    kept: int = 0,
) -> Memory:
    """Bytes of a run on its device by part, from the shapes of a network.

    `most` frames are recorded at once, and `kept` in all; `members` runs share the wiring.
    """
    state, saved = _state_and_saved(network, record, dt, exact)
    # Spikes are kept as a list, which is much shorter than the bits that are saved.
    whole = {name: x for name, x in saved.items() if not isinstance(record[name], Spikes)}
    wiring = {name: p.connectivity for name, p in network.projections.items()}
    delays = sum(
        STEPS.itemsize * np.shape(c.delays)[0] for c in wiring.values() if np.ndim(c.delays)
    )
    changing = state._replace(underway=None)
    cells, float_type = sum(network.sizes.values()), jnp.result_type(float)
    return {
        "wiring": _size(wiring),
        # A piece of a run leaves the state before it, and that of the piece before, as they were.
        "cells": _size(network) - _size(wiring) + STATES * members * _size(changing),
        "spikes and inputs underway": STATES * members * _size(state.underway),
        # The last piece is unpacked while the next one is computed.
        "recording": members * (2.0 * most * _size(saved) + kept * _size(whole)),
        # As compiled for a CPU: delays in steps, and about six numbers per cell.
        "temporaries of a step": delays + members * cells * 6.0 * np.finfo(float_type).bits / 8,
    }


def check_memory(
    network: Network,
    record: Record,
    dt: float,
    most: int,
    *,
    members: int = 1,
    exact: bool = True,
    kept: int = 0,
    available: float | None = None,
) -> None:
    """Raise MemoryError if a run cannot fit, naming what to shrink and the largest size that fits.

    `available` is in bytes; by default it is what the device of JAX has left. Networks that need
    a small part of it are not looked at closely, which takes a fraction of a second.
    """
    room = memory_here() if available is None else available
    cells = members * sum(network.sizes.values())
    roughly = 4 * _size(network) + 1e4 * cells + (most + 4 * len(record) * kept) * cells
    if roughly < room:
        return
    memory = needed(shapes(network), record, dt, most, members, exact, kept)
    total = sum(memory.values())
    if total <= room:
        return
    built = _size(network) if jax.default_backend() == "cpu" else 0.0  # and its room is taken
    largest = int(cells / members * (room + built) / (total + built))
    worst = max(memory, key=lambda name: memory[name])
    raise MemoryError(
        f"This run needs {total / 1e6:,.0f} MB and {room / 1e6:,.0f} MB are left. The largest part "
        f"is {worst!r} with {memory[worst] / 1e6:,.0f} MB: {REMEDY[worst]}. With all else equal, "
        f"about {largest:,} cells fit instead of {cells // members:,}."
    )


def largest_that_fits(f: Forecast) -> int:
    """About how many cells fit on the device, with as many contacts each."""
    fixed = f.memory.get("libraries and compiler", 0.0)
    fitting = f.cells * (f.usable - fixed) / (f.total - fixed)
    # The contacts of a projection are numbered, too.
    return max(0, int(min(fitting, 0.97 * f.cells * MOST_CONTACTS / max(1, f.longest))))


def steps_at_once(cells: int, frame: int) -> int:
    """How many frames of so many steps a run computes in one piece, and so records at once."""
    return max(1, int(min(max(CELL_STEPS / cells, 20), 20_000)) // frame)


def table(f: Forecast, rate: float) -> str:
    """The forecast as text, for cells that fire at `rate` Hz."""
    lines = [f"{f.cells:,} cells, {f.contacts:,} contacts, dt {f.dt:g} ms, on {f.device.name}", ""]
    lines += [f"  {name:30s} {size / 1e6:12,.1f} MB" for name, size in f.memory.items()]
    lines += [
        f"  {'in all':30s} {f.total / 1e6:12,.1f} MB of {f.usable / 1e6:,.0f} MB that "
        f"{'JAX takes by default' if f.device.share < 1.0 else 'there are'}",
        "",
        f"A step, as compiled here: {f.step.kernels} kernels that move {f.step.moved / 1e6:,.3f} "
        f"MB, and {f.delivered / 1e6:,.3f} MB for spikes at {rate:g} Hz,",
        f"delivered in {f.step.all_loops} loops whose length depends on them.",
        f"Per simulated second at least {f.moving:.3g} s to move the bytes at "
        f"{f.device.bandwidth / 1e9:,.0f} GB/s ({f.device.source})",
    ]
    if f.device.kernel:
        lines.append(
            f"and {f.launching:.3g} s for {f.device.kernel * 1e6:g} us per kernel; loops not "
            f"counted, in which each round waits for the host."
        )
    else:
        lines.append("on one thread; arithmetic comes on top: `cortexmg bench` measures it.")
    return "\n".join(lines)


def verdict(f: Forecast) -> str:
    """Whether it fits, and if not what to do."""
    if f.fits:
        return f"It fits; about {largest_that_fits(f):,} cells would."
    worst = max(f.memory, key=lambda name: f.memory[name])
    return (
        f"It does not fit. The largest part is {worst!r} with {f.memory[worst] / 1e6:,.0f} MB: "
        f"{REMEDY[worst]}. With all else equal, about {largest_that_fits(f):,} cells fit."
    )


def _state_and_saved(network: Network, record: Record, dt: float, exact: bool) -> tuple[State, Any]:
    """Shapes of the state and of what one frame records."""
    state = state_of(network, dt, exact)
    plan = plan_of(record, dt)
    _, saved = jax.eval_shape(lambda n, s: run_frame(n, s, record, plan, dt), network, state)
    return state, saved


def _size(tree: Any) -> float:
    """Bytes of all arrays, or of their shapes."""
    return float(
        sum(math.prod(np.shape(x)) * jnp.result_type(x).itemsize for x in jax.tree.leaves(tree))
    )


def _room(c: Wiring) -> int:
    """For how many contacts there is room in its arrays, or how many are computed."""
    return np.shape(c.targets)[0] if isinstance(c, Connectivity) else c.n_contacts


def _bytes_by_spikes(c: Wiring) -> float:
    """Bytes that one spike of every cell moves: contacts are read, targets read and written."""
    per_contact = 4 if isinstance(c, Connectivity) else 0
    per_contact += sum(4 for x in (c.weights, c.delays) if np.ndim(x))
    return _room(c) * (per_contact + 8.0)
