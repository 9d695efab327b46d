"""The same single cells in NEURON, with the mechanisms of mod/."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from cases import CALCIUM_IN, CALCIUM_OUT, CALCIUM_REVERSAL_MV, CELLS, HERE, upward_crossings

os.environ["NEURON_MODULE_OPTIONS"] = "-nogui"
from neuron import h  # noqa: E402  the options are read on import

TOLERANCE = 1e-9


def load_mechanisms():
    """Compile mod/ in a temporary folder and load it, once."""
    if hasattr(h, "TwoExp"):
        return
    with tempfile.TemporaryDirectory() as folder:
        for mod in (HERE / "mod").glob("*.mod"):
            shutil.copy(mod, folder)
        tool = Path(sys.executable).parent / "nrnivmodl"
        subprocess.run([tool], cwd=folder, check=True, capture_output=True)
        h.nrn_load_dll(str(next(Path(folder).rglob("libnrnmech.so"))))


def make_cell(name, cell, shell=False):
    """A section with the currents of the cell; conductances come in mS/cm2."""
    section = h.Section(name=name)
    section.L = section.diam = cell["diameter"]
    section.insert("pas"), section.insert("hhtraub"), section.insert("muscarinic")
    here = section(0.5)
    here.pas.g, here.pas.e = 1e-3 * cell["g_leak"], cell["e_leak"]
    here.hhtraub.gna, here.hhtraub.gk = 1e-3 * cell["g_na"], 1e-3 * cell["g_k"]
    here.hhtraub.ena, here.hhtraub.ek, here.hhtraub.vt = cell["e_na"], cell["e_k"], cell["v_t"]
    here.muscarinic.gm, here.muscarinic.ek = 1e-3 * cell["g_m"], cell["e_k"]
    if cell["g_cal"] or cell["g_cat"]:
        insert_calcium(section, cell, shell)
    return section


def insert_calcium(section, cell, shell):
    """The calcium currents, with E_Ca constant or set by a shell."""
    section.insert("calciuml"), section.insert("calciumt")
    here = section(0.5)
    here.calciuml.gl, here.calciumt.gt = 1e-3 * cell["g_cal"], 1e-3 * cell["g_cat"]
    if shell:
        section.insert("calciumshell")
        section.cao = CALCIUM_OUT
        h.cai0_ca_ion, h.cao0_ca_ion = CALCIUM_IN, CALCIUM_OUT
    else:
        section.eca = CALCIUM_REVERSAL_MV


def run_cell(name, cell, current, stop, shell, every=0.005):
    """Time and voltage of one cell; variable steps."""
    section = make_cell(name, cell, shell)
    clamp = h.IClamp(section(0.5))
    clamp.delay, clamp.dur, clamp.amp = 0, 1e9, current
    volts = h.Vector().record(section(0.5)._ref_v, every)
    h.celsius = 36
    cvode = h.CVode()
    cvode.active(True)
    cvode.atol(TOLERANCE)
    h.finitialize(cell["e_leak"])
    cvode.solve(stop + 2 * every)
    cvode.active(False)
    volts = np.array(volts)
    return np.arange(volts.size) * every, volts


def cell_references(every=0.005):
    """Spikes and first 60 ms of every cell."""
    load_mechanisms()
    out, thin = {"cvode_atol_neuron": TOLERANCE}, round(0.1 / every)
    for name, (cell, current, stop, shell) in CELLS.items():
        time, v = run_cell(name, cell, current, stop, shell, every)
        spikes = upward_crossings(time, v)
        out[f"{name}_neuron_spikes"] = spikes[spikes < stop]
        out[f"{name}_neuron_v"] = v[::thin][:600].astype(np.float32)
    return out
