"""Cells and the tissues around them: what each reads of the other, at the slow clock of a tissue.

The charge that leaves each cell is collected in every step. When a tissue moves, the charges of
all cells are summed by voxel in an order that does not depend on the number of devices.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from cortexmg.clock import whole_steps
from cortexmg.environment import Environment
from cortexmg.evidence import mechanisms
from cortexmg.population import Population, PopulationState
from cortexmg.split import Split
from cortexmg.starting import start
from cortexmg.tissues import Exchange, Tissue


class Surroundings(NamedTuple):
    """The tissues around cells, and what bathes them all."""

    tissues: dict[str, Tissue]
    environment: Environment
    split: Split

    def felt_by(self, exchanges: Mapping[str, Exchange]) -> Environment:
        """The environment of cells that read this of each tissue."""
        env = self.environment
        for name, tissue in self.tissues.items():
            felt = exchanges[name].felt
            if tissue.voxels.number == 1:  # what follows is computed once, and not for every cell
                felt = jax.tree.map(lambda x: x[0], felt)
            env = tissue.local(felt, env)
        return env

    def begin(self, populations: dict[str, Population]):
        """The tissues and the populations among them at time 0."""
        states, cells = {name: t.init(self.environment) for name, t in self.tissues.items()}, {}
        for pop, p in populations.items():
            exchanges = {}
            for name, t in self.tissues.items():
                none = {ion: jnp.zeros(p.n) for ion in t.ions if ion in p.carries}
                exchanges[name] = Exchange(self._read(t, t.felt(states[name]), pop, p.n), none)
            cells[pop] = p.init(self.felt_by(exchanges))._replace(tissues=exchanges)
        return states, cells

    def exchanged(
        self,
        states: dict[str, Any],
        populations: dict[str, PopulationState],
        step: Int[Array, ""],
        dt: float,
    ) -> tuple[dict[str, Any], dict[str, PopulationState]]:
        """Tissues and cells at the end of a step: each tissue moves if its time has come."""
        after = {}
        for name, tissue in self.tissues.items():

            def moved(given, tissue=tissue):
                return self._moved(tissue, given[0], given[1], (step + 1) * dt)

            every = whole_steps(tissue.every, dt, f"every of tissue {name!r}")
            given = states[name], {pop: p.tissues[name] for pop, p in populations.items()}
            if every == 1:
                after[name], exchanges = moved(given)
            else:
                due = (step + 1) % every == 0
                after[name], exchanges = jax.lax.cond(due, moved, lambda given: given, given)
            populations = {
                pop: p._replace(tissues=p.tissues | {name: exchanges[pop]})
                for pop, p in populations.items()
            }
        return after, populations

    def _moved(
        self, tissue: Tissue, state: Any, exchanges: dict[str, Exchange], time: Float[Array, ""]
    ):
        """A tissue one step later, and what cells know of it then."""
        sizes = {pop: jax.tree.leaves(x.felt)[0].shape[0] for pop, x in exchanges.items()}
        currents = {}
        for ion in tissue.ions:
            total = jnp.zeros(tissue.voxels.number)
            for pop in sorted(exchanges):
                if ion in exchanges[pop].charge:
                    charge = self.split.everywhere(exchanges[pop].charge[ion])
                    # Without the cells that fill up the last device.
                    total = total + tissue.voxels.sums(
                        charge[: self.split.cells_of(pop, sizes[pop])]
                    )
            currents[ion] = total / tissue.every
        # Between barriers the step is compiled alike wherever the cells are, and so rounds alike.
        state, currents, time = jax.lax.optimization_barrier((state, currents, time))
        state = jax.lax.optimization_barrier(tissue.step(state, currents, self.environment, time))
        value, after = tissue.felt(state), {}
        for pop, x in exchanges.items():
            read = self._read(tissue, value, pop, sizes[pop])
            after[pop] = Exchange(read, jax.tree.map(jnp.zeros_like, x.charge))
        return state, after

    def _read(self, tissue: Tissue, value: Any, population: str, n: int) -> Any:
        """What each of the `n` cells of a population that are here reads."""
        if tissue.voxels.number == 1:
            return jax.tree.map(lambda x: jnp.broadcast_to(x, n), value)
        # The last cell stands for those that fill up the last device.
        whole = self.split.cells_of(population, n)
        cell = jnp.minimum(self.split.part() * n + jnp.arange(n), whole - 1)
        voxel = jnp.asarray(tissue.voxels.holding(whole))[cell]
        return jax.tree.map(lambda x: x[voxel], value)


def check_tissues(
    tissues: dict[str, Tissue], populations: dict[str, Population], environment: Environment
) -> None:
    """Raise if a tissue follows what no cell carries or another follows, or its bath differs."""
    carried = {ion for p in populations.values() for ion in p.carries}
    followed = {
        ion: f"pool {pool!r} of population {name!r}"
        for name, p in populations.items()
        for pool, kind in p.pools.items()
        for ion in kind.outside
    }
    for name, tissue in tissues.items():
        for ion in tissue.ions:
            if ion not in carried:
                raise ValueError(
                    f"Tissue {name!r} follows {ion!r}, but channels and receptors carry "
                    f"{sorted(carried)}: add a channel that carries it, or leave it out of ions."
                )
            if ion in followed:
                raise ValueError(
                    f"Tissue {name!r} follows {ion!r}, and so does {followed[ion]}: what cells "
                    f"lose would be counted twice, so leave the ion to one of them."
                )
            followed[ion] = f"tissue {name!r}"
        known = {ion for known in mechanisms(tissue).values() for ion in known.ions}
        for ion in sorted(known.union(tissue.ions)):
            if shape := np.shape(environment.ions[ion].outside):
                raise ValueError(
                    f"Tissue {name!r} depends on {ion!r}, which must then be one number for all "
                    f"cells, got an array of shape {shape} in Environment.ions."
                )
        _check_pools(name, tissue, populations)
        start()  # it computes
        tissue.init(environment)  # raises where it cannot begin


def _check_pools(name: str, tissue: Tissue, populations: dict[str, Population]) -> None:
    """Raise if what cells take of an ion is nowhere, but of potassium, of which they hold much."""
    for pop, p in populations.items():
        held = {ion for pool in p.pools.values() for ion in pool.ions}
        for ion in sorted((set(tissue.ions) & p.carries) - held - {"k"}):
            raise ValueError(
                f"Tissue {name!r} follows {ion!r}, which population {pop!r} carries without a pool "
                f"for it: what enters its cells would be lost. Give it pools.IonBalance, or leave "
                f"{ion!r} out of ions."
            )
