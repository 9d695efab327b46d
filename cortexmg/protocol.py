"""What is done to a network and measured on it, as one compiled program for many runs."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Key

from cortexmg.bounds import Bounds, Coordinates, values_at
from cortexmg.clock import whole_steps
from cortexmg.devices import Devices, mesh_of, platform_of
from cortexmg.hardware import memory_here
from cortexmg.measures import Measure
from cortexmg.network import Network
from cortexmg.parameters import with_parameters
from cortexmg.part import check_members
from cortexmg.processes import check_alike, everywhere, laid_out, own_parts
from cortexmg.progress import Progress
from cortexmg.recipe import Conditions, Recipe, plain_run, resolved
from cortexmg.split import AXIS
from cortexmg.starting import compiler_options, start
from cortexmg.states import arrays, key_of

TOGETHER = 16_000  # cells of runs that a CPU computes side by side: more would leave its cache
ON_ACCELERATORS = 2_000_000  # the same on an accelerator, which has room for them in its memory


class Statistic(NamedTuple):
    """One entry of the vector of statistics."""

    condition: str
    measure: str
    part: int | None  # which, of a measure that gives several

    def __str__(self) -> str:
        part = "" if self.part is None else f"[{self.part}]"
        return f"{self.measure}{part}" + (f" ({self.condition})" if self.condition else "")


class Protocol:
    """A network under several conditions, measured for `duration` ms after `settle` ms.

    What is measured begins with a new interval of every measure, so settling may take longer.
    `conditions` maps names to the parameters that each sets, by name or pattern; what a condition
    sets is not fitted there. Runs of one key share their noise under all conditions. The vector of
    statistics has those of the first condition, then of the next.
    """

    def __init__(
        self,
        network: Network,
        coordinates: Coordinates,
        measures: Mapping[str, Measure],
        conditions: Conditions | None = None,
        *,
        duration: float = 1000.0,
        settle: float = 500.0,
        dt: float = 0.05,
        devices: Devices = None,
        progress: bool = False,
    ):
        """Raises: KeyError for unknown names, ValueError for what cannot be measured or run."""
        start()
        check_members("measures", measures, Measure)
        if not measures:
            raise ValueError("Nothing to measure: give at least one Measure.")
        self.network, self.coordinates, self.measures = network, coordinates, dict(measures)
        whole_steps(duration, dt, "duration")
        self.duration, self.dt = float(duration), float(dt)
        self.conditions = resolved(network, conditions or {"": {}})
        for name, m in self.measures.items():
            try:
                m.check(network, duration)
            except ValueError as error:
                raise ValueError(f"Measure {name!r}: {error}") from error
        self.settle = _in_whole_intervals(settle, self.measures, self.dt)
        for values in self.conditions.values():
            at = values_at(coordinates.places, coordinates.start) | values
            with_parameters(network, at).check(dt)
        self.mesh, self.progress = mesh_of(devices, 10**6), progress and not jax.process_index()
        self.recipe = Recipe(
            # Without priors, which no run depends on.
            tuple(
                p._replace(bounds=Bounds(p.bounds.low, p.bounds.high)) for p in coordinates.places
            ),
            tuple(self.measures.items()),
            tuple(tuple(sorted(c.items())) for c in self.conditions.values()),
            self.settle,
            self.duration,
            self.dt,
        )

    @cached_property
    def statistics(self) -> list[Statistic]:
        """What the entries of a vector of statistics are."""
        # The key is traced too: without parameters nothing else would be.
        shapes = jax.eval_shape(
            lambda u, key: self.recipe.measured(self.network, u, jnp.int32(0), key, False),
            jnp.asarray(self.coordinates.start),
            jax.random.key(0, impl="threefry2x32"),
        )
        return [
            Statistic(condition, name, part if shapes[name].shape else None)
            for condition in self.conditions
            for name in self.measures
            for part in range(shapes[name].size)
        ]

    @cached_property
    def entries(self) -> dict[tuple[str, str], slice]:
        """Where a vector of statistics has those of each condition and measure, in order."""
        entries, first = {}, 0
        for key, parts in Counter((s.condition, s.measure) for s in self.statistics).items():
            entries[key] = slice(first, first := first + parts)
        return entries

    def scaled(self, statistics: Any) -> Any:
        """Statistics on the scale on which they are compared, along the last axis."""
        values = jnp.split(statistics, [at.stop for at in self.entries.values()][:-1], axis=-1)
        names = (name for _, name in self.entries)
        each = [self.measures[name].scaled(x) for name, x in zip(names, values, strict=True)]
        return jnp.concatenate(each, axis=-1)

    def slopes(self, statistics: Float[np.ndarray, " q"]) -> Float[np.ndarray, " q"]:
        """The derivative of each scaled statistic by itself, 0 where it is undefined."""
        defined = np.isfinite(statistics)
        each = self._slopes(np.where(defined, statistics, 1.0))
        return np.where(defined, np.asarray(each, float), 0.0)

    @cached_property
    def _slopes(self) -> Callable:
        """Compiled, as every step of a fit asks a dozen times."""
        return jax.jit(jax.grad(lambda x: jnp.sum(self.scaled(x))))

    def run(
        self, us: Float[np.ndarray, "s m p"], keys: Key[Array, " s"]
    ) -> Float[np.ndarray, "s m q"]:
        """The statistics at each of `us`, those of one row with the same key: NaN where undefined.

        They are infinite in a run whose voltages did not stay finite.
        """
        rows, keys = us.reshape(us.shape[0] * us.shape[1], -1), jnp.repeat(keys, us.shape[1])
        return self.members(plain_run, None, rows, keys).reshape(*us.shape[:2], -1)

    def members(
        self,
        f: Callable,
        how: Any,
        us: Float[np.ndarray, "m p"],
        keys: Key[Array, " m"],
        *shared: Array,
        alone: bool = False,
    ) -> Any:
        """`f(recipe, how, network, u, condition, key, *shared)` of each row, under all conditions.

        Results have the members along their first axis and the conditions along the second. A
        program for some runs side by side serves any number of them, and later ones like this;
        `alone`, each runs by itself.
        """
        k, size = len(self.conditions), self.parts if alone else self.side_by_side
        us, keys = np.repeat(np.asarray(us, np.result_type(float)), k, axis=0), jnp.repeat(keys, k)
        which = np.tile(np.arange(k, dtype=np.int32), us.shape[0] // k)
        check_alike(self.mesh, network=self.network, rows=us, keys=keys)
        size = min(size, -(-us.shape[0] // self.parts) * self.parts)
        network, shared = self._placed((arrays(self.network), shared), P())
        call, pieces, time = None, [], self.settle + self.duration
        with Progress(self.progress, time * us.shape[0], 1) as progress:
            for a in range(0, us.shape[0], size):
                at = np.minimum(np.arange(a, a + size), us.shape[0] - 1)  # the last fills up
                given = network, *self._placed((us[at], which[at], keys[at]), P(AXIS)), *shared
                call = call or program(f, self.recipe, how, self.mesh, given)
                pieces.append(everywhere(call(*given), self.mesh))
                progress.show(time * min(a + size, us.shape[0]))
        whole = jax.tree.map(lambda *xs: np.concatenate(xs)[: us.shape[0]], *pieces)
        return jax.tree.map(lambda x: x.reshape(-1, k, *x.shape[1:]), whole)

    def _placed(self, tree: Any, spec: P) -> Any:
        return laid_out(tree, self.mesh, spec) if self.mesh else tree

    @property
    def parts(self) -> int:
        """How many devices share the runs."""
        return self.mesh.size if self.mesh else 1

    @property
    def side_by_side(self) -> int:
        """How many runs are computed side by side."""
        cells = sum(self.network.sizes.values())
        cpu = platform_of(self.mesh) == "cpu"
        most, room = (16, TOGETHER) if cpu else (64, ON_ACCELERATORS)
        return self.parts * max(1, min(most, room // cells))


def program(f: Callable, recipe: Recipe, how: Any, mesh: Any, given: tuple) -> Callable:
    """`f(recipe, how, *given)`, compiled for many runs: the network and what is shared are one.

    Raises: MemoryError if it needs more than there is, before it runs.
    """
    leaves, tree = jax.tree.flatten(given)
    kinds = [(np.shape(x), jax.dtypes.result_type(x)) for x in leaves]
    there = [x.sharding if mesh else None for x in leaves]
    shapes = tuple(
        jax.ShapeDtypeStruct(*kind, sharding=s) for kind, s in zip(kinds, there, strict=True)
    )
    call = _compiled(f, recipe, how, mesh, tree, shapes)
    sizes = call.memory_analysis()
    needed = float(sizes.temp_size_in_bytes + sizes.output_size_in_bytes)
    if mesh and platform_of(mesh) == "cpu":  # whose devices share its memory
        needed *= len(own_parts(mesh))
    if needed > (room := memory_here()):
        raise MemoryError(
            f"Runs of {recipe.settle + recipe.duration:g} ms, {len(given[1])} side by side, need "
            f"{needed / 1e6:,.0f} MB and {room / 1e6:,.0f} MB are left: simulate fewer cells. "
            f"Forward needs less for fewer parameters, Reverse for shorter times or a larger dt, "
            f"and Differences the least; all of them for fewer `devices`."
        )
    return call


@lru_cache(maxsize=64)
def _compiled(f: Callable, recipe: Recipe, how: Any, mesh: Any, tree: Any, shapes: tuple) -> Any:
    given = jax.tree.unflatten(tree, shapes)
    shared = len(given) - 4
    every = jax.vmap(partial(f, recipe, how), in_axes=(None, 0, 0, 0, *[None] * shared))
    if mesh:
        specs = (P(), P(AXIS), P(AXIS), P(AXIS), *[P()] * shared)
        every = jax.shard_map(every, mesh=mesh, in_specs=specs, out_specs=P(AXIS), check_vma=False)
    options = compiler_options(platform_of(mesh))
    return jax.jit(every, compiler_options=options).lower(*given).compile()


def keys_of(key: int, step: int, seeds: int) -> jax.Array:
    """The keys of the runs of a step, [seeds]."""
    of_step = jax.random.fold_in(key_of(key), step)
    return jax.vmap(lambda i: jax.random.fold_in(of_step, i))(jnp.arange(seeds))


def _in_whole_intervals(settle: float, measures: Mapping[str, Measure], dt: float) -> float:
    """The time, or somewhat more, after which an interval of every measure begins."""
    every = [r.every or dt for m in measures.values() for r in m.recorders.values()]
    together = np.lcm.reduce([whole_steps(x, dt, "every") for x in every])
    at_once = not isinstance(settle, bool) and settle == 0
    steps = 0 if at_once else whole_steps(settle, dt, "settle")
    return float(-(-steps // together) * together * dt)
