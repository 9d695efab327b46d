"""Delivery of the spikes of one population through several projections at once.

The cells that have fired are searched for once, not once for each projection: less to do in every
step, and half of what a compiler has to compile. For exact sums, which have no derivative. In a
sweep, whose members fire differently, projections deliver one after the other.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Int, UInt32

from cortexmg.contraction import Sent, contract_together
from cortexmg.derivatives import refuse_derivative
from cortexmg.events import check_sizes, compiled_alone, deliver


def deliver_together(
    inboxes: dict[Any, Int[Array, "..."]],
    sent: list[Sent],
    *,
    fired: UInt32[Array, " words"],
    step: Int[Array, ""],
) -> dict[Any, Int[Array, "..."]]:
    """Those of `inboxes` that change, as `deliver` changes them for each projection.

    `fired` are the packed flags of the cells of all.
    """
    places = list(dict.fromkeys(s.inbox for s in sent))
    wiring = [jax.tree.flatten(s.rows) for s in sent]
    after = together_p.bind(
        *(inboxes[of] for of in places),
        *(s.amounts for s in sent),
        *(jnp.atleast_1d(s.weights) for s in sent),
        *(leaf for leaves, _ in wiring for leaf in leaves),
        fired,
        step,
        onto=tuple(places.index(s.inbox) for s in sent),
        layouts=tuple(s.layout for s in sent),
        trees=tuple(tree for _, tree in wiring),
    )
    return dict(zip(places, after, strict=True))


def _given(args, onto, layouts, trees) -> tuple[list[Any], list[Sent]]:
    """The inboxes, and what is sent into each."""
    args, n = iter(args), len(onto)
    inboxes = [next(args) for _ in range(1 + max(onto))]
    amounts, weights = ([next(args) for _ in range(n)] for _ in range(2))
    rows = [jax.tree.unflatten(t, [next(args) for _ in range(t.num_leaves)]) for t in trees]
    return inboxes, [Sent(*x) for x in zip(onto, amounts, weights, rows, layouts, strict=True)]


def _compute(*args: Any, **params: Any) -> list[Array]:
    return contract_together(*_given(args[:-2], **params), *args[-2:])


def _one_by_one(*args: Any, **params: Any) -> list[Array]:
    """The same, one projection after the other."""
    inboxes, sent = _given(args[:-2], **params)
    fired, step = args[-2:]
    who = {"fired": fired, "near": fired, "step": step}
    for k, *given, layout in sent:
        inboxes[k] = deliver(inboxes[k], *given, **who, layout=layout)
    return inboxes


def _shapes(*args: Any, **params: Any) -> list[ShapedArray]:
    inboxes, sent = _given(args[:-2], **params)
    for s in sent:
        check_sizes(inboxes[s.inbox], s.amounts, s.weights)
    return [ShapedArray(x.shape, x.dtype) for x in inboxes]


def _batch(args, dims, **params):
    found = jax.vmap(partial(_one_by_one, **params), in_axes=tuple(dims))(*args)
    return found, [0] * len(found)


def _jvp(primals, tangents, **params):
    del primals, tangents, params
    refuse_derivative()


together_p = Primitive("contract_together")
together_p.multiple_results = True
together_p.def_impl(compiled_alone(together_p, "onto", "layouts", "trees"))
together_p.def_abstract_eval(_shapes)
mlir.register_lowering(together_p, mlir.lower_fun(_one_by_one, multiple_results=True))
mlir.register_lowering(together_p, mlir.lower_fun(_compute, multiple_results=True), platform="cpu")
ad.primitive_jvps[together_p] = _jvp
batching.primitive_batchers[together_p] = _batch
