"""What the derivative of a run keeps: the same result in less memory."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, memory, outline, recorders, releases, stimuli, synapses, wiring
from cortexmg.derivatives import group_of
from cortexmg.distributions import Uniform

DT = 0.1


@pytest.mark.parametrize("steps", [1, 2, 7, 97, 1000, 20_000, 99_991])
def test_groups_are_about_as_many_as_their_steps(steps):
    assert np.sqrt(steps) / 2.1 <= group_of(steps) <= 2 * np.sqrt(steps) + 1
    assert steps in (7, 97, 99_991) or steps % group_of(steps) == 0  # those are primes


def network(n, weights=2.0):
    """Cells that fire, excite one another after different delays, and release less each time."""
    receptors = {"ampa": synapses.AMPA()}
    contacts = wiring.fixed_in_degree(n, n, 3, weights, Uniform(0.2, 0.6), key=1)
    projection = cx.Projection("cells", "cells", "glutamate", contacts, releases.TsodyksMarkram())
    return cx.Network(
        cx.acsf(),
        {"cells": cells.leaky_integrate_and_fire(n, receptors)},
        {"among": projection},
        {"drive": stimuli.StepCurrent("cells", np.linspace(4000.0, 9000.0, n))},
    )


class Loss(recorders.Recorder):
    """The mean square of the voltage (mV2) at the end of each interval."""

    every: float | None = None

    def read(self, acc, network, state, steps):
        return jnp.mean(state.populations["cells"].v ** 2)


def derivative(network, duration, every=None):
    def loss(strength, network):
        changed = cx.with_parameters(network, {"projections/among/strength": strength})
        seen = {"x": Loss(every), "n": recorders.SpikeCount("cells", every=duration)}
        run = cx.simulate(changed, duration, DT, record=seen, gradients=True)
        return jnp.mean(run["x"].values), run["n"].values

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def test_what_is_kept_changes_no_bit(monkeypatch):
    cells, found = network(6), []
    for group in (20, 3):  # of four frames of five steps: all, and parts of a frame
        module = sys.modules["cortexmg.traced"]
        monkeypatch.setattr(module, "group_of", lambda steps, group=group: group)
        found.append(derivative(cells, 2.0, 0.5)(1.0, cells))
    assert found[0][0][1].sum() > 3 and found[0][1] != 0
    jax.tree.map(np.testing.assert_array_equal, *found)


@pytest.mark.slow
def test_memory_grows_with_the_root_of_the_duration_as_foretold():
    built = network(2000)

    def foretold(steps):
        return sum(memory.needed_by_derivative(outline.shapes(built), DT, steps).values())

    program = derivative(built, 160.0, every=4.0).lower(1.0, built).compile()
    needed = program.memory_analysis().temp_size_in_bytes  # frames as long as a group
    assert needed == pytest.approx(foretold(1600), rel=0.2)
    assert 3.0 * foretold(1600) < foretold(16_000) < 4.0 * foretold(1600)


WEIGHTS, STRENGTH = "projections/among/connectivity/weights", "projections/among/strength"


def loss_by(values, network, how=True):
    changed = cx.with_parameters(network, values)
    run = cx.simulate(changed, 10.0, DT, record={"x": Loss(0.5)}, gradients=how)
    return jnp.mean(run["x"].values)


def test_by_the_weight_of_every_contact():
    """What weights (stored in single precision) and their common factor do must agree."""
    cells = network(6, Uniform(1.0, 3.0))
    weights = jnp.asarray(cells.projections["among"].connectivity.weights, float)
    values = {WEIGHTS: weights, STRENGTH: jnp.asarray(1.0)}
    found = jax.jit(jax.grad(loss_by))(values, cells)
    inert = weights == 0.0  # what fills the last row up
    assert np.all(found[WEIGHTS][inert] == 0) and np.sum(found[WEIGHTS] != 0) > 6
    np.testing.assert_allclose(weights @ found[WEIGHTS], found[STRENGTH], rtol=1e-6)


@pytest.mark.slow
def test_by_the_weight_of_every_contact_forwards_and_in_a_batch():
    cells = network(6, Uniform(1.0, 3.0))
    weights = jnp.asarray(cells.projections["among"].connectivity.weights, float)
    values = {WEIGHTS: weights, STRENGTH: jnp.asarray(1.0)}
    found = jax.jit(jax.grad(loss_by))(values, cells)
    along = jnp.asarray(np.random.default_rng(1).normal(size=weights.shape))
    onwards = {WEIGHTS: along, STRENGTH: jnp.zeros(())}
    forward = jax.jit(lambda v: jax.jvp(lambda v: loss_by(v, cells), (v,), (onwards,))[1])(values)
    np.testing.assert_allclose(along @ found[WEIGHTS], forward, rtol=1e-6)

    both = {WEIGHTS: jnp.stack([weights, weights]), STRENGTH: jnp.asarray([0.5, 1.0])}
    batch = jax.jit(jax.vmap(lambda v: jax.grad(loss_by)(v, cells)))(both)
    np.testing.assert_allclose(batch[WEIGHTS][1], found[WEIGHTS], rtol=1e-6)
    assert not np.allclose(batch[WEIGHTS][0], found[WEIGHTS], rtol=1e-3)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(cx.Tangents(damping=5.0), marks=pytest.mark.slow),
        cx.Tangents(horizon=3.0, width=3.0),
    ],
)
def test_weights_of_contacts_do_not_fade(how):
    """What is done to derivatives of the state on their way is not done to those of constants."""
    cells = network(6, Uniform(1.0, 3.0))
    weights = jnp.asarray(cells.projections["among"].connectivity.weights, float)
    values = {WEIGHTS: weights, STRENGTH: jnp.asarray(1.0)}
    found = jax.jit(jax.grad(lambda v: loss_by(v, cells, how)))(values)
    assert found[STRENGTH] != 0
    np.testing.assert_allclose(weights @ found[WEIGHTS], found[STRENGTH], rtol=1e-6)


def test_a_second_derivative_by_weights_of_contacts_is_refused():
    cells = network(6, Uniform(1.0, 3.0))
    weights = jnp.asarray(cells.projections["among"].connectivity.weights, float)
    along = jnp.ones_like(weights)

    def slope(w):
        return jax.jvp(lambda w: loss_by({WEIGHTS: w}, cells), (w,), (along,))[1]

    with pytest.raises(TypeError, match="second derivative"):
        jax.jvp(slope, (weights,), (along,))


def test_a_recorder_sees_weights_with_their_derivative():
    cells = network(6, Uniform(1.0, 3.0))
    weights = jnp.asarray(cells.projections["among"].connectivity.weights, float)

    def loss(w):
        changed = cx.with_parameters(cells, {WEIGHTS: w})
        run = cx.simulate(changed, 0.5, DT, record={"x": Squares(0.5)}, gradients=True)
        return run["x"].values[0]

    np.testing.assert_allclose(jax.grad(loss)(weights), 2 * weights, rtol=1e-6)


class Squares(Loss):
    """The sum of the squares of all weights."""

    def read(self, acc, network, state, steps):
        return jnp.sum(network.projections["among"].connectivity.weights ** 2)


def test_no_step_passes_over_all_contacts():
    """The derivative by weights of contacts follows active cells: nothing adds all contacts up."""
    cells = network(6, Uniform(1.0, 3.0))
    weights = jnp.asarray(cells.projections["among"].connectivity.weights, float)
    made = jax.make_jaxpr(jax.grad(loss_by))({WEIGHTS: weights}, cells)
    inside = list(in_loops(made.jaxpr))
    assert any(e.primitive.name == "contract" and e.params["out"] == "w" for e in inside)
    sums = [e.outvars[0].aval for e in inside if e.primitive.name == "add_any"]
    assert sums and all(x.shape[-1:] != weights.shape for x in sums)


def in_loops(jaxpr, inside=False):
    """All that is done inside loops over steps, and in what is called there."""
    for e in jaxpr.eqns:
        if inside:
            yield e
        for x in jax.tree.leaves(tuple(e.params.values())):
            if hasattr(sub := getattr(x, "jaxpr", x), "eqns"):
                yield from in_loops(sub, inside or e.primitive.name == "scan")
