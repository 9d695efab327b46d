"""One passive cell in Brian2 that receives given arrivals; mV, ms, nS, pF as plain numbers."""

import brian2 as b2
import numpy as np

ARRIVALS = np.array([5.0, 12.0, 13.0, 40.0])
BURST = 5.0 + 5.0 * np.arange(20)

PASSIVE = """
dv/dt = (10*(-70 - v) - conductance*(v - reversal))/200/ms : 1
"""

TWO_EXPONENTIAL = """
conductance = (decaying - rising)/(1 + mg/3.57*exp(-0.062*v)) : 1
drising/dt = -rising/rise/ms : 1
ddecaying/dt = -decaying/decay/ms : 1
"""

GABA_B = """
conductance = gate**4/(gate**4 + 100) : 1
dreceptor/dt = (0.52*transmitter*(1 - receptor) - 0.0013*receptor)/ms : 1
dgate/dt = (0.098*receptor - 0.033*gate)/ms : 1
transmitter : 1
"""

# name: (rise ms, decay ms, reversal mV, Mg mM where there is a block)
RECEPTORS = {
    "ampa": (0.5, 3.0, 0.0, 0.0),
    "gaba_a": (0.2, 8.0, -80.0, 0.0),
    "nmda_mg0": (2.0, 80.0, 0.0, 0.0),
    "nmda_mg0p1": (2.0, 80.0, 0.0, 0.1),
    "nmda_mg1": (2.0, 80.0, 0.0, 1.0),
}


def unit_peak(rise, decay):
    """Factor that gives exp(-t/decay) - exp(-t/rise) a peak of one."""
    peak = rise * decay / (decay - rise) * np.log(decay / rise)
    return 1 / (np.exp(-peak / decay) - np.exp(-peak / rise))


def run(equations, namespace, arrivals, pathways, dt, stop=150.0):
    """Voltage at every 0.1 ms; each pathway is (delay in ms, what an arrival does)."""
    b2.start_scope()
    b2.defaultclock.dt = dt * b2.ms
    cell = b2.NeuronGroup(1, PASSIVE + equations, method="rk4", namespace=namespace)
    cell.v = -70
    # Brian2 delivers at the end of a step, so a spike of the step before acts on time.
    source = b2.SpikeGeneratorGroup(1, np.zeros(len(arrivals), int), (arrivals - dt) * b2.ms)
    record = b2.StateMonitor(cell, "v", record=0, dt=0.1 * b2.ms)
    synapses = [
        b2.Synapses(source, cell, on_pre=effect, delay=delay * b2.ms, namespace=namespace)
        for delay, effect in pathways
    ]
    for synapse in synapses:
        synapse.connect()
    b2.Network(cell, source, record, *synapses).run(stop * b2.ms)
    return np.asarray(record.v[0], np.float32)


def synapse_references(dt=0.005):
    """Voltage of the passive cell for every receptor, each of 1 nS at its peak."""
    out = {"dt_brian2": dt, "arrivals": ARRIVALS, "gaba_b_burst_arrivals": BURST}
    for name, (rise, decay, reversal, mg) in RECEPTORS.items():
        space = {"rise": rise, "decay": decay, "reversal": reversal, "mg": mg}
        space["jump"] = unit_peak(rise, decay)
        pathway = [(0.0, "rising += jump; decaying += jump")]
        out[f"{name}_v"] = run(TWO_EXPONENTIAL, space, ARRIVALS, pathway, dt)
    pulse = [(0.0, "transmitter = 0.5"), (0.3, "transmitter = 0")]
    out["gaba_b_v"] = run(GABA_B, {"reversal": -95.0}, ARRIVALS, pulse, dt)
    out["gaba_b_burst_v"] = run(GABA_B, {"reversal": -95.0}, BURST, pulse, dt)
    return out | {"trace_time": np.arange(1500) * 0.1}
