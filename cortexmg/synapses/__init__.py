"""Receptors: one file each."""

from cortexmg.synapses.ampa import AMPA as AMPA
from cortexmg.synapses.exponential import Exponential as Exponential
from cortexmg.synapses.exponential_current import ExponentialCurrent as ExponentialCurrent
from cortexmg.synapses.gaba_a import GABAA as GABAA
from cortexmg.synapses.gaba_b import GABAB as GABAB
from cortexmg.synapses.nmda import NMDA as NMDA
from cortexmg.synapses.nmda_subunits import nmda_of_subunits as nmda_of_subunits
from cortexmg.synapses.synapse import Synapse as Synapse
from cortexmg.synapses.two_exponential import TwoExponentialKinetics as TwoExponentialKinetics
