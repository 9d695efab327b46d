"""What memory a run needs, from shapes alone, and whether there is enough of it."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from cortexmg.derivatives import group_of, remembered
from cortexmg.devices import platform_of
from cortexmg.frames import Record, plan_of, run_frame
from cortexmg.hardware import memory_here
from cortexmg.network import Network, State
from cortexmg.outline import shapes, state_of
from cortexmg.processes import own_parts
from cortexmg.recorders import Spikes
from cortexmg.waiting import STEPS

Memory = dict[str, float]  # bytes by part

HOLES = "freed, and not given back yet"  # by the C library; it shrinks with the other parts
# Bytes of a spike in a list: two copies as pieces are joined, and what lies between.
LISTED = 2.5 * 12.0
REMEDY = {
    "libraries and compiler": "use a machine with more memory",
    "wiring": "fewer contacts per cell, or one weight and one delay for all contacts of a "
    "projection, which are otherwise stored for each; in a sweep on accelerators fewer `devices`",
    "wiring, copied to the device": "fewer contacts per cell, or one weight and one delay for all",
    "wiring, as it is divided": "`devices`=1, or fewer contacts per cell",
    "cells": "fewer cells, or fewer channels and receptors",
    "spikes and inputs underway": "shorter delays or a larger dt",
    "recording": "record fewer cells, or less often",
    "states, one per group of steps": "a shorter run, shorter delays or a larger dt",
    "kept of the steps of a group": "a shorter run, or fewer cells",
    "derivatives on their way back": "fewer cells, or shorter delays",
    "temporaries of a step": "fewer cells, or one delay for all contacts of a projection",
}


CELL_STEPS = 5e7  # of a piece of a run: about half a second on one core
STATES = 3  # held at once: two pieces back, one back, and the one being computed


def needed(
    network: Network,
    record: Record,
    dt: float,
    most: int,
    members: int = 1,
    exact: bool = True,
    kept: int = 0,
    copies: int = 1,
    spikes: float = 0.0,
) -> Memory:
    """Bytes of a run on its device by part, from the shapes of a network.

    `most` frames are recorded at once, and `kept` in all; `members` runs share the wiring, of which
    there are so many `copies`. Each cell whose spikes are recorded fires so many `spikes`.
    """
    state, saved = _state_and_saved(network, record, dt, exact)
    # Spikes are kept as a list, which is much shorter than the bits that are saved.
    listed = sum(network.sizes[r.population] for r in record.values() if isinstance(r, Spikes))
    whole = {name: x for name, x in saved.items() if not isinstance(record[name], Spikes)}
    wiring = {name: p.connectivity for name, p in network.projections.items()}
    delays = sum(
        STEPS.itemsize * np.shape(c.delays)[0] for c in wiring.values() if np.ndim(c.delays)
    )
    changing = state._replace(underway=None)
    cells, float_type = sum(network.sizes.values()), jnp.result_type(float)
    return {
        # As a run begins, delays are there as given and in steps.
        "wiring": copies * (_size(wiring) + delays),
        # A piece of a run leaves the state before it, and that of the piece before, as they were.
        "cells": _size(network) - _size(wiring) + STATES * members * _size(changing),
        "spikes and inputs underway": STATES * members * _size(state.underway),
        # The last piece is unpacked while the next one is computed; pieces are joined one by one.
        "recording": members * (2.0 * most * _size(saved) + kept * _size(whole))
        + members * LISTED * listed * spikes
        + kept * max((_size(x) for x in whole.values()), default=0.0),
        # As compiled for a CPU: about six numbers per cell.
        "temporaries of a step": members * cells * 6.0 * np.finfo(float_type).bits / 8,
    }


def needed_by_derivative(network: Network, dt: float, steps: int) -> Memory:
    """Bytes that a derivative in reverse of a run of so many steps needs besides, by part.

    It is by a few numbers, such as the strengths of projections. By the weights of contacts it
    needs no more than the result.
    """
    state, group = state_of(network, dt, exact=False), group_of(steps)
    return {
        "states, one per group of steps": math.ceil(steps / group) * _size(state),
        "kept of the steps of a group": group * _kept_of_a_step(network, state, dt),
        "derivatives on their way back": STATES * _size(state),
    }


def _kept_of_a_step(network: Network, state: State, dt: float) -> float:
    """Bytes that a derivative keeps of one step; wiring, which never changes, is not kept."""

    def back(network, state, strengths):
        network = eqx.tree_at(_strengths, network, strengths).in_steps(dt)
        return jax.vjp(remembered(lambda s: network.step(s, dt)[0]), state)[1]

    strengths = [jnp.zeros(()) for _ in network.projections]
    wiring = {jnp.shape(x) for p in network.projections.values() for x in jax.tree.leaves(p)}
    kept = jax.tree.leaves(jax.eval_shape(back, network, state, strengths))
    return _size([x for x in kept if x.shape not in wiring])


def _strengths(network: Network) -> list:
    return [p.strength for p in network.projections.values()]


def check_memory(
    network: Network,
    record: Record,
    dt: float,
    most: int,
    *,
    members: int = 1,
    exact: bool = True,
    kept: int = 0,
    copies: int = 1,
    available: float | None = None,
) -> None:
    """Raise MemoryError if a run cannot fit, naming what to shrink and the largest size that fits.

    `available` is in bytes; by default it is what the device of JAX has left. Networks that need
    a small part of it are not looked at closely, which takes a fraction of a second.
    """
    room = memory_here() if available is None else available
    cells = members * sum(network.sizes.values())
    recorded = (most + 8 * len(record) * kept) * plan_of(record, dt)[0][0] * cells
    roughly = (3 + copies) * _size(network) + 1e4 * cells + recorded
    if roughly < room:
        return
    memory = needed(shapes(network), record, dt, most, members, exact, kept, copies)
    total = sum(memory.values())
    if total <= room:
        return
    built = _size(network) if jax.default_backend() == "cpu" else 0.0  # and its room is taken
    raise MemoryError(
        f"This run needs {total / 1e6:,.0f} MB and {room / 1e6:,.0f} MB are left. "
        f"{advice(memory, room, cells // members, built)}"
    )


def advice(memory: Memory, room: float, cells: int, taken: float = 0.0) -> str:
    """The largest part and what makes it smaller, and how many cells fit, see `fitting`."""
    worst = max(memory.keys() - {HOLES}, key=lambda name: memory[name])
    return (
        f"The largest part is {worst!r} with {memory[worst] / 1e6:,.0f} MB: {REMEDY[worst]}. With "
        f"all else equal, about {fitting(memory, room, cells, taken):,} cells fit instead of "
        f"{cells:,}."
    )


def fitting(memory: Memory, room: float, cells: int, taken: float = 0.0) -> int:
    """About how many cells fit into `room` bytes, if so many `cells` need this memory.

    `taken` is what they take besides, of room that is no longer there.
    """
    fixed = memory.get("libraries and compiler", 0.0)
    growing = sum(memory.values()) - fixed + taken
    return max(0, int(cells * (room - fixed + taken) / growing))


def room_of(mesh: Mesh | None) -> float:
    """Bytes that arrays can still take on all devices of a mesh, or on the one of JAX.

    Other machines, whose processes have the rest of them, count as this one.
    """
    if mesh is None:
        return memory_here()
    return memory_here() * mesh.size / (len(own_parts(mesh)) if platform_of(mesh) == "cpu" else 1)


def steps_at_once(cells: int, frame: int) -> int:
    """How many frames of so many steps a run computes in one piece, and so records at once."""
    return max(1, int(min(max(CELL_STEPS / cells, 20), 20_000)) // frame)


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
