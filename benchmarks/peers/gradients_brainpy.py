"""The gradient of COBAHH by BrainPy. usage: see protocol.py; how to install it: with_brainpy.py

By the weights of both projections, back through all steps, with its surrogate of a spike.
"""

import time
from importlib.metadata import version

import brainstate
import brainunit as u
import jax
import jax.numpy as jnp
from protocol import DT, serve, with_and_without
from with_brainpy import TASK, Cobahh


def turns():
    network = Cobahh()
    brainstate.nn.init_all_states(network)
    weights = network.states(brainstate.ParamState)

    def loss():
        brainstate.nn.init_all_states(network)
        network.begin()

        def step(i):
            network.update(i)
            return u.math.mean((network.cells.V.value / (20.0 * u.mV)) ** 2)

        return brainstate.transform.for_loop(step, jnp.arange(round(TASK.duration / DT))).mean()

    both = brainstate.transform.grad(loss, weights, return_value=True)
    calls = [brainstate.transform.jit(f) for f in (loss, lambda: both())]
    began = time.perf_counter()
    jax.block_until_ready([f() for f in calls])
    yield {"compile_s": time.perf_counter() - began}
    while True:
        yield with_and_without(*(lambda f=f: jax.block_until_ready(f()) for f in calls))


if __name__ == "__main__":
    brainstate.environ.set(dt=DT * u.ms)
    brainstate.random.seed(TASK.seed)
    used = ("brainpy", "brainevent", "brainstate", "jax", "numba")
    serve(turns(), {name: version(name) for name in used})
