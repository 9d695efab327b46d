"""Recorders: what is kept of a run, one file for each kind."""

from cortexmg.recorders.conductance import (
    Conductance as Conductance,
    FieldPotential as FieldPotential,
    ReceptorConductance as ReceptorConductance,
)
from cortexmg.recorders.probe import Probe as Probe
from cortexmg.recorders.recorder import (
    Recorder as Recorder,
    Trace as Trace,
    of_all_cells as of_all_cells,
)
from cortexmg.recorders.spikes import (
    PopulationRate as PopulationRate,
    SpikeCount as SpikeCount,
    Spikes as Spikes,
)
