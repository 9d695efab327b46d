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
    weights: Float[Array, " contacts"] | None,
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
    slot (step + d) mod slots. `near` marks the cells whose amount has a derivative. Without
    `weights` every contact weighs 1.
    """
    w = jnp.ones((1, 1), amounts.dtype) if weights is None else weights[None]
    out = contract_p.bind(
        inbox[None],
        amounts[None],
        w,
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
    """Flags as bits of uint32 words, cell 32 k + b in bit b of word k."""
    n = flags.shape[0]
    whole = n // 32 * 32

    def words(f):
        bits = f.reshape(-1, 32).astype(jnp.uint32) << jnp.arange(32, dtype=jnp.uint32)[None]
        return bits.sum(1, dtype=jnp.uint32)

    if whole == n:
        return words(flags)
    # Only the tail is padded: padding all flags would copy them.
    tail = words(jnp.pad(flags[whole:], (0, 32 - (n - whole))))
    return jnp.concatenate([words(flags[:whole]), tail]) if whole else tail


def active_cells(flags: Bool[Array, " n"]) -> tuple[Int[Array, " ids"], Int[Array, ""]]:
    """Ids of the set flags in ascending order, then anything; and how many there are."""
    words = pack(flags)
    count = jax.lax.population_count(words).astype(jnp.int32)
    upto = jnp.cumsum(count)
    total = upto[-1]

    def chunk(carry):
        i, ids = carry
        slot = i * CHUNK + jnp.arange(CHUNK, dtype=jnp.int32)
        k = jnp.searchsorted(upto, slot, side="right", method="scan_unrolled").astype(jnp.int32)
        k = jnp.minimum(k, words.shape[0] - 1)
        found = k * 32 + _nth_set_bit(words[k], slot - (upto[k] - count[k]))
        return i + 1, jax.lax.dynamic_update_slice(ids, found, (i * CHUNK,))

    # Slots beyond the last active cell hold ids up to one word past the end; they are not used.
    ids = jnp.zeros(flags.shape[0] + CHUNK, jnp.int32)
    return jax.lax.while_loop(lambda c: c[0] * CHUNK < total, chunk, (jnp.int32(0), ids))[1], total


# ---- the primitive -----------------------------------------------------------------------------


def _contract(onto, a, b, active, near, step, starts, targets, delays, *, out, n_post, row):
    """`onto` plus the derivative of T by x, w or y, given the other two in that order.

    All but the wiring has a leading batch axis of length B or 1 (`active` and `step`: B).
    """
    del near
    batch, n_pre = active.shape
    known = dict(zip([k for k in "xwy" if k != out], (a, b), strict=True))
    size = onto.shape[1] if out == "y" else known["y"].shape[1]
    slots = size // n_post
    ids, total = active_cells(active.reshape(-1))
    lane = jnp.arange(row, dtype=jnp.int32)

    def index(array, member):
        """Where `member` lies in an array that may be shared by all of them."""
        return member if array.shape[0] > 1 else jnp.int32(0)

    def contacts_of(member, at):
        """Place in y of the contacts at `at`, and the weight of each."""
        delay = delays if delays.shape[0] == 1 else jax.lax.dynamic_slice(delays, (at,), (row,))
        slot = (step[member] + delay) % slots
        place = slot * n_post + jax.lax.dynamic_slice(targets, (at,), (row,))
        if out == "w" or known["w"].shape[1] == 1:
            return place, jnp.ones((), onto.dtype)
        w = known["w"]
        return place, jax.lax.dynamic_slice(w, (index(w, member), at), (1, row))[0]

    def body(carry):
        k, at, onto = carry
        member, i = ids[k] // n_pre, ids[k] % n_pre
        mine = lane < starts[i + 1] - at
        place, w = contacts_of(member, at)
        m = index(onto, member)
        if out != "x":
            x = known["x"][index(known["x"], member), i]
        if out != "y":
            seen = known["y"].at[index(known["y"], member), place].get(mode="promise_in_bounds")
            seen = jnp.where(mine, seen, 0.0)
        if out == "y":
            onto = onto.at[m, place].add(jnp.where(mine, x * w, 0.0), mode="promise_in_bounds")
        elif out == "x":
            onto = onto.at[m, i].add(jnp.sum(w * seen))
        else:
            old = jax.lax.dynamic_slice(onto, (m, at), (1, row))
            onto = jax.lax.dynamic_update_slice(onto, old + x * seen, (m, at))
        last = at + row >= starts[i + 1]
        k = k + last
        return k, jnp.where(last, starts[ids[k] % n_pre], at + row), onto

    start = (jnp.int32(0), starts[ids[0] % n_pre], onto)
    return jax.lax.while_loop(lambda c: c[0] < total, body, start)[2]


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
