"""What a run does, as a compiled program needs to know it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from cortexmg.bounds import Place, paths_of, values_at
from cortexmg.measures import Measure
from cortexmg.network import Network
from cortexmg.parameters import parameters, with_parameters
from cortexmg.part import shown
from cortexmg.recorders import Recorder
from cortexmg.simulate import simulate
from cortexmg.tangents import Tangents

Conditions = Mapping[str, Mapping[str, float]]


class Recipe(NamedTuple):
    """What a compiled program needs to know: equal ones share it, whatever their networks hold."""

    places: tuple[Place, ...]
    measures: tuple[tuple[str, Measure], ...]
    conditions: tuple[tuple[tuple[str, float], ...], ...]
    settle: float
    duration: float
    dt: float

    def measured(
        self,
        network: Network,
        u: Float[Array, " p"],
        condition: Int[Array, ""],
        key: Key[Array, ""],
        gradients: bool | Tangents,
    ) -> dict[str, Any]:
        """The measures of one run; traced."""
        network = with_parameters(network, self._values(network, u, condition))
        wanted = {repr(r): r for _, m in self.measures for r in m.recorders.values()}
        # One program from the beginning on: settling by itself would be compiled twice.
        how = {"dt": self.dt, "gradients": gradients, "key": key}
        run = simulate(network, self.settle + self.duration, record=wanted, **how)
        saved = {k: self._after_settling(r, run[k].values) for k, r in wanted.items()}
        finite = jnp.array([jnp.all(jnp.isfinite(p.v)) for p in run.state.populations.values()])
        return {
            name: jnp.where(
                jnp.all(finite),
                m.value({k: saved[repr(r)] for k, r in m.recorders.items()}),
                jnp.inf,
            )
            for name, m in self.measures
        }

    def _after_settling(self, recorder: Recorder, values: Any) -> Any:
        """What was saved after the network had settled."""
        first = round(self.settle / (recorder.every or self.dt))
        return jax.tree.map(lambda x: x[first:], values)

    def statistics(self, *given: Any) -> Float[Array, " q"]:
        """The same as one vector."""
        return jnp.concatenate([jnp.atleast_1d(x) for x in self.measured(*given).values()])

    def _values(self, network: Network, u: Any, condition: Any) -> dict[str, Any]:
        """The parameters of a run: fitted ones, but for those that the condition sets."""
        values, known = values_at(self.places, u), parameters(network)
        conditions = [dict(c) for c in self.conditions]
        for path in sorted({path for c in conditions for path in c}):
            here = jnp.array([path in c for c in conditions])[condition]
            set_to = jnp.array([c.get(path, 0.0) for c in conditions], float)[condition]
            otherwise = values.get(path, known[path].value)
            values[path] = jnp.where(here, set_to, otherwise)
        return values


def plain_run(recipe: Recipe, how: None, *given: Any) -> Float[Array, " q"]:
    """The statistics of a run without derivatives."""
    del how
    return recipe.statistics(*given, False)


def check_conditions(conditions: Any) -> None:
    """Raise if `conditions` are not dicts from names of parameters to numbers, by name."""
    if not isinstance(conditions, Mapping):
        raise TypeError(
            f"conditions must be a dict from names to the parameters that each sets, got "
            f"{shown(conditions)}."
        )
    for name, values in conditions.items():
        if not isinstance(values, Mapping):
            raise TypeError(
                f"condition {name!r} must be a dict from names of parameters to numbers, got "
                f"{shown(values)}."
            )
        for path, value in values.items():
            if np.ndim(value) or np.asarray(value).dtype.kind not in "fiu":
                raise TypeError(
                    f"condition {name!r} must set {path} to one number, got {shown(value)}."
                )


def resolved(network: Network, conditions: Conditions) -> dict[str, dict[str, float]]:
    """The conditions with every pattern replaced by the names that it stands for."""
    check_conditions(conditions)
    known = parameters(network)
    found: dict[str, dict[str, float]] = {name: {} for name in conditions}
    for name, values in conditions.items():
        for pattern, value in values.items():
            for path in paths_of(network, pattern, known):
                if path in found[name]:
                    raise ValueError(
                        f"condition {name!r} sets {path} twice: under {pattern!r} and another name."
                    )
                found[name][path] = float(value)
    return found
