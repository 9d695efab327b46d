"""Networks of any size as shapes alone: what is too large to build can still be looked at."""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding

from cortexmg.compaction import AT_ONCE
from cortexmg.connectivity import MOST_CONTACTS, Connectivity, rounded_up
from cortexmg.frames import plan_of
from cortexmg.network import Network, State
from cortexmg.part import Part, check_positive, number, shown
from cortexmg.procedural import Procedural
from cortexmg.programs import compiled
from cortexmg.rows import Wiring, kind_of_targets
from cortexmg.states import dtype_in, initial
from cortexmg.wiring.layout import capacity_for, row_for

SMALL, SCALES = (1000, 2000), (0.02, 0.04)  # cells or scales, of the networks that are built


def outline(
    build: Callable[..., Network],
    n: int | None = None,
    contacts: int | float | None = None,
    scale: float | None = None,
    dt: float | None = None,
) -> Network:
    """The network `build(n)` in which every array is a `jax.ShapeDtypeStruct`.

    Of a large one two small networks are built, and every size is continued along the line through
    theirs. With `contacts`, each cell receives so many, shared among the projections as in the
    model. Of a model that has a `scale` in place of `n`, contacts per cell grow as it does. Without
    either the model is built at the size that it has by default.

    Raises: ValueError for a size that the model refuses, or with too many contacts to number, and
    for a `dt` (ms) in which the network cannot be run.
    """
    large, grown, more = _grown_from(build, n, scale)
    if dt is not None:
        check_positive("dt", dt, "ms")
        large.check(dt)
    if contacts is not None:
        each = number(contacts)
        if each is None or not 1.0 <= each < np.inf:
            raise ValueError(f"contacts must be a number of at least 1, got {shown(contacts)}.")
        cells = sum(large.sizes.values())
        have = sum(p.connectivity.n_contacts for p in large.projections.values()) / cells
        more = each / have if have else 1.0
    projections = {}
    for name, p in grown.projections.items():
        wiring = _wired(large.projections[name].connectivity, p.connectivity, more)
        projections[name] = _with(p, connectivity=wiring)
    return shapes(_with(grown, projections=projections))


def shapes(network: Network) -> Network:
    """The network with the shape and type that each array has in a run, in place of the array."""
    dtype = dtype_in(network)

    def shape(path, x):
        return jax.ShapeDtypeStruct(np.shape(x), dtype(path, x))

    return jax.tree_util.tree_map_with_path(shape, network)


def most_cells(network: Network) -> int:
    """About how many cells a network could have whose contacts can still be numbered."""
    wiring = [p.connectivity for p in network.projections.values()]
    longest = max((len(c.targets) for c in wiring if isinstance(c, Connectivity)), default=0)
    cells = sum(network.sizes.values())
    # Below the limit, as arrays have a tail and round lengths.
    return int(0.97 * MOST_CONTACTS * cells / max(cells, longest))


def queued(network: Network) -> Network:
    """The network of shapes as accelerators deliver its spikes, if its longest rows are known."""
    known = all(p.connectivity.longest for p in network.projections.values())
    return _with(network, at_once=AT_ONCE) if known else network


def state_of(network: Network, dt: float, exact: bool = True) -> State:
    """The shapes of the state of a network of shapes at time 0."""
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    return jax.eval_shape(partial(initial, dt=dt, exact=exact), network, key)


def compiled_step(network: Network, dt: float, platform: str = "", device: Any = None) -> Any:
    """The program of a run that records nothing, compiled from a network of shapes.

    It is for the devices at hand, or for one of a topology of another `platform`.
    """
    return lowered_step(network, dt, platform, device).compile()


def lowered_step(network: Network, dt: float, platform: str = "", device: Any = None) -> Any:
    """The same program before it is compiled."""
    platform = platform or jax.default_backend()
    if platform != "cpu":
        network = queued(network)

    def placed(tree):
        where = SingleDeviceSharding(device) if device else None
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), tree)

    state = state_of(network, dt)
    network = jax.eval_shape(partial(Network.in_steps, dt=dt), network)
    given = placed(network), placed(state), {}, placed(jax.ShapeDtypeStruct((), jnp.int32))
    program = compiled(platform, long=False)  # which kernels there are, not who shares them
    traced = program.trace(*given, plan=plan_of({}, dt), dt=dt, most=1000)
    return traced.lower(lowering_platforms=(platform,))


