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
from jaxtyping import Array, Bool, Float, Int

from cortexmg.compaction import active_cells


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


def _at(array, member, index):
    """Where the entry `index` of a member lies in an array [members or 1, size], flattened."""
    return index if array.shape[0] == 1 else member * array.shape[1] + index


def _each_row(active, starts, row, visit, carry):
    """`carry` after a visit to every piece of `row` contacts of every active cell.

    A visit gets the member, the cell, the first contact and which of the `row` are the cell's.
    """
    members, n_pre = active.shape
    ids, total = active_cells(active.reshape(-1))
    lane = jnp.arange(row, dtype=jnp.int32)

    def locate(k):
        return (jnp.int32(0), ids[k]) if members == 1 else (ids[k] // n_pre, ids[k] % n_pre)

    def body(state):
        k, first, carry = state
        member, i = locate(k)
        left = starts[i + 1] - first
        carry = visit(carry, member, i, first, lane < left)
        k = k + (left <= row)
        return k, jnp.where(left <= row, starts[locate(k)[1]], first + row), carry

    start = (jnp.int32(0), starts[locate(0)[1]], carry)
    return jax.lax.while_loop(lambda state: state[0] < total, body, start)[2]


class _Form:
    """T for the arrays at hand: what a piece of a row reads, and where it writes."""

    def __init__(self, known, onto, out, step, targets, delays, n_post, row):
        self.known, self.onto, self.step, self.row = known, onto, step, row
        self.targets, self.delays, self.n_post = targets, delays, n_post
        self.slots = (onto if out == "y" else known["y"]).shape[1] // n_post

    def places(self, array, member, first):
        """Where the contacts from `first` on lie in an array over slots and targets."""
        delay = self.delays if self.delays.shape[0] == 1 else self._piece(self.delays, first)
        slot = (self.step[member] + delay) % self.slots
        return _at(array, member, slot * self.n_post + self._piece(self.targets, first))

    def x(self, member, i):
        x = self.known["x"]
        return x.reshape(-1)[_at(x, member, i)]

    def w(self, member, first):
        w = self.known["w"]
        if w.shape[1] == 1:  # one weight for all contacts
            return w.reshape(-1)[_at(w, member, 0)]
        return self._piece(w.reshape(-1), _at(w, member, first))

    def y(self, member, first):
        y = self.known["y"]
        places = self.places(y, member, first)
        return y.reshape(-1).at[places].get(mode="promise_in_bounds")

    def add_to_y(self, total, member, i, first, mine):
        new = jnp.where(mine, self.x(member, i) * self.w(member, first), 0.0)
        place = self.places(self.onto, member, first)
        return total.at[place].add(new, mode="promise_in_bounds")

    def add_to_x(self, total, member, i, first, mine):
        new = jnp.sum(jnp.where(mine, self.w(member, first) * self.y(member, first), 0.0))
        return total.at[_at(self.onto, member, i)].add(new, mode="promise_in_bounds")

    def add_to_w(self, total, member, i, first, mine):
        new = jnp.where(mine, self.x(member, i) * self.y(member, first), 0.0)
        if self.onto.shape[1] == 1:
            return total.at[_at(self.onto, member, 0)].add(jnp.sum(new))
        start = _at(self.onto, member, first)
        return jax.lax.dynamic_update_slice(total, self._piece(total, start) + new, (start,))

    def _piece(self, array, first):
        return jax.lax.dynamic_slice(array, (first,), (self.row,))


def _contract(onto, a, b, active, near, step, starts, targets, delays, *, out, n_post, row):
    """`onto` plus the derivative of T by x, w or y, given the other two in that order.

    All but the wiring has a leading axis of members, B of them, or 1 where they share the array;
    `active` and `step` have B. Inside, arrays are flat: XLA scatters those fastest.
    """
    del near
    known = dict(zip([k for k in "xwy" if k != out], (a, b), strict=True))
    form = _Form(known, onto, out, step, targets, delays, n_post, row)
    visit = {"y": form.add_to_y, "x": form.add_to_x, "w": form.add_to_w}[out]
    return _each_row(active, starts, row, visit, onto.reshape(-1)).reshape(onto.shape)


def _shape(onto, a, b, *_, **__):
    if max(x.size for x in (onto, a, b)) >= 2**31:
        raise ValueError(
            f"Arrays of {onto.shape}, {a.shape} and {b.shape} are too large for delivery, which "
            f"counts to 2^31: sweep over fewer members, or use smaller populations."
        )
    return ShapedArray(onto.shape, onto.dtype)


contract_p = Primitive("contract")
contract_p.def_impl(partial(jax.jit, static_argnames=("out", "n_post", "row"))(_contract))
contract_p.def_abstract_eval(_shape)
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
        results[name] = contract_p.bind(zeros, *others, active, near, *wiring, out=name, **params)
    d_onto = ct if ad.is_undefined_primal(onto) else None
    return [d_onto, results[given[0]], results[given[1]], *nothing]


def _batch(args, dims, **params):
    """A batch is more members with the same wiring: its axis joins the leading one."""
    if any(d is not None for d in dims[-len(Rows._fields) :]):
        raise NotImplementedError("The wiring itself cannot be mapped over; map over weights.")
    size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
    args = [
        x[None] if d is None else jnp.moveaxis(x, d, 0) for x, d in zip(args, dims, strict=True)
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
