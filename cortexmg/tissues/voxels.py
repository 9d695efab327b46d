"""The voxels into which a sheet of tissue is cut."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from cortexmg.part import Scalar, whole
from cortexmg.sheet import Sheet

PerVoxel = Float[Array, " voxels"]


class Voxels(NamedTuple):
    """`columns` x `rows` equal parts of a sheet, numbered row by row, as constants of a network."""

    width: float = 50.0  # um, of the whole sheet
    height: float = 50.0  # um
    periodic: bool = False
    columns: int = 1
    rows: int = 1

    @property
    def number(self) -> int:
        """How many there are."""
        return self.columns * self.rows

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of one (um)."""
        return self.width / self.columns, self.height / self.rows

    def holding(self, n: int) -> Int[np.ndarray, " n"]:
        """In which voxel each of `n` cells lies."""
        if self.number == 1:
            return np.zeros(n, np.int32)
        points = Sheet(self.width, self.height, self.periodic).positions(n).astype(float)
        column = np.floor(points[:, 0] * (self.columns / self.width) + 1e-6).astype(np.int32)
        row = np.floor(points[:, 1] * (self.rows / self.height) + 1e-6).astype(np.int32)
        return np.minimum(row, self.rows - 1) * self.columns + np.minimum(column, self.columns - 1)

    def sums(self, x: Float[Array, " n"]) -> PerVoxel:
        """What the cells of each voxel have together, the same to the last bit on any machine."""
        members = jnp.pad(x, (0, 1))[_members(self.holding(x.shape[0]), self.number)]
        # In pairs: the order in which numbers are added is that of these lines.
        while (many := members.shape[1]) > 1:
            members = members[:, : many // 2] + members[:, many // 2 :]
        return members[:, 0]

    def inflows(self, c: PerVoxel, d: Scalar) -> list[PerVoxel]:
        """What diffusion adds along rows and columns: `d` (um2) times second derivatives of `c`."""
        grid = c.reshape(self.rows, self.columns)
        return [
            (d / size**2 * self._from_neighbours(grid, axis)).reshape(-1)
            for axis, size in ((1, self.size[0]), (0, self.size[1]))
            if grid.shape[axis] > 1
        ]

    def _from_neighbours(self, grid: Array, axis: int) -> Array:
        if self.periodic:
            flow = jnp.roll(grid, -1, axis) - grid  # from the next one
            return flow - jnp.roll(flow, 1, axis)
        flow = jnp.diff(grid, axis=axis)
        none = [(0, 0), (0, 0)]
        after, before = list(none), list(none)
        after[axis], before[axis] = (0, 1), (1, 0)
        return jnp.pad(flow, after) - jnp.pad(flow, before)


def voxels_of(sheet: Sheet, columns: int = 1, rows: int = 1) -> Voxels:
    """`columns` x `rows` voxels of a sheet."""
    place = float(sheet.width), float(sheet.height), sheet.periodic
    return Voxels(*place, whole("columns", columns, 1), whole("rows", rows, 1))


def _members(holding: np.ndarray, count: int) -> Int[np.ndarray, "voxels most"]:
    """The cells of each voxel, filled up to a power of 2 with the number past the last cell."""
    n = holding.size
    order, cells = np.argsort(holding, kind="stable"), np.bincount(holding, minlength=count)
    most = 1 << int(max(cells.max(initial=1) - 1, 0)).bit_length()
    table = np.full((count, most), n, np.int32)
    rank = np.arange(n) - np.repeat(np.cumsum(cells) - cells, cells)
    table[holding[order], rank] = order
    return table
