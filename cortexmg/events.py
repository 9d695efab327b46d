"""Event-driven delivery: a sum over the contacts of active cells, and all its derivatives.

Everything here is one trilinear form. With x a number per presynaptic cell, w one per contact and
y one per (delay slot, postsynaptic cell),

    T(x, w, y) = sum over contacts c of active cells of x[pre(c)] w[c] y[target(c)].

A contact can have a share of its own, a constant that multiplies its term: where release is random.
Delivery is its derivative by y, the gradients of delivery are its derivatives by x and by w, and
theirs are again among the three. One primitive, `contract`, computes any of them on every platform,
forwards, backwards and under vmap: on a CPU at a cost that follows the active cells, on GPUs and
TPUs in rounds (`rounds.py`).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, Int, UInt32

from cortexmg.contraction import contract
from cortexmg.derivatives import refuse_derivative
from cortexmg.form import Layout
from cortexmg.rounds import contract_in_rounds


def deliver(
    inbox: Float[Array, " ring"] | Int[Array, " ring"],
    amounts: Float[Array, " pre"],
    weights: Float[Array, " contacts"] | Float[Array, ""],
    rows: Any,
    *,
    fired: UInt32[Array, " words"],
    near: UInt32[Array, " words"],
    step: Int[Array, ""],
    layout: Layout,
) -> Float[Array, " ring"] | Int[Array, " ring"]:
    """`inbox` with amount * weight added, for each contact of each cell in `fired`.

    The inbox holds a ring of slots, one per time step; a contact with a delay of d steps writes
    into slot (step + d) mod slots. An inbox of whole numbers adds rounded products, and so does not
    depend on the order; it has no derivative. `near` marks the cells whose amount has one.

    `rows` are the contacts of each cell: a pytree such as `Rows`, with its methods. `fired` and
    `near` hold packed flags, in which no cell without a row may be set. `weights` is
    one per contact, or one for all.
    """
    leaves, tree = jax.tree.flatten(rows)
    out = contract_p.bind(
        inbox[None],
        amounts[None],
        jnp.atleast_1d(weights)[None],
        fired[None],
        near[None],
        step[None],
        *leaves,
        out="y",
        layout=layout,
        tree=tree,
    )
    return out[0]


def check_sizes(onto: Any, a: Any, b: Any) -> None:
    """Raise if arrays are so large that their entries could not be numbered."""
    if max(x.size for x in (onto, a, b)) >= 2**31:
        raise ValueError(
            f"Arrays of {onto.shape}, {a.shape} and {b.shape} are too large for delivery, which "
            f"counts to 2^31: sweep over fewer members, or use smaller populations."
        )


def _shape(onto, a, b, *_, **__):
    check_sizes(onto, a, b)
    return ShapedArray(onto.shape, onto.dtype)


def compiled_alone(primitive: Primitive, *static: str) -> Callable[..., Any]:
    """What a primitive does outside of compiled programs, with jax_disable_jit too: it is one."""
    compiled = jax.jit(primitive.bind, static_argnames=static)

    def call(*args, **params):
        with jax.disable_jit(False):
            return compiled(*args, **params)

    return call


contract_p = Primitive("contract")
contract_p.def_impl(compiled_alone(contract_p, "out", "layout", "tree"))
contract_p.def_abstract_eval(_shape)
mlir.register_lowering(contract_p, mlir.lower_fun(contract_in_rounds, multiple_results=False))
mlir.register_lowering(contract_p, mlir.lower_fun(contract, multiple_results=False), platform="cpu")


def _jvp(primals, tangents, **params):
    onto, a, b, active, near, *wiring = primals
    d_onto, d_a, d_b, *_ = tangents
    value = contract_p.bind(*primals, **params)
    if not jnp.issubdtype(value.dtype, jnp.floating):
        refuse_derivative()
    tangent = jnp.zeros_like(value) if isinstance(d_onto, ad.Zero) else d_onto
    first, _ = [k for k in "xwy" if k != params["out"]]
    if not isinstance(d_a, ad.Zero):
        # Where the amount changes, more cells count than those that have fired.
        who = near if first == "x" else active
        tangent = contract_p.bind(tangent, d_a, b, who, near, *wiring, **params)
    if not isinstance(d_b, ad.Zero):
        tangent = contract_p.bind(tangent, a, d_b, active, near, *wiring, **params)
    return value, tangent


def _transpose(ct, onto, a, b, active, near, *wiring, out, **params):
    """T is linear in each of x, w, y: the cotangent takes the place of what was computed."""
    nothing = [None] * (2 + len(wiring))
    if isinstance(ct, ad.Zero):
        return [None, None, None, *nothing]
    given = [k for k in "xwy" if k != out]
    values: dict = dict(zip(given, (a, b), strict=True)) | {out: ct}
    results: dict = dict.fromkeys(given)
    for name in given:
        if not ad.is_undefined_primal(values[name]):
            continue
        others = [values[k] for k in "xwy" if k != name]
        zeros = jnp.zeros(values[name].aval.shape, ct.dtype)
        results[name] = contract_p.bind(zeros, *others, active, near, *wiring, out=name, **params)
    d_onto = ct if ad.is_undefined_primal(onto) else None
    return [d_onto, results[given[0]], results[given[1]], *nothing]


def contract_batched(args, dims, **params):
    """A batch is more members with the same wiring: its axis joins the leading one."""
    leaves = params["tree"].num_leaves
    if any(d is not None for d in dims[len(dims) - leaves :]):
        return _one_by_one(args, dims, **params)
    size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
    args, wiring = args[: len(args) - leaves], args[len(args) - leaves :]
    dims = dims[: len(args)]
    args = [
        x[None] if d is None else jnp.moveaxis(x, d, 0) for x, d in zip(args, dims, strict=True)
    ]
    if size == 1:  # those that share their spikes go on sharing them
        return contract_p.bind(*(x[0] for x in args), *wiring, **params)[None], 0
    members = max(x.shape[1] for x in args)

    def join(x, must):
        if not must and x.shape[:2] == (1, 1):
            return x[0]  # shared by all, such as the weights
        return jnp.broadcast_to(x, (size, members, *x.shape[2:])).reshape(-1, *x.shape[2:])

    onto, a, b, *per_member = args
    joined = [join(onto, True), join(a, False), join(b, False)]
    alike = members == 1 and all(d is None for d in dims[3:])  # the same cells in all members
    joined += [x[0] if alike else join(x, True) for x in per_member]
    out = contract_p.bind(*joined, *wiring, **params)
    return out.reshape(size, members, *out.shape[1:]), 0


def _one_by_one(args, dims, **params):
    """Members whose rows differ, as random release makes them, one after the other."""
    mapped = [jnp.moveaxis(x, d, 0) for x, d in zip(args, dims, strict=True) if d is not None]

    def member(own):
        own = iter(own)
        return contract_p.bind(
            *(x if d is None else next(own) for x, d in zip(args, dims, strict=True)), **params
        )

    return jax.lax.map(member, mapped), 0


ad.primitive_jvps[contract_p] = _jvp
ad.primitive_transposes[contract_p] = _transpose
batching.primitive_batchers[contract_p] = contract_batched
