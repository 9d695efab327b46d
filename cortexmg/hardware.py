"""What devices hold and how fast they move it, as published, and what there is of it here."""

import os
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np


class Device(NamedTuple):
    """Memory (bytes) and its bandwidth (bytes per second) of one device."""

    name: str
    memory: float
    bandwidth: float
    share: float  # of the memory, that arrays may take
    kernel: float  # s, to start a kernel and finish it, however little it does
    source: str


PREALLOCATED = 0.75  # of a GPU, unless XLA_PYTHON_CLIENT_MEM_FRACTION says otherwise
# Assumed, not published: short kernels in a row take a few us on a GPU whatever they do.
GPU_KERNEL, TPU_KERNEL = 2e-6, 1e-6

_NVIDIA, _GOOGLE = "nvidia.com/en-us/data-center/", "docs.cloud.google.com/tpu/docs/"
DEVICES = {
    "h100": Device("NVIDIA H100 SXM", 80e9, 3.35e12, PREALLOCATED, GPU_KERNEL, _NVIDIA + "h100"),
    "a100": Device("NVIDIA A100 80GB", 80e9, 2.039e12, PREALLOCATED, GPU_KERNEL, _NVIDIA + "a100"),
    "t4": Device("NVIDIA T4", 16e9, 0.32e12, PREALLOCATED, GPU_KERNEL, _NVIDIA + "tesla-t4"),
    "b200": Device("NVIDIA B200", 180e9, 8e12, PREALLOCATED, GPU_KERNEL, _NVIDIA + "dgx-b200"),
    "v5e": Device("TPU v5e", 16e9, 0.8e12, 1.0, TPU_KERNEL, _GOOGLE + "v6e"),
    "v5p": Device("TPU v5p", 95e9, 2.765e12, 1.0, TPU_KERNEL, _GOOGLE + "v5p"),
    "v6e": Device("TPU v6e", 32e9, 1.6e12, 1.0, TPU_KERNEL, _GOOGLE + "v6e"),
}


def device_named(name: str) -> Device:
    """The device of that name; "cpu" is this machine, whose bandwidth is measured.

    Raises: ValueError if there is none.
    """
    if name == "cpu":
        memory, bandwidth = memory_available(), copying_speed()
        return Device("this machine", memory, bandwidth, 1.0, 0.0, "measured")
    if name not in DEVICES:
        raise ValueError(f"No device {name!r}: choose one of {[*DEVICES, 'cpu']}.")
    return DEVICES[name]


def memory_here() -> float:
    """How many bytes arrays can still take on the device that JAX uses by default."""
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return float(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    return memory_available()


def memory_available() -> float:
    """How many bytes programs can still take here, with what the system can free or swap out."""
    try:
        found = re.findall(r"^(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        known = {name: 1024.0 * int(value) for name, value in found}
        free = known["MemAvailable"] + known["SwapFree"]
    except (OSError, KeyError):
        free = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:  # in a container
        group = Path("/sys/fs/cgroup")
        limit = float((group / "memory.max").read_text())
        return min(free, limit - float((group / "memory.current").read_text()))
    except (OSError, ValueError):  # there is none, or it is "max"
        return free


def cores() -> int:
    """How many cores this process may use."""
    able = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    found = len(able(0)) if able else os.cpu_count() or 1
    try:  # in a container, whose share can be that of fewer
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(found, round(float(quota) / float(period))))
    except (OSError, ValueError):  # there is none, or it is "max"
        return found


def of_processor(names: str) -> re.Match[str] | None:
    """The line of the system on the processor under one of `names`, "a|b"; [1] is what it says."""
    try:
        lines = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return None
    return re.search(rf"^(?:{names})[ \t]*:[ \t]*(.*)$", lines, re.MULTILINE)


def memory_in_use() -> float:
    """How many bytes this process holds."""
    try:
        return float(
            int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        )
    except OSError:
        return peak_memory()


def peak_memory() -> float:
    """The most bytes that this process has held; nan where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def copying_speed() -> float:
    """Bytes per second that one thread reads and writes here, copying."""
    source = np.zeros(2**25, np.uint8)
    target, times = np.ones_like(source), []
    for _ in range(5):
        began = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - began)
    return 2 * source.size / min(times)
