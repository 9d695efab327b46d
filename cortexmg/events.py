"""Event-driven delivery: a sum over the contacts of active cells, and all its derivatives.

Everything here is one trilinear form. With x a number per presynaptic cell, w one per contact and
y one per (delay slot, postsynaptic cell),

    T(x, w, y) = sum over contacts c of active cells of x[pre(c)] w[c] y[target(c)].

Delivery is its derivative by y, the gradients of delivery are its derivatives by x and by w, and
theirs are again among the three. One primitive, `contract`, computes any of them at a cost that
follows the active cells, on every platform, forwards, backwards and under vmap.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Bool, Float, Int, UInt32

CHUNK = 64  # active cells found per iteration; each costs a pass over a buffer of their ids


class Rows(NamedTuple):
    """Contacts sorted by presynaptic cell, padded with at least one `row` of inert ones."""

    starts: Int[Array, " rows"]
    targets: Int[Array, " contacts"]
    delays: Int[Array, " contacts"] | Int[Array, " 1"]  # steps


def deliver(
    inbox: Float[Array, " ring"],
    amounts: Float[Array, " pre"],
    weights: Float[Array, " contacts"] | Float[Array, ""],
    rows: Rows,
    *,
    fired: Bool[Array, " pre"],
    near: Bool[Array, " pre"],
    step: Int[Array, ""],
    n_post: int,
    row: int,
) -> Float[Array, " ring"]:
    """`inbox` with amount * weight added, for each contact of each cell in `fired`.

    The inbox is a ring of slots, one per time step; a contact with a delay of d steps writes into
    slot (step + d) mod slots. `near` marks the cells whose amount has a derivative. `weights` is
    one per contact, or one for all.
    """
    out = contract_p.bind(
        inbox[None],
        amounts[None],
        jnp.atleast_1d(weights)[None],
        fired[None],
        near[None],
        step[None],
        *rows,
        out="y",
        n_post=n_post,
        row=row,
    )
    return out[0]


# ---- which cells are active, without a pass over cells per event -------------------------------


def _nth_set_bit(word, r):
    """Position of the r-th (from 0) set bit of each uint32 word."""
    position = jnp.zeros_like(r)
    for width in (16, 8, 4, 2, 1):
        low = (word >> position.astype(jnp.uint32)) & jnp.uint32((1 << width) - 1)
        count = jax.lax.population_count(low).astype(jnp.int32)
        above = r >= count
        r = jnp.where(above, r - count, r)
        position = jnp.where(above, position + width, position)
    return position


def pack(flags: Bool[Array, " n"]) -> UInt32[Array, " words"]:
    """Flags as bits of uint32 words: of W words, word k holds cells k, k + W, k + 2 W, ...

    In this order packing is 32 shifts and additions of contiguous vectors, whatever n is.
    """
    n = flags.shape[0]
    words = -(-n // 32)
    total = jnp.zeros(words, jnp.uint32)
    for bit, first in enumerate(range(0, n, words)):
        part = flags[first : first + words].astype(jnp.uint32) << jnp.uint32(bit)
        total = total + jnp.pad(part, (0, words - part.shape[0]))
    return total


def active_cells(flags: Bool[Array, " n"]) -> tuple[Int[Array, " ids"], Int[Array, ""]]:
    """Ids of the set flags in the order of `pack`, then anything; and how many there are."""
    words = pack(flags)
    count = jax.lax.population_count(words).astype(jnp.int32)
    upto = jnp.cumsum(count)
    total = upto[-1]

    def chunk(carry):
        i, ids = carry
        slot = i * CHUNK + jnp.arange(CHUNK, dtype=jnp.int32)
        k = jnp.searchsorted(upto, slot, side="right", method="scan_unrolled").astype(jnp.int32)
        k = jnp.minimum(k, words.shape[0] - 1)
        found = _nth_set_bit(words[k], slot - (upto[k] - count[k])) * words.shape[0] + k
        return i + 1, jax.lax.dynamic_update_slice(ids, found, (i * CHUNK,))

    # Slots beyond the last active cell hold ids that may lie past the end; they are not used.
    ids = jnp.zeros(flags.shape[0] + CHUNK, jnp.int32)
    return jax.lax.while_loop(lambda c: c[0] * CHUNK < total, chunk, (jnp.int32(0), ids))[1], total


# ---- the primitive -----------------------------------------------------------------------------


def _contract(onto, a, b, active, near, step, starts, targets, delays, *, out, n_post, row):
    """`onto` plus the derivative of T by x, w or y, given the other two in that order.

    All but the wiring has a leading axis of members, B of them, or 1 where they share the array;
    `active` and `step` have B. Inside, arrays are flat: XLA scatters those fastest.
    """
    del near
    members, n_pre = active.shape
    known = dict(zip([k for k in "xwy" if k != out], (a, b), strict=True))
    size = (onto if out == "y" else known["y"]).shape[1]
    slots = size // n_post
    ids, total = active_cells(active.reshape(-1))
    lane = jnp.arange(row, dtype=jnp.int32)
    flat = {name: x.reshape(-1) for name, x in known.items()}

    def locate(k):
        """Member and presynaptic cell of the k-th active cell."""
        return (jnp.int32(0), ids[k]) if members == 1 else (ids[k] // n_pre, ids[k] % n_pre)

    def at(array, member, index):
        """Where the entry `index` of a member lies in a flattened array."""
        return index if array.shape[0] == 1 else member * array.shape[1] + index

    def body(carry):
        k, first, onto_flat = carry
        member, i = locate(k)
        mine = lane < starts[i + 1] - first
        delay = delays if delays.shape[0] == 1 else jax.lax.dynamic_slice(delays, (first,), (row,))
        slot = 0 if slots == 1 else (step[member] + delay) % slots
        place = slot * n_post + jax.lax.dynamic_slice(targets, (first,), (row,))
        x = flat["x"][at(known["x"], member, i)] if out != "x" else None
        if out != "y":
            y = flat["y"].at[at(known["y"], member, place)].get(mode="promise_in_bounds")
        if out == "w" and onto.shape[1] == 1:
            index, new = at(onto, member, 0), jnp.sum(jnp.where(mine, x * y, 0.0))
            onto_flat = onto_flat.at[index].add(new, mode="promise_in_bounds")
        elif out == "w":
            where = at(onto, member, first)
            new = jax.lax.dynamic_slice(onto_flat, (where,), (row,)) + jnp.where(mine, x * y, 0.0)
            onto_flat = jax.lax.dynamic_update_slice(onto_flat, new, (where,))
        else:
            if known["w"].shape[1] == 1:
                w = flat["w"][at(known["w"], member, 0)]
            else:
                w = jax.lax.dynamic_slice(flat["w"], (at(known["w"], member, first),), (row,))
            if out == "y":
                index, new = at(onto, member, place), jnp.where(mine, x * w, 0.0)
            else:
                index, new = at(onto, member, i), jnp.sum(jnp.where(mine, w * y, 0.0))
            onto_flat = onto_flat.at[index].add(new, mode="promise_in_bounds")
        last = first + row >= starts[i + 1]
        k = k + last
        return k, jnp.where(last, starts[locate(k)[1]], first + row), onto_flat

    start = (jnp.int32(0), starts[locate(0)[1]], onto.reshape(-1))
    return jax.lax.while_loop(lambda c: c[0] < total, body, start)[2].reshape(onto.shape)


contract_p = Primitive("contract")
contract_p.def_impl(partial(jax.jit, static_argnames=("out", "n_post", "row"))(_contract))
contract_p.def_abstract_eval(lambda onto, *_, **__: ShapedArray(onto.shape, onto.dtype))
mlir.register_lowering(contract_p, mlir.lower_fun(_contract, multiple_results=False))


def _jvp(primals, tangents, **params):
    onto, a, b, active, near, *wiring = primals
    d_onto, d_a, d_b, *_ = tangents
    value = contract_p.bind(*primals, **params)
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
        results[name] = contract_p.bind(
            zeros, *others, active, near, *wiring, out=name, **params
        )
    d_onto = ct if ad.is_undefined_primal(onto) else None
    return [d_onto, results[given[0]], results[given[1]], *nothing]


def _batch(args, dims, **params):
    """A batch is more members with the same wiring: its axis joins the leading one."""
    if any(d is not None for d in dims[-len(Rows._fields) :]):
        raise NotImplementedError("The wiring itself cannot be mapped over; map over weights.")
    size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
    args = [
        x[None] if d is None else jnp.moveaxis(x, d, 0)
        for x, d in zip(args, dims, strict=True)
    ]
    *args, starts, targets, delays = args
    members = args[3].shape[1]

    def join(x, must):
        if not must and x.shape[:2] == (1, 1):
            return x[0]  # shared by all, such as the weights
        return jnp.broadcast_to(x, (size, members, *x.shape[2:])).reshape(-1, *x.shape[2:])

    onto, a, b, *per_member = args
    joined = [join(onto, True), join(a, False), join(b, False)]
    joined += [join(x, True) for x in per_member]
    out = contract_p.bind(*joined, starts[0], targets[0], delays[0], **params)
    return out.reshape(size, members, *out.shape[1:]), 0


ad.primitive_jvps[contract_p] = _jvp
ad.primitive_transposes[contract_p] = _transpose
batching.primitive_batchers[contract_p] = _batch
