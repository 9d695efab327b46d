"""Cells of NEST's own models under constant current, and with arrivals at its receptors."""

import nest
import numpy as np
from cases import largest_shift, upward_crossings
from cells_brian2 import ADEX_CELLS

# Two receptors that jump and decay (ms, mV), as in COBAHH.
RECEPTORS = {"tau_syn_ex": 5.0, "E_ex": 0.0, "tau_syn_in": 10.0, "E_in": -80.0}
ARRIVALS = {"ex": [20.0, 22.0, 25.0, 60.0, 61.0, 100.0], "in": [24.0, 63.0, 64.0]}  # ms
WEIGHTS = {"ex": 30.0, "in": -67.0}  # nS; NEST tells its receptors apart by the sign

# pF, nS, mV, ms
TRAUB = {"C_m": 200.0, "g_L": 10.0, "E_L": -60.0, "g_Na": 20e3, "E_Na": 50.0, "g_K": 6e3}
TRAUB |= {"E_K": -90.0, "V_T": -63.0, "V_m": -60.0} | RECEPTORS
LIF = {"C_m": 200.0, "g_L": 10.0, "E_L": -70.0, "V_th": -50.0, "V_reset": -60.0, "t_ref": 2.0}
LIF |= {"V_m": -70.0} | RECEPTORS

# name: (model, parameters, current in pA, do arrivals come?)
NEST_CELLS = {
    "traub": ("hh_cond_exp_traub", TRAUB, 0.0, False),
    "traub_driven": ("hh_cond_exp_traub", TRAUB, 500.0, False),
    "traub_arrivals": ("hh_cond_exp_traub", TRAUB, 0.0, True),
    "lif": ("iaf_cond_exp", LIF, 300.0, False),
    "lif_arrivals": ("iaf_cond_exp", LIF, 150.0, True),
}


def steady_gates(v, v_t):
    """Gates at their steady state; NEST itself begins with that of v_t = 0."""
    u = v - v_t
    m = 0.32 * (13 - u) / np.expm1((13 - u) / 4), 0.28 * (u - 40) / np.expm1((u - 40) / 5)
    h = 0.128 * np.exp((17 - u) / 18), 4 / (1 + np.exp((40 - u) / 5))
    n = 0.032 * (15 - u) / np.expm1((15 - u) / 5), 0.5 * np.exp((10 - u) / 40)
    gates = {"Act_m": m, "Inact_h": h, "Act_n": n}
    return {gate: opens / (opens + closes) for gate, (opens, closes) in gates.items()}


def exponential_cell(c, g, e_l, v_t, delta, tau_w, a, b, drive, hold):
    """One of ADEX_CELLS for NEST, with the cut-off and the reset of the other references."""
    cell = {"C_m": c, "g_L": g, "E_L": e_l, "V_th": v_t, "Delta_T": delta, "tau_w": tau_w}
    cell |= {"a": a, "b": b, "t_ref": hold, "V_peak": v_t + 5 * delta, "V_reset": e_l}
    cell |= {"V_m": e_l, "w": 0.0, "gsl_error_tol": 1e-9}
    return "aeif_cond_exp", {key: float(x) for key, x in cell.items()}, float(drive), False


def add_arrivals(cell):
    """Spike trains that reach the cell at ARRIVALS, 1 ms after they depart."""
    for receptor, times in ARRIVALS.items():
        train = nest.Create("spike_generator", params={"spike_times": np.array(times) - 1.0})
        nest.Connect(train, cell, syn_spec={"weight": WEIGHTS[receptor], "delay": 1.0})


def add_monitor(cell, model, dt):
    """What records the spikes: the voltage of Hodgkin-Huxley cells, as NEST names their peaks."""
    if model.startswith("hh"):
        monitor = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": dt})
        nest.Connect(monitor, cell)
    else:
        monitor = nest.Create("spike_recorder")
        nest.Connect(cell, monitor)
    return monitor


def run_nest(cells, dt, stop):
    """Spike times of each cell: crossings of 0 mV, or the ends of steps."""
    nest.ResetKernel()
    nest.set(tics_per_ms=10_000, resolution=dt)
    monitors = []
    for model, parameters, pA, arrivals in cells.values():
        gates = steady_gates(-60.0, -63.0) if model.startswith("hh") else {}
        cell = nest.Create(model, params=parameters | gates | {"I_e": pA})
        if arrivals:
            add_arrivals(cell)
        monitors.append(add_monitor(cell, model, dt))
    nest.Simulate(stop)
    events = [monitor.events for monitor in monitors]
    return [upward_crossings(e["times"], e["V_m"]) if "V_m" in e else e["times"] for e in events]


def references(cells, dt, stop):
    """Spike times of each cell by name, and how far dt/2 moves them."""
    out = {}
    coarse, fine = run_nest(cells, dt, stop), run_nest(cells, dt / 2, stop)
    for name, spikes, finer in zip(cells, coarse, fine, strict=True):
        out[f"{name}_spikes"] = spikes
        out[f"{name}_shift"] = largest_shift(spikes, finer)
    return out


def nest_references(dt=0.005, dt_adex=0.001):
    """Spike times of NEST_CELLS in 200 ms and of ADEX_CELLS in 500 ms, and what arrives."""
    out = {"dt": dt, "dt_adex": dt_adex}
    for receptor, times in ARRIVALS.items():
        out |= {f"arrivals_{receptor}": times, f"weight_{receptor}": abs(WEIGHTS[receptor])}
    adex = {name: exponential_cell(**cell) for name, cell in ADEX_CELLS.items()}
    return out | references(NEST_CELLS, dt, 200.0) | references(adex, dt_adex, 500.0)
