"""Rules whose contacts are computed whenever they are needed, and the way to store them."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cortexmg.connectivity import Connectivity
from cortexmg.distributions import ByDistance
from cortexmg.part import number, shown
from cortexmg.procedural import DIRECTIONS, FRACTION, RINGS, Anywhere, Law, Nearby, Procedural
from cortexmg.rows import kind_of_targets
from cortexmg.sheet import Sheet
from cortexmg.wiring.draw import (
    DRAWN_AT_ONCE,
    Key,
    check_total,
    checked_degree,
    checked_ends,
    seed_of,
)
from cortexmg.wiring.layout import capacity_for, row_for
from cortexmg.wiring.rows import check_value, starts_of
from cortexmg.wiring.spatial import Kernel, check_sheet

Number = Any  # a float, or a JAX scalar


def procedural(
    n_pre: int,
    n_post: int,
    k: int,
    weight: Number,
    delay: Number,
    *,
    key: Key,
    self_contacts: bool = True,
) -> Procedural:
    """Every presynaptic cell makes `k` contacts onto cells drawn at random; none is stored.

    A pair can have several contacts. Each of `blocks_of(k)` equal parts of the targets gets the
    same number of them; within a part they are independent and uniform, to one part in
    2^32 / n_post. `weight` (nS) and `delay` (ms) are the same for all.

    Raises: ValueError or TypeError for anything else.
    """
    n_pre, n_post = checked_ends(n_pre, n_post, self_contacts)
    available = n_post if self_contacts else n_post - 1
    k = checked_degree(k, available, True, 1)
    if isinstance(delay, np.ndarray | list) or number(delay) is None:
        raise TypeError(_one_number("delay", "ms", delay))
    law = Anywhere(available, self_contacts)
    most = _surely_below(n_pre * k / available, n_post)
    return _made(law, n_pre, n_post, k, weight, delay, key, min(most, n_pre * k))


def procedural_by_distance(
    sheet: Sheet,
    n_pre: int,
    n_post: int,
    k: int,
    kernel: Kernel,
    weight: Number,
    delay: Number | ByDistance,
    *,
    key: Key,
    self_contacts: bool = False,
) -> Procedural:
    """Every presynaptic cell makes `k` contacts onto cells near it on the sheet; none is stored.

    A target is the cell nearest to a point drawn from `kernel` around the presynaptic cell, in one
    of 4,096 rings of equal probability and one of as many directions. What falls beyond an open
    edge is no contact, nor is, without `self_contacts`, one of a cell with itself; so cells at an
    open edge make fewer. With `ByDistance` the delay follows from the radius of the ring.

    Raises: ValueError or TypeError, also where the kernel reaches too far to be computed.
    """
    check_sheet("procedural_by_distance", sheet, kernel)
    n_pre, n_post = checked_ends(n_pre, n_post, self_contacts)
    k = checked_degree(k, n_post if self_contacts else n_post - 1, True, 1)
    rings = kernel.radius((np.arange(RINGS) + 0.5) / RINGS)
    law = _nearby(sheet, n_pre, n_post, rings, self_contacts)
    check_value("delay", "ms", delay, ByDistance)
    delays = delay.at(rings) if isinstance(delay, ByDistance) else delay
    made = _made(law, n_pre, n_post, k, weight, delays, key, 0)
    fan_in = np.zeros(n_post, np.int64)
    for targets, _ in _all_contacts(made):
        fan_in += np.bincount(targets[targets >= 0], minlength=n_post)
    return _made(law, n_pre, n_post, k, weight, delays, key, int(fan_in.max()))


def stored(wiring: Procedural) -> Connectivity:
    """The same contacts, stored: a run with them is the same, bit for bit.

    Raises: TypeError for other wiring, ValueError for more than 2^31 contacts.
    """
    if not isinstance(wiring, Procedural):
        raise TypeError(
            f"stored takes wiring that procedural or procedural_by_distance made, got "
            f"{shown(wiring)}: other rules store their contacts."
        )
    check_total(wiring.n_contacts)
    lengths, found, delays = [], [], []
    for targets, ring in _all_contacts(wiring):
        order = np.argsort(targets, axis=1, kind="stable")
        targets = np.take_along_axis(targets, order, axis=1)
        lengths.append(np.sum(targets >= 0, axis=1))
        found.append(targets[targets >= 0])
        if np.ndim(wiring.delays):
            rings = np.take_along_axis(ring, order, axis=1)[targets >= 0]
            delays.append(np.asarray(wiring.delays)[rings])
    starts = starts_of(np.concatenate(lengths))
    row = row_for(np.diff(starts))
    size = capacity_for(int(starts[-1]), row)

    def padded(parts, value, dtype):
        whole = np.full(size, value, dtype)
        whole[: starts[-1]] = np.concatenate(parts)
        return whole

    return Connectivity(
        starts,
        padded(found, 0, kind_of_targets(wiring.n_post)),
        wiring.weights,
        padded(delays, wiring.delay_min, np.float32) if delays else wiring.delays,
        wiring.n_pre,
        wiring.n_post,
        row,
        wiring.delay_min,
        wiring.delay_max,
        wiring.sending,
        wiring.fan_in,
    )


def _made(law: Law, n_pre, n_post, k, weight, delays, key, fan_in: int) -> Procedural:
    if number(weight) is None:
        raise TypeError(_one_number("weight", "nS", weight))
    low, high = float(np.min(delays)), float(np.max(delays))
    most = np.int32(min(fan_in, 2**31 - 1))
    return Procedural(seed_of(key), law, weight, delays, n_pre, n_post, k, low, high, fan_in=most)


def _one_number(name: str, unit: str, value: Any) -> str:
    return (
        f"{name} of procedural wiring must be one number in {unit}, got {shown(value)}: for values "
        f"that differ use a rule that stores its contacts, such as fixed_in_degree."
    )


def _surely_below(mean: float, n: int) -> int:
    """What none of `n` sums of independent rare events with this mean exceeds.

    By Bernstein's inequality the probability is below 1e-15.
    """
    unlikely = np.log(n * 1e15)
    return int(mean + unlikely / 3 + (unlikely**2 / 9 + 2 * mean * unlikely) ** 0.5) + 1


def _nearby(sheet: Sheet, n_pre: int, n_post: int, rings: np.ndarray, itself: bool) -> Nearby:
    columns, rows = sheet.lattice(n_post)
    wide, high = sheet.width / columns, sheet.height / rows
    unit, turn = min(wide, high), (np.arange(DIRECTIONS) + 0.5) * (2 * np.pi / DIRECTIONS)
    radii = np.rint(rings / unit * 2 ** (FRACTION + 1))
    reach = rings.max() / unit
    if reach + max(columns, rows) >= 2 ** (30 - FRACTION):
        raise ValueError(
            f"The kernel reaches {rings.max():g} um, {reach:,.0f} distances between cells, on a "
            f"sheet of {columns:,} columns and {rows:,} rows, expected less than "
            f"{2 ** (30 - FRACTION):,} together: lower its scale, make the sheet less long, or use "
            f"wiring.procedural, which knows no distances."
        )

    def whole(x):
        return np.clip(np.rint(x * 2.0**31), -(2**31), 2**31 - 1).astype(np.int32)

    def places(pre, post):
        middles = (2 * np.arange(pre, dtype=np.int64) + 1) * (post << FRACTION) // (2 * pre)
        return middles.astype(np.int32)

    pre_columns, pre_rows = sheet.lattice(n_pre)
    return Nearby(
        radii.astype(np.int32),
        whole(np.cos(turn) * unit / wide),
        whole(np.sin(turn) * unit / high),
        places(pre_columns, columns),
        places(pre_rows, rows),
        n_post,
        columns,
        rows,
        sheet.periodic,
        itself,
    )


@jax.jit
def _contacts_of(wiring: Procedural, cells: jax.Array):
    """Targets of the contacts of some cells, -1 for those that are none, and their rings."""
    rings = jnp.arange(RINGS, dtype=jnp.int32)
    rows, per_visit = wiring.rows(rings), wiring.row

    def piece(cell, offset):
        c = rows.contacts(cell, offset, per_visit)
        return jnp.where(c.mine, c.targets, -1), c.delays

    offsets = jnp.arange(0, wiring.k, per_visit)
    found = jax.vmap(jax.vmap(piece, (None, 0)), (0, None))(cells, offsets)
    return jax.tree.map(lambda x: x.reshape(cells.shape[0], -1)[:, : wiring.k], found)


def _all_contacts(wiring: Procedural) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of some rows after others the targets [rows, k], -1 where there is none, and their rings."""
    n = wiring.n_senders
    step = min(n, max(1, DRAWN_AT_ONCE // wiring.k))
    for first in range(0, n, step):
        cells = jnp.minimum(jnp.arange(first, first + step, dtype=jnp.int32), n - 1)
        targets, ring = _contacts_of(wiring, cells)
        yield np.asarray(targets)[: n - first], np.asarray(ring)[: n - first]
