"""What the reference simulations share: the cells, the spike times of a trace, the files."""

import contextlib
import importlib.metadata
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent

# Constant calcium: 36 degC, 2.4e-4 mM inside, 2 mM outside.
NERNST_CA_MV = 1e3 * 8.31446 * 309.15 / (2 * 96485.33)
CALCIUM_IN, CALCIUM_OUT = 2.4e-4, 2.0
CALCIUM_REVERSAL_MV = NERNST_CA_MV * np.log(CALCIUM_OUT / CALCIUM_IN)

# Pospischil et al. 2008: length = diameter in um, conductances in mS/cm2, voltages in mV.
COMMON = {"g_na": 50.0, "g_k": 5.0, "g_cal": 0.0, "g_cat": 0.0}
COMMON |= {"e_na": 50.0, "e_k": -100.0, "v_t": -55.0}
RS = COMMON | {"diameter": 96.0, "g_leak": 0.1, "e_leak": -70.0, "g_m": 0.07}
FS = COMMON | {"diameter": 67.0, "g_leak": 0.15, "e_leak": -70.0, "g_m": 0.0, "g_k": 10.0}
BURST = COMMON | {"diameter": 96.0, "g_leak": 0.01, "e_leak": -85.0, "g_m": 0.03}
IB = BURST | {"g_cal": 0.17}
LTS = BURST | {"g_cat": 0.4}

# name: (parameters, current in nA, duration in ms, does a shell of calcium set E_Ca?)
CELLS = {
    "rs": (RS, 0.75, 400.0, False),
    "fs": (FS, 0.5, 400.0, False),
    "fs_strong": (FS, 1.0, 400.0, False),
    "ib_constant_ca": (IB, 0.15, 2000.0, False),
    "ib_shell": (IB, 0.15, 2000.0, True),
    "lts_constant_ca": (LTS, 0.15, 400.0, False),
    "lts_shell": (LTS, 0.15, 400.0, True),
}


def membrane_area(diameter):
    """Area in um2 of a cylinder as long as it is wide, without its ends."""
    return np.pi * np.asarray(diameter) ** 2


def upward_crossings(time, voltage, level=0.0):
    """Times at which the voltage crosses the level upward, interpolated linearly."""
    before = np.flatnonzero((voltage[:-1] < level) & (voltage[1:] >= level))
    part = (level - voltage[before]) / (voltage[before + 1] - voltage[before])
    return time[before] + part * (time[before + 1] - time[before])


def largest_shift(spikes, finer):
    """How far halving the step moves any spike; infinite if it changes their number."""
    return np.abs(spikes - finer).max() if spikes.size == finer.size else np.inf


def cell_statistics(ids, times, n, seconds):
    """Rate (Hz) and CV of the inter-spike intervals of each cell; NaN below 3 spikes."""
    order = np.lexsort((times, ids))
    trains = np.split(times[order], np.cumsum(np.bincount(ids, minlength=n))[:-1])
    cv = [np.std(isi) / np.mean(isi) if (isi := np.diff(t)).size > 1 else np.nan for t in trains]
    return np.bincount(ids, minlength=n) / seconds, np.array(cv)


def save(name, arrays):
    """Write an .npz file beside this one, with the versions of the installed simulators inside."""
    tools = ("brian2", "neuron", "nest-simulator", "numpy")
    versions = {}
    for tool in tools:  # of which not every file needs every one
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[f"version_{tool.split('-')[0]}"] = importlib.metadata.version(tool)
    np.savez_compressed(HERE / f"{name}.npz", **arrays, **versions)
    print(f"{name}.npz: {(HERE / f'{name}.npz').stat().st_size / 1024:.0f} KiB", flush=True)
