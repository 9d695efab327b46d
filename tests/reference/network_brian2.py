"""A network of 80 RS and 20 FS cells whose wiring and initial state are arrays, in Brian2."""

import brian2 as b2
import numpy as np
from cases import FS, RS, membrane_area
from cells_brian2 import SODIUM_POTASSIUM, set_parameters, steady_gates
from synapses_brian2 import unit_peak

N_EXCITATORY, N, TARGETS = 80, 100, 20
STOP_MS, THRESHOLD_MV = 1000.0, -20.0
NMDA_GAIN, MG_MM = 0.5, 1.0
MEAN_WEIGHT_NS, SPREAD, SEED = (4.0, 30.0), 0.6, 25
# rise ms, decay ms, reversal mV
AMPA, NMDA, GABA_A = (0.5, 3.0, 0.0), (2.0, 80.0, 0.0), (0.2, 8.0, -80.0)
JUMPS = {
    "ampa_jump": unit_peak(*AMPA[:2]),
    "nmda_jump": NMDA_GAIN * unit_peak(*NMDA[:2]),
    "gaba_jump": unit_peak(*GABA_A[:2]),
}

SYNAPSES = """
dv/dt = (drive - i_na - i_k - i_leak - 100*(i_excite + i_inhibit)/area)/ms : 1
i_excite = (ampa - ampa_rise + (nmda - nmda_rise)/(1 + mg/3.57*exp(-0.062*v)))*v : 1
i_inhibit = (gaba - gaba_rise)*(v + 80) : 1
dampa/dt = -ampa/3/ms : 1
dampa_rise/dt = -ampa_rise/0.5/ms : 1
dnmda/dt = -nmda/80/ms : 1
dnmda_rise/dt = -nmda_rise/2/ms : 1
dgaba/dt = -gaba/8/ms : 1
dgaba_rise/dt = -gaba_rise/0.2/ms : 1
area : 1 (constant)
"""


def draw_network(seed=SEED):
    """Wiring, weights (nS), delays (ms), drive (nA) and initial voltage (mV)."""
    rng = np.random.default_rng(seed)
    others = [np.delete(np.arange(N), cell) for cell in range(N)]
    target = np.array([np.sort(rng.choice(c, TARGETS, replace=False)) for c in others]).ravel()
    source = np.repeat(np.arange(N), TARGETS)
    excitatory = source < N_EXCITATORY
    spread = rng.lognormal(-(SPREAD**2) / 2, SPREAD, source.size)
    weight = np.where(excitatory, *MEAN_WEIGHT_NS) * spread
    delay = rng.integers(5, 31, source.size) / 10
    slow, fast = rng.uniform(0.6, 0.8, N), rng.uniform(0.35, 0.45, N)
    alone = np.where(np.arange(N) < N_EXCITATORY, slow, fast)
    drive = alone - expected_synaptic_current(target, weight, excitatory)
    voltage = rng.uniform(-75, -60, N)
    contacts = {"source": source, "target": target, "weight": weight, "delay": delay}
    return contacts | {"drive": drive, "v0": voltage}


def expected_synaptic_current(target, weight, excitatory):
    """Mean current (nA) into each cell if E cells fire at 10 Hz and I cells at 20 Hz.

    A contact of 1 nS carries 521 nS mV ms per E spike (AMPA 257, NMDA 264) and 158 per I spike.
    """
    charge = np.where(excitatory, 0.010 * 521, -0.020 * 158) * weight
    return 1e-3 * np.bincount(target, charge, N)


def cell_parameters():
    """The parameters of each cell of the network."""
    return [RS] * N_EXCITATORY + [FS] * (N - N_EXCITATORY)


def connect(cells, wiring, chosen, effect):
    """Synapses of the chosen contacts, each with its weight and delay."""
    synapses = b2.Synapses(cells, cells, "weight : 1", on_pre=effect, namespace=JUMPS)
    synapses.connect(i=wiring["source"][chosen], j=wiring["target"][chosen])
    synapses.weight = wiring["weight"][chosen]
    synapses.delay = wiring["delay"][chosen] * b2.ms
    return synapses


def run_network(wiring, dt):
    """Ids and times of the spikes: the end of the step that crosses the threshold; rk4."""
    b2.start_scope()
    b2.defaultclock.dt = dt * b2.ms
    above = f"v > {THRESHOLD_MV}"
    equations, parameters = SYNAPSES + SODIUM_POTASSIUM, cell_parameters()
    cells = b2.NeuronGroup(N, equations, threshold=above, refractory=above, method="rk4")
    cells.namespace["mg"] = MG_MM
    driven = zip(parameters, wiring["drive"], strict=True)
    set_parameters(cells, [cell | {"current": current} for cell, current in driven])
    cells.area = membrane_area([cell["diameter"] for cell in parameters])
    cells.v = wiring["v0"]
    steady_gates(cells)
    jump = "{0} += weight*{0}_jump; {0}_rise += weight*{0}_jump"
    excitatory = wiring["source"] < N_EXCITATORY
    synapses = [
        connect(cells, wiring, excitatory, jump.format("ampa") + "; " + jump.format("nmda")),
        connect(cells, wiring, ~excitatory, jump.format("gaba")),
    ]
    monitor = b2.SpikeMonitor(cells)
    b2.Network(cells, monitor, *synapses).run(STOP_MS * b2.ms)
    return np.asarray(monitor.i, np.int16), np.asarray(monitor.t / b2.ms) + dt
