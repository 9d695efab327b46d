"""Write the reference data: python make.py [cells] [synapses] [network] ... [calcium]."""

import sys

import calcium_brian2
import cells_brian2
import cells_nest
import cells_neuron
import network_brian2
import network_neuron
import numpy as np
from cases import save
from cobahh_brian2 import cobahh_references
from synapses_brian2 import synapse_references


def cells():
    """Single cells in both simulators, and AdEx cells in Brian2."""
    traces = cells_brian2.cell_references() | cells_neuron.cell_references()
    save("cells", traces | cells_brian2.adex_references())


def synapses():
    """A passive cell that receives given arrivals."""
    traces = synapse_references()
    save("synapses", traces)


def network():
    """The small network in both simulators at two steps."""
    wiring = network_brian2.draw_network()
    out = wiring | {"dt": np.array([0.01, 0.005])}
    for simulator, module in (("brian2", network_brian2), ("neuron", network_neuron)):
        for dt in out["dt"]:
            name = f"{simulator}_dt{dt:g}".replace(".", "p")
            ids, times = module.run_network(wiring, dt)
            out[f"{name}_ids"], out[f"{name}_times"] = ids, np.round(times, 6)
    save("network", out)


def cobahh():
    """Rate and CV of COBAHH."""
    save("cobahh", cobahh_references())


def nest():
    """Cells of NEST's own models."""
    save("nest", cells_nest.nest_references())


def calcium():
    """Cells that adapt by calcium, in Brian2."""
    save("calcium", calcium_brian2.adapting_references())


if __name__ == "__main__":
    parts = {part.__name__: part for part in (cells, synapses, network, cobahh, nest, calcium)}
    for name in sys.argv[1:] or parts:
        parts[name]()
