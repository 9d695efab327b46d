"""What a run calls piece by piece: a network on one device or on several.

Each program holds the state, which a call replaces; the one before is left as it was.
"""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from cortexmg.devices import platform_of
from cortexmg.division import joined_state, stacked_networks, stacked_states
from cortexmg.frames import run_frames
from cortexmg.network import Network, State
from cortexmg.noise import is_key
from cortexmg.processes import assembled, everywhere, own_parts
from cortexmg.split import AXIS
from cortexmg.starting import LONG, compiler_options
from cortexmg.states import dtype_in

FIXED = ("plan", "dt", "most")


class OneDevice:
    """A network on one device."""

    parts, members, first = 1, 1, 0  # first: the step at which the run begins
    mesh: Mesh | None = None

    def __init__(self, network: Network, state: State, dt: float):
        self.network, self.state = in_steps(network, dt), state
        self.first = int(state.step)

    def advance(self, record, frames: int, **fixed) -> tuple[Any, Any]:
        """What was saved in so many frames, and whether each population is healthy."""
        long = sum(self.network.sizes.values()) >= LONG
        call = compiled(platform_of(None), long)
        self.state, saved, healthy = call(self.network, self.state, record, frames, **fixed)
        return saved, healthy

    def voltage(self, name: str) -> np.ndarray:
        """Of all cells of a population, [members, n]."""
        return np.asarray(self.state.populations[name].v)[None]

    def of(self, m: int, saved: Any) -> Any:
        """What belongs to member `m`."""
        del m
        return saved

    def ends(self) -> list[State]:
        """The state of each member."""
        return [self.state]


class ManyDevices(OneDevice):
    """A network divided among the devices of a mesh."""

    def __init__(self, network: Network, state: State, dt: float, mesh: Mesh):
        # Without its numbers, of which each device has its own.
        self.whole = jax.tree.map(lambda _: np.zeros(0, np.float32), network)
        self.mesh, self.parts = mesh, mesh.size
        self.network, self.first = in_steps(placed(network, mesh), dt), int(state.step)
        self.state = divided(mesh)(self.whole, state)

    def advance(self, record, frames: int, **fixed) -> tuple[Any, Any]:
        call = compiled_on(self.mesh)
        self.state, saved, healthy = call(self.network, self.state, record, frames, **fixed)
        return everywhere((saved, healthy), self.mesh)

    def voltage(self, name: str) -> np.ndarray:
        v = np.asarray(everywhere(self.state.populations[name].v, self.mesh))
        return v.reshape(1, -1)[:, : self.whole.sizes[name]]  # without those that fill up

    def ends(self) -> list[State]:
        return [free(everywhere(joined(self.parts)(self.whole, self.state), self.mesh))]


@cache
def compiled(platform: str, long: bool):
    """The jitted `run_frames`, for kernels that are `long` or not."""
    options = compiler_options(platform, long)
    return jax.jit(run_frames, static_argnames=FIXED, compiler_options=options)


@cache
def compiled_on(mesh: Mesh):
    """The jitted `run_frames` for a network divided among the devices of a mesh."""

    def run(networks, states, record, frames, *, plan, dt, most):
        def mine(networks, states, frames):
            network, state = jax.tree.map(lambda x: x[0], (networks, states))
            state, saved, healthy = run_frames(
                network, state, record, frames, plan=plan, dt=dt, most=most
            )
            whole = {name: saved[name] for name, r in record.items() if not r.by_cell}
            healthy = healthy._replace(alike={name: _alike(x) for name, x in whole.items()})
            return *jax.tree.map(lambda x: x[None], (state, healthy)), saved

        saved = {name: P(None, AXIS) if r.by_cell else P() for name, r in record.items()}
        divided = P(AXIS)
        states, healthy, saved = jax.shard_map(
            mine,
            mesh=mesh,
            in_specs=(divided, divided, P()),
            out_specs=(divided, divided, saved),
            check_vma=False,
        )(networks, states, frames)
        return states, saved, healthy

    return jax.jit(
        run,
        static_argnames=FIXED,
        compiler_options=compiler_options(platform_of(mesh)),
    )


def _alike(saved: Any) -> Any:
    """Whether no device saved anything else than the others."""

    def same(x):
        x = x.astype(jnp.int32) if x.dtype == bool else x
        return jnp.all((x == jax.lax.pmax(x, AXIS)) | (x != x))

    return jnp.all(jnp.array([same(x) for x in jax.tree.leaves(saved)]))


@cache
def divided(mesh: Mesh):
    """The jitted `stacked_states` that puts each part on its device."""
    there = NamedSharding(mesh, P(AXIS))
    return jax.jit(partial(stacked_states, parts=mesh.size), out_shardings=there)


@cache
def joined(parts: int):
    """The jitted `joined_state`."""
    return jax.jit(partial(joined_state, parts=parts))


@partial(jax.jit, static_argnames="dt")
def _delays(network: Network, dt: float) -> dict[str, Any]:
    """Of the contacts of each projection, in steps."""
    return {name: p.connectivity.delays for name, p in network.in_steps(dt).projections.items()}


def in_steps(network: Network, dt: float) -> Network:
    """The same with delays in steps, once for all pieces of a run."""
    return network.with_delays(_delays(network, dt=dt))


def free(state: State) -> State:
    """The same, bound to no device, so that a run can go on with others."""

    def unbound(x):
        if not is_key(x):
            return jnp.asarray(np.asarray(x))
        data = jnp.asarray(np.asarray(jax.random.key_data(x)))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))

    return jax.tree.map(unbound, state)


def placed(network: Network, mesh: Mesh) -> Network:
    """`stacked_networks` on the devices of a mesh."""
    dtype = dtype_in(network)

    def array(path, x):
        return np.asarray(x).astype(dtype(path, x), copy=False)

    network = jax.tree_util.tree_map_with_path(array, network)
    return assembled(stacked_networks(network, mesh.size, own_parts(mesh)), mesh)
