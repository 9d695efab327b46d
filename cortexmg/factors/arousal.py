"""What noradrenaline makes of conductances, between deep sleep and waking."""

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.factors.factor import Factor
from cortexmg.part import PerCell, quantity


class Arousal(Factor):
    """`asleep` without noradrenaline, 1 at its waking level, geometric between and beyond.

    Krishnan et al. (2016, doi:10.7554/eLife.18607) give waking and deep sleep (N3): potassium leak
    1.8, AMPA 1.98, GABA 1.3 times as large in sleep. Assumption: that noradrenaline alone does it,
    and the form between, geometric and not straight so that it stays positive above waking.
    """

    evidence = Evidence(
        "noradrenaline sets leak, synaptic gain and adaptation",
        (),
        "assumption",
        "Krishnan et al. 2016",
    )

    asleep: PerCell = quantity("1", 1.0, above=0.0)

    def __call__(self, env: Environment) -> PerCell:
        return self.asleep ** (1.0 - env.noradrenaline)
