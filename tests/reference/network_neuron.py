"""The same network in NEURON."""

import network_brian2 as shared
import numpy as np
from cells_neuron import h, load_mechanisms, make_cell
from network_brian2 import N_EXCITATORY, NMDA_GAIN, STOP_MS, THRESHOLD_MV, N


def make_receptor(section, kinetics, mg=0.0):
    """A two-exponential conductance on the section."""
    receptor = h.TwoExp(section(0.5))
    receptor.rise, receptor.decay, receptor.e = kinetics
    receptor.mg = mg
    return receptor


def connect(sections, wiring):
    """One NetCon per contact and receptor; the contacts of a cell share its receptors."""
    ampa = [make_receptor(section, shared.AMPA) for section in sections]
    nmda = [make_receptor(section, shared.NMDA, shared.MG_MM) for section in sections]
    gaba = [make_receptor(section, shared.GABA_A) for section in sections]
    wires = []
    columns = [wiring[name] for name in ("source", "target", "weight", "delay")]
    contacts = zip(*columns, strict=True)
    for source, target, weight, delay in contacts:
        excitatory = [(ampa[target], 1.0), (nmda[target], NMDA_GAIN)]
        for receptor, gain in excitatory if source < N_EXCITATORY else [(gaba[target], 1.0)]:
            wire = h.NetCon(sections[source](0.5)._ref_v, receptor, sec=sections[source])
            wire.threshold, wire.delay, wire.weight[0] = THRESHOLD_MV, delay, 1e-3 * gain * weight
            wires.append(wire)
    return ampa, nmda, gaba, wires


def record_spikes(sections):
    """A vector of spike times per cell, and what keeps the recording alive."""
    vectors, detectors = [h.Vector() for _ in sections], []
    for section, vector in zip(sections, vectors, strict=True):
        detector = h.NetCon(section(0.5)._ref_v, None, sec=section)
        detector.threshold = THRESHOLD_MV
        detector.record(vector)
        detectors.append(detector)
    return vectors, detectors


def run_network(wiring, dt):
    """Ids and times of the spikes; fixed step, second order."""
    load_mechanisms()
    sections = [make_cell(f"cell{i}", cell) for i, cell in enumerate(shared.cell_parameters())]
    clamps = [h.IClamp(section(0.5)) for section in sections]
    for clamp, current in zip(clamps, wiring["drive"], strict=True):
        clamp.delay, clamp.dur, clamp.amp = 0, 1e9, current
    alive = connect(sections, wiring)
    vectors, detectors = record_spikes(sections)
    start = list(zip(sections, wiring["v0"], strict=True))
    set_voltage = h.FInitializeHandler(0, lambda: [setattr(s, "v", v) for s, v in start])
    h.dt, h.secondorder, h.celsius = dt, 2, 36
    h.finitialize()
    for _ in range(round(STOP_MS / dt)):
        h.fadvance()
    times = [np.array(vector) for vector in vectors]
    del alive, detectors, set_voltage
    ids = np.repeat(np.arange(N), [t.size for t in times]).astype(np.int16)
    order = np.argsort(np.concatenate(times), kind="stable")
    return ids[order], np.concatenate(times)[order]
