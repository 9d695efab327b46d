"""Cells that adapt by a calcium-activated potassium current, in Brian2."""

import brian2 as b2
import numpy as np
from cases import NERNST_CA_MV, RS, largest_shift, membrane_area, upward_crossings
from cells_brian2 import SODIUM_POTASSIUM, set_parameters, steady_gates

# Regular-spiking cells without M-current; densities and pool of Wang (1998), rest at 70 nM.
REST = 7e-5
CALCIUM = """
m_ca = 1/(1 + exp(-(v + 20)/9)) : 1
e_ca = nernst*log(ca_out/calcium) : 1
i_ca = g_ca*m_ca**2*(v - e_ca) : 1
i_ahp = g_ahp*calcium/(calcium + 0.03)*(v + 80) : 1
dcalcium/dt = (-2e-6*i_ca + (ca_rest - calcium)/80)/ms : 1
g_ca : 1 (constant)
g_ahp : 1 (constant)
ca_out : 1 (constant)
"""
CELL = "dv/dt = (drive - i_na - i_k - i_leak - i_ca - i_ahp)/ms : 1" + SODIUM_POTASSIUM + CALCIUM

# name: calcium outside (mM)
ADAPTING = {"calcium_2": 2.0, "calcium_0p2": 0.2}
CURRENT, STOP = 1.0, 500.0  # nA, ms


def run_adapting(dt):
    """Time, voltage and calcium of every cell of ADAPTING at every step; rk4."""
    b2.start_scope()
    b2.defaultclock.dt = dt * b2.ms
    space = {"nernst": NERNST_CA_MV, "ca_rest": REST}
    group = b2.NeuronGroup(len(ADAPTING), CELL, method="rk4", namespace=space)
    cell = RS | {"g_m": 0.0, "g_ca": 1.0, "g_ahp": 5.0, "current": CURRENT}
    set_parameters(group, [cell | {"ca_out": mM} for mM in ADAPTING.values()])
    group.v, group.calcium = "e_leak", REST
    steady_gates(group)
    record = b2.StateMonitor(group, ["v", "calcium"], record=True)
    b2.Network(group, record).run(STOP * b2.ms)
    return np.asarray(record.t / b2.ms), np.asarray(record.v), np.asarray(record.calcium)


def adapting_references(dt=0.005):
    """Spikes of every cell, how far dt/2 moves them, and calcium every 10 ms."""
    (time, volts, calcium), (fine_time, fine_volts, _) = run_adapting(dt), run_adapting(dt / 2)
    every = round(10.0 / dt)
    out = {"dt_brian2": dt, "area": membrane_area(RS["diameter"]), "calcium_time": time[::every]}
    for name, v, fine, mM in zip(ADAPTING, volts, fine_volts, calcium, strict=True):
        spikes, finer = upward_crossings(time, v), upward_crossings(fine_time, fine)
        out[f"{name}_brian2_spikes"] = spikes
        out[f"{name}_brian2_shift"] = largest_shift(spikes, finer)
        out[f"{name}_brian2_mM"] = mM[::every]
    return out