def _grown_from(
    build: Callable[..., Network], n: Any, scale: Any
) -> tuple[Network, Network, float]:
    """A network that is built, what it becomes at this size, and by how much rows grow with it.

    What is no size is left for the model to refuse.
    """
    fraction = number(scale)
    if fraction is not None and SCALES[1] < fraction <= 1.0:
        return *_continued(build, "scale", SCALES, fraction), fraction / SCALES[1]
    if isinstance(n, int | np.integer) and n > SMALL[1]:
        return *_continued(build, "n", SMALL, n), 1.0
    size = {"n": n, "scale": scale}
    network = build(**{name: x for name, x in size.items() if x is not None})
    return network, network, 1.0


def _continued(build: Callable[..., Network], name: str, sizes: tuple[Any, Any], size: Any):
    """The larger of two small networks, and what it becomes at this size."""
    small, large = (build(**{name: x}) for x in sizes)
    return large, _grown(small, large, (size - sizes[0]) / (sizes[1] - sizes[0]))


def _grown(a: Any, b: Any, far: int | float, static: bool = False) -> Any:
    """What `a` and `b` become `far` times the way from `a` to `b`."""
    if isinstance(b, Part):
        grown = {
            f.name: _grown(getattr(a, f.name), getattr(b, f.name), far, "static" in f.metadata)
            for f in fields(b)
        }
        return _with(b, **grown)
    if isinstance(b, dict):
        return {name: _grown(a[name], b[name], far, static) for name in b}
    if isinstance(b, tuple):
        parts = (_grown(x, y, far, static) for x, y in zip(a, b, strict=True))
        return type(b)(*parts) if hasattr(b, "_fields") else tuple(parts)
    if static and isinstance(b, int) and not isinstance(b, bool):
        return _line(a, b, far)
    if isinstance(b, np.ndarray | jax.Array) and b.ndim:
        shape = tuple(_line(x, y, far) for x, y in zip(a.shape, b.shape, strict=True))
        return jax.ShapeDtypeStruct(shape, b.dtype)
    return b


def _line(a: int, b: int, far: int | float) -> int:
    return max(min(a, 1), round(a + (b - a) * far))


def _wired(known: Wiring, grown: Wiring, more: float) -> Wiring:
    """The grown wiring with `more` times the contacts per row that the `known` one has.

    Lengths of rows deviate from their mean by its root, where contacts are drawn at random.
    """
    if isinstance(known, Procedural):
        return _with(grown, k=max(1, round(known.k * more)))
    assert isinstance(known, Connectivity)
    drawn = np.diff(np.asarray(known.starts))
    mean = float(drawn.mean())
    lengths = np.rint(np.maximum(0.0, more * mean + more**0.5 * (drawn - mean))).astype(np.int64)
    row = known.row if more == 1.0 else row_for(lengths)
    rows = grown.starts.shape[0] - 1
    capacity = capacity_for(round(rows * more * mean), row)

    def stored(x, dtype=None):
        return jax.ShapeDtypeStruct((capacity,), dtype or x.dtype) if np.ndim(x) else x

    arrays = {name: stored(getattr(known, name)) for name in ("weights", "delays")}
    arrays["targets"] = stored(known.targets, kind_of_targets(grown.n_post))
    longest = rounded_up(int(lengths.max(initial=1)))
    return _with(grown, row=row, longest=longest, **arrays)


def _with[T](part: T, **changed: Any) -> T:
    """A copy with some fields replaced, without the checks that need values."""
    copy = object.__new__(type(part))
    for field in fields(part):  # pyright: ignore
        object.__setattr__(copy, field.name, changed.get(field.name, getattr(part, field.name)))
    return copy
