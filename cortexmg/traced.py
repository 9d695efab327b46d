"""Running a network inside jit, grad and vmap."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from cortexmg.derivatives import group_of, in_groups
from cortexmg.frames import frames_in, plan_of, run_frame
from cortexmg.shadows import shadowed
from cortexmg.states import Run, arrays, first_state
from cortexmg.tangents import Tangents


def traced(*trees: Any) -> bool:
    """Whether JAX is compiling what is called, or transforming a function of any of them."""
    compiling = isinstance(jnp.zeros(()), Tracer)
    return compiling or any(isinstance(x, Tracer) for x in jax.tree.leaves(trees))


def simulate_traced(network, duration, dt, record, state, key, gradients) -> Run:
    """What `simulate` does there; nothing is checked while it runs."""
    plan = plan_of(record, dt)
    frames = frames_in(duration, dt, plan)
    network.check(dt)
    network = arrays(network)
    first = 0 if state is None else state.step
    state = first_state(network, state, key, dt, not gradients)
    network = network.in_steps(dt)
    tangents = gradients if isinstance(gradients, Tangents) else Tangents()
    network = tangents.through(network)
    if gradients:
        shadows = shadowed(network.projections)
        state = state._replace(underway=state.underway._replace(shadows=shadows))
    group = group_of(frames * plan[0][0]) if gradients else 0

    def frame(state, _):
        return run_frame(network, state, record, plan, dt, group, tangents)

    state, saved = in_groups(frame, state, frames, group // plan[0][0])
    state = state._replace(underway=state.underway._replace(shadows={}))
    recordings = {}
    for name, r in record.items():
        steps = next(s for s, names in plan if name in names)
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), saved[name])
        recordings[name] = r.piece(flat, first, steps, dt)
    return Run(recordings, state, first * dt, first * dt + duration, 0.0, True)
