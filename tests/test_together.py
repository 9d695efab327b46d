"""Delivery through several projections at once equals delivery through one after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cortexmg import contraction
from cortexmg.compaction import pack
from cortexmg.contraction import CACHED, Sent, contract_together
from cortexmg.events import deliver
from cortexmg.form import Layout
from cortexmg.together import deliver_together
from cortexmg.wiring import fixed_in_degree, from_arrays

N = 1000  # more cells than are found at a time


def case(contacts=4000):
    """Three projections, of which two go to the same place."""
    rng, sent = np.random.default_rng(1), []
    for i, inbox in enumerate((0, 1, 0)):
        pre, post = rng.integers(0, N, contacts), rng.integers(0, 40, contacts)
        weights = rng.uniform(1.0, 9.0, contacts).astype(np.float32)
        c = from_arrays(pre, post, weights if i else 3.0, 0.1, N, 40)
        delays = jnp.asarray([i], jnp.int32)
        layout = Layout(N, 1, 0, c.row, 0, 3, 40)
        weights = jnp.asarray(c.weights, float)
        sent.append(Sent(inbox, jnp.ones(1), weights, c.rows(delays), layout))
    inboxes = [jnp.asarray(rng.integers(0, 9, 120), jnp.int32) for _ in range(2)]
    return inboxes, sent, jnp.asarray(rng.random((2, N)) < 0.7)


def singly(inboxes, sent, fired, step):
    inboxes = list(inboxes)
    for k, *given, layout in sent:
        who = {"fired": fired, "near": fired, "step": step, "layout": layout}
        inboxes[k] = deliver(inboxes[k], *given, **who)
    return inboxes


@pytest.mark.parametrize("contacts", [4000, CACHED + 1])
def test_together_is_one_by_one_for_one_run_and_for_several(contacts):
    inboxes, sent, fired = case(contacts)

    def both(fired, step):
        after = deliver_together(dict(enumerate(inboxes)), sent, fired=fired, step=step)
        return list(after.values()), singly(inboxes, sent, fired, step)

    words, step = jnp.stack([pack(x) for x in fired]), jnp.asarray([4, 5], jnp.int32)
    for i in range(2):
        for got, want in zip(*jax.jit(both)(words[i], step[i]), strict=True):
            np.testing.assert_array_equal(got, want)
    for got, want in zip(*jax.jit(jax.vmap(both))(words, step), strict=True):
        np.testing.assert_array_equal(got, want)


def test_it_has_no_derivative():
    inboxes, sent, fired = case()

    def total(strength):
        stronger = [s._replace(amounts=s.amounts * strength) for s in sent]
        who = {"fired": pack(fired[0]), "step": jnp.int32(0)}
        after = deliver_together(dict(enumerate(inboxes)), stronger, **who)
        return jnp.sum(after[0]).astype(float)

    with pytest.raises(TypeError, match="has no derivative"):
        jax.grad(total)(1.0)


@pytest.mark.parametrize("k, n_post", [(5, 300), (40, 70_000), (700, 300)])
def test_rows_that_are_read_ahead_deliver_the_same(k, n_post, monkeypatch):
    """Also of a part of the cells, of more than are found at a time, and in two or four bytes."""
    monkeypatch.setattr(contraction, "CACHED", 0)
    c = fixed_in_degree(500, n_post, k, 3.0, 0.1, key=1).among(600, 100)
    sends = np.arange(600) >= 100
    layout = Layout(600, 1, 100, c.row, 0, 1, n_post)
    inbox, rows = jnp.zeros(n_post, jnp.int32), c.rows(jnp.zeros(1, jnp.int32))
    sent = [Sent(0, jnp.ones(1), jnp.full(1, 3.0), rows, layout)]
    for far in (2**40, 0):
        monkeypatch.setattr(contraction, "FAR", far)
        monkeypatch.setattr(contraction, "VERY_FAR", far)
        # A function of its own, for what has been compiled before knows nothing of it.
        after = jax.jit(lambda words: contract_together([inbox], sent, words, jnp.int32(0)))
        for fired in (0.0, 0.01, 0.5, 1.0):
            active = (np.random.default_rng(2).random(600) < fired) & sends
            mine = active[c.pre()]
            want = 3 * np.bincount(c.targets[: c.n_contacts][mine], minlength=n_post)
            found = after(pack(jnp.asarray(active)))[0]
            np.testing.assert_array_equal(found, want, err_msg=f"{fired} fired, {far}")
