"""Rows of contacts each of which releases by chance: a share of what its cell releases on average.

What a contact draws follows from the key of its projection, the step in which its cell fired, its
row and its number in that row on all devices together, and from nothing else: it is the same on
any number of devices, however spikes are delivered, and where a run is interrupted.
"""

from functools import partial
from math import comb
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from cortexmg.noise import threefry
from cortexmg.rows import Contacts


class Quantal(eqx.Module):
    """Rows whose contacts have `sites`, each of which releases or not."""

    rows: Any  # of contacts that release alike
    amounts: Float[Array, "slots rows"]  # on average, by spikes of step k in slot k mod slots
    largest: Float[Array, " #rows"]  # amount, if all sites release
    step: Int[Array, "*n"]  # in which the cells fired: one for all rows, or each of `of_rows`
    seed: UInt32[Array, " 2"]
    sites: int = eqx.field(static=True)

    def length(self, i: Int[Array, ""]) -> Int[Array, ""]:
        """How many contacts row `i` has."""
        return self.rows.length(i)

    def number(self, i: Int[Array, ""], offset: Int[Array, ""]) -> Int[Array, ""]:
        """The number of a contact of row `i` among those on all devices."""
        return self.rows.number(i, offset)

    def contacts(self, i: Int[Array, ""], offset: Int[Array, ""], row: int) -> Contacts:
        """`row` contacts of row `i`, from number `offset` on."""
        share = self._share(*self._of_cell(i, self.step), self.number(i, offset), row)
        return self.rows.contacts(i, offset, row)._replace(share=share)

    def of_rows(self, i: Int[Array, " n"], offset: Int[Array, ""], row: int) -> Contacts:
        """`row` contacts of each of several rows, from number `offset` on, [n, row]."""
        step = jnp.broadcast_to(self.step, i.shape)
        # Barrier: XLA would find each cell anew for each use that a contact makes of its words, in
        # code of which compilers take many minutes.
        words, chance = jax.lax.optimization_barrier(jax.vmap(self._of_cell)(i, step))
        number = jax.vmap(lambda i: self.number(i, offset))(i)
        share = jax.vmap(partial(self._share, row=row))(words, chance, number)
        return self.rows.of_rows(i, offset, row)._replace(share=share)

    def _of_cell(self, i: Int[Array, ""], step: Int[Array, ""]) -> tuple[Any, Array]:
        """Random words that no other cell and step has, and the probability that a site releases.

        Found where they are needed: of all cells in every step it would take longer.
        """
        largest = self.largest[i if self.largest.shape[0] > 1 else 0]
        chance = jnp.clip(self.amounts[step % self.amounts.shape[0], i] / largest, 0.0, 1.0)
        return threefry(self.seed, step, i), chance

    def _share(self, words: Any, chance: Array, number: Array, row: int) -> Float[Array, " row"]:
        """k / (sites p) for each contact, where k of its sites release, each with probability p."""
        bits, _ = threefry(words, number + jnp.arange(row, dtype=jnp.int32), 0)
        uniform = (bits >> 8).astype(chance.dtype) * 2.0**-24
        k = jnp.zeros(row, chance.dtype)
        for at_least in _survival(chance, self.sites):
            k = k + (uniform < at_least)
        # A cell that is only near its threshold releases nothing yet: its mean has a derivative.
        some = chance > 0.0
        return jnp.where(some, k / jnp.where(some, self.sites * chance, 1.0), 1.0)


def _survival(chance: Array, sites: int) -> list[Array]:
    """The probabilities that at least 1, 2, ... of all sites release."""
    at_least, found = jnp.zeros_like(chance), []
    for k in range(sites, 0, -1):
        exactly = float(comb(sites, k)) * chance**k * (1.0 - chance) ** (sites - k)
        at_least = at_least + exactly
        found.append(at_least)
    return found
