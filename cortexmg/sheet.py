"""The 2-D sheet of tissue on which populations lie as regular lattices."""

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from cortexmg.part import Part, quantity

Points = Float[np.ndarray, "*points 2"]  # um, x and y


class Sheet(Part):
    """A rectangle of tissue with open edges, or with opposite edges joined (`periodic`).

    Every population fills the whole sheet with its own lattice, so that populations of different
    size share it: about sqrt(n * width / height) columns, filled row by row. Where n is not a
    whole number of rows, the end of the last row stays empty.
    """

    width: float = quantity("um", above=0.0)
    height: float = quantity("um", above=0.0)
    periodic: bool = eqx.field(static=True, default=False)

    def check_rules(self) -> None:
        if not isinstance(self.periodic, bool):
            raise TypeError(f"Sheet.periodic must be True or False, got {self.periodic!r}.")

    def lattice(self, n: int) -> tuple[int, int]:
        """Columns and rows of the lattice of `n` cells."""
        if n < 1:
            raise ValueError(f"A lattice needs at least 1 cell, got n = {n}.")
        columns = min(n, max(1, round((n * self.width / self.height) ** 0.5)))
        return columns, -(-n // columns)

    def positions(self, n: int) -> Float[np.ndarray, "n 2"]:
        """Where each of `n` cells lies (um): each in the middle of its part of the sheet."""
        columns, rows = self.lattice(n)
        row, column = np.divmod(np.arange(n), columns)
        x = (column + 0.5) * (self.width / columns)
        y = (row + 0.5) * (self.height / rows)
        return np.stack([x, y], axis=1).astype(np.float32)

    def distance(self, a: Points, b: Points) -> Float[np.ndarray, "*points"]:
        """Distance (um) from `a` to `b`, on a periodic sheet the shortest way around."""
        d = np.abs(a - b)
        if self.periodic:
            size = np.asarray([self.width, self.height], dtype=d.dtype)
            d %= size
            d = np.minimum(d, size - d)
        return np.hypot(d[..., 0], d[..., 1])

    def nearest(self, points: Points, n: int) -> Int[np.ndarray, "*points"]:
        """Which of `n` cells lies nearest to each point, or -1 where there is none.

        There is none outside a sheet with open edges and at the empty end of the last row.
        """
        columns, rows = self.lattice(n)
        column = np.floor(points[..., 0] * (columns / self.width)).astype(np.int32)
        row = np.floor(points[..., 1] * (rows / self.height)).astype(np.int32)
        if self.periodic:
            column %= columns
            row %= rows
        cell = row * columns + column
        inside = (column >= 0) & (column < columns) & (row >= 0) & (cell < n)
        return np.where(inside, cell, np.int32(-1))
