"""Which devices a run uses."""

import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from cortexmg.hardware import cores
from cortexmg.part import shown
from cortexmg.waiting import AXIS

Devices = Any  # how many, a list of them, a Mesh, or None
LONG = 100_000  # cells of a run from which on several threads share its kernels
DISABLED = "xla_disable_hlo_passes"
FORCED = "xla_force_host_platform_device_count"
CUTTING = "cpu-parallel-task-assigner"  # the pass of XLA that cuts kernels into parts for threads


def start() -> None:
    """Start JAX with a device for each core of a CPU and kernels in one part, unless it runs.

    Sweeps and fits use all devices. With several threads XLA cuts kernels into parts for them, and
    most of a step are so short that waking a thread takes longer: a step of 4,000 cells takes 1.5
    times as long. Programs of ours choose for themselves (`compiler_options`), those that a caller
    compiles have no such choice. What the user has told XLA not to do, and a number of devices, are
    respected; nothing stays changed in the environment.
    """
    _request_cores()
    before = os.environ.get("XLA_FLAGS")
    if _user_decides():
        return
    os.environ["XLA_FLAGS"] = f"{before or ''} --{DISABLED}={CUTTING}"
    try:
        jax.devices()
    finally:
        del os.environ["XLA_FLAGS"]
        if before is not None:
            os.environ["XLA_FLAGS"] = before


def _request_cores() -> None:
    """Ask JAX for as many CPU devices as there are cores, unless the user has said how many."""
    if _number_said() or jax.distributed.is_initialized():
        return
    with suppress(RuntimeError):  # JAX runs already
        jax.config.update("jax_num_cpu_devices", cores())


def _number_said() -> bool:
    """Whether the user has said how many devices a CPU is to have."""
    return jax.config.jax_num_cpu_devices != -1 or _user_decides(FORCED)  # pyright: ignore


def _user_decides(flag: str = DISABLED) -> bool:
    """Whether the user has told XLA so, or flags are in a file, which may do so."""
    flags = os.environ.get("XLA_FLAGS", "").strip()
    return flag in flags or (bool(flags) and not flags.startswith("-"))


def mesh_of(devices: Devices, runs: int) -> Mesh | None:
    """The devices that so many `runs` use; None for one.

    `devices` is how many, or which, or a mesh with one axis; None takes all of an accelerator, and
    of those of a CPU as many as serve the runs in the shortest time. Several processes run
    together: each must have one of them, and None takes all.

    Raises: ValueError if there are not so many, or if they leave a process out.
    """
    if isinstance(devices, Mesh) and devices.devices.ndim == 1:
        devices = list(devices.devices)
    if devices is None:
        chosen = _by_default(runs)
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


def _by_default(runs: int) -> list:
    found = jax.devices()
    if found[0].platform != "cpu" or jax.process_count() > 1:
        return found
    if runs > 1 and len(found) == 1 < cores() and not _number_said():
        warnings.warn(
            f"JAX was started before cortexmg could ask for a device for each of {cores()} cores, "
            f"so that runs side by side use one: set JAX_NUM_CPU_DEVICES={cores()}, or make "
            f"arrays and keys of JAX after a first call of simulate, sweep or fit.",
            stacklevel=4,
        )
    rounds = -(-runs // len(found))
    return found[: -(-runs // rounds)]


def _first(count: Any) -> list:
    found = jax.devices()
    if not 1 <= count <= len(found):
        more = (
            "All processes together have no more."
            if jax.process_count() > 1
            else f"Those of a CPU, by default one for each core, are requested before JAX starts: "
            f"set JAX_NUM_CPU_DEVICES={count}."
        )
        raise ValueError(
            f"devices must be between 1 and {len(found)}, the number of {found[0].platform} "
            f"devices of JAX, got {count}. {more}"
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


def compiler_options(platform: str, long: bool = False) -> dict | None:
    """How runs are compiled for a CPU, other than XLA would.

    It uses half the width of the vector registers: with all of it the update of Hodgkin-Huxley
    cells is 1.34 times as fast (5.9, not 8.0 ns). And it cuts kernels into parts for several
    threads only if they are `long`: those of runs of at least LONG cells on one device.
    """
    if platform != "cpu":
        return None
    options: dict = {"xla_cpu_prefer_vector_width": 512}
    if not _user_decides():
        options[DISABLED] = "" if long else CUTTING
    return options
