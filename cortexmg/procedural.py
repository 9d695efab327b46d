"""Procedural wiring: contacts that are computed whenever their cell fires, and never stored."""

import abc
import math
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Integer, UInt32

from cortexmg.noise import threefry
from cortexmg.part import Part, Scalar, count, quantity
from cortexmg.rows import Contacts, Wiring

RINGS = DIRECTIONS = 4096  # of distance and direction; each takes 12 of 32 random bits
FRACTION = 12  # bits, of a column or row of the lattice
COMPUTED_AT_ONCE = 1024  # contacts, about, that delivery computes per iteration


class Law(Part):
    """Where the contacts of a cell go."""

    @abc.abstractmethod
    def targets(
        self, cell: Int[Array, ""], block: Int[Array, " n"], blocks: int, bits: UInt32[Array, " n"]
    ) -> tuple[Int[Array, " n"], Any, Int[Array, " n"]]:
        """The targets of contacts, which of them there are, and in which ring each lies."""

    @abc.abstractmethod
    def onto(self, first: int, last: int, blocks: int) -> tuple[int, int]:
        """The blocks that can have a contact onto the cells from `first` to `last`."""


class Anywhere(Law):
    """Every cell as likely as the others; equal parts of them get equal numbers of contacts."""

    n: int = count()  # cells that can be contacted
    itself: bool = eqx.field(static=True)  # whether the cell is among them

    def targets(self, cell, block, blocks, bits):
        # The leading bits of a number between 0 and 1 say in which part it is.
        known = blocks.bit_length() - 1
        part = jnp.where(known > 0, block.astype(jnp.uint32) << ((32 - known) % 32), 0)
        target = _upper(part | (bits >> known), jnp.uint32(self.n)).astype(jnp.int32)
        if not self.itself:
            target = target + (target >= cell)
        return target, True, jnp.zeros_like(target)

    def onto(self, first, last, blocks):
        # Without the cell itself, numbers above it are one higher.
        begin, end = max(0, first - 1) * blocks // self.n, -(-(last + 1) * blocks // self.n)
        return min(begin, blocks - 1), min(end, blocks)


