"""Single cells in Brian2, with mV, mS/cm2 and ms as plain numbers."""

import brian2 as b2
import numpy as np
from cases import (
    CALCIUM_IN,
    CALCIUM_OUT,
    CELLS,
    NERNST_CA_MV,
    largest_shift,
    membrane_area,
    upward_crossings,
)

# 1 uF/cm2, so currents in uA/cm2 are mV/ms.
SODIUM_POTASSIUM = """
u = v - v_t : 1
a_m = 1.28/exprel((13 - u)/4) : 1
b_m = 1.4/exprel((u - 40)/5) : 1
a_h = 0.128*exp((17 - u)/18) : 1
b_h = 4/(1 + exp((40 - u)/5)) : 1
a_n = 0.16/exprel((15 - u)/5) : 1
b_n = 0.5*exp((10 - u)/40) : 1
p_inf = 1/(1 + exp(-(v + 35)/10)) : 1
tau_p = 1000/(3.3*exp((v + 35)/20) + exp(-(v + 35)/20)) : 1
dm/dt = (a_m*(1 - m) - b_m*m)/ms : 1
dh/dt = (a_h*(1 - h) - b_h*h)/ms : 1
dn/dt = (a_n*(1 - n) - b_n*n)/ms : 1
dp/dt = (p_inf - p)/tau_p/ms : 1
i_na = g_na*m**3*h*(v - e_na) : 1
i_k = (g_k*n**4 + g_m*p)*(v - e_k) : 1
i_leak = g_leak*(v - e_leak) : 1
drive : 1 (constant)
v_t : 1 (constant)
e_na : 1 (constant)
e_k : 1 (constant)
e_leak : 1 (constant)
g_na : 1 (constant)
g_k : 1 (constant)
g_m : 1 (constant)
g_leak : 1 (constant)
"""

CALCIUM = """
a_q = 0.209/exprel((-27 - v)/3.8) : 1
b_q = 0.94*exp((-75 - v)/17) : 1
a_r = 0.000457*exp((-13 - v)/50) : 1
b_r = 0.0065/(exp((-15 - v)/28) + 1) : 1
w = v + 2 : 1
s_inf = 1/(1 + exp(-(w + 57)/6.2)) : 1
u_inf = 1/(1 + exp((w + 81)/4)) : 1
tau_u = (30.8 + (211.4 + exp((w + 113.2)/5))/(1 + exp((w + 84)/3.2)))/3**1.2 : 1
dq/dt = (a_q*(1 - q) - b_q*q)/ms : 1
dr/dt = (a_r*(1 - r) - b_r*r)/ms : 1
du_t/dt = (u_inf - u_t)/tau_u/ms : 1
e_ca = nernst*log(ca_out/calcium) : 1
i_ca = (g_cal*q**2*r + g_cat*s_inf**2*u_t)*(v - e_ca) : 1
dcalcium/dt = shell*(-10*i_ca/(2*96485.33) + (ca_in - calcium)/5)/ms : 1
g_cal : 1 (constant)
g_cat : 1 (constant)
shell : 1 (constant)
"""

CELL = "dv/dt = (drive - i_na - i_k - i_leak - i_ca)/ms : 1" + SODIUM_POTASSIUM + CALCIUM

ADEX = """
dv/dt = (g*delta*exp((v - v_t)/delta) - g*(v - e_l) - w + drive)/c/ms : 1 (unless refractory)
dw/dt = (a*(v - e_l) - w)/tau_w/ms : 1
g : 1
c : 1
e_l : 1
v_t : 1
delta : 1
tau_w : 1
a : 1
b : 1
drive : 1
hold : second
"""

# pF, nS, mV, pA, ms
BRETTE_GERSTNER = {"c": 281, "g": 30, "e_l": -70.6, "v_t": -50.4, "delta": 2, "tau_w": 144}
BRETTE_GERSTNER |= {"a": 4, "b": 80.5}
DESTEXHE = {"c": 200, "g": 10, "e_l": -60, "v_t": -50, "delta": 2.5, "tau_w": 600, "a": 1, "b": 0}
ADEX_CELLS = {
    "adex_original": BRETTE_GERSTNER | {"drive": 1000, "hold": 0},
    "adex_rs": DESTEXHE | {"b": 40, "drive": 250, "hold": 2.5},
    "adex_rs_weak": DESTEXHE | {"b": 5, "drive": 250, "hold": 2.5},
    "adex_fs": DESTEXHE | {"drive": 250, "hold": 2.5},
    "adex_lts": DESTEXHE | {"a": 20, "drive": 250, "hold": 2.5},
}


