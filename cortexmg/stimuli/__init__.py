"""Stimuli: what acts on cells from outside, one file each."""

from cortexmg.stimuli.ornstein_uhlenbeck import (
    OrnsteinUhlenbeckConductance as OrnsteinUhlenbeckConductance,
    OrnsteinUhlenbeckCurrent as OrnsteinUhlenbeckCurrent,
)
from cortexmg.stimuli.poisson import Poisson as Poisson
from cortexmg.stimuli.spike_input import SpikeInput as SpikeInput
from cortexmg.stimuli.steps import Ramp as Ramp, StepCurrent as StepCurrent
from cortexmg.stimuli.stimulus import (
    Arrivals as Arrivals,
    Firing as Firing,
    Moment as Moment,
    Stimulus as Stimulus,
)
from cortexmg.stimuli.time_course import TimeCourse as TimeCourse
