"""Delivery in rounds, as on GPUs and TPUs, is delivery row by row: for every kind of wiring."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cortexmg import wiring
from cortexmg.compaction import AT_ONCE, pack
from cortexmg.contraction import contract
from cortexmg.form import Layout
from cortexmg.procedural import procedural_parts
from cortexmg.quantal import Quantal
from cortexmg.rounds import contract_in_rounds
from cortexmg.sheet import Sheet

SLOTS, DELAY = 3, jnp.array([1], jnp.int32)


def stored(blocks=1, row=None, base=0):
    """100 of 200 cells, from number 60 on, have rows; of these some are empty."""
    rng = np.random.default_rng(2)
    pre, post = rng.integers(0, 90, 700), rng.integers(0, 40, 700)
    c = wiring.from_arrays(pre, post, rng.random(700), rng.choice([0.1, 0.2], 700), 100, 40)
    delays = jnp.asarray(np.round(np.asarray(c.delays) / 0.1).astype(np.int32))
    return c.rows(delays), Layout(200, blocks, 60, row or c.row, base, SLOTS, 40), 100, c.weights


def computed(c, row=None):
    return c.rows(DELAY), Layout(200, 1, 0, row or c.row, 0, SLOTS, c.n_post), 200, 1.3


def by_chance(given, steps=4):
    rows, layout, n, weights = given
    amounts = jax.random.uniform(jax.random.key(1), (SLOTS, n))
    rows = Quantal(rows, amounts, jnp.ones(1), jnp.int32(steps), jnp.ones(2, jnp.uint32), 3)
    return rows, layout, n, weights


def in_two_parts():
    return procedural_parts(wiring.procedural(200, 100, 64, 1.0, 0.1, key=3), 50, 2)


def by_distance():
    sheet, kernel = Sheet(400.0, 400.0), wiring.Gaussian(100.0)  # with an open edge
    return wiring.procedural_by_distance(sheet, 200, 200, 64, kernel, 1.0, 0.1, key=3)


CASES = {
    "stored": stored,
    "stored, in pieces, in blocks and one slot of several": lambda: stored(4, row=3, base=7),
    "computed, second part": lambda: computed(in_two_parts()[1]),
    "by chance, computed by distance": lambda: by_chance(computed(by_distance(), row=16)),
}
ONE_BY_ONE = {  # what is together in the cases above
    "stored, in pieces": lambda: stored(row=3),
    "stored, packed in blocks": lambda: stored(blocks=4),
    "stored, one slot of several": lambda: stored(base=7),
    "computed": lambda: computed(wiring.procedural(200, 100, 64, 1.0, 0.1, key=3)),
    "computed, first part": lambda: computed(in_two_parts()[0]),
    "by distance": lambda: computed(by_distance()),
    "by chance": lambda: by_chance(stored(row=3)),
}


@partial(jax.jit, static_argnames=("layout", "tree"))
def both_ways(arrays, active, step, *leaves, **how):
    """What is added onto each of the arrays: row by row, and in rounds."""
    found = {}
    for out in "xwy":
        others = (arrays[k] for k in "xwy" if k != out)
        given = arrays[out], *others, active, active, step, *leaves
        found[out] = [f(*given, out=out, **how) for f in (contract, contract_in_rounds)]
    return found


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
@pytest.mark.parametrize(
    "make",
    [
        *(pytest.param(make, id=name) for name, make in CASES.items()),
        *(pytest.param(x, id=name, marks=pytest.mark.slow) for name, x in ONE_BY_ONE.items()),
    ],
)
def test_rounds_are_as_row_by_row(make, share):
    rows, layout, n, weights = make()
    rng, members = np.random.default_rng(5), 2
    fired = np.zeros((members, 200), bool)
    fired[:, layout.first : layout.first + n] = rng.random((members, n)) < share
    active = jnp.stack(
        [jnp.concatenate([pack(x) for x in jnp.split(f, layout.blocks)]) for f in fired]
    )
    ring = layout.base + SLOTS * layout.n_post
    arrays = {
        "x": rng.random((members, n)),
        "w": np.broadcast_to(np.atleast_1d(weights), (1, np.size(weights))),
        "y": rng.random((members, ring)),
    }
    arrays = {k: jnp.asarray(v, float) for k, v in arrays.items()}
    leaves, tree = jax.tree.flatten(rows)
    step = jnp.full(2, 4, jnp.int32)
    for out, (want, found) in both_ways(
        arrays, active, step, *leaves, layout=layout, tree=tree
    ).items():
        assert not np.array_equal(want, arrays[out])
        np.testing.assert_allclose(found, want, rtol=1e-11, err_msg=out)


def test_what_could_not_be_numbered_is_refused(is_refused):
    rows, layout, n, _ = stored()
    words = 2**31 // AT_ONCE // layout.row * 4
    given = [jax.ShapeDtypeStruct((1, k), float) for k in (SLOTS * 40, n, 1)]
    active = jax.ShapeDtypeStruct((1, words), jnp.uint32)
    leaves, tree = jax.tree.flatten(rows)
    how = {"out": "y", "layout": layout, "tree": tree}
    step = jnp.zeros(1, jnp.int32)
    is_refused(
        lambda: jax.eval_shape(
            lambda *x: contract_in_rounds(*x, active, step, *leaves, **how), *given, active
        ),
        ["2^31", "smaller populations"],
    )