def set_parameters(group, cells):
    """Give each cell of the group its parameters, and its drive in uA/cm2 from nA."""
    area = membrane_area([cell["diameter"] for cell in cells])
    for name in cells[0]:
        if name != "diameter" and name in group.variables:
            setattr(group, name, [cell[name] for cell in cells])
    group.drive = 1e5 * np.array([cell["current"] for cell in cells]) / area


def steady_gates(group, gates="mhn"):
    """Put the gates of the group at their steady state at the present voltage."""
    for gate in gates:
        setattr(group, gate, f"a_{gate}/(a_{gate} + b_{gate})")
    group.p = "p_inf"


def run_cells(dt):
    """Time and voltage of every cell of CELLS at every step; rk4."""
    b2.start_scope()
    b2.defaultclock.dt = dt * b2.ms
    space = {"nernst": NERNST_CA_MV, "ca_in": CALCIUM_IN, "ca_out": CALCIUM_OUT}
    group = b2.NeuronGroup(len(CELLS), CELL, method="rk4", namespace=space)
    set_parameters(group, [cell | {"current": nA} for cell, nA, _, _ in CELLS.values()])
    group.shell = [float(shell) for *_, shell in CELLS.values()]
    group.v, group.calcium = "e_leak", CALCIUM_IN
    steady_gates(group, "mhnqr")
    group.u_t = "u_inf"
    record = b2.StateMonitor(group, "v", record=True)
    net = b2.Network(group, record)
    net.run(max(stop for _, _, stop, _ in CELLS.values()) * b2.ms)
    return np.asarray(record.t / b2.ms), np.asarray(record.v)


def cell_references(dt=0.005):
    """Spikes and first 60 ms of every cell, and how far dt/2 moves the spikes."""
    (time, volts), (fine_time, fine_volts) = run_cells(dt), run_cells(dt / 2)
    out, every = {"dt_brian2": dt, "trace_time": np.arange(600) * 0.1}, round(0.1 / dt)
    for (name, (_, _, stop, _)), v, fine in zip(CELLS.items(), volts, fine_volts, strict=True):
        spikes, finer = upward_crossings(time, v), upward_crossings(fine_time, fine)
        spikes, finer = spikes[spikes < stop], finer[finer < stop]
        out[f"{name}_brian2_spikes"] = spikes
        out[f"{name}_brian2_shift"] = largest_shift(spikes, finer)
        out[f"{name}_brian2_v"] = v[::every][:600].astype(np.float32)
    return out


def run_adex(dt, stop=500.0):
    """Spike times of every AdEx cell: the end of the step that takes v above v_t + 5 delta."""
    b2.start_scope()
    b2.defaultclock.dt = dt * b2.ms
    group = b2.NeuronGroup(
        len(ADEX_CELLS),
        ADEX,
        threshold="v > v_t + 5*delta",
        reset="v = e_l; w += b",
        refractory="hold",
        method="rk4",
    )
    for name in DESTEXHE | {"drive": 0}:
        setattr(group, name, [cell[name] for cell in ADEX_CELLS.values()])
    group.hold = [cell["hold"] for cell in ADEX_CELLS.values()] * b2.ms
    group.v = "e_l"
    monitor = b2.SpikeMonitor(group)
    b2.Network(group, monitor).run(stop * b2.ms)
    ids, times = np.asarray(monitor.i), np.asarray(monitor.t / b2.ms) + dt
    return [times[ids == i] for i in range(len(ADEX_CELLS))]


def adex_references(dt=0.001):
    """Spike times of the AdEx cells, and how far dt/2 moves them."""
    out = {"dt_adex": dt}
    for name, spikes, finer in zip(ADEX_CELLS, run_adex(dt), run_adex(dt / 2), strict=True):
        stop = 100.0 if name == "adex_original" else 500.0
        spikes, finer = spikes[spikes < stop], finer[finer < stop]
        out[f"{name}_brian2_spikes"] = spikes
        out[f"{name}_brian2_shift"] = largest_shift(spikes, finer)
    return out
