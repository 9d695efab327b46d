"""Stored wiring: the outgoing contacts of every presynaptic cell, row after row."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from cortexmg.part import count, quantity
from cortexmg.rows import Rows, Wiring, narrow

MOST_CONTACTS = 2**31  # contacts are numbered by int32
DELAY_ROUNDING = 1e-6  # float32 may move a delay this much, relatively, past its bound


class Connectivity(Wiring):
    """The contacts of one population onto another, stored by presynaptic cell.

    The contacts of cell i are `starts[i]` to `starts[i + 1]`, in ascending order of target; a
    pair can have several. Arrays are longer than the number of contacts: at least by `row`, so
    that a loop can always read `row` contacts at once, and rounded up, so that
    networks which differ by seed only have equal shapes and are compiled once. The tail has
    target 0 and, where weights are stored, weight 0; a scalar weight must not be applied to it.
    The first row belongs to presynaptic cell sending[0], and there are sending[1] rows; other
    cells make no contacts.

    `row` is how many contacts delivery handles per iteration. All delays lie between
    `delay_min` and `delay_max`, which are static because they size the buffers.
    Fewer than 2^31 contacts. Make one with the functions in `cortexmg.wiring`.
    """

    starts: Any  # int32[rows + 1]
    targets: Any  # int32[capacity], or uint16 where that suffices: so it is kept, see `narrow`
    weights: Any = quantity("nS", low=0.0)  # scalar, or float32[capacity]
    delays: Any = quantity("ms", above=0.0, fixed=True)  # scalar, or float32[capacity]
    n_pre: int = count()
    n_post: int = count()
    row: int = count()
    delay_min: float = eqx.field(static=True)  # ms
    delay_max: float = eqx.field(static=True)  # ms
    sending: tuple[int, int] | None = eqx.field(static=True, default=None)  # None: all of n_pre
    fan_in: Any = None  # int32, the most contacts onto one cell: counted here, not given
    longest: Any = eqx.field(static=True, default=None)  # see `with_longest`
    before: Any = None  # int32[rows] of each row on devices before this one; None: there are none

    def __post_init__(self):
        if self.fan_in is None and not _traced(self.targets):
            self.fan_in = np.int32(_most_contacts(self))
        self.targets = narrow(self.targets, self.n_post)

    def check_rules(self) -> None:
        if _concrete("starts", self.starts, np.int32):
            _check_starts(self)
        if _concrete("targets", self.targets, np.int32, np.uint16):
            _check_targets(self)
        for name in ("weights", "delays"):
            value = getattr(self, name)
            if np.ndim(value) > 0 and _concrete(name, value, np.float32):
                _check_length(name, value, np.shape(self.targets))
        _check_tail(self)
        _check_delay_bounds(self)

    def stored(self, name: str, value: Any) -> Any:
        """One weight for each contact fills the array to its end with 0."""
        room = np.size(getattr(self, name))
        if name != "weights" or _traced(self.starts) or np.shape(value) != (self.n_contacts,):
            return value
        return jnp.pad(jnp.asarray(value), (0, room - self.n_contacts)) if room > 1 else value

    @property
    def n_contacts(self) -> int:
        """How many contacts there are (not inside jit)."""
        return int(self.starts[-1])

    def rows(self, delays: Array) -> Rows:
        """What delivery reads, with `delays` in steps."""
        before = None if self.before is None else jnp.asarray(self.before)
        return Rows(jnp.asarray(self.starts), jnp.asarray(self.targets), delays, before)

    def with_longest(self) -> "Connectivity":
        """The same with the length of the longest row known when it is compiled."""
        return replace(self, longest=rounded_up(int(np.max(np.diff(self.starts), initial=1))))

    def heaviest(self) -> Any:
        """At least the sum of the weights (nS) onto any one cell."""
        if not jnp.ndim(self.weights):
            return self.fan_in * self.weights
        each = jnp.zeros(self.n_post).at[self.targets]
        # Sums of floats depend on their order.
        return 1.001 * jnp.max(each.add(self.weights, mode="promise_in_bounds"))

    def pre(self) -> np.ndarray:
        """The presynaptic cell of each contact, int32[n_contacts]."""
        return np.repeat(np.arange(self.n_pre, dtype=np.int32), self.out_degree())

    def out_degree(self) -> np.ndarray:
        """How many contacts each presynaptic cell makes."""
        degree = np.zeros(self.n_pre, np.int32)
        degree[self.senders] = np.diff(np.asarray(self.starts))
        return degree

    def in_degree(self) -> np.ndarray:
        """How many contacts each postsynaptic cell receives."""
        targets = np.asarray(self.targets)[: self.n_contacts]
        return np.bincount(targets, minlength=self.n_post)

    def dense(self) -> np.ndarray:
        """Summed weight (nS) of each pair, float64[n_pre, n_post]; for small networks."""
        n = self.n_contacts
        weights = np.asarray(self.weights)
        weights = weights[:n] if weights.ndim else np.full(n, weights)
        pairs = self.pre().astype(np.int64) * self.n_post + np.asarray(self.targets)[:n]
        total = np.bincount(pairs, weights, minlength=self.n_pre * self.n_post)
        return total.reshape(self.n_pre, self.n_post)

    def __repr__(self) -> str:
        known = isinstance(self.starts, np.ndarray | jax.Array) and not _traced(self.starts)
        contacts = f"{self.n_contacts:,}" if known and np.ndim(self.starts) == 1 else "?"
        weights, delays = _brief(self.weights, "nS"), _brief(self.delays, "ms")
        return (
            f"Connectivity({self.n_pre:,} -> {self.n_post:,} cells, {contacts} contacts, "
            f"weights {weights}, delays {delays})"
        )


def rounded_up(row: int) -> int:
    """A length at most an eighth longer, which networks that differ by seed often share."""
    step = 1 << max(0, row.bit_length() - 4)
    return -(-row // step) * step


def _traced(value) -> bool:
    return isinstance(value, Tracer)


def _brief(value, unit: str) -> str:
    """The value if it is a known number, else how it is stored."""
    if np.ndim(value):
        return "one per contact"
    return "traced" if _traced(value) else f"{float(value):g} {unit}"


def _concrete(name: str, value, dtype, also: Any = None) -> bool:
    """Whether the values can be looked at; raises if it is not a 1-D array of `dtype`."""
    if _traced(value):
        return False
    known = isinstance(value, np.ndarray | jax.Array) and value.dtype in (dtype, also or dtype)
    if not known or value.ndim != 1:
        given = getattr(value, "dtype", type(value).__name__)
        raise TypeError(
            f"Connectivity.{name} must be a 1-D array of {np.dtype(dtype)}, got {given} of shape "
            f"{np.shape(value)}: convert with np.asarray(values, np.{np.dtype(dtype)})."
        )
    return True


def _most_contacts(wiring: Connectivity) -> int:
    """The largest in-degree; of wiring that is refused anything."""
    total = np.zeros(wiring.n_post + 1, np.int64)
    targets = np.asarray(wiring.targets)[: int(np.max(wiring.starts, initial=0))]
    for begin in range(0, targets.size, 1 << 18):  # counting makes a wider copy
        part = np.clip(targets[begin : begin + (1 << 18)], 0, wiring.n_post)
        total += np.bincount(part, minlength=total.size)
    return int(total.max())


def _check_length(name: str, value, shape: tuple) -> None:
    if np.shape(value) != shape:
        raise ValueError(
            f"Connectivity.{name} must be one number or as long as targets ({shape[0]}, contacts "
            f"and tail), got {np.shape(value)[0]} values."
        )


def _check_starts(wiring: Connectivity) -> None:
    starts = np.asarray(wiring.starts)
    _check_starts_length(starts, wiring)
    if starts[0] != 0:
        raise ValueError(f"Connectivity.starts must begin with 0, got {starts[0]}.")
    falls = np.flatnonzero(np.diff(starts) < 0)
    if falls.size:
        i = falls[0]
        raise ValueError(
            f"Connectivity.starts must not decrease, but row {i} starts at {starts[i]} and ends at "
            f"{starts[i + 1]}: order the contacts by presynaptic cell (wiring.from_arrays does)."
        )
    needed = int(starts[-1]) + wiring.row
    if np.shape(wiring.targets)[0] < needed:
        raise ValueError(
            f"Connectivity.targets must hold {starts[-1]} contacts and a tail of at least "
            f"row = {wiring.row}, {needed} in all, got {np.shape(wiring.targets)[0]}."
        )


def _check_starts_length(starts: np.ndarray, wiring: Connectivity) -> None:
    first, last = wiring.senders.start, wiring.senders.stop
    if not 0 <= first < last <= wiring.n_pre:
        raise ValueError(
            f"Connectivity.sending must name cells of {wiring.n_pre}, got {wiring.sending}."
        )
    if starts.shape != (last - first + 1,):
        raise ValueError(
            f"Connectivity.starts must have one entry more than there are presynaptic cells with "
            f"a row, {last - first + 1} entries, got {starts.size}."
        )


def _check_targets(wiring: Connectivity) -> None:
    targets, n = np.asarray(wiring.targets), wiring.n_post
    if targets.size and (targets.min() < 0 or targets.max() >= n):
        i = np.flatnonzero((targets < 0) | (targets >= n))[0]
        raise ValueError(
            f"Connectivity: contact {i} has target {targets[i]}, but the population has {n} cells "
            f"(0 to {n - 1})."
        )


def _check_tail(wiring: Connectivity) -> None:
    """A weight in the tail would arrive at cell 0."""
    if _traced(wiring.starts) or _traced(wiring.weights) or not np.ndim(wiring.weights):
        return
    tail = np.asarray(wiring.weights[wiring.n_contacts :])
    if np.any(tail != 0.0):
        raise ValueError(
            f"Connectivity.weights must be 0 after the {wiring.n_contacts} contacts, got "
            f"{tail[tail != 0.0][0]:g}."
        )


def _check_delay_bounds(wiring: Connectivity) -> None:
    low, high = wiring.delay_min, wiring.delay_max
    if not 0.0 < low <= high < np.inf:
        raise ValueError(
            f"Connectivity needs 0 < delay_min <= delay_max, got {low} and {high} ms: every delay "
            f"must be longer than 0."
        )
    if _traced(wiring.delays) or np.asarray(wiring.delays).dtype.kind not in "fiu":
        return
    delays = np.asarray(wiring.delays)
    if np.any(delays < low * (1 - DELAY_ROUNDING)) or np.any(delays > high * (1 + DELAY_ROUNDING)):
        raise ValueError(
            f"Connectivity.delays range from {delays.min():g} to {delays.max():g} ms, which is not "
            f"within delay_min = {low:g} and delay_max = {high:g} ms: widen these bounds."
        )
