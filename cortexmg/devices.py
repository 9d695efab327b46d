"""Which devices a run uses."""

import os
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from cortexmg.part import shown
from cortexmg.waiting import AXIS

Devices = Any  # how many, a list of them, a Mesh, or None
WORTHWHILE = 5_000  # cells per core from which one more CPU core saves time


def request_cores() -> None:
    """Every core of the CPU as a device, if JAX has not started and nobody has said otherwise.

    XLA runs one step on one core. JAX_NUM_CPU_DEVICES, its setting in `jax.config` and the
    XLA flag of the same purpose are respected.
    """
    said = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if said or jax.config.jax_num_cpu_devices != -1:  # pyright: ignore
        return
    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    with suppress(RuntimeError):  # JAX has started
        jax.config.update("jax_num_cpu_devices", len(usable(0)))


def mesh_of(devices: Devices, worthwhile: int) -> Mesh | None:
    """The devices that a run uses; None for one.

    `devices` is how many, or which, or a mesh with one axis; None takes all of an accelerator, and
    of the cores of a CPU as many as are `worthwhile`.

    Raises: ValueError if there are not so many.
    """
    if isinstance(devices, Mesh):
        devices = list(devices.devices.flat)
    named = isinstance(devices, Sequence)
    if devices is None:
        found = jax.devices()
        cpu = found[0].platform == "cpu"
        devices = found[: max(1, worthwhile)] if cpu else found
    elif isinstance(devices, int) and not isinstance(devices, bool):
        found = jax.devices()
        if not 1 <= devices <= len(found):
            raise ValueError(
                f"devices must be between 1 and {len(found)}, the number of {found[0].platform} "
                f"devices of JAX, got {devices}. Those of a CPU are requested before JAX starts: "
                f"set JAX_NUM_CPU_DEVICES={devices}."
            )
        devices = found[:devices]
    elif not named or not devices or not all(isinstance(d, jax.Device) for d in devices):
        raise TypeError(
            f"devices must be a number, a list of devices or a Mesh, got {shown(devices)}."
        )
    return Mesh(np.array(devices), (AXIS,)) if named or len(devices) > 1 else None


@contextmanager
def partitioned_by_gspmd():
    """For calls of programs that draw random numbers on several devices.

    The newer partitioner of JAX (Shardy, 0.12) cannot lower the multiplication that Philox needs.
    """
    before = jax.config.jax_use_shardy_partitioner  # pyright: ignore
    jax.config.update("jax_use_shardy_partitioner", False)
    try:
        yield
    finally:
        jax.config.update("jax_use_shardy_partitioner", before)
