"""How cells are divided among devices."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from cortexmg.slots import put

AXIS = "cells"  # of the devices among which cells are divided


class Split(NamedTuple):
    """How populations are divided among devices: each has an equal part of every one."""

    parts: int = 1
    whole: tuple[tuple[str, int], ...] = ()  # cells of each population, all parts together

    def everywhere(self, mine: Array) -> Array:
        """What all devices have, one after the other; inside `shard_map` if there are several."""
        return mine if self.parts == 1 else jax.lax.all_gather(mine, AXIS, tiled=True)

    def put(self, ring: Array, mine: Array, step: Array) -> Array:
        """The ring of all devices with what this one has in the slot of a step."""
        if self.parts == 1:
            return put(ring, mine, step)
        slots = ring.reshape(-1, self.parts, mine.shape[0])
        begin = step % slots.shape[0], self.part(), jnp.int32(0)
        return jax.lax.dynamic_update_slice(slots, mine[None, None], begin).reshape(-1)

    def cells_of(self, population: str, here: int) -> int:
        """Cells of a population on all devices, of which `here` have room on each."""
        return dict(self.whole).get(population, here)

    def part(self) -> Array:
        """The number of this device."""
        return jnp.int32(0) if self.parts == 1 else jax.lax.axis_index(AXIS)


WHOLE = Split()  # one device has all cells
