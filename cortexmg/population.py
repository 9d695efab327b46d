"""Populations: cells of one kind."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from cortexmg.channels import Channel, Leak
from cortexmg.environment import Environment
from cortexmg.membrane import Current, Pathway, advance
from cortexmg.part import Part, PerCell, check_lengths, check_members, count, quantity, shown
from cortexmg.pools import Pool
from cortexmg.spiking import Crossing, SpikeRule, Spikes
from cortexmg.stimuli import Arrivals
from cortexmg.synapses import Synapse


class PopulationState(NamedTuple):
    """What changes in a population."""

    v: PerCell  # mV
    change: PerCell  # mV, of v in the last step, or 0 where the cell has just been reset
    channels: dict[str, Any]
    receptors: dict[str, Any]
    pools: dict[str, Any]
    rule: Any


class Population(Part):
    """Cells that share their channels, receptors and spike rule.

    Any number may be one for all cells or an array with one per cell.
    """

    n: int = count()
    capacitance: PerCell = quantity("pF", above=0.0)
    channels: dict[str, Channel]
    receptors: dict[str, Synapse]
    rule: SpikeRule
    pools: dict[str, Pool]
    v0: PerCell = quantity("mV", low=-200.0, high=200.0)  # voltage at the beginning

    def __init__(
        self,
        n: int,
        capacitance: PerCell,
        channels: dict[str, Channel],
        receptors: dict[str, Synapse] | None = None,
        rule: SpikeRule | None = None,
        pools: dict[str, Pool] | None = None,
        v0: PerCell = -70.0,
    ):
        self.n = int(n) if isinstance(n, np.integer) else n
        self.capacitance = capacitance
        self.channels = channels
        self.receptors = receptors or {}
        self.rule = Crossing() if rule is None else rule
        self.pools = pools or {}
        self.v0 = v0

    def __check_init__(self):
        Part.__check_init__(self)  # first of all n is a number
        check_members("Population.channels", self.channels, Channel)
        check_members("Population.receptors", self.receptors, Synapse)
        check_members("Population.pools", self.pools, Pool)
        if not isinstance(self.rule, SpikeRule):
            raise TypeError(f"Population.rule must be a SpikeRule, got {shown(self.rule)}.")
        if not any(isinstance(c, Leak) for c in self.channels.values()):
            raise ValueError(
                f"Population.channels must hold a Leak, got {sorted(self.channels)}: without one "
                f"the voltage of a closed membrane is not defined."
            )
        check_lengths("Population", self, self.n)

    def init(self, env: Environment) -> PopulationState:
        """Every mechanism settled at the initial voltage, no spike on its way."""
        v = jnp.zeros(self.n) + self.v0
        pools = {name: pool.init(v) for name, pool in self.pools.items()}
        env = self._local(env, pools)
        return PopulationState(
            v=v,
            change=jnp.zeros_like(v),
            channels={name: c.init(v, env) for name, c in self.channels.items()},
            receptors={name: r.init(v, env) for name, r in self.receptors.items()},
            pools=pools,
            rule=self.rule.init(v),
        )

    def step(
        self,
        state: PopulationState,
        arrived: dict[str, PerCell],
        inputs: list[Current | Pathway | Arrivals],
        env: Environment,
        dt: float,
    ) -> tuple[PopulationState, Spikes]:
        """The cells after `dt` and their spikes: receptors, gates, voltage, spike rule.

        `arrived` is what the ring of each transmitter holds for this step (nS).
        """
        env, v = self._local(env, state.pools), state.v
        receptors = {}
        for name, r in self.receptors.items():
            landed = sum(x.weight for x in inputs if isinstance(x, Arrivals) and x.receptor == name)
            landed = landed + arrived.get(r.transmitter, 0.0)
            receptors[name] = r.step(state.receptors[name], landed, v, env, dt)
        channels = {
            name: c.step(state.channels[name], v, env, dt) for name, c in self.channels.items()
        }
        # What follows the voltage at once, such as the magnesium block, is held for the step: at
        # its value in the middle of it, extrapolated from the last step, for second order.
        mid = v + 0.5 * state.change
        through = {name: c.pathway(channels[name], mid, env) for name, c in self.channels.items()}
        pools = self._fill(state.pools, through, mid, dt)
        currents = [x for x in inputs if not isinstance(x, Arrivals)] + list(through.values())
        currents += [r.pathway(receptors[name], mid, env) for name, r in self.receptors.items()]
        advanced = advance(v, currents, self.capacitance, dt)
        rule, after, spikes = self.rule.step(state.rule, v, advanced, dt)
        channels = {
            name: c.spiked(channels[name], spikes.fired) for name, c in self.channels.items()
        }
        change = jnp.where(spikes.fired, 0.0, after - v) if self.rule.resets else after - v
        return PopulationState(after, change, channels, receptors, pools, rule), spikes

    def local(self, state: PopulationState, env: Environment) -> Environment:
        """The environment as these cells see it."""
        return self._local(env, state.pools)

    def check(self, name: str, dt: float) -> None:
        """Raise if a step of `dt` ms is too long for these cells."""
        for mechanism, c in self.channels.items():
            if dt > c.largest_dt * (1 + 1e-9):
                raise ValueError(
                    f"dt of {dt:g} ms is too large for population {name!r}: its channel "
                    f"{mechanism!r} is accurate up to {c.largest_dt:g} ms."
                )
        self.rule.check(name, dt)
        leak = sum(np.asarray(c.g) for c in self.channels.values() if isinstance(c, Leak))
        with np.errstate(divide="ignore"):  # a leak may be 0
            tau = float(np.min(np.asarray(self.capacitance) / leak))
        if dt > tau / 10:
            raise ValueError(
                f"dt of {dt:g} ms is too large for population {name!r}: its membrane time constant "
                f"is {tau:g} ms, of which a step may be a tenth."
            )

    def _local(self, env: Environment, pools: dict[str, Any]) -> Environment:
        for name, pool in self.pools.items():
            env = env.with_inside(pool.ion, pool.inside(pools[name]))
        return env

    def _fill(self, pools, through: dict[str, Pathway | Current], v: PerCell, dt: float):
        filled = {}
        for name, pool in self.pools.items():
            carriers = [k for k, c in self.channels.items() if c.ion == pool.ion]
            current = sum(
                (p.g * (v - p.e) for k in carriers if isinstance(p := through[k], Pathway)),
                jnp.zeros_like(v),
            )
            filled[name] = pool.step(pools[name], current, dt)
        return filled
