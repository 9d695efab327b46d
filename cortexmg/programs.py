"""What a run calls piece by piece: a network on one device, on several, or a sweep over it.

Each program holds the state, which a call replaces; the one before is left as it was.
"""

from contextlib import nullcontext
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from cortexmg.devices import LONG, compiler_options, partitioned_by_gspmd
from cortexmg.division import joined_state, stacked_networks, stacked_states
from cortexmg.frames import run_frames
from cortexmg.network import Network, State
from cortexmg.parameters import with_parameters
from cortexmg.processes import assembled, everywhere, own_parts, spread
from cortexmg.states import arrays
from cortexmg.waiting import AXIS

FIXED = ("plan", "dt", "most")


class OneDevice:
    """A network on one device."""

    parts, members, first = 1, 1, 0  # first: the step at which the run begins
    mesh: Mesh | None = None

    def __init__(self, network: Network, state: State, dt: float):
        self.network, self.state = _in_steps(arrays(network), dt), state
        self.first = int(state.step)

    def advance(self, record, frames: int, **fixed) -> tuple[Any, Any]:
        """What was saved in so many frames, and whether each population is healthy."""
        long = sum(self.network.sizes.values()) >= LONG
        call = compiled(jax.default_backend(), long)
        self.state, saved, healthy = call(self.network, self.state, record, frames, **fixed)
        return saved, healthy

    def voltage(self, name: str) -> np.ndarray:
        """Of all cells of a population, [members, n]."""
        return np.asarray(self.state.populations[name].v)[None]

    def of(self, m: int, saved: Any) -> Any:
        """What belongs to member `m`."""
        del m
        return saved

    def end(self, m: int) -> State:
        """The state of member `m`."""
        del m
        return self.state


class ManyDevices(OneDevice):
    """A network divided among the devices of a mesh."""

    def __init__(self, network: Network, state: State, dt: float, mesh: Mesh):
        self.whole, self.mesh, self.parts = network, mesh, mesh.size
        self.network, self.first = _in_steps(placed(network, mesh), dt), int(state.step)
        self.state = divided(mesh)(network, state)

    def advance(self, record, frames: int, **fixed) -> tuple[Any, Any]:
        with partitioned_by_gspmd():
            call = compiled_on(self.mesh)
            self.state, saved, healthy = call(self.network, self.state, record, frames, **fixed)
        return everywhere((saved, healthy), self.mesh)

    def voltage(self, name: str) -> np.ndarray:
        v = np.asarray(everywhere(self.state.populations[name].v, self.mesh))
        return v.reshape(1, -1)[:, : self.whole.sizes[name]]  # without those that fill up

    def end(self, m: int) -> State:
        return _free(everywhere(together(self.parts)(self.whole, self.state), self.mesh))


class Members(OneDevice):
    """The members of a sweep over a network, on one device or spread over those of a mesh."""

    def __init__(self, network, values, key, dt: float, mesh: Mesh | None):
        self.members = next((v.shape[0] for v in values.values()), key.shape[0] if key.ndim else 1)
        self.key_axis, self.mesh = 0 if key.ndim else None, mesh
        self.network = _in_steps(arrays(network), dt)
        more = -self.members % (mesh.size if mesh else 1)  # the last member again, to fill up
        fill = jnp.minimum(jnp.arange(self.members + more), self.members - 1)
        self.values = {k: jnp.asarray(v, jnp.result_type(float))[fill] for k, v in values.items()}
        key = key[fill] if key.ndim else key
        self.state = initial_members(self.key_axis)(self.network, self.values, key, dt=dt)
        if mesh:
            whole = (self.network, self.values, self.state)
            specs = (P(), P(AXIS), members_specs(self.key_axis))
            self.network, self.values, self.state = spread(whole, mesh, specs)

    def advance(self, record, frames: int, **fixed) -> tuple[Any, Any]:
        cells = 0 if self.mesh else self.members * sum(self.network.sizes.values())
        call = compiled_members(jax.default_backend(), self.key_axis, self.mesh, cells >= LONG)
        with partitioned_by_gspmd() if self.mesh else nullcontext():
            self.state, saved, healthy = call(
                self.network, self.values, self.state, record, frames, **fixed
            )
        return everywhere((saved, healthy), self.mesh)

    def voltage(self, name: str) -> np.ndarray:
        v = everywhere(self.state.populations[name].v, self.mesh)
        return np.asarray(v)[: self.members]

    def of(self, m: int, saved: Any) -> Any:
        return jax.tree.map(lambda x: np.asarray(x)[m], saved)

    def end(self, m: int) -> State:
        parts = zip(self.state, members_axes(self.key_axis), strict=True)
        mine = State._make(
            x if axis is None else jax.tree.map(lambda leaf: leaf[m], x) for x, axis in parts
        )
        return _free(everywhere(mine, self.mesh))


