"""Episodes of a population that the field has names for, found by rules of one place.

What counts as one depends on these numbers, which no paper fixes: they are assumptions.
"""

from cortexmg.spike_trains import Number, SpikeTrains
from cortexmg.statistics import Bursts, bursts

SEIZURE = 2000.0  # ms: a discharge, or a series of discharges, that lasts longer is a seizure
SERIES = 1000.0  # ms: pauses within a series of discharges are shorter


def discharges(trains: SpikeTrains, pause: Number = 350.0) -> Bursts:
    """Periods in which cells fire above 5 Hz, with pauses shorter than `pause` ms (100 ms mean).

    Discharges in recorded seizures come at 3 to 10 Hz, within the pause; with SERIES slower ones
    are joined as well.

    Raises: ValueError if the pause is negative or not finite.
    """
    return bursts(trains, bin=20.0, smoothing=100.0, over_median=0.0, least_rate=5.0, gap=pause)


def up_states(trains: SpikeTrains, least_rate: Number = 1.0, shortest: Number = 100.0) -> Bursts:
    """Periods of `shortest` ms or more in which cells fire above `least_rate` (Hz; 50 ms mean).

    Pauses that are shorter than that do not end one.

    Raises: ValueError if a number is negative or not finite.
    """
    return bursts(
        trains,
        bin=10.0,
        smoothing=50.0,
        over_median=0.0,
        least_rate=least_rate,
        shortest=shortest,
        gap=shortest,
    )
