"""Networks: the constant pytree `Network`, the changing pytree `State`, and one step between."""

from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from cortexmg.clock import whole_steps
from cortexmg.compaction import words_for
from cortexmg.consistency import check_projection, check_stimulus
from cortexmg.environment import Environment
from cortexmg.evidence import check_ions
from cortexmg.noise import stream
from cortexmg.part import Part, check_lengths, shown
from cortexmg.population import Population, PopulationState
from cortexmg.projection import Projection
from cortexmg.queue import arrive_at_once, enqueue, nothing_queued
from cortexmg.spiking import Spikes
from cortexmg.split import WHOLE, Split
from cortexmg.stimuli import Moment, Stimulus
from cortexmg.surroundings import Surroundings, check_tissues
from cortexmg.tissues import Tissue
from cortexmg.transmission import Underway, arrive, exactly, in_floating_point, nothing_underway
from cortexmg.waiting import Links, anew, delays_left, depart


class State(NamedTuple):
    """Everything that changes in a network."""

    step: Int[Array, ""]  # steps done; the time is step * dt
    populations: dict[str, PopulationState]
    underway: Underway  # what has been sent and has not arrived
    releases: dict[str, Any]
    stimuli: dict[str, Any]
    tissues: dict[str, Any]
    key: Key[Array, ""]  # never changes: random numbers are drawn by step
    dt: Float[Array, ""]  # ms, the step that delays were laid out for


