"""Cells and the tissues around them: what each reads of the other, at the slow clock of a tissue.

The charge that leaves each cell is collected in every step. When a tissue moves, the charges of
all cells are summed by voxel in an order that does not depend on the number of devices.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from cortexmg.clock import whole_steps
from cortexmg.environment import Environment
from cortexmg.evidence import mechanisms
from cortexmg.population import Population, PopulationState
from cortexmg.starting import start
from cortexmg.tissues import Exchange, Tissue
from cortexmg.waiting import Split

Tissues = dict[str, Tissue]
Populations = dict[str, PopulationState]


def felt_by(tissues: Tissues, exchanges: Mapping[str, Exchange], env: Environment) -> Environment:
    """The environment of cells that read this of each tissue."""
    for name, tissue in tissues.items():
        felt = exchanges[name].felt
        if tissue.voxels.number == 1:  # what follows is computed once, and not for every cell
            felt = jax.tree.map(lambda x: x[0], felt)
        env = tissue.local(felt, env)
    return env


def beginning(tissues: Tissues, populations: dict[str, Population], env: Environment, split: Split):
    """The tissues and the populations among them at time 0."""
    states, cells = {name: t.init(env) for name, t in tissues.items()}, {}
    for name, p in populations.items():
        exchanges = {}
        for tissue, t in tissues.items():
            read = _read(t.felt(states[tissue]), t, p.n, dict(split.whole).get(name, p.n), split)
            none = {ion: jnp.zeros(p.n) for ion in t.ions if ion in p.carries}
            exchanges[tissue] = Exchange(read, none)
        cells[name] = p.init(felt_by(tissues, exchanges, env))._replace(tissues=exchanges)
    return states, cells


def exchanged(
    tissues: Tissues,
    states: dict[str, Any],
    populations: Populations,
    env: Environment,
    step: Int[Array, ""],
    dt: float,
    split: Split,
) -> tuple[dict[str, Any], Populations]:
    """Tissues and cells at the end of a step: each tissue moves if its time has come."""
    after = {}
    for name, tissue in tissues.items():

        def moved(given, tissue=tissue):
            return _moved(tissue, given[0], given[1], env, (step + 1) * dt, split)

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
    tissue: Tissue,
    state: Any,
    exchanges: dict[str, Exchange],
    env: Environment,
    time: Float[Array, ""],
    split: Split,
):
    """A tissue one step later, and what cells know of it then."""
    sizes = {pop: jax.tree.leaves(x.felt)[0].shape[0] for pop, x in exchanges.items()}
    whole = sizes | dict(split.whole)
    currents = {}
    for ion in tissue.ions:
        total = jnp.zeros(tissue.voxels.number)
        for pop in sorted(exchanges):
            if ion in exchanges[pop].charge:
                # Without the cells that fill up the last device.
                charge = split.everywhere(exchanges[pop].charge[ion])[: whole[pop]]
                total = total + tissue.voxels.sums(charge)
        currents[ion] = total / tissue.every
    # Between barriers the step is compiled alike wherever the cells are, and so rounds alike.
    state, currents, time = jax.lax.optimization_barrier((state, currents, time))
    state = jax.lax.optimization_barrier(tissue.step(state, currents, env, time))
    value, after = tissue.felt(state), {}
    for pop, x in exchanges.items():
        read = _read(value, tissue, sizes[pop], whole[pop], split)
        after[pop] = Exchange(read, jax.tree.map(jnp.zeros_like, x.charge))
    return state, after


def _read(value: Any, tissue: Tissue, n: int, whole: int, split: Split) -> Any:
    """What each of the `n` cells here reads, of `whole` on all devices together."""
    if tissue.voxels.number == 1:
        return jax.tree.map(lambda x: jnp.broadcast_to(x, n), value)
    # The last cell stands for those that fill up the last device.
    cell = jnp.minimum(split.part() * n + jnp.arange(n), whole - 1)
    voxel = jnp.asarray(tissue.voxels.holding(whole))[cell]
    return jax.tree.map(lambda x: x[voxel], value)


def check_tissues(
    tissues: Tissues, populations: dict[str, Population], environment: Environment
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
