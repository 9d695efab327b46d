"""Derivatives by cortexmg. usage: see protocol.py; MODEL is one of

weights     COBAHH by the weights of its two projections, in reverse
contacts    COBAHH by the weight of every contact, in reverse
tangents-P  COBAHH by P numbers (strengths, conductances, time constants), forwards and at once
rate-HZ     integrate-and-fire cells with 1,000 contacts each, which fire at HZ, in reverse

What is differentiated is the mean of (V / 20 mV)^2 over steps and cells. A turn computes it without
derivatives (forward_s) and with them (seconds). The network is an argument of the program: as a
constant, XLA would copy its wiring while it compiles.
"""

import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
from protocol import DT, serve, task, with_and_without

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent)]
TASK = task()

from growth import driven  # noqa: E402

import cortexmg as cx  # noqa: E402
from cortexmg import models, recorders, results  # noqa: E402
from cortexmg.starting import start  # noqa: E402

NUMBERS = [
    "projections/E/strength", "projections/I/strength",
    *(f"populations/cells/channels/{x}" for x in ("k/g_max", "leak/g", "leak/e", "na/g_max")),
    *(f"populations/cells/receptors/{x}/tau" for x in ("ampa", "gaba_a")),
]  # fmt: skip


class Square(recorders.Recorder):
    """The mean of (V / 20 mV)^2 over the cells, in every step."""

    every: float | None = eqx.field(static=True, default=None)

    def read(self, acc, network, state, steps):
        del acc, network, steps
        return jnp.mean((state.populations["cells"].v / 20.0) ** 2)


def loss(values, network):
    network = cx.with_parameters(network, values)
    run = cx.simulate(network, TASK.duration, DT, record={"x": Square()}, gradients=True)
    return jnp.mean(run["x"].values)


def tangents(values, network):
    """The loss, and its derivative by each of the values."""
    names, count = list(values), len(values)

    def along(direction):
        one = dict(zip(names, direction, strict=True))
        return jax.jvp(lambda v: loss(v, network), (values,), (one,))

    value, slopes = jax.vmap(along, out_axes=(None, 0))(jnp.eye(count))
    return value, slopes


def asked():
    """The values by which to differentiate, the network, and the function that does."""
    kind, _, number = TASK.model.partition("-")
    if kind == "rate":
        network = driven(TASK.n, 1000, float(number))
        return {"projections/E/strength": 1.0}, network, jax.value_and_grad(loss)
    network = models.cobahh(TASK.n, key=TASK.seed)
    known = cx.parameters(network)
    if kind == "tangents":
        names = NUMBERS[: int(number)]
        return {name: known[name].value for name in names}, network, tangents
    wiring = {name: p.connectivity for name, p in network.projections.items()}
    size = {k: c.targets.shape if kind == "contacts" else () for k, c in wiring.items()}
    values = {
        f"projections/{k}/connectivity/weights": jnp.full(size[k], c.weights)
        for k, c in wiring.items()
    }
    return values, network, jax.value_and_grad(loss)


def turns():
    start()
    values, network, derivative = asked()
    values = {name: jnp.asarray(v, jnp.result_type(float)) for name, v in values.items()}
    began = time.perf_counter()
    calls = [jax.jit(f).lower(values, network).compile() for f in (loss, derivative)]
    compiled = time.perf_counter() - began
    jax.block_until_ready([f(values, network) for f in calls])
    temporaries = calls[1].memory_analysis().temp_size_in_bytes / 1e6
    yield {"compile_s": compiled, "temporaries_mb": temporaries}
    while True:
        yield with_and_without(
            *(lambda f=f: jax.block_until_ready(f(values, network)) for f in calls)
        )


if __name__ == "__main__":
    serve(turns(), results.versions())
