"""cortexmg: conductance-based cortical networks with magnesium and calcium as parameters."""

from cortexmg import (
    cells as cells,
    channels as channels,
    distributions as distributions,
    estimators as estimators,
    factors as factors,
    magnesium as magnesium,
    measures as measures,
    models as models,
    pools as pools,
    recorders as recorders,
    releases as releases,
    stimuli as stimuli,
    synapses as synapses,
    tissues as tissues,
    wiring as wiring,
)
from cortexmg.bounds import Bounds as Bounds
from cortexmg.connectivity import Connectivity as Connectivity
from cortexmg.environment import (
    Environment as Environment,
    Ion as Ion,
    acsf as acsf,
    in_vivo as in_vivo,
)
from cortexmg.evidence import Evidence as Evidence, mechanisms as mechanisms
from cortexmg.fit import fit as fit
from cortexmg.fitted import Fit as Fit
from cortexmg.fitter import FitFailed as FitFailed
from cortexmg.gauss_newton import gauss_newton as gauss_newton
from cortexmg.hostloop import Late as Late, NotFinite as NotFinite
from cortexmg.network import Network as Network, State as State
from cortexmg.parameters import (
    parameters as parameters,
    with_parameters as with_parameters,
)
from cortexmg.population import Population as Population
from cortexmg.priors import priors as priors
from cortexmg.projection import Projection as Projection
from cortexmg.sensitivity import Sensitivity as Sensitivity, sensitivity as sensitivity
from cortexmg.simulate import Run as Run, simulate as simulate, sweep as sweep
from cortexmg.spiking import Crossing as Crossing, Reset as Reset
from cortexmg.tangents import Tangents as Tangents
from cortexmg.targets import (
    Loss as Loss,
    Target as Target,
    Targets as Targets,
    observed as observed,
)