class Network(Part):
    """Populations, the projections between them, what stimulates them, and what surrounds them."""

    environment: Environment
    populations: dict[str, Population]
    projections: dict[str, Projection]
    stimuli: dict[str, Stimulus]
    tissues: dict[str, Tissue]  # what cells and their surroundings slowly make of each other
    split: Split = eqx.field(static=True)  # of which devices this is one
    at_once: int = eqx.field(static=True)  # of 128 cells, see `with_queue`; 0: a loop

    def __init__(
        self, environment, populations, projections=None, stimuli=None, tissues=None, *,
        split=WHOLE, at_once=0,
    ):  # fmt: skip
        self.environment = environment
        self.populations = populations
        self.projections = projections or {}
        self.stimuli = stimuli or {}
        self.tissues = tissues or {}
        self.split = split
        self.at_once = at_once

    def check_rules(self) -> None:
        if not self.populations:
            raise TypeError("Network needs at least one population, got none.")
        check_ions(self, self.environment.ions)
        check_tissues(self.tissues, self.populations, self.environment)
        for name, p in self.populations.items():
            check_lengths(f"Environment of population {name!r}", self.environment, p.n)
        whole = {name: self.count(name) for name in self.populations}
        for name, p in self.projections.items():
            check_projection(name, p, self.populations, whole)
        for name, s in self.stimuli.items():
            check_stimulus(name, s, self.populations, whole)

    @property
    def sizes(self) -> dict[str, int]:
        """How many cells each population has."""
        return {name: p.n for name, p in self.populations.items()}

    def count(self, population: str) -> int:
        """How many cells a population has on all devices together."""
        return self.split.cells_of(population, self.populations[population].n)

    def real(self, population: str, x: Array) -> Array:
        """Numbers of the cells on this device, 0 for those that only fill up its part."""
        n, whole = self.populations[population].n, self.count(population)
        if n * self.split.parts == whole:
            return x
        mine = self.split.part() * n + jnp.arange(n) < whole
        return jnp.where(mine, x, jnp.zeros((), x.dtype))

    def init(self, key: Key[Array, ""], dt: float, exact: bool = False) -> State:
        """The state at time 0: cells at their initial voltage, nothing on its way.

        With `exact`, synaptic input is summed in whole numbers: results do not depend on the
        number of devices, and have no derivative.
        """
        tissues, populations = self._surroundings.begin(self.populations)
        links, queued = self._links(dt), self.at_once and exact
        return State(
            step=jnp.int32(0),
            populations=populations,
            underway=nothing_queued(links) if queued else nothing_underway(links, exact),
            releases={
                name: p.release.init(p.connectivity.n_senders)
                for name, p in self.projections.items()
            },
            stimuli=self.begin_stimuli(key),
            tissues=tissues,
            key=key,
            dt=jnp.asarray(dt, jnp.result_type(float)),
        )

    def begin_stimuli(self, key: Key[Array, ""]) -> dict[str, Any]:
        """The states of the stimuli at time 0."""
        return {
            name: s.init(self.populations[s.target].n, stream(key, name))
            for name, s in self.stimuli.items()
        }

    def step(self, state: State, dt: float) -> tuple[State, dict[str, Spikes]]:
        """Transmitter arrives, stimuli act, cells integrate and fire, their spikes depart."""
        links, queued = self._links(dt), self.at_once and state.underway.exact
        arrived, releases, underway = (arrive_at_once if queued else arrive)(
            links, state.underway, state.releases, self.environment, state.step, state.key
        )
        inputs: dict[str, list] = {name: [] for name in self.populations}
        stimuli = {}
        for name, s in self.stimuli.items():
            n = self.populations[s.target].n
            at = Moment(state.step, stream(state.key, name), n, dt, self.split.part() * n)
            stimuli[name], effect = s.step(state.stimuli[name], at)
            inputs[s.target].append(effect)
        populations, spikes = {}, {}
        for name, p in self.populations.items():
            populations[name], spikes[name] = p.step(
                state.populations[name], arrived[name], inputs[name], self.local(name, state), dt
            )
        around = self._surroundings
        tissues, populations = around.exchanged(state.tissues, populations, state.step, dt)
        leave = enqueue if queued else depart
        waiting = leave(underway.waiting, spikes, state.step, links)
        underway = underway._replace(waiting=waiting)
        after = populations, underway, releases, stimuli, tissues, state.key, state.dt
        return State(state.step + 1, *after), spikes

    def local(self, population: str, state: State) -> Environment:
        """The environment of a population, as tissues have made it."""
        return self._surroundings.felt_by(state.populations[population].tissues)

    @property
    def _surroundings(self) -> Surroundings:
        return Surroundings(self.tissues, self.environment, self.split)

    def _links(self, dt: float) -> Links:
        return Links(self.projections, self.sizes, self.split, self.at_once, dt)

    def in_steps(self, dt: float) -> "Network":
        """The same with delays in steps, for a loop over `step`."""
        return self.with_delays({n: delays_left(p, dt) for n, p in self.projections.items()})

    def with_delays(self, delays: dict[str, Any]) -> "Network":
        """The same with these delays of the contacts of each projection, in steps."""
        projections = {
            name: eqx.tree_at(lambda p: p.connectivity.delays, p, delays[name])
            for name, p in self.projections.items()
        }
        return eqx.tree_at(lambda n: n.projections, self, projections)

    def with_queue(self, at_once: int) -> "Network":
        """The same where, of every 128 cells, `at_once` deliver their spikes together."""
        projections = {
            name: replace(p, connectivity=p.connectivity.with_longest())
            for name, p in self.projections.items()
        }
        return replace(self, projections=projections, at_once=at_once)

    def counted_anew(self, underway: Underway) -> Underway:
        """The same with no late spikes, counted for the `at_once` of this network."""
        waiting = {
            pre: w._replace(late=anew(w, words_for(self.sizes.get(pre, 1)), self.at_once))
            for pre, w in underway.waiting.items()
        }
        return underway._replace(waiting=waiting)

    def adopted(self, state: State, exact: bool) -> State:
        """A state of this network, made exact or differentiable, for weights that may be new."""
        if exact:
            return state._replace(underway=exactly(state.underway, self.projections, self.sizes))
        return state._replace(underway=in_floating_point(state.underway, self.sizes))

    def check(self, dt: float) -> None:
        """Raise if this network cannot be run in steps of `dt` ms; not if it is traced."""
        if any(isinstance(x, Tracer) for x in jax.tree.leaves(self)):
            return  # values that are not known yet cannot be looked at
        for name, p in self.populations.items():
            p.check(name, dt)
            p.check_threshold(name, self.environment)
        for s in self.stimuli.values():
            s.check(self.populations[s.target].n, dt)
        for name, t in self.tissues.items():
            whole_steps(t.every, dt, f"every of tissue {name!r}")
        for name, p in self.projections.items():
            if p.connectivity.n_contacts and p.connectivity.delay_min < dt * (1 - 1e-6):
                raise ValueError(
                    f"Projection {name!r} has a delay of {p.connectivity.delay_min:g} ms, below "
                    f"one step of {dt:g} ms: use a smaller dt or a longer delay."
                )


def check_network(network: Any) -> None:
    """Raise if this is no network."""
    if not isinstance(network, Network):
        raise TypeError(
            f"network must be a Network, got {shown(network)}: cortexmg.models makes some."
        )
