"""Rings of slots: what reads and puts do, and that their derivatives are those of plain slices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cortexmg import slots

SIZE, SLOTS, STEPS = 3, 4, 9


def run(ring, first, read, put):
    """Each step reads one slot, some of them twice, and puts a function of it into another."""

    def step(carry, k):
        ring, total = carry
        ring, found = read(ring, k % SLOTS, SIZE)
        ring, again = read(ring, (k + 2) % SLOTS, SIZE)
        ring = put(ring, jnp.sin(found) + first * again, k + 1)
        return (ring, total + jnp.sum(found * again)), None

    (ring, total), _ = jax.lax.scan(step, (ring, 0.0), jnp.arange(STEPS))
    return total + jnp.sum(ring**2)


def plain_read(ring, slot, size):
    return ring, jax.lax.dynamic_slice(ring, (slot * size,), (size,))


def plain_put(ring, new, step):
    return jax.lax.dynamic_update_slice(ring, new, (step % SLOTS * new.shape[0],))


def both(transformed, *args):
    """What a transformation makes of runs through these slots, and through plain slices."""
    return [
        transformed(lambda *x, f=f: run(*x, *f))(*args)
        for f in ((slots.read, slots.put), (plain_read, plain_put))
    ]


RING, FIRST = np.random.default_rng(1).normal(size=SIZE * SLOTS), 0.3


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: f,
        lambda f: jax.grad(f, (0, 1)),
        lambda f: lambda *x: jax.jvp(f, x, (jnp.cos(RING), jnp.ones(()))),
        lambda f: lambda *x: jax.hessian(f)(*x),
        lambda f: lambda x, y: jax.vmap(jax.grad(f), (0, None))(jnp.stack([x, 2 * x]), y),
        lambda f: (
            lambda x, y: jax.grad(
                lambda x: jnp.sum(jax.vmap(f, (0, None))(jnp.stack([x, 2 * x]), y))
            )(x)
        ),
        lambda f: jax.grad(jax.checkpoint(f), 1),
    ],
    ids=["value", "reverse", "forward", "second", "batch of grad", "grad of batch", "checkpoint"],
)
def test_they_are_plain_slices_to_every_transformation(transform):
    found, expected = both(lambda f: jax.jit(transform(f)), jnp.asarray(RING), jnp.asarray(FIRST))
    assert any(np.any(x != 0) for x in jax.tree.leaves(found))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, expected)


def test_backwards_nothing_passes_over_all_slots():
    """Plain slices add an array as long as the ring in each step; these add to a slot of it."""

    def long_sums(f):
        made = jax.make_jaxpr(jax.grad(lambda x: run(x, FIRST, *f)))(jnp.asarray(RING))
        loops = [e.params["jaxpr"].jaxpr for e in made.jaxpr.eqns if e.primitive.name == "scan"]
        every = [e for loop in loops for e in loop.eqns if e.primitive.name == "add_any"]
        return sum(e.outvars[0].aval.shape == RING.shape for e in every)

    assert long_sums((slots.read, slots.put)) == 0 < long_sums((plain_read, plain_put))