def members_axes(key_axis: int | None) -> State:
    """Along which axis of each part of a state the members of a sweep lie."""
    return State(None, 0, 0, 0, 0, 0, key_axis, None)  # pyright: ignore


def members_specs(key_axis: int | None) -> State:
    """How the state of a sweep is spread over the devices of a mesh."""
    return State._make(P() if axis is None else P(AXIS) for axis in members_axes(key_axis))


@cache
def initial_members(key_axis: int | None):
    """The jitted states at time 0 of the members of a sweep."""

    def start(network, values, key, *, dt):
        def member(values, key):
            return with_parameters(network, values).init(key, dt, exact=True)

        return jax.vmap(member, in_axes=(0, key_axis), out_axes=members_axes(key_axis))(values, key)

    return jax.jit(start, static_argnames="dt")


@cache
def compiled(platform: str, long: bool):
    """The jitted `run_frames`, for kernels that are `long` or not."""
    options = compiler_options(platform, long)
    return jax.jit(run_frames, static_argnames=FIXED, compiler_options=options)


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


@cache
def compiled_on(mesh: Mesh):
    """The jitted `run_frames` for a network divided among the devices of a mesh."""

    def run(networks, states, record, frames, *, plan, dt, most):
        def mine(networks, states, frames):
            network, state = jax.tree.map(lambda x: x[0], (networks, states))
            state, saved, healthy = run_frames(
                network, state, record, frames, plan=plan, dt=dt, most=most
            )
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
        compiler_options=compiler_options(mesh.devices.flat[0].platform),
    )


@cache
def divided(mesh: Mesh):
    """The jitted `stacked_states` that puts each part on its device."""
    there = NamedSharding(mesh, P(AXIS))
    return jax.jit(partial(stacked_states, parts=mesh.size), out_shardings=there)


@cache
def together(parts: int):
    """The jitted `joined_state`."""
    return jax.jit(partial(joined_state, parts=parts))


@partial(jax.jit, static_argnames="dt")
def _delays(network: Network, dt: float) -> dict[str, Any]:
    """Of the contacts of each projection, in steps."""
    return {name: p.connectivity.delays for name, p in network.in_steps(dt).projections.items()}


def _in_steps(network: Network, dt: float) -> Network:
    """The same with delays in steps, once for all pieces of a run."""
    return network.with_delays(_delays(network, dt=dt))


def _free(state: State) -> State:
    """The same, bound to no device, so that a run can go on with others."""

    def free(x):
        if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jnp.asarray(np.asarray(x))
        data = jnp.asarray(np.asarray(jax.random.key_data(x)))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))

    return jax.tree.map(free, state)


def placed(network: Network, mesh: Mesh) -> Network:
    """`stacked_networks` on the devices of a mesh."""
    floats = jax.dtypes.canonicalize_dtype(float)
    own = stacked_networks(network, mesh.size, own_parts(mesh))
    own = jax.tree.map(lambda x: x.astype(floats) if x.dtype.kind == "f" else x, own)
    return assembled(own, mesh)
