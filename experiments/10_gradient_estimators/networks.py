"""The nine networks: three kinds of cells, from no coupling between them to strong coupling."""

from dataclasses import replace

from cortexmg import Network, Population, cells, models, with_parameters
from cortexmg.stimuli import Poisson

KINDS = ("LIF", "AdEx", "HH")
COUPLINGS = ("feed-forward", "weak", "strong")
N = 400  # cells, but for the strong HH network, which is cortex(1000)
MG, CA = 0.7, 1.2  # mM: away from the reference, where K_Mg would change nothing
WEAK = 0.2  # strength of all contacts
SOURCE = 1.4  # nS, of the input of the cells that drive feed-forward ones
# Weight of the input from outside onto E and I (nS); all cells fire at 4 to 40 Hz.
DRIVE = {("LIF", "feed-forward"): (11.0, 1.5), ("AdEx", "feed-forward"): (11.0, 1.5)}
OTHERWISE = (14.0, 2.0)


def network(kind: str, coupling: str) -> Network:
    """Cells of `kind` in the wiring of `cortex`, with all that acts on it."""
    n = 1000 if (kind, coupling) == ("HH", "strong") else N
    made = models.cortex(n, mg=MG, ca=CA, cells=kind)
    populations = dict(made.populations)
    projections, stimuli = made.projections, dict(made.stimuli)
    if coupling == "feed-forward":  # contacts come from cells that nothing here acts on
        for name, p in made.populations.items():
            populations[f"source {name}"] = _source(p)
            stimuli[f"to source {name}"] = Poisson(f"source {name}", "ampa", 500.0, SOURCE)
        projections = {k: replace(p, pre=f"source {p.pre}") for k, p in projections.items()}
    if coupling == "weak":
        projections = {k: replace(p, strength=WEAK) for k, p in projections.items()}
    made = Network(made.environment, populations, projections, stimuli)
    e, i = DRIVE.get((kind, coupling), OTHERWISE)
    return with_parameters(made, {"stimuli/outside E/weight": e, "stimuli/outside I/weight": i})


def _source(p: Population) -> Population:
    """Cells on which calcium and magnesium do not act."""
    receptors = {"ampa": p.receptors["ampa"]}
    return cells.leaky_integrate_and_fire(p.n, receptors, -65.0)
