"""Factors by which ions outside multiply a conductance or a release: one file each."""

from cortexmg.factors.arousal import Arousal as Arousal
from cortexmg.factors.calcium_block import CalciumBlock as CalciumBlock
from cortexmg.factors.dodge_rahamimoff import DodgeRahamimoff as DodgeRahamimoff
from cortexmg.factors.factor import (
    Factor as Factor,
    ReleaseLaw as ReleaseLaw,
    largest as largest,
    product as product,
)
from cortexmg.factors.gaba_potentiation import GABAPotentiation as GABAPotentiation
from cortexmg.factors.hill_release import HillRelease as HillRelease
from cortexmg.factors.pump_energy import PumpEnergy as PumpEnergy
from cortexmg.factors.sympathetic_release import SympatheticRelease as SympatheticRelease
from cortexmg.factors.zinc_inhibition import ZincInhibition as ZincInhibition
