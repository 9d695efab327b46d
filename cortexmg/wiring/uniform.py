"""Wiring in which every pair of cells is equally likely."""

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from cortexmg.connectivity import Connectivity
from cortexmg.part import number, shown, whole
from cortexmg.wiring.draw import (
    DRAWN_AT_ONCE,
    Key,
    blocks,
    check_total,
    checked_degree,
    checked_ends,
    row_blocks,
    settle,
    streams,
)
from cortexmg.wiring.layout import capacity_for, room_for_targets, row_for
from cortexmg.wiring.rows import Delay, Weight, by_source, check_values, connect, starts_of


def fixed_in_degree(
    n_pre: int,
    n_post: int,
    k: int,
    weight: Weight,
    delay: Delay,
    *,
    key: Key,
    self_contacts: bool = True,
    multiple: bool = True,
) -> Connectivity:
    """Every postsynaptic cell receives `k` contacts from cells drawn at random.

    With `multiple`, a pair can have several contacts; without, every set of `k` different cells
    is equally likely. Without `self_contacts`, cell i does not contact cell i.

    Raises:
        ValueError: `k` different cells are not available, or more than 2^31 contacts.
    """
    n_pre, n_post = checked_ends(n_pre, n_post, self_contacts)
    available = n_pre if self_contacts else n_pre - 1
    k = checked_degree(k, available, multiple)
    check_total(n_post * k)
    check_values(weight, delay)
    draws = streams(key)
    sources = np.empty((n_post, k), np.min_scalar_type(n_pre))
    for rows, partners in _partners(draws.contacts, n_post, k, available, n_pre, multiple):
        sources[rows] = partners
    chance = k / n_pre  # of a pair; without multiple contacts it is a Bernoulli trial
    variance = n_post * chance * (1.0 - (1.0 / n_pre if multiple else chance))
    starts, targets, row = by_source(sources, n_pre, _likely_lengths(n_post * chance, variance))
    return connect(starts, targets, row, n_post, weight, delay, draws)


def fixed_out_degree(
    n_pre: int,
    n_post: int,
    k: int,
    weight: Weight,
    delay: Delay,
    *,
    key: Key,
    self_contacts: bool = True,
    multiple: bool = True,
) -> Connectivity:
    """Every presynaptic cell makes `k` contacts onto cells drawn at random.

    `self_contacts` and `multiple` as in `fixed_in_degree`.

    Raises:
        ValueError: `k` different cells are not available, or more than 2^31 contacts.
    """
    n_pre, n_post = checked_ends(n_pre, n_post, self_contacts)
    available = n_post if self_contacts else n_post - 1
    k = checked_degree(k, available, multiple)
    check_total(n_pre * k)
    check_values(weight, delay)
    draws = streams(key)
    row = row_for(np.asarray([k]))
    targets = room_for_targets(n_pre * k, row, n_post)
    by_cell = targets[: n_pre * k].reshape(n_pre, k)
    for rows, partners in _partners(draws.contacts, n_pre, k, available, n_post, multiple):
        by_cell[rows] = np.sort(partners, axis=1)
    starts = starts_of(np.full(n_pre, k))
    return connect(starts, targets, row, n_post, weight, delay, draws)


def fixed_probability(
    n_pre: int,
    n_post: int,
    p: float,
    weight: Weight,
    delay: Delay,
    *,
    key: Key,
    self_contacts: bool = True,
) -> Connectivity:
    """Every pair has one contact with probability `p`, independently of all others.

    Takes time in proportion to the contacts, not to the pairs.

    Raises:
        ValueError: `p` is not a probability, or more than 2^31 contacts.
    """
    n_pre, n_post = checked_ends(n_pre, n_post, self_contacts)
    chance = number(p)
    if chance is None or not 0.0 <= chance <= 1.0:
        raise ValueError(f"p must be a probability between 0 and 1, got {shown(p)}.")
    check_values(weight, delay)
    columns = n_post if self_contacts else n_post - 1
    mean, variance = n_pre * columns * p, n_pre * columns * p * (1.0 - p)
    check_total(int(mean))
    row = row_for(_likely_lengths(columns * p, columns * p * (1.0 - p)))
    # Six standard deviations of room: the length of the arrays does not depend on the key.
    targets = room_for_targets(int(mean + 6.0 * variance**0.5), row, n_post)
    lengths, n = np.zeros(n_pre, np.int64), 0
    draws = streams(key)
    for pairs in _hits(draws.contacts, n_pre * columns, p):
        source, target = np.divmod(pairs, columns)
        if not self_contacts:
            target += target >= source
        lengths += np.bincount(source, minlength=n_pre)
        targets = _with_room(targets, n + target.size, row)
        targets[n : n + target.size] = target
        n += target.size
    return connect(starts_of(lengths), targets, row, n_post, weight, delay, draws)