class Nearby(Law):
    """Around the place of the cell on a sheet, in a ring and a direction that are each drawn.

    All is in whole numbers, so that every machine finds the same cell. A contact beyond an open
    edge is none, nor is one of a cell with itself unless `itself`.
    """

    radii: Any  # int32[RINGS], in 2^-(FRACTION + 1) of the smaller of the distances below
    east: Any  # int32[DIRECTIONS], in 2^-31 columns
    south: Any  # int32[DIRECTIONS], in 2^-31 rows
    column_of: Any  # int32[columns of n_pre], in 2^-FRACTION columns of the targets
    row_of: Any  # int32[rows of n_pre], in 2^-FRACTION rows
    n: int = count()
    columns: int = count()
    rows: int = count()
    periodic: bool = eqx.field(static=True)
    itself: bool = eqx.field(static=True)

    def targets(self, cell, block, blocks, bits):
        del block, blocks
        ring = (bits >> 20).astype(jnp.int32)
        direction = ((bits >> 8) & (DIRECTIONS - 1)).astype(jnp.int32)
        radius, pre_columns = jnp.asarray(self.radii)[ring], self.column_of.shape[0]
        east = _along(radius, jnp.asarray(self.east)[direction])
        south = _along(radius, jnp.asarray(self.south)[direction])
        column = (jnp.asarray(self.column_of)[cell % pre_columns] + east) >> FRACTION
        row = (jnp.asarray(self.row_of)[cell // pre_columns] + south) >> FRACTION
        if self.periodic:
            column, row = column % self.columns, row % self.rows
        target = row * self.columns + column
        there = (column >= 0) & (column < self.columns) & (row >= 0) & (target < self.n)
        if not self.itself:
            there &= target != cell
        return target, there, ring

    def onto(self, first, last, blocks):
        del first, last
        return 0, blocks


def _upper(a: UInt32[Array, " n"], b: UInt32[Array, "*n"]) -> UInt32[Array, " n"]:
    """The upper word of each product; JAX's partitioner (Shardy, 0.12) refuses `lax.mulhi`."""
    a_low, b_low = a & 0xFFFF, b & 0xFFFF
    a, b = a >> 16, b >> 16
    middle = a * b_low + ((a_low * b_low) >> 16)
    return a * b + (middle >> 16) + ((a_low * b + (middle & 0xFFFF)) >> 16)


def _along(radius: Int[Array, " n"], share: Int[Array, " n"]) -> Int[Array, " n"]:
    """The upper word of a product with sign, of a radius that is not negative."""
    upper = _upper(radius.astype(jnp.uint32), share.astype(jnp.uint32)).astype(jnp.int32)
    return upper - jnp.where(share < 0, radius, 0)


class Drawn(eqx.Module):
    """The rows of procedural wiring: those contacts of each cell that are with the targets here."""

    seed: UInt32[Array, " 2"]
    law: Law
    delays: Integer[Array, " rings"]  # steps
    first: Int[Array, ""]  # target that is here
    begin: Int[Array, ""]  # block that can have one
    n_post: int = eqx.field(static=True)
    whole: bool = eqx.field(static=True)  # all targets are here
    per_block: int = eqx.field(static=True)
    blocks: int = eqx.field(static=True)
    here: int = eqx.field(static=True)  # blocks

    def length(self, i: Int[Array, ""]) -> Int[Array, ""]:
        """How many contacts are computed for row `i`."""
        del i
        return jnp.int32(self.here * self.per_block)

    def number(self, i: Int[Array, ""], offset: Int[Array, ""]) -> Int[Array, ""]:
        """The number of a contact of row `i` among those on all devices."""
        del i
        return self.begin * self.per_block + offset

    def contacts(self, i: Int[Array, ""], offset: Int[Array, ""], row: int) -> Contacts:
        """`row` contacts of row `i` from number `offset` on, both whole numbers of blocks."""
        number = self.number(i, offset) + jnp.arange(row, dtype=jnp.int32)
        block, (bits, _) = number // self.per_block, threefry(self.seed, i, number)
        target, mine, ring = self.law.targets(i, block, self.blocks, bits)
        mine &= block < self.begin + self.here
        if not self.whole:
            target = target - self.first
            mine &= (target >= 0) & (target < self.n_post)
        delays = self.delays if self.delays.shape[0] == 1 else self.delays[ring]
        return Contacts(mine, jnp.where(mine, target, 0), delays, jnp.int32(0))

    def of_rows(self, i: Int[Array, " n"], offset: Int[Array, ""], row: int) -> Contacts:
        """`row` contacts of each of several rows, from number `offset` on, [n, row]."""
        return jax.vmap(lambda i: self.contacts(i, offset, row))(i)


class Procedural(Wiring):
    """Contacts of one population onto another, computed from a seed whenever a cell fires.

    Every presynaptic cell makes `k` contacts; a pair can have several. Each follows from (seed,
    cell, its number): on every platform and number of devices they are the same. They come in
    blocks, of which a device computes those that can have a target on it, by distance all of them.
    No memory is taken per contact. Make one with `wiring.procedural` and
    `wiring.procedural_by_distance`; `wiring.stored` stores the same contacts.
    """

    seed: Any  # uint32[2]
    law: Law
    weights: Scalar = quantity("nS", low=0.0)  # one for all
    delays: Any = quantity("ms", above=0.0, fixed=True)  # one, or one for each ring
    n_pre: int = count()
    n_post: int = count()  # of the targets that are here
    k: int = count()
    delay_min: float = eqx.field(static=True)  # ms
    delay_max: float = eqx.field(static=True)  # ms
    fan_in: Any  # int32, at least the most contacts onto one cell
    sending: tuple[int, int] | None = eqx.field(static=True, default=None)
    first: Any = np.int32(0)  # target that is here
    begin: Any = np.int32(0)  # block that can have one
    here: int | None = eqx.field(static=True, default=None)  # blocks; None: all of them

    @property
    def blocks(self) -> int:
        """In how many blocks the contacts of a cell come."""
        return blocks_of(self.k)

    @property
    def row(self) -> int:
        """How many contacts delivery computes per iteration."""
        per_block = self.k // self.blocks
        return per_block * max(1, min(self.here or self.blocks, COMPUTED_AT_ONCE // per_block))

    @property
    def longest(self) -> int:
        """How many contacts of a cell are computed."""
        return self.k // self.blocks * (self.here or self.blocks)

    @property
    def n_contacts(self) -> int:
        """How many contacts there are, with those beyond the edge of a sheet."""
        return self.n_senders * self.k

    def rows(self, delays: Array) -> Drawn:
        """What delivery reads, with `delays` in steps."""
        return Drawn(
            jnp.asarray(self.seed),
            self.law,
            delays,
            jnp.asarray(self.first),
            jnp.asarray(self.begin),
            self.n_post,
            self.here is None,
            self.k // self.blocks,
            self.blocks,
            self.here or self.blocks,
        )

    def heaviest(self) -> Any:
        """At least the sum of the weights (nS) onto any one cell."""
        return self.fan_in * self.weights

    def __repr__(self) -> str:
        return (
            f"Procedural({self.n_pre:,} -> {self.n_post:,} cells, {self.k:,} contacts each, "
            f"{type(self.law).__name__})"
        )


def blocks_of(k: int) -> int:
    """The blocks of k contacts: a power of 2 that divides k, of at least 16 contacts each."""
    blocks = math.gcd(k, 64)
    while blocks > 1 and k // blocks < 16:
        blocks //= 2
    return blocks


def procedural_parts(c: Procedural, m: int, parts: int) -> list[Procedural]:
    """The contacts onto each of `parts` times `m` cells; one program fits them all."""
    firsts = [k * m for k in range(parts)]
    reach = [c.law.onto(first, min(first + m, c.n_post) - 1, c.blocks) for first in firsts]
    here = max(max(end - begin for begin, end in reach), 1)
    begins = [max(0, min(begin, c.blocks - here)) for begin, _ in reach]
    return [
        replace(c, n_post=m, first=np.int32(first), begin=np.int32(begin), here=here)
        for first, begin in zip(firsts, begins, strict=True)
    ]
