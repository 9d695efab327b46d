"""Networks: the constant pytree `Network`, the changing pytree `State`, and one step between."""

import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from cortexmg.environment import Environment
from cortexmg.events import Rows, deliver
from cortexmg.part import Part, PerCell, check_lengths, check_members, shown
from cortexmg.population import Population, PopulationState
from cortexmg.projection import Projection
from cortexmg.spiking import Spikes
from cortexmg.stimuli import Stimulus

Rings = dict[str, dict[str, Array]]


class State(NamedTuple):
    """Everything that changes in a network."""

    step: Int[Array, ""]  # steps done; the time is step * dt
    populations: dict[str, PopulationState]
    rings: Rings  # nS on its way, by population and transmitter; slot k arrives in step k mod slots
    releases: dict[str, Any]
    stimuli: dict[str, Any]
    key: Key[Array, ""]  # never changes: random numbers are drawn by step
    dt: Float[Array, ""]  # ms, the step that the rings were laid out for


class Network(Part):
    """Populations, the projections between them, what stimulates them, and their environment."""

    environment: Environment
    populations: dict[str, Population]
    projections: dict[str, Projection]
    stimuli: dict[str, Stimulus]

    def __init__(self, environment, populations, projections=None, stimuli=None):
        self.environment = environment
        self.populations = populations
        self.projections = projections or {}
        self.stimuli = stimuli or {}

    def __check_init__(self):
        check_members("Network.populations", self.populations, Population)
        check_members("Network.projections", self.projections, Projection)
        check_members("Network.stimuli", self.stimuli, Stimulus)
        if not isinstance(self.environment, Environment) or not self.populations:
            raise TypeError(
                f"Network needs an Environment (acsf() is one) and at least one population, got "
                f"{shown(self.environment)} and populations {sorted(self.populations)}."
            )
        for name, p in self.populations.items():
            check_lengths(f"Environment of population {name!r}", self.environment, p.n)
        for name, p in self.projections.items():
            _check_projection(name, p, self.populations)
        for name, s in self.stimuli.items():
            _check_stimulus(name, s, self.populations)

    def init(self, key: Key[Array, ""], dt: float) -> State:
        """The state at time 0: cells at their initial voltage, nothing on its way."""
        rings: Rings = {name: {} for name in self.populations}
        for (post, transmitter), slots in self._slots(dt).items():
            rings[post][transmitter] = jnp.zeros(slots * self.populations[post].n)
        stimuli = {
            name: s.init(self.populations[s.target].n, stream(key, name))
            for name, s in self.stimuli.items()
        }
        return State(
            step=jnp.int32(0),
            populations={name: p.init(self.environment) for name, p in self.populations.items()},
            rings=rings,
            releases={
                name: p.release.init(p.connectivity.n_pre) for name, p in self.projections.items()
            },
            stimuli=stimuli,
            key=key,
            dt=jnp.asarray(dt, jnp.result_type(float)),
        )

    def step(self, state: State, dt: float) -> tuple[State, dict[str, Spikes]]:
        """Transmitter arrives, stimuli act, cells integrate and fire, their spikes depart."""
        arrived, rings = self._receive(state)
        inputs: dict[str, list] = {name: [] for name in self.populations}
        stimuli = {}
        for name, s in self.stimuli.items():
            key, n = stream(state.key, name), self.populations[s.target].n
            stimuli[name], effect = s.step(state.stimuli[name], state.step, key, n, dt)
            inputs[s.target].append(effect)
        populations, spikes = {}, {}
        for name, p in self.populations.items():
            populations[name], spikes[name] = p.step(
                state.populations[name], arrived[name], inputs[name], self.environment, dt
            )
        releases = {}
        for name in sorted(self.projections):
            p = self.projections[name]
            releases[name], amount = p.release.step(
                state.releases[name], spikes[p.pre].amount, self.environment, dt
            )
            # A spike carries the time of the end of its step, from which its delay counts.
            rings = _send(p, rings, spikes[p.pre]._replace(amount=amount), state.step + 1, dt)
        after = State(state.step + 1, populations, rings, releases, stimuli, state.key, state.dt)
        return after, spikes

    def check(self, dt: float) -> None:
        """Raise if this network cannot be run in steps of `dt` ms; not if it is traced."""
        if any(isinstance(x, Tracer) for x in jax.tree.leaves(self)):
            return  # values that are not known yet cannot be looked at
        for name, p in self.populations.items():
            p.check(name, dt)
        for s in self.stimuli.values():
            s.check(self.populations[s.target].n, dt)
        for name, p in self.projections.items():
            if p.connectivity.n_contacts and p.connectivity.delay_min < dt * (1 - 1e-6):
                raise ValueError(
                    f"Projection {name!r} has a delay of {p.connectivity.delay_min:g} ms, below "
                    f"one step of {dt:g} ms: use a smaller dt or a longer delay."
                )

    def _slots(self, dt: float) -> dict[tuple[str, str], int]:
        """Steps that the ring of each population and transmitter must hold."""
        slots: dict[tuple[str, str], int] = {}
        for p in self.projections.values():
            ring = (p.post, p.transmitter)
            # One more than the longest delay: the slot of the step at hand has just been emptied.
            longest = max(1, round(p.connectivity.delay_max / dt)) + 1
            slots[ring] = max(slots.get(ring, 1), longest)
            if slots[ring] * self.populations[p.post].n >= 2**31:
                raise ValueError(
                    f"Population {p.post!r} would need {slots[ring]} slots of "
                    f"{self.populations[p.post].n} cells for its delays, 2^31 entries or more: use "
                    f"shorter delays, a larger dt or smaller populations."
                )
        return slots

    def _receive(self, state: State) -> tuple[dict[str, dict[str, PerCell]], Rings]:
        """What every ring holds for this step, and the rings with that slot emptied."""
        arrived: dict[str, dict[str, PerCell]] = {name: {} for name in self.populations}
        rings: Rings = {name: {} for name in self.populations}
        for post, by_transmitter in state.rings.items():
            n = self.populations[post].n
            for transmitter, ring in by_transmitter.items():
                at = state.step % (ring.shape[0] // n) * n
                now = jax.lax.dynamic_slice(ring, (at,), (n,))
                # Without the barrier XLA reads the slot late, and so copies the ring every step.
                now, ring = jax.lax.optimization_barrier((now, ring))
                arrived[post][transmitter] = now
                rings[post][transmitter] = jax.lax.dynamic_update_slice(
                    ring, jnp.zeros_like(now), (at,)
                )
        return arrived, rings


def _send(p: Projection, rings: Rings, spikes: Spikes, step: Array, dt: float) -> Rings:
    """The rings with the spikes of one projection written into the future."""
    c, ring = p.connectivity, rings[p.post][p.transmitter]
    slots = ring.shape[0] // c.n_post
    # To the nearest step. The upper bound matters where single precision rounds a half up.
    delays = jnp.atleast_1d(jnp.clip(jnp.round(c.delays / dt), 1, slots - 1).astype(jnp.int32))
    # A strength on every stored weight would cost a pass over all contacts in every step.
    same = jnp.ndim(c.weights) == 0
    ring = deliver(
        ring,
        spikes.amount if same else spikes.amount * p.strength,
        jnp.asarray(c.weights * p.strength if same else c.weights, ring.dtype),
        Rows(jnp.asarray(c.starts), jnp.asarray(c.targets), delays),
        fired=spikes.fired,
        near=spikes.near,
        step=step,
        n_post=c.n_post,
        row=c.row,
    )
    return {**rings, p.post: {**rings[p.post], p.transmitter: ring}}


def stream(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """The random stream of a member: it follows from its name, not from its place in a dict."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()) & 0x7FFFFFFF)


def _known(kind: str, name: str, field: str, value: str, populations: dict) -> None:
    if value not in populations:
        raise ValueError(
            f"{kind} {name!r} names {field} {value!r}, but the populations are "
            f"{sorted(populations)}."
        )


def _check_projection(name: str, p: Projection, populations: dict[str, Population]) -> None:
    c = p.connectivity
    for field, n in (("pre", c.n_pre), ("post", c.n_post)):
        value = getattr(p, field)
        _known("Projection", name, field, value, populations)
        if n != populations[value].n:
            raise ValueError(
                f"Projection {name!r}: its connectivity has n_{field} = {n}, but population "
                f"{value!r} has {populations[value].n} cells."
            )
    check_lengths(f"Release of projection {name!r}", p.release, c.n_pre)
    heard = {r.transmitter for r in populations[p.post].receptors.values()}
    if p.transmitter not in heard:
        raise ValueError(
            f"Projection {name!r} releases {p.transmitter!r}, but the receptors of population "
            f"{p.post!r} listen to {sorted(heard)}: add a receptor, or correct the name."
        )


def _check_stimulus(name: str, s: Stimulus, populations: dict[str, Population]) -> None:
    _known("Stimulus", name, "target", s.target, populations)
    check_lengths(f"Stimulus {name!r}", s, populations[s.target].n)
    receptor = getattr(s, "receptor", None)
    if receptor is not None and receptor not in populations[s.target].receptors:
        raise ValueError(
            f"Stimulus {name!r} names receptor {receptor!r}, but population {s.target!r} has "
            f"{sorted(populations[s.target].receptors)}."
        )
