"""The derivative by the weight of every contact, summed in place as a run is followed back.

Of a constant of a loop, JAX adds what every step has to say of it as whole arrays: a pass over all
contacts in every step, however few cells are active. So weights are held constant, and a shadow of
them, zeros with their derivative, is handed from step to step instead. Backwards, the contacts of
active cells then add to the one array that is handed on.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, Int, UInt32

from cortexmg.events import contract_batched, contract_p
from cortexmg.form import Layout
from cortexmg.projection import Projection


def shadowed(projections: dict[str, Projection]) -> dict[str, Float[Array, " contacts"]]:
    """Shadows of the weights of contacts; those that all of a projection share have none."""
    shadows = {}
    for name, p in projections.items():
        weights = jnp.asarray(p.connectivity.weights, float)  # as the derivative is
        if jnp.ndim(weights):
            shadows[name] = weights - jax.lax.stop_gradient(weights)
    return shadows


def followed(
    inbox: Float[Array, " ring"],
    shadow: Float[Array, " contacts"],
    amounts: Float[Array, " pre"],
    rows: Any,
    *,
    fired: UInt32[Array, " words"],
    near: UInt32[Array, " words"],
    step: Int[Array, ""],
    layout: Layout,
) -> tuple[Array, Array]:
    """Both as they are; the derivative of `inbox` has what `deliver` makes of the shadow's."""
    leaves, tree = jax.tree.flatten(rows)
    cells = amounts[None], fired[None], near[None], step[None]
    given = (inbox[None], shadow[None], *cells, *leaves)
    inbox, shadow = _followed(layout, tree, *given)
    return inbox[0], shadow[0]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _followed(layout, tree, inbox, shadow, *_):
    del layout, tree
    return inbox, shadow


@partial(_followed.defjvp, symbolic_zeros=True)
def _followed_jvp(layout, tree, primals, tangents):
    inbox, shadow, amounts, fired, near, step, *leaves = primals
    d_inbox, d_shadow, *_ = tangents
    values = inbox, _once(shadow)
    if isinstance(d_shadow, SymbolicZero):
        return values, (d_inbox, d_shadow)
    if isinstance(d_inbox, SymbolicZero):
        d_inbox = jnp.zeros_like(inbox)
    given = d_inbox, amounts, d_shadow, fired, near, step, *leaves
    return values, tuple(handed_on_p.bind(*given, layout=layout, tree=tree))


@jax.custom_jvp
def _once(shadow):
    """The shadow, which no derivative of a derivative may follow: what it would miss is not 0."""
    return shadow


@partial(_once.defjvp, symbolic_zeros=True)
def _once_jvp(primals, tangents):
    if not isinstance(tangents[0], SymbolicZero):
        raise TypeError(
            "Weights of single contacts have no second derivative: differentiate twice by the "
            "strength of a projection, or use differences of first derivatives."
        )
    return _once(*primals), tangents[0]


def _handed_on(y, x, w, *others, **params):
    """What is delivered into y, and the weights themselves: linear in both together."""
    return [contract_p.bind(y, x, w, *others, out="y", **params), w]


def _jvp(primals, tangents, **params):
    y, x, w, active, near, *wiring = primals
    d_y, d_x, d_w, *_ = tangents
    values = handed_on_p.bind(*primals, **params)
    tangent = ad.instantiate_zeros(d_y)
    if not isinstance(d_x, ad.Zero):
        given = tangent, d_x, w, near, near, *wiring
        tangent = contract_p.bind(*given, out="y", **params)
    if isinstance(d_w, ad.Zero):
        return values, [tangent, d_w]
    return values, handed_on_p.bind(tangent, x, d_w, active, near, *wiring, **params)


def _transpose(cotangents, y, x, w, active, near, *wiring, **params):
    """What is known of the weights of later steps is where this one adds its own."""
    ct_y, ct_w = cotangents
    nothing = [None] * (2 + len(wiring))
    if isinstance(ct_y, ad.Zero):
        return [None, None, ct_w, *nothing]
    ct_w = ad.instantiate_zeros(ct_w)
    ct_w = contract_p.bind(ct_w, x, ct_y, active, near, *wiring, out="w", **params)
    return [ct_y if ad.is_undefined_primal(y) else None, None, ct_w, *nothing]


def _batch(args, dims, **params):
    y, at = contract_batched(args, dims, out="y", **params)
    return [y, args[2]], [at, dims[2]]


handed_on_p = Primitive("handed_on")
handed_on_p.multiple_results = True
handed_on_p.def_impl(partial(jax.jit, static_argnames=("layout", "tree"))(_handed_on))
handed_on_p.def_abstract_eval(
    lambda y, x, w, *_, **__: [ShapedArray(y.shape, y.dtype), ShapedArray(w.shape, w.dtype)]
)
mlir.register_lowering(handed_on_p, mlir.lower_fun(_handed_on, multiple_results=True))
ad.primitive_jvps[handed_on_p] = _jvp
ad.primitive_transposes[handed_on_p] = _transpose
batching.primitive_batchers[handed_on_p] = _batch
