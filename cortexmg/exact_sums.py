"""Exact sums: what a whole number of synaptic input stands for."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from cortexmg.projection import Projection

Inputs = dict[str, dict[str, Array]]  # by postsynaptic population and transmitter


def quanta(projections: dict[str, Projection]) -> Inputs:
    """What a whole number of input stands for (nS), so that no sum can overflow.

    At most all contacts of a transmitter onto a cell arrive in one step, with the largest release.
    That is 2^29 to 2^30 quanta (2^61 to 2^62 in double precision); a quantum is a power of 2, so
    that scaling by it is exact. What each contact delivers is rounded to half a quantum, at most
    2^-30 of that sum: which matters to contacts that are ten thousand times weaker than others.
    """
    most: dict[tuple[str, str], Array] = {}
    for p in projections.values():
        place = (p.post, p.transmitter)
        largest = p.connectivity.heaviest() * p.strength * jnp.max(p.release.largest())
        most[place] = most.get(place, 0.0) + largest
    found: Inputs = {}
    for (post, transmitter), total in most.items():
        found.setdefault(post, {})[transmitter] = quantum_for(total)
    return found


def quantum_for(total: Any) -> Array:
    """The power of 2 of which whole numbers up to a quarter of their range reach `total`."""
    exponent = jnp.frexp(jnp.asarray(total, float))[1] + 2 - jnp.iinfo(number_kind(True)).bits
    return jnp.ldexp(jnp.ones((), float), exponent)


def number_kind(exact: bool) -> Any:
    """Of what type sums of input are."""
    floating = jnp.result_type(float)
    return jnp.dtype(f"int{8 * floating.itemsize}") if exact else floating
