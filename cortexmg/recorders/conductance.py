"""Synaptic conductances and the currents they carry, averaged over a population."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cortexmg.factors import product
from cortexmg.membrane import Current, Pathway
from cortexmg.network import Network, State
from cortexmg.part import PerCell
from cortexmg.recorders.recorder import Recorder, cell_ids, check_cells, of_all_cells


class ReceptorConductance(NamedTuple):
    """Mean over the cells, or of the cells that are named, along the last axis (nS)."""

    open: Float[np.ndarray | Array, "..."]  # conducts
    bound: Float[np.ndarray | Array, "..."]  # would conduct if magnesium blocked nothing


class Conductance(Recorder):
    """Conductance of one kind of receptor at the end of each interval: see `Recorder`.

    The mean over the population, or each of `cells`. For NMDA, open / bound is the fraction that
    magnesium lets through.
    """

    population: str = eqx.field(static=True)
    receptor: str = eqx.field(static=True)
    every: float | None = eqx.field(static=True, default=1.0)
    cells: tuple[int, ...] | None = eqx.field(
        static=True,
        default=None,
        converter=lambda x: None if x is None else cell_ids("Conductance", x),
    )

    def read(self, acc: None, network: Network, state: State, steps: int) -> ReceptorConductance:
        del acc, steps
        population, s = network.populations[self.population], state.populations[self.population]
        receptor, bound = population.receptors[self.receptor], s.receptors[self.receptor]
        env = population.local(s.pools, network.local(self.population, state))
        through = receptor.pathway(bound, s.v, env)
        assert isinstance(through, Pathway)  # `check` has refused others
        unblocked = receptor.bound(bound) * product(getattr(receptor, "factors", {}), env)
        both = [of_all_cells(network, self.population, x) for x in (through.g, unblocked)]
        if self.cells is None:
            return ReceptorConductance(*map(jnp.mean, both))
        return ReceptorConductance(*(x[jnp.asarray(self.cells, jnp.int32)] for x in both))

    def check(self, network: Network) -> None:
        receptors = self.recorded(network).receptors
        check_cells("Conductance", self.cells, self.population, self.recorded(network).n)
        if self.receptor not in receptors:
            raise ValueError(
                f"Conductance.receptor {self.receptor!r} is not in population "
                f"{self.population!r}, which has {sorted(receptors)}."
            )
        if not receptors[self.receptor].conducts:
            raise ValueError(
                f"Conductance.receptor {self.receptor!r} of population {self.population!r} has no "
                f"conductance, it is {type(receptors[self.receptor]).__name__}: record its current "
                f"with Probe({self.population!r}, 'receptors/{self.receptor}')."
            )


class FieldPotential(Recorder):
    """A proxy of the field potential at the end of each interval; values [frames] (pA).

    The mean over cells of the absolute synaptic currents, which follows the field potential of
    detailed cells better than voltages or rates do: Mazzoni et al. (2008,
    doi:10.1371/journal.pcbi.1000239).
    """

    population: str = eqx.field(static=True)
    every: float | None = eqx.field(static=True, default=1.0)

    def read(self, acc: None, network: Network, state: State, steps: int) -> Any:
        del acc, steps
        population, s = network.populations[self.population], state.populations[self.population]
        env = population.local(s.pools, network.local(self.population, state))
        paths = [r.pathway(s.receptors[k], s.v, env) for k, r in population.receptors.items()]
        each = sum((jnp.abs(_current(path, s.v)) for path in paths), jnp.zeros_like(s.v))
        return jnp.mean(of_all_cells(network, self.population, each))

    def check(self, network: Network) -> None:
        if not self.recorded(network).receptors:
            raise ValueError(
                f"FieldPotential needs synaptic currents, but population {self.population!r} has "
                f"no receptors."
            )


def _current(path: Pathway | Current, v: PerCell) -> PerCell:
    """What flows through a receptor at these voltages (pA, outward is positive)."""
    return -path.i if isinstance(path, Current) else path.g * (v - path.e)
