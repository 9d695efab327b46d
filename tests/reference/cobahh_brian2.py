"""COBAHH, benchmark 3 of Brette et al. 2007, in Brian2: rate and irregularity over seeds."""

import brian2 as b2
import numpy as np
from cases import cell_statistics

N, N_EXCITATORY, DROP_MS, STOP_MS, DELAY_MS = 4000, 3200, 500.0, 1500.0, 0.1

# mV, ms, nS, pF as plain numbers.
COBAHH = """
dv/dt = (10*(-60 - v) - ge*v + gi*(-80 - v) - 20000*m**3*h*(v - 50) - 6000*n**4*(v + 90))/200/ms : 1
u = v + 63 : 1
dm/dt = (1.28/exprel((13 - u)/4)*(1 - m) - 1.4/exprel((u - 40)/5)*m)/ms : 1
dh/dt = (0.128*exp((17 - u)/18)*(1 - h) - 4/(1 + exp((40 - u)/5))*h)/ms : 1
dn/dt = (0.16/exprel((15 - u)/5)*(1 - n) - 0.5*exp((10 - u)/40)*n)/ms : 1
dge/dt = -ge/5/ms : 1
dgi/dt = -gi/10/ms : 1
"""


def run_cobahh(seed, dt):
    """Ids and times of the spikes after the dropped part; exponential Euler.

    A spike is an upward crossing. With a lock-out of 3 ms instead, second spikes of a burst that
    come after 2 to 3 ms are lost or late, and the CV is 2.06 instead of 2.15.
    """
    b2.start_scope()
    b2.seed(seed)
    b2.defaultclock.dt = dt * b2.ms
    spike = {"threshold": "v > -20", "refractory": "v > -20"}
    cells = b2.NeuronGroup(N, COBAHH, method="exponential_euler", **spike)
    excitatory = b2.Synapses(cells, cells, on_pre="ge += 6")
    excitatory.connect(f"i < {N_EXCITATORY}", p=80 / N)
    inhibitory = b2.Synapses(cells, cells, on_pre="gi += 67")
    inhibitory.connect(f"i >= {N_EXCITATORY}", p=80 / N)
    excitatory.delay = inhibitory.delay = DELAY_MS * b2.ms
    cells.v = "-60 + randn()*5 - 5"
    cells.ge = "(randn()*1.5 + 4)*10"
    cells.gi = "(randn()*12 + 20)*10"
    monitor = b2.SpikeMonitor(cells)
    b2.Network(cells, excitatory, inhibitory, monitor).run(STOP_MS * b2.ms)
    ids, times = np.asarray(monitor.i), np.asarray(monitor.t / b2.ms)
    return ids[times >= DROP_MS], times[times >= DROP_MS]


def cobahh_references(dt=0.0125, seeds=range(1, 11)):
    """Per seed mean rate and mean CV, and quantiles over the cells of either kind.

    Quantiles are [seeds, kinds, levels]; the kinds are excitatory and inhibitory.
    """
    level = np.linspace(0, 1, 101)
    found = {"rate_hz": [], "cv": [], "rate_quantiles": [], "cv_quantiles": []}
    for seed in seeds:
        statistics = cell_statistics(*run_cobahh(seed, dt), N, 1e-3 * (STOP_MS - DROP_MS))
        for name, values in zip(("rate", "cv"), statistics, strict=True):
            kinds = values[:N_EXCITATORY], values[N_EXCITATORY:]
            found["rate_hz" if name == "rate" else name].append(np.nanmean(values))
            found[f"{name}_quantiles"].append([np.nanquantile(x, level) for x in kinds])
    arrays = {name: np.array(values) for name, values in found.items()}
    return {"dt_brian2": dt, "seed": np.array(seeds), "level": level} | arrays
