"""Any state variable of chosen cells."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from cortexmg.network import Network, State
from cortexmg.parameters import path_name
from cortexmg.recorders.recorder import Recorder, cell_ids, check_cells, of_all_cells


class Probe(Recorder):
    """A state variable of chosen cells at the end of each interval; values [frames, cells].

    `variable` is a path in the state of the population: "v" (mV), "channels/na/m", "pools/ca",
    "receptors/nmda/binding/decay"... `cells` are ids, or None for all.
    """

    population: str = eqx.field(static=True)
    variable: str = eqx.field(static=True, default="v")
    cells: tuple[int, ...] | None = eqx.field(static=True, default=None)
    every: float | None = eqx.field(static=True, default=1.0)

    def __init__(
        self,
        population: str,
        variable: str = "v",
        cells: Sequence[int] | np.ndarray | Array | None = None,
        every: float | None = 1.0,
    ):
        self.population = population
        self.variable = variable
        self.cells = None if cells is None else cell_ids("Probe", cells)
        self.every = every

    def read(self, acc: None, network: Network, state: State, steps: int) -> Any:
        del acc, steps
        values = _variables(state.populations[self.population])[self.variable]
        if self.cells is None:
            return values
        values = of_all_cells(network, self.population, values)
        return values[jnp.asarray(self.cells, jnp.int32)]

    @property
    def by_cell(self) -> bool:
        return self.cells is None

    def check(self, network: Network) -> None:
        check_cells("Probe", self.cells, self.population, self.recorded(network).n)
        shape = jax.eval_shape(
            lambda: network.init(jax.random.key(0), 1.0).populations[self.population]
        )
        if self.variable not in _variables(shape):
            raise ValueError(
                f"Probe.variable {self.variable!r} is not in the state of population "
                f"{self.population!r}, which has {sorted(_variables(shape))}."
            )


def _variables(state: Any) -> dict[str, Any]:
    return {path_name(path): x for path, x in jax.tree_util.tree_leaves_with_path(state)}
