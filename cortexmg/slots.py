"""Rings of slots, one for each step to come or gone by, whose derivative is summed in place.

The derivative of a slice is an array of zeros as long as the ring, which JAX adds to what is known
of the ring from later steps: a pass over all slots in every step. Here what reads a slot hands the
ring on, so that backwards it adds to the slot of what was handed on; and backwards, to put
something into a slot is to take it out.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Int


def read(ring: Array, slot: Int[Array, ""], size: int) -> tuple[Array, Array]:
    """The ring, from which to go on, and what is in a slot of it; slots have this size."""
    ring, found = read_p.bind(ring, slot, size=size)
    return ring, found


def put(ring: Array, new: Array, step: Int[Array, ""]) -> Array:
    """The ring with `new` in the slot of a step."""
    return put_p.bind(ring, new, step % (ring.shape[0] // new.shape[0]))[0]


def _read(ring: Array, slot: Array, *, size: int) -> list[Array]:
    found = jax.lax.dynamic_slice(ring, (slot * size,), (size,))
    # Without the barrier XLA reads the slot late, and so copies the ring every step.
    return list(jax.lax.optimization_barrier((ring, found)))


def _put(ring: Array, new: Array, slot: Array) -> list[Array]:
    return [jax.lax.dynamic_update_slice(ring, new, (slot * new.shape[0],))]


def _read_backwards(cotangents: list[Any], ring: Any, slot: Array, *, size: int) -> list[Any]:
    ct_ring, ct_found = (ad.instantiate_zeros(ct) for ct in cotangents)
    ct_ring, known = _read(jax.lax.optimization_barrier(ct_ring), slot, size=size)
    return [*_put(ct_ring, known + ct_found, slot), None]


def _put_backwards(cotangents: list[Any], ring: Any, new: Any, slot: Array) -> list[Any]:
    ct_ring, ct_new = _read(ad.instantiate_zeros(cotangents[0]), slot, size=new.aval.shape[0])
    return [*_put(ct_ring, jnp.zeros_like(ct_new), slot), ct_new, None]


def _linear(name: str, compute: Callable, shapes: Callable, backwards: Callable) -> Primitive:
    """A primitive that is linear in all but the slot, its last argument."""

    def jvp(primals, tangents, **params):
        given = [ad.instantiate_zeros(t) for t in tangents[:-1]]
        values = primitive.bind(*primals, **params)
        return values, primitive.bind(*given, primals[-1], **params)

    def batch(args, dims, **params):
        # To the derivative of a batch these are the operations that it consists of.
        found = jax.vmap(partial(compute, **params), in_axes=tuple(dims))(*args)
        return found, [0] * len(found)

    primitive = Primitive(name)
    primitive.multiple_results = True
    primitive.def_impl(compute)
    primitive.def_abstract_eval(shapes)
    mlir.register_lowering(primitive, mlir.lower_fun(compute, multiple_results=True))
    ad.primitive_jvps[primitive] = jvp
    ad.primitive_transposes[primitive] = backwards
    batching.primitive_batchers[primitive] = batch
    return primitive


read_p = _linear(
    "read",
    _read,
    lambda ring, slot, *, size: [ring, ShapedArray((size,), ring.dtype)],
    _read_backwards,
)
put_p = _linear("put", _put, lambda ring, new, slot: [ring], _put_backwards)
