"""Transmitter release: one file each."""

from cortexmg.releases.binomial import Binomial as Binomial
from cortexmg.releases.certain import Certain as Certain
from cortexmg.releases.release import Release as Release
from cortexmg.releases.saturating import Saturating as Saturating
from cortexmg.releases.slow_depression import SlowDepression as SlowDepression
from cortexmg.releases.tsodyks_markram import TsodyksMarkram as TsodyksMarkram
