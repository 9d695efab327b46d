"""What runs are compared by: numbers computed inside the compiled program, and differentiable."""

from cortexmg.measures.conductance import (
    ConductanceRatio as ConductanceRatio,
    MeanConductance as MeanConductance,
    MeanVoltage as MeanVoltage,
)
from cortexmg.measures.irregularity import CV as CV, Fano as Fano
from cortexmg.measures.measure import Measure as Measure
from cortexmg.measures.rate import CellRates as CellRates, Rate as Rate
from cortexmg.measures.synchrony import (
    BandPower as BandPower,
    Correlation as Correlation,
    Synchrony as Synchrony,
)
