"""Event-driven delivery equals the dense product: value, every derivative, every batching."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from jax import export
from jax.interpreters import mlir

from cortexmg.compaction import next_active, pack, unpack
from cortexmg.contraction import contract
from cortexmg.events import contract_p, deliver
from cortexmg.form import Layout
from cortexmg.rounds import contract_in_rounds
from cortexmg.rows import Rows
from cortexmg.wiring import from_arrays


def lowered(function):
    """From now on delivery on a CPU is compiled from this function."""
    rule = mlir.lower_fun(function, multiple_results=False)
    mlir.register_lowering(contract_p, rule, platform="cpu")
    jax.clear_caches()


@pytest.fixture(scope="module", params=["row by row", "in rounds"])
def delivery(request):
    """As a CPU delivers, and as GPUs and TPUs do."""
    if request.param == "row by row":
        yield request.param
        return
    lowered(contract_in_rounds)
    yield request.param
    lowered(contract)


def wiring(n_pre, n_post, contacts, seed, delays=(0.1, 0.2, 0.3), weighted=True):
    rng = np.random.default_rng(seed)
    pre, post = rng.integers(0, n_pre, contacts), rng.integers(0, n_post, contacts)
    weights = rng.uniform(0.5, 2.0, contacts).astype(np.float32) if weighted else 1.5
    delay = rng.choice(np.asarray(delays, np.float32), contacts)
    return from_arrays(pre, post, weights, delay, n_pre, n_post)


def send(c, inbox, amounts, weights, fired, step, slots=3, near=None, row=None):
    delays = jnp.asarray(np.round(np.asarray(c.delays) / 0.1).astype(np.int32))
    return deliver(
        inbox,
        amounts,
        weights,
        c.rows(delays),
        fired=pack(fired),
        near=pack(fired if near is None else near),
        step=jnp.int32(step),
        layout=Layout(c.n_pre, 1, 0, row or c.row, 0, slots, c.n_post),
    )


def dense(c, inbox, amounts, weights, fired, step, slots=3):
    """The same by a dense product for each delay."""
    k, pre = c.n_contacts, c.pre()
    slot = (step + np.round(np.asarray(c.delays)[:k] / 0.1).astype(int)) % slots
    w = jnp.broadcast_to(weights, c.targets.shape)[:k]
    x = jnp.where(fired, amounts, 0.0)
    return inbox.at[slot * c.n_post + np.asarray(c.targets)[:k]].add(x[pre] * w)


@cache
def both_ways(delivery, n_pre, n_post, contacts, weighted):
    """Contacts, and one program of delivery and the dense product for all that may arrive."""
    c = wiring(n_pre, n_post, contacts, 3, weighted=weighted)
    return c, jax.jit(lambda *given: (send(c, *given), dense(c, *given)))


@given(
    sizes=st.sampled_from([(70, 40, 300), (1, 40, 300), (70, 1, 300), (70, 40, 0), (70, 40, 1)]),
    step=st.integers(0, 10),
    seed=st.integers(0, 99),
    share=st.sampled_from([0.0, 0.2, 1.0]),
    weighted=st.booleans(),
)
@settings(deadline=None, max_examples=20)
def test_delivery_equals_the_dense_product(delivery, sizes, step, seed, share, weighted):
    c, both = both_ways(delivery, *sizes, weighted)
    rng = np.random.default_rng(seed + 1)
    fired = rng.random(c.n_pre) < share
    amounts, inbox = rng.random(c.n_pre), rng.random(3 * c.n_post)
    weights = rng.uniform(0.5, 2.0, np.shape(c.weights))
    got, want = both(inbox, amounts, weights, fired, step)
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(True, id="weights"),
        pytest.param(False, id="one weight", marks=pytest.mark.slow),
    ],
)
def case(request, delivery):
    del delivery
    c = wiring(70, 40, 500, 3, weighted=request.param)
    rng = np.random.default_rng(4)
    fired = jnp.asarray(rng.random(70) < 0.4)
    args = (
        jnp.asarray(rng.random(120)),
        jnp.asarray(rng.random(70)),
        jnp.asarray(c.weights, float),
    )
    return c, args, fired


# What follows from the rules of one function alone: `test_rounds.py` holds the other to it.
rarely_in_rounds = pytest.mark.parametrize(
    "delivery",
    ["row by row", pytest.param("in rounds", marks=pytest.mark.slow)],
    indirect=True,
    scope="module",
)


def both(case):
    c, args, fired = case
    return (
        lambda *a: send(c, *a, fired, 5),
        lambda *a: dense(c, *a, fired, 5),
        args,
    )


@rarely_in_rounds
def test_reverse_forward_and_second_derivatives_equal_those_of_the_dense_product(case):
    event, full, args = both(case)
    curve = jnp.linspace(0.5, 1.5, 120)

    def loss(f):
        return lambda *a: jnp.sum(curve * f(*a) ** 3)

    every = (0, 1, 2)
    tangents = tuple(jnp.cos(a) for a in args)

    def derivatives(f):
        backwards, onwards = jax.grad(loss(f), every), jax.jacfwd(loss(f), every)
        return lambda *a: (*jax.jvp(backwards, a, tangents), onwards(*a))

    results = (jax.jit(derivatives(f))(*args) for f in (event, full))
    for got, want in zip(*results, strict=True):
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12)


@rarely_in_rounds
def test_rows_longer_than_a_piece_are_delivered_whole(case):
    c, args, fired = case
    assert c.out_degree().max() > 3  # contacts of a piece

    def gradient(f, **how):
        slope = jax.grad(lambda *a: jnp.sum(f(c, *a, fired, 5, **how) ** 2), (0, 1, 2))
        return jax.jit(slope)(*args)

    got, want = gradient(send, row=3), gradient(dense)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12)


@rarely_in_rounds
def test_forward_and_reverse_are_adjoint(case):
    event, _, args = both(case)
    tangents = tuple(jnp.sin(7 * a) for a in args)
    cotangent = jnp.cos(jnp.arange(120.0))
    forward = jnp.vdot(cotangent, jax.jit(lambda *a: jax.jvp(event, a, tangents)[1])(*args))
    backward = jax.jit(lambda *a: jax.vjp(event, *a)[1](cotangent))(*args)
    backward = sum(jnp.vdot(b, t) for b, t in zip(backward, tangents, strict=True))
    np.testing.assert_allclose(forward, backward, rtol=1e-12)


AXES = [(0, 0, None), (None, 0, None), (0, 0, 0), (None, None, 0), (1, None, None)]


def test_batches_equal_loops(case):
    event, full, args = both(case)
    scale = jnp.asarray([0.5, 1.0, 2.0])
    batched = [
        [
            a if axis is None else jnp.stack([a * s for s in scale], axis)
            for a, axis in zip(args, axes, strict=True)
        ]
        for axes in AXES
    ]

    def mapped(f):
        def loss(*a):
            out = f(*a)
            return jnp.sum(out**2), out

        both = jax.grad(loss, (0, 1, 2), has_aux=True)
        every = [jax.vmap(both, axes) for axes in AXES]
        return jax.jit(lambda given: [f(*a) for f, a in zip(every, given, strict=True)])(batched)

    for axes, got, want in zip(AXES, mapped(event), mapped(full), strict=True):
        for g, w in zip(*map(jax.tree.leaves, (got, want)), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12, err_msg=str(axes))


def test_nested_batches_and_batched_spikes_and_steps(case):
    c, (inbox, amounts, weights), _ = case
    rng = np.random.default_rng(8)
    fired = jnp.asarray(rng.random((2, 3, 70)) < 0.3)
    steps = np.arange(6).reshape(2, 3)
    nested = jax.vmap(jax.vmap(lambda f, s: send(c, inbox, amounts, weights, f, s)))
    got = jax.jit(nested)(fired, jnp.asarray(steps))
    one = jax.jit(lambda f, s: dense(c, inbox, amounts, weights, f, s))
    for i in range(2):
        for j in range(3):
            want = one(fired[i, j], steps[i, j])
            np.testing.assert_allclose(got[i, j], want, rtol=1e-12)


@rarely_in_rounds
def test_the_gradient_of_a_batch_adds_up_over_shared_weights(case):
    c, (inbox, amounts, weights), fired = case
    many = jnp.stack([amounts, 2 * amounts])

    def loss(f):
        return lambda w: jnp.sum(jax.vmap(lambda a: f(c, inbox, a, w, fired, 2))(many) ** 2)

    got, want = (jax.jit(jax.grad(loss(f)))(weights) for f in (send, dense))
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_the_derivative_reaches_cells_that_are_near_but_have_not_fired(case):
    c, (inbox, amounts, weights), fired = case
    near = jnp.asarray(~np.asarray(fired))
    direction = jnp.ones(70)
    sent = partial(send, c, inbox, weights=weights, fired=fired, step=0, near=near)
    tangent = jax.jit(lambda a: jax.jvp(sent, (a,), (direction,))[1])(amounts)
    want = dense(c, jnp.zeros(120), direction, weights, near, 0)
    np.testing.assert_allclose(tangent, want, rtol=1e-12)


@given(
    n=st.sampled_from([1, 31, 32, 33, 100, 4000]),
    share=st.sampled_from([0, 0.01, 1]),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=15)
def test_active_cells_are_those_that_are_set(n, share, seed):
    flags = np.random.default_rng(seed).random((2, n)) < share
    words = jax.jit(jax.vmap(pack))(flags)
    search, k, all_ids = jax.jit(next_active, static_argnames="n"), jnp.int32(0), []
    while k < words.size:
        k, ids, found = search(words, k, n=n)
        all_ids.append(np.asarray(ids)[: int(found)])
    ids = np.sort(np.concatenate(all_ids))
    np.testing.assert_array_equal(ids, np.flatnonzero(flags))
    for row, mine in zip(words, flags, strict=True):
        np.testing.assert_array_equal(jax.jit(unpack, static_argnums=1)(row, n), mine)


def test_a_word_holds_every_third_cell_of_seventy():
    flags = np.zeros(70, bool)
    flags[[0, 33, 69, 67]] = True  # 3 words: cell c is bit c // 3 of word c % 3
    words = [1 | 1 << 11 | 1 << 23, 1 << 22, 0]
    np.testing.assert_array_equal(pack(jnp.asarray(flags)), words)


@rarely_in_rounds
@pytest.mark.parametrize("platform", ["cpu", "cuda", "rocm", "tpu"])
def test_delivery_and_its_gradient_lower_for_every_platform(case, platform):
    event, _, args = both(case)
    f = jax.jit(jax.grad(lambda *a: jnp.sum(event(*a) ** 2), (0, 1, 2)))
    assert export.export(f, platforms=[platform])(*args).platforms == (platform,)


def test_members_with_a_wiring_each_are_as_they_are_alone(case):
    c, args, fired = case
    turned = jnp.asarray(c.n_post - 1 - np.asarray(c.targets))
    targets = jnp.stack([jnp.asarray(c.targets), turned])

    def one(targets, inbox, amounts, weights):
        rows = Rows(jnp.asarray(c.starts), targets, jnp.asarray([1], jnp.int32))
        return deliver(
            inbox, amounts, weights, rows,
            fired=pack(fired), near=pack(fired), step=jnp.int32(0),
            layout=Layout(c.n_pre, 1, 0, c.row, 0, 3, 40),
        )  # fmt: skip

    def loss(*given):
        out = one(*given)
        return jnp.sum(out**2), out

    both = jax.value_and_grad(loss, (1, 2, 3), has_aux=True)
    mapped = jax.jit(jax.vmap(both, (0, None, None, None)))(targets, *args)
    both = jax.jit(both)
    alone = [both(x, *args) for x in targets]
    assert not np.array_equal(alone[0][0][1], alone[1][0][1])
    want = jax.tree.map(lambda *x: jnp.stack(x), *alone)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-12), mapped, want)
    # The other way round: the derivative of a mapped sum.
    slopes = jax.grad(lambda w: jnp.sum(jax.vmap(lambda t: loss(t, *args[:2], w)[0])(targets)))
    np.testing.assert_allclose(jax.jit(slopes)(args[2]), want[1][2].sum(0), rtol=1e-12)
