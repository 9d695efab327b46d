"""How JAX starts and compiles on a CPU."""

import os
from contextlib import suppress

import jax

from cortexmg.hardware import cores

LONG = 100_000  # cells of a run from which on several threads share its kernels
DISABLED = "xla_disable_hlo_passes"
FORCED = "xla_force_host_platform_device_count"
CUTTING = "cpu-parallel-task-assigner"  # the pass of XLA that cuts kernels into parts for threads
WIDTH = "xla_cpu_prefer_vector_width"
WIDEST = 512  # bits


def start() -> None:
    """Start JAX with a device for each core of a CPU, wide vectors and whole kernels, if it is not.

    Sweeps and fits use all devices. With several threads XLA cuts kernels into parts for them, and
    most of a step are so short that waking a thread takes longer: a step of 4,000 cells takes 1.5
    times as long. Programs of ours choose for themselves (`compiler_options`); those that a caller
    compiles, such as derivatives, follow this choice. What the user has told XLA, and a number of
    devices, are respected; nothing stays changed in the environment.
    """
    _request_cores()
    before = os.environ.get("XLA_FLAGS")
    ours = [f"--{name}={value}" for name, value in _ours(long=False).items()]
    if not ours:
        return
    os.environ["XLA_FLAGS"] = " ".join([before or "", *ours])
    try:
        jax.devices()
    finally:
        del os.environ["XLA_FLAGS"]
        if before is not None:
            os.environ["XLA_FLAGS"] = before


def _request_cores() -> None:
    """Ask JAX for as many CPU devices as there are cores, unless the user has said how many."""
    if number_said() or jax.distributed.is_initialized():
        return
    with suppress(RuntimeError):  # JAX runs already
        jax.config.update("jax_num_cpu_devices", cores())


def number_said() -> bool:
    """Whether the user has said how many devices a CPU is to have."""
    return jax.config.jax_num_cpu_devices != -1 or _user_decides(FORCED)  # pyright: ignore


def _user_decides(flag: str) -> bool:
    """Whether the user has told XLA so, or flags are in a file, which may do so."""
    flags = os.environ.get("XLA_FLAGS", "").strip()
    return flag in flags or (bool(flags) and not flags.startswith("-"))


def _ours(long: bool) -> dict:
    """What XLA would do otherwise and the user has not decided.

    It uses half the width of the vector registers: with all of it the update of Hodgkin-Huxley
    cells is 1.34 times as fast (5.9, not 8.0 ns), and its derivative 1.4 times. And it cuts kernels
    into parts for several threads only if they are `long`.
    """
    choices = {WIDTH: WIDEST, DISABLED: "" if long else CUTTING}
    return {name: value for name, value in choices.items() if not _user_decides(name)}


def compiler_options(platform: str, long: bool = False) -> dict | None:
    """How runs are compiled for a CPU; `long` are those of at least LONG cells on one device."""
    return _ours(long) if platform == "cpu" else None
