"""Which devices a run uses."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from cortexmg.hardware import cores
from cortexmg.part import shown
from cortexmg.split import AXIS
from cortexmg.starting import number_said

Devices = Any  # how many, a list of them, a Mesh, or None
# Devices of a CPU share a run by default if it is so much work, eight seconds or more of one core,
# with at least so many cells each: dividing it costs one to three seconds, most of it compilation,
# and every exchange the time in which a core wakes. Measured on two; more are an extrapolation.
WORK, SHARE = 2 * 10**9, 25_000  # cells x steps, cells


def mesh_of(devices: Devices, runs: int, cells: int = 0, steps: int = 0) -> Mesh | None:
    """The devices that so many `runs` use; None for one.

    `devices` is how many, or which, or a mesh with one axis; None takes all of an accelerator, and
    of those of a CPU as many as serve the runs in the shortest time; a single run of so many
    `cells` and `steps` may be divided, see WORK. Several processes run
    together: each must have one of them, and None takes all.

    Raises: ValueError if there are not so many, or if they leave a process out.
    """
    if isinstance(devices, Mesh) and devices.devices.ndim == 1:
        devices = list(devices.devices)
    if devices is None:
        chosen = _by_default(runs, cells // SHARE if cells * steps >= WORK else 1)
    elif isinstance(devices, int | np.integer) and not isinstance(devices, bool):
        chosen = _first(devices)
    elif isinstance(devices, Sequence) and _different(devices):
        chosen = list(devices)
    else:
        raise TypeError(
            f"devices must be a number, a list of different devices or a Mesh with one axis, got "
            f"{shown(devices)}."
        )
    _check_processes(chosen)
    named = isinstance(devices, Sequence)
    return Mesh(np.array(chosen), (AXIS,)) if named or len(chosen) > 1 else None


def _different(devices: Sequence[Any]) -> bool:
    return all(isinstance(d, jax.Device) for d in devices) and 0 < len(set(devices)) == len(devices)


def _by_default(runs: int, parts: int) -> list:
    """For runs side by side, or a single one that is worth dividing into so many `parts`."""
    found = jax.devices()
    if found[0].platform != "cpu" or jax.process_count() > 1:
        return found
    if max(runs, parts) > 1 and len(found) == 1 < cores() and not number_said():
        warnings.warn(
            f"JAX was started before cortexmg could ask for a device for each of {cores()} cores, "
            f"so that this uses one: set JAX_NUM_CPU_DEVICES={cores()}, or make arrays and keys of "
            f"JAX after a first call of simulate, sweep or fit.",
            stacklevel=4,
        )
    if runs == 1:
        return found[: max(parts, 1)]
    rounds = -(-runs // len(found))
    return found[: -(-runs // rounds)]


def _first(count: Any) -> list:
    found = jax.devices()
    if not 1 <= count <= len(found):
        more, platform = "", found[0].platform
        if count > len(found) and jax.process_count() > 1:
            more = " All processes together have no more."
        elif count > len(found) and platform == "cpu":
            more = (
                f" Those of a CPU, by default one for each core, are requested before JAX starts: "
                f"set JAX_NUM_CPU_DEVICES={count}."
            )
        raise ValueError(
            f"devices must be between 1 and {len(found)}, the number of {platform} devices of JAX, "
            f"got {count}.{more}"
        )
    return found[:count]


def platform_of(mesh: Mesh | None) -> str:
    """What kind of devices a run uses."""
    return mesh.devices.flat[0].platform if mesh else jax.default_backend()


def _check_processes(devices: Sequence[Any]) -> None:
    idle = sorted(set(range(jax.process_count())) - {d.process_index for d in devices})
    if idle:
        raise ValueError(
            f"devices must include some of each of the {jax.process_count()} processes, which run "
            f"together, got {len(devices)} and none of process {', '.join(map(str, idle))}. Leave "
            f"devices out to use all {jax.device_count()}; a process that is to run something of "
            f"its own has to start without jax.distributed.initialize."
        )
