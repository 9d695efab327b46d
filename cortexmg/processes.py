"""A mesh that several processes share: each puts its own parts in place and reads the whole.

All processes do the same calls in the same order; what they have to tell each other is in arrays.
"""

import re
import zlib
from functools import cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from cortexmg.noise import is_key
from cortexmg.split import AXIS


def several_processes(mesh: Mesh | None) -> bool:
    """Whether other processes have some of the devices."""
    return mesh is not None and len({d.process_index for d in mesh.devices.flat}) > 1


def own_parts(mesh: Mesh) -> list[int]:
    """Which of the devices belong to this process, counted along the mesh."""
    here = jax.process_index()
    return [k for k, d in enumerate(mesh.devices.flat) if d.process_index == here]


def laid_out(tree: Any, mesh: Mesh, specs: Any) -> Any:
    """Arrays that every process has whole, laid out on the devices as `specs`, a prefix, says."""

    def put(spec, part):
        there = NamedSharding(mesh, spec)

        def array(x):
            if is_key(x):
                data, impl = array(jax.random.key_data(x)), jax.random.key_impl(x)
                return jax.random.wrap_key_data(data, impl=impl)
            x = np.asarray(x)
            return jax.make_array_from_callback(x.shape, there, lambda index: x[index])

        return jax.tree.map(array, part)

    return jax.tree.map(put, specs, tree)


def assembled(tree: Any, mesh: Mesh) -> Any:
    """Arrays with an entry for each device, of which every process has its own, [own, ...]."""
    there, own = NamedSharding(mesh, P(AXIS)), own_parts(mesh)

    def array(x):
        def entry(index):
            k = index[0].start or 0  # of a single device, the slice is open
            return x[own.index(k)][None]

        return jax.make_array_from_callback((mesh.size, *x.shape[1:]), there, entry)

    return jax.tree.map(array, tree)


def everywhere(tree: Any, mesh: Mesh | None) -> Any:
    """Arrays that this process can read although other processes have parts of them."""
    return _copied(mesh)(tree) if mesh is not None and several_processes(mesh) else tree


@cache
def _copied(mesh: Mesh):
    return jax.jit(lambda tree: tree, out_shardings=NamedSharding(mesh, P()))


def said(values: list[int], mesh: Mesh) -> np.ndarray:
    """What the processes say, [devices, values]: whole numbers below 2^32."""
    mine = np.tile(np.array(values, np.uint32), (len(own_parts(mesh)), 1))
    return np.asarray(everywhere(assembled(mine, mesh), mesh))


def anywhere(flag: bool, mesh: Mesh | None) -> bool:
    """Whether `flag` is set in one of the processes."""
    return bool(said([flag], mesh).any()) if mesh is not None and several_processes(mesh) else flag


def check_alike(mesh: Mesh | None, **given: Any) -> None:
    """Raise unless all processes were given the same, leaf by leaf.

    Raises: ValueError, with the names of those that differ.
    """
    if mesh is None or not several_processes(mesh):
        return
    sums = said([_checksum(tree) for tree in given.values()], mesh)
    differ = [name for name, column in zip(given, sums.T, strict=True) if len(set(column)) > 1]
    if differ:
        raise ValueError(
            f"All processes must be given the same, but these differ between them: "
            f"{', '.join(differ)}. Run one script everywhere, with the same seeds and options."
        )


def _checksum(tree: Any) -> int:
    total = zlib.crc32(structure(tree).encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        x = np.ascontiguousarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
        about = f"{jax.tree_util.keystr(path)} {x.dtype} {x.shape}"
        total = zlib.crc32(x.view(np.uint8), zlib.crc32(about.encode(), total))
    return total


def structure(tree: Any) -> str:
    """All but the numbers: what is fixed when a program is compiled, without addresses."""
    return re.sub("0x[0-9a-f]+", "", str(jax.tree.structure(tree)))
