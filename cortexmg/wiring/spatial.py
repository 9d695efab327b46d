"""Wiring that depends on the distance between cells on a sheet."""

import abc

import numpy as np

from cortexmg.connectivity import Connectivity
from cortexmg.distributions import ByDistance
from cortexmg.part import Part, quantity
from cortexmg.sheet import Sheet
from cortexmg.wiring.draw import (
    Key,
    blocks,
    check_total,
    checked_degree,
    checked_ends,
    settle,
    streams,
)
from cortexmg.wiring.rows import (
    Delay,
    Weight,
    by_source,
    check_value,
    connect,
)


class Kernel(Part):
    """How the probability of a contact falls with distance."""

    @abc.abstractmethod
    def displacements(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """From a cell to `size` independent partners (um), float32[size, 2]."""

    @abc.abstractmethod
    def radius(self, share: np.ndarray) -> np.ndarray:
        """The distance (um) within which each `share` of the partners lies."""


class Gaussian(Kernel):
    """Falls as exp(-r^2 / (2 scale^2)); each coordinate has a standard deviation of `scale`."""

    scale: float = quantity("um", above=0.0)

    def displacements(self, rng: np.random.Generator, size: int) -> np.ndarray:
        return rng.standard_normal((size, 2), np.float32) * np.float32(self.scale)

    def radius(self, share: np.ndarray) -> np.ndarray:
        return self.scale * np.sqrt(-2.0 * np.log1p(-share))


class Exponential(Kernel):
    """Falls as exp(-r / scale) per area; the mean distance is therefore 2 scale."""

    scale: float = quantity("um", above=0.0)

    def displacements(self, rng: np.random.Generator, size: int) -> np.ndarray:
        # On the plane, r has density r exp(-r / scale): the sum of two exponential draws. A
        # direction from two normal draws needs only operations that round alike on every machine.
        a, b = rng.standard_exponential((2, size), np.float32)
        x, y = rng.standard_normal((2, size), np.float32)
        stretch = np.float32(self.scale) * (a + b) / np.sqrt(x * x + y * y)
        return np.stack([stretch * x, stretch * y], axis=1)

    def radius(self, share: np.ndarray) -> np.ndarray:
        from scipy.special import gammaincinv  # importing it changes the filters of warnings

        return self.scale * gammaincinv(2.0, share)


def by_distance(
    sheet: Sheet,
    n_pre: int,
    n_post: int,
    k: int,
    kernel: Kernel,
    weight: Weight,
    delay: Delay,
    *,
    key: Key,
    self_contacts: bool = False,
    multiple: bool = True,
) -> Connectivity:
    """Every postsynaptic cell receives `k` contacts from cells near it on the sheet.

    A source is the cell nearest to a point drawn from `kernel` around the postsynaptic cell; where
    there is none (beyond an open edge, or the cell itself without `self_contacts`) the point is
    drawn again, so cells at an open edge have `k` contacts too. `delay` can be `ByDistance`.

    Raises:
        ValueError: too few cells within reach of the kernel, or more than 2^31 contacts.
    """
    check_sheet("by_distance", sheet, kernel)
    n_pre, n_post = checked_ends(n_pre, n_post, self_contacts)
    k = checked_degree(k, n_pre if self_contacts else n_pre - 1, multiple)
    check_total(n_post * k)
    check_value("weight", "nS", weight)
    check_value("delay", "ms", delay, ByDistance)
    draws = streams(key)
    sources = np.empty((n_post, k), np.min_scalar_type(n_pre))
    for rows in blocks(n_post, k):
        cells = np.arange(rows.start, rows.stop)
        propose = _proposer(draws.contacts, sheet, kernel, n_pre, n_post, cells, self_contacts)
        block = propose(np.repeat(np.arange(cells.size), k)).reshape(cells.size, k)
        sources[rows] = settle(block, propose, multiple)
    starts, targets, row = by_source(sources, n_pre)
    del sources
    known = isinstance(delay, ByDistance)
    delays = _conduction(sheet, starts, targets, n_post, delay) if known else None
    return connect(starts, targets, row, n_post, weight, delay, draws, delays=delays)


def check_sheet(rule: str, sheet: Sheet, kernel: Kernel) -> None:
    """Raise unless a rule was given a sheet and a kernel."""
    if not isinstance(sheet, Sheet) or not isinstance(kernel, Kernel):
        raise TypeError(
            f"{rule} needs a Sheet and a Gaussian or Exponential kernel, got {sheet!r} and "
            f"{kernel!r}."
        )


def _proposer(rng, sheet, kernel, n_pre, n_post, cells, self_contacts):
    """A function that draws a source (or -1) for each `cells[row]`."""
    positions = sheet.positions(n_post)[cells]

    def propose(rows: np.ndarray) -> np.ndarray:
        points = kernel.displacements(rng, rows.size)
        points += positions[rows]
        near = sheet.nearest(points, n_pre)
        if not self_contacts:
            near[near == cells[rows]] = -1
        return near

    return propose


def _conduction(
    sheet: Sheet, starts: np.ndarray, targets: np.ndarray, n_post: int, delay: ByDistance
) -> np.ndarray:
    """The delay (ms) of each contact by its length; in the tail the offset."""
    n_pre, n = starts.size - 1, int(starts[-1])
    from_, to = sheet.positions(n_pre), sheet.positions(n_post)
    pre = np.repeat(np.arange(n_pre, dtype=np.int32), np.diff(starts))
    delays = np.full(targets.size, delay.offset, np.float32)
    for part in blocks(n, 1):
        delays[part] = delay.at(sheet.distance(from_[pre[part]], to[targets[part]]))
    return delays
