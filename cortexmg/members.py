"""What a sweep calls piece by piece: its runs side by side, on one device or several."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec as P

from cortexmg.devices import platform_of
from cortexmg.frames import run_frames
from cortexmg.network import State
from cortexmg.noise import is_key
from cortexmg.parameters import with_parameters
from cortexmg.processes import everywhere, laid_out
from cortexmg.programs import FIXED, OneDevice, free, in_steps
from cortexmg.split import AXIS
from cortexmg.starting import LONG, compiler_options


class Members(OneDevice):
    """The members of a sweep over a network, on one device or spread over those of a mesh."""

    def __init__(self, network, values, state: State | None, key, dt: float, mesh: Mesh | None):
        self.members = next((v.shape[0] for v in values.values()), key.shape[0] if key.ndim else 1)
        self.key_axis, self.mesh = 0 if key.ndim else None, mesh
        self.network = in_steps(network, dt)
        self.first = 0 if state is None else int(state.step)
        more = -self.members % (mesh.size if mesh else 1)  # the last member again, to fill up
        fill = jnp.minimum(jnp.arange(self.members + more), self.members - 1)
        self.values = {k: jnp.asarray(v, jnp.result_type(float))[fill] for k, v in values.items()}
        key = key[fill] if key.ndim else key
        begin = initial_members(self.key_axis)
        self.state = begin(self.network, self.values, state, key, dt=dt)
        if mesh:
            whole = (self.network, self.values, self.state)
            specs = (P(), P(AXIS), members_specs(self.key_axis))
            self.network, self.values, self.state = laid_out(whole, mesh, specs)

    def advance(self, record, frames: int, **fixed) -> tuple[Any, Any]:
        cells = 0 if self.mesh else self.members * sum(self.network.sizes.values())
        call = compiled_members(platform_of(self.mesh), self.key_axis, self.mesh, cells >= LONG)
        self.state, saved, healthy = call(
            self.network, self.values, self.state, record, frames, **fixed
        )
        return everywhere((saved, healthy), self.mesh)

    def voltage(self, name: str) -> np.ndarray:
        v = everywhere(self.state.populations[name].v, self.mesh)
        return np.asarray(v)[: self.members]

    def of(self, m: int, saved: Any) -> Any:
        return jax.tree.map(lambda x: np.asarray(x)[m], saved)

    def ends(self) -> list[State]:
        axes = members_axes(self.key_axis)
        whole = everywhere(self.state, self.mesh)
        # On the host first: slices on a device are a call for each of thousands of arrays.
        whole = jax.tree.map(lambda x: x if is_key(x) else np.asarray(x), whole)
        return [
            free(State._make(_member(m, x, axis) for x, axis in zip(whole, axes, strict=True)))
            for m in range(self.members)
        ]


def _member(m: int, part: Any, axis: Any) -> Any:
    return part if axis is None else jax.tree.map(lambda leaf: leaf[m], part)


def members_axes(key_axis: int | None) -> State:
    """Along which axis of each part of a state the members of a sweep lie."""
    return State(None, 0, 0, 0, 0, 0, key_axis, None)  # pyright: ignore


def members_specs(key_axis: int | None) -> State:
    """How the state of a sweep is spread over the devices of a mesh."""
    return State._make(P() if axis is None else P(AXIS) for axis in members_axes(key_axis))


@cache
def initial_members(key_axis: int | None):
    """The jitted states in which the members of a sweep begin: at time 0, or all in one `state`."""

    def start(network, values, state, key, *, dt):
        def member(values, key):
            changed = with_parameters(network, values)
            if state is None:
                return changed.init(key, dt, exact=True)
            return changed.adopted(state, exact=True)._replace(key=key)

        return jax.vmap(member, in_axes=(0, key_axis), out_axes=members_axes(key_axis))(values, key)

    return jax.jit(start, static_argnames="dt")


@cache
def compiled_members(platform: str, key_axis: int | None, mesh: Mesh | None, long: bool):
    """The jitted `run_frames` of the members of a sweep, for kernels that are `long` or not."""
    axes = members_axes(key_axis)

    def run(network, values, state, record, frames, *, plan, dt, most):
        def member(network, frames, values, state):
            changed = with_parameters(network, values)
            return run_frames(changed, state, record, frames, plan=plan, dt=dt, most=most)

        every = jax.vmap(member, in_axes=(None, None, 0, axes), out_axes=(axes, 0, 0))
        if mesh:
            specs = members_specs(key_axis)
            every = jax.shard_map(
                every,
                mesh=mesh,
                in_specs=(P(), P(), P(AXIS), specs),
                out_specs=(specs, P(AXIS), P(AXIS)),
                check_vma=False,
            )
        return every(network, frames, values, state)

    options = compiler_options(platform, long)
    return jax.jit(run, static_argnames=FIXED, compiler_options=options)
