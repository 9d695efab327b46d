"""A network of 80 RS and 20 FS cells whose wiring and initial state are arrays, in Brian2."""

import brian2 as b2
import numpy as np
from cells_brian2 import SODIUM_POTASSIUM, set_parameters, steady_gates
from common import FS, RS, membrane_area
from synapses_brian2 import unit_peak

N_EXCITATORY, N, TARGETS = 80, 100, 20
STOP_MS, THRESHOLD_MV = 1000.0, -20.0
NMDA_GAIN, MG_MM = 0.5, 1.0
# rise ms, decay ms, reversal mV
AMPA, NMDA, GABA_A = (0.5, 3.0, 0.0), (2.0, 80.0, 0.0), (0.2, 8.0, -80.0)
JUMPS = {
    "ampa_jump": unit_peak(*AMPA[:2]),
    "nmda_jump": NMDA_GAIN * unit_peak(*NMDA[:2]),
    "gaba_jump": unit_peak(*GABA_A[:2]),
}

SYNAPSES = """
dv/dt = (drive - i_na - i_k - i_leak - 100*i_syn/area)/ms : 1
i_syn = (ampa - ampa_rise + (nmda - nmda_rise)/(1 + mg/3.57*exp(-0.062*v)))*v + (gaba - gaba_rise)*(v + 80) : 1
dampa/dt = -ampa/3/ms : 1
dampa_rise/dt = -ampa_rise/0.5/ms : 1
dnmda/dt = -nmda/80/ms : 1
dnmda_rise/dt = -nmda_rise/2/ms : 1
dgaba/dt = -gaba/8/ms : 1
dgaba_rise/dt = -gaba_rise/0.2/ms : 1
area : 1 (constant)
"""


def draw_network(seed=7):
    """Wiring, weights (nS), delays (ms), drive (nA) and initial voltage (mV)."""
    rng = np.random.default_rng(seed)
    others = [np.delete(np.arange(N), cell) for cell in range(N)]
    target = np.concatenate([np.sort(rng.choice(choice, TARGETS, replace=False)) for choice in others])
    source = np.repeat(np.arange(N), TARGETS)
    mean = np.where(source < N_EXCITATORY, 8.0, 30.0)
    spread = 0.6
    weight = mean * rng.lognormal(-(spread**2) / 2, spread, source.size)
    delay = rng.integers(5, 31, source.size) / 10
    drive = np.where(np.arange(N) < N_EXCITATORY, rng.uniform(0.6, 1.1, N), rng.uniform(0.3, 0.5, N))
    voltage = rng.uniform(-75, -60, N)
    return {"source": source, "target": target, "weight": weight, "delay": delay, "drive": drive, "v0": voltage}


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
    cells = b2.NeuronGroup(
        N, SYNAPSES + SODIUM_POTASSIUM, threshold=above, refractory=above, method="rk4", namespace={"mg": MG_MM}
    )
    set_parameters(cells, [c | {"current": nA} for c, nA in zip(cell_parameters(), wiring["drive"], strict=True)])
    cells.area = membrane_area([cell["diameter"] for cell in cell_parameters()])
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