def fixed_total_number(
    n_pre: int,
    n_post: int,
    n_contacts: int,
    weight: Weight,
    delay: Delay,
    *,
    key: Key,
    self_contacts: bool = True,
) -> Connectivity:
    """There are `n_contacts` in all, each between a pair drawn at random; a pair can have several.

    The numbers of contacts of cells are multinomial. Takes time in proportion to the contacts and
    the cells, not to the pairs. Without `self_contacts`, cell i does not contact cell i.

    Raises:
        ValueError: there is no pair to contact, or more than 2^31 contacts.
    """
    n_pre, n_post = checked_ends(n_pre, n_post, self_contacts)
    n_contacts = whole("n_contacts", n_contacts, 0)
    columns = n_post if self_contacts else n_post - 1
    if n_contacts and not columns:
        raise ValueError(
            f"n_contacts = {n_contacts} need two cells, got 1: use more, or self_contacts=True."
        )
    check_total(n_contacts)
    check_values(weight, delay)
    draws, mean = streams(key), n_contacts / n_pre
    starts = starts_of(draws.contacts.multinomial(n_contacts, np.full(n_pre, 1.0 / n_pre)))
    row = row_for(_likely_lengths(mean, mean * (1.0 - 1.0 / n_pre)))
    targets = room_for_targets(n_contacts, row, n_post)
    for rows in row_blocks(starts):
        lengths = np.diff(starts[rows.start : rows.stop + 1])
        block = _sorted_targets(draws.contacts, lengths, columns)
        if not self_contacts:
            block += block >= np.repeat(np.arange(rows.start, rows.stop), lengths)
        targets[starts[rows.start] : starts[rows.stop]] = block
    return connect(starts, targets, row, n_post, weight, delay, draws)


def _partners(
    rng: np.random.Generator, n: int, k: int, available: int, others: int, multiple: bool
) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of cells, and the partners of each: int32[block, k], in no order.

    Fewer `available` than there are `others` means that a cell is not its own partner.
    """
    dense = not multiple and 4 * k > available  # many redraws, or never enough
    for rows in blocks(n, max(k, available) if dense else k):
        shape = rows.stop - rows.start, k
        if k == 0:
            partners = np.empty(shape, np.int32)
        elif dense:
            ranks = rng.random((shape[0], available))
            partners = np.argpartition(ranks, k - 1, axis=1)[:, :k].astype(np.int32)
        else:
            partners = rng.integers(0, available, shape, np.int32)
            if not multiple:
                settle(partners, lambda r: rng.integers(0, available, r.size, np.int32), False)
        if available < others:
            partners += partners >= np.arange(rows.start, rows.stop)[:, None]
        yield rows, partners


def _sorted_targets(rng: np.random.Generator, lengths: np.ndarray, n: int) -> np.ndarray:
    """Targets among `n` for rows of these lengths, ascending in each."""
    targets = rng.integers(0, n, int(lengths.sum()), np.int32)
    if lengths.size > 1:
        before = np.repeat(np.arange(lengths.size) * n, lengths)
        return np.sort(before + targets) - before
    targets.sort()  # all contacts of one row, which may be most of the memory
    return targets


def _hits(rng: np.random.Generator, trials: int, p: float) -> Iterator[np.ndarray]:
    """Blocks of the ascending numbers of the trials that succeed, each with probability `p`.

    The gaps between successes are geometrically distributed.
    """
    last = -1
    while p > 0.0 and last < trials - 1:
        expected = (trials - last) * p
        size = min(DRAWN_AT_ONCE, int(expected + 4.0 * expected**0.5) + 16)
        gaps = np.minimum(rng.geometric(p, size), trials + 1)  # or their sum could overflow
        hits = np.cumsum(gaps) + last
        last = int(hits[-1])
        yield hits[: np.searchsorted(hits, trials)]


def _with_room(targets: np.ndarray, n: int, row: int) -> np.ndarray:
    """`targets`, copied to a longer array if `n` contacts and a tail of `row` do not fit."""
    if n + row <= targets.size:
        return targets
    longer = np.zeros(capacity_for(n, row), targets.dtype)
    longer[: targets.size] = targets
    return longer


def _likely_lengths(mean: float, variance: float) -> np.ndarray:
    """Lengths such as rows of this mean and variance have, without drawing them.

    What depends on expected lengths only is the same for every key.
    """
    quantiles = np.asarray([NormalDist().inv_cdf((i + 0.5) / 64) for i in range(64)])
    return np.maximum(0, np.rint(mean + variance**0.5 * quantiles)).astype(np.int64)
