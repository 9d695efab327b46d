"""Populations: cells of one kind."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cortexmg.channels import Channel, IonLeak, Leak
from cortexmg.derivatives import depends, kept, seam
from cortexmg.environment import Environment
from cortexmg.membrane import Current, Pathway, averaged, voltage_change
from cortexmg.part import Part, PerCell, check_lengths, count, quantity
from cortexmg.pools import Pool
from cortexmg.spiking import Crossing, SpikeRule, Spikes
from cortexmg.stimuli import Arrivals, Firing
from cortexmg.surface import SurfaceCharge, felt_by_gates
from cortexmg.synapses import Synapse
from cortexmg.tissues import Exchange


class PopulationState(NamedTuple):
    """What changes in a population."""

    v: PerCell  # mV
    # mV, of v in the last step, or 0 where the cell has just been reset; None if nothing asks
    change: PerCell | None
    channels: dict[str, Any]
    receptors: dict[str, Any]
    pools: dict[str, Any]
    rule: Any
    tissues: dict[str, Exchange]  # with each tissue of the network


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
    surface: SurfaceCharge | None  # what divalent ions do to the voltage that gates feel
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
        surface: SurfaceCharge | None = None,
    ):
        self.n = int(n) if isinstance(n, np.integer) else n
        self.capacitance = capacitance
        self.channels = channels
        self.receptors = receptors or {}
        self.rule = Crossing() if rule is None else rule
        self.pools = pools or {}
        self.surface = surface
        self.v0 = v0

    def check_rules(self) -> None:
        if not any(isinstance(c, Leak | IonLeak) for c in self.channels.values()):
            raise ValueError(
                f"Population.channels must hold a Leak, got {sorted(self.channels)}: without one "
                f"the voltage of a closed membrane is not defined."
            )
        self._check_pools()
        check_lengths("Population", self, self.n)

    def init(self, env: Environment) -> PopulationState:
        """Every mechanism settled at the initial voltage, no spike on its way."""
        v = jnp.zeros(self.n) + self.v0
        pools = {name: pool.init(v, env) for name, pool in self.pools.items()}
        env = self.local(pools, env)
        felt = felt_by_gates(self.surface.shift(env) if self.surface else None)
        channels = {name: c.init(felt(v, c), env) for name, c in self.channels.items()}
        receptors = {name: r.init(v, env) for name, r in self.receptors.items()}
        asked = depends(lambda v: self._paths(channels, receptors, v, felt, env), v)
        return PopulationState(
            v=v,
            change=jnp.zeros_like(v) if asked else None,
            channels=channels,
            receptors=receptors,
            pools=pools,
            rule=self.rule.init(v),
            tissues={},
        )

    def step(
        self,
        state: PopulationState,
        arrived: dict[str, PerCell],
        inputs: list[Current | Pathway | Arrivals | Firing],
        env: Environment,
        dt: float,
    ) -> tuple[PopulationState, Spikes]:
        """The cells after `dt` and their spikes: receptors, gates, voltage, spike rule.

        `arrived` is what the ring of each transmitter holds for this step (nS).
        """
        env, v = self.local(state.pools, env), state.v
        shift = self.surface.shift(env) if self.surface else None
        felt = felt_by_gates(shift)
        receptors = {}
        for name, r in self.receptors.items():
            given = [x.weight for x in inputs if isinstance(x, Arrivals) and x.receptor == name]
            if given and len(jax.tree.leaves(state.receptors[name])) > 1:
                # XLA would draw the noise anew for each component.
                given = jax.lax.optimization_barrier(given)
            landed = sum(given) + arrived.get(r.transmitter, 0.0)
            receptors[name] = kept(r.step(state.receptors[name], landed, v, env, dt))
        channels = {
            name: seam(c.step(state.channels[name], felt(v, c), env, dt))
            for name, c in self.channels.items()
        }
        # What follows the voltage at once, such as the magnesium block, is held for the step: at
        # its value in the middle of it, extrapolated from the last step, for second order.
        mid = v if state.change is None else v + 0.5 * state.change
        paths = self._paths(channels, receptors, mid, felt, env)
        currents = [x for x in inputs if not isinstance(x, Arrivals | Firing)] + paths
        change = seam(voltage_change(v, currents, self.capacitance, dt))
        mean = averaged(change, currents, self.capacitance, dt)
        states = [*channels.values(), *receptors.values()]
        through = zip(self._mechanisms, states, paths, strict=True)
        pools, tissues = self._fill(state, through, mean, env, dt)
        rule = self.rule if shift is None else self.rule.shifted(shift)
        rule, after, change, spikes = rule.step(state.rule, v, change, dt)
        spikes = spikes.joined_by([x.cells for x in inputs if isinstance(x, Firing)])
        channels = {
            name: c.spiked(channels[name], spikes.fired, env) for name, c in self.channels.items()
        }
        change = change if state.change is not None else None
        return PopulationState(after, change, channels, receptors, pools, rule, tissues), spikes

    def local(self, pools: dict[str, Any], env: Environment) -> Environment:
        """The environment as cells with these states of their pools see it."""
        for name, pool in self.pools.items():
            env = pool.local(pools[name], env)
        return env

    def check(self, name: str, dt: float) -> None:
        """Raise if a step of `dt` ms is too long for these cells."""
        for mechanism, c in self.channels.items():
            if dt > c.largest_dt * (1 + 1e-9):
                raise ValueError(
                    f"dt of {dt:g} ms is too large for population {name!r}: its channel "
                    f"{mechanism!r} is accurate up to {c.largest_dt:g} ms."
                )
        self.rule.check(name, dt)
        leak = sum(np.asarray(c.g) for c in self.channels.values() if isinstance(c, Leak | IonLeak))
        with np.errstate(divide="ignore"):  # a leak may be 0
            tau = float(np.min(np.asarray(self.capacitance) / leak))
        if dt > tau / 10:
            raise ValueError(
                f"dt of {dt:g} ms is too large for population {name!r}: its membrane time constant "
                f"is {tau:g} ms, of which a step may be a tenth."
            )

    def check_threshold(self, name: str, env: Environment) -> None:
        """Raise if surface charge shifts the threshold of these cells below their reset."""
        if self.surface is None:
            return
        shift = self.surface.shift(env)
        try:
            self.rule.shifted(shift)
        except ValueError as error:
            raise ValueError(
                f"Population {name!r}, its threshold shifted by {np.min(np.asarray(shift)):.1f} mV "
                f"by surface charge: {error}"
            ) from None

    def _paths(self, channels, receptors, v: PerCell, felt, env: Environment) -> list:
        """What each channel and receptor adds to the membrane at a voltage."""
        through = [c.pathway(channels[name], felt(v, c), env) for name, c in self.channels.items()]
        return through + [r.pathway(receptors[name], v, env) for name, r in self.receptors.items()]

    def _fill(self, state: PopulationState, through, v: PerCell, env: Environment, dt: float):
        """Pools and exchanges after the currents of a step, whose mean voltage was `v`."""
        wanted = {ion for pool in self.pools.values() for ion in (*pool.ions, *pool.others)}
        wanted |= {ion for exchange in state.tissues.values() for ion in exchange.charge}
        carried = [
            mechanism.carried(kept, path, v, env)
            for mechanism, kept, path in through
            if wanted.intersection(mechanism.carries)
        ]
        currents = {
            ion: sum((x[ion] for x in carried if ion in x), jnp.zeros_like(v))
            for ion in sorted(wanted)
        }
        for pool in self.pools.values():
            currents = pool.exchanged(currents)
        pools = {
            name: pool.step(state.pools[name], currents, env, dt)
            for name, pool in self.pools.items()
        }
        return pools, {name: x.after(currents, dt) for name, x in state.tissues.items()}

    @property
    def carries(self) -> set[str]:
        """The ions whose currents through its channels and receptors are known."""
        return {ion for m in self._mechanisms for ion in m.carries}

    @property
    def _mechanisms(self) -> list[Channel | Synapse]:
        return [*self.channels.values(), *self.receptors.values()]

    def _check_pools(self) -> None:
        """Raise if a pool follows an ion that nothing carries, or that another follows."""
        carried, followed = self.carries, {}
        for name, pool in self.pools.items():
            for ion in pool.ions:
                if ion in followed:
                    raise ValueError(
                        f"Population.pools[{name!r}] follows {ion!r}, and so does "
                        f"{followed[ion]!r}: what moves would be counted twice, so leave one out."
                    )
                followed[ion] = name
                if ion not in carried:
                    raise ValueError(
                        f"Population.pools[{name!r}] follows {ion!r}, but channels and receptors "
                        f"carry {sorted(carried)}: add a channel that carries it, or leave "
                        f"the pool out."
                    )
