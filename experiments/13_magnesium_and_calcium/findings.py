"""The published findings, as ranges of statistics under ten conditions, and what is fitted.

A range becomes a target: its middle, with half its width as standard deviation, on the scale on
which the measure is compared (rates: the logarithm).
"""

from itertools import product
from typing import NamedTuple

import numpy as np

import cortexmg as cx
from cortexmg import measures
from cortexmg.measures.rate import LEAST
from cortexmg.models.cortex import OUTSIDE

MG, CA = "environment/ions/mg/outside", "environment/ions/ca/outside"
NMDA, AMPA = "populations/*/receptors/nmda/gain", "populations/*/receptors/ampa/gain"
LEFT = 0.2  # of the input from outside in a slice, as in `cortex_slice`
SLICE = {f"stimuli/outside {p}/rate": LEFT * rate for p, (rate, _) in OUTSIDE.items()}
CONTROL = 4.2  # Hz, of E cells of the default network: experiment 01
MEASURES = {
    "rate": measures.Rate("E"),
    "CV": measures.CV("E"),
    "correlation": measures.Correlation("E"),
    "chi": measures.Synchrony("E"),
}
CONDITIONS = {
    "1 mM Mg": {MG: 1.0},
    "1.3 mM Mg": {MG: 1.3},
    "0.5 mM Mg": {MG: 0.5},
    "0.1 mM Mg": {MG: 0.1},
    "3 mM Mg": {MG: 3.0},
    "1 Mg, 2 Ca": {MG: 1.0, CA: 2.0},
    "slice, 0 Mg, 1 Ca": SLICE | {MG: 0.05, CA: 1.0},  # "0 Mg" fluid still holds some
    "slice, 0 Mg, 2 Ca": SLICE | {MG: 0.05, CA: 2.0},
    "slice, 0 Mg, 3 Ca": SLICE | {MG: 0.05, CA: 3.0},
    "slice, 0 Mg, no NMDA": SLICE | {MG: 0.05, CA: 1.3, NMDA: 0.0},
}
FITTED = (  # name in tables, name or pattern of the parameter, unit
    ("K0, NMDA block", "populations/*/block/mg_half", "mM"),
    ("slope, NMDA block", "populations/*/block/slope", "1/mV"),
    ("NMDA weight onto E", "populations/E/receptors/nmda/gain", "of AMPA"),
    ("NMDA weight onto I", "populations/I/receptors/nmda/gain", "of AMPA"),
    ("K steep, release", "projections/*/k_steep", "mM Ca"),
    ("K shallow, release", "projections/*/k_shallow", "mM Ca"),
    ("K_Mg, release", "projections/*/k_mg", "mM"),
    ("f0, GABA_A", "populations/*/receptors/*/factors/*/f0", "1"),
    ("K, GABA_A", "populations/*/receptors/gaba*/factors/*/k", "mM"),
    ("K, calcium channel block", "populations/*/channels/*/factors/*/k_mg", "mM"),
    ("slope, surface charge", "populations/*/surface/slope", "mV"),
    ("Mg potency, surface charge", "populations/*/surface/potency", "of Ca"),
)


class Finding(NamedTuple):
    """Between what a statistic should lie under a condition, and who found so."""

    condition: str
    measure: str
    low: float
    high: float
    source: str

    @property
    def target(self) -> cx.Target:
        """The middle of the range and half its width."""
        if self.measure != "rate":
            middle, sd = (self.low + self.high) / 2, (self.high - self.low) / 2
            return cx.Target(self.measure, middle, self.condition, sd)
        low, high = np.log(self.low + LEAST), np.log(self.high + LEAST)
        middle = float(np.exp((low + high) / 2)) - LEAST
        return cx.Target("rate", middle, self.condition, float(high - low) / 2)

    def place(self, value: float) -> float:
        """Where a statistic lies on the scale of its target: -1 and 1 are the ends of the range."""
        t, rate = self.target, self.measure == "rate"
        on_scale = np.log([value + LEAST, t.value + LEAST]) if rate else [value, t.value]
        return float(on_scale[0] - on_scale[1]) / t.sd

    def holds(self, value: float) -> bool:
        """Whether a statistic lies in the range."""
        return self.low <= value <= self.high


def bursting(
    per_second: float, length: float, inside: float, between: float
) -> tuple[float, float]:
    """Mean rate (Hz) and chi of Poisson cells that burst together, `length` in s, rates in Hz.

    Derived: all cells fire at `inside` during bursts and at `between` otherwise; chi in 10 ms.
    """
    share, bin = per_second * length, 0.01
    mean = share * inside + (1 - share) * between
    together = share * (1 - share) * ((inside - between) * bin) ** 2
    return mean, float(np.sqrt(together / (together + mean * bin)))


def recurrent_bursts() -> tuple[tuple[float, float], tuple[float, float]]:
    """Ranges of mean rate and chi with bursts of 50-500 ms, 0.1-1 per second, above 30 Hz.

    The middle two thirds of all combinations, evenly spread in the logarithm; at most 100 Hz in
    bursts, and the control's rate between them, are assumptions.
    """
    grid = product(np.geomspace(0.1, 1, 9), np.geomspace(0.05, 0.5, 9), np.geomspace(30, 100, 9))
    rate, chi = np.quantile([bursting(*x, CONTROL) for x in grid], [0.16, 0.84], axis=0).T
    return tuple(rate.round(1).tolist()), tuple(chi.round(2).tolist())


def asynchronous(condition: str) -> list[Finding]:
    """Asynchronous irregular firing, which is required at 1.0 to 1.3 mM."""
    source = "asynchronous irregular, with these limits, is required at 1.0 to 1.3 mM; CV after "
    source += "Softky & Koch 1993, correlation after Ecker 2010 and Renart 2010 (from memory)"
    ranges = {"CV": (0.7, 1.3), "correlation": (0.0, 0.05), "chi": (0.0, 0.15)}
    return [Finding(condition, name, *x, source) for name, x in ranges.items()]


def findings() -> list[Finding]:
    """All, with their sources."""
    rate, chi = recurrent_bursts()
    isaev = "Isaev et al. 2012: 100, 67 and 0 % of slices at 1, 2 and 3 mM Ca. Chi of a network "
    isaev += "that bursts is 0.9 and of another 0.06; 17 % of slices to either side (assumptions)"
    held = "held at the default's rate: 0.1 to 10 Hz are required, and other findings are ratios"
    slope = "d ln rate / d ln Mg of -0.1 to -1 (assumption), from the control's rate"
    double = "1.2 to 2 times the control's rate, with brief synchronous events (assumption)"
    bursts = "bursts of 50-500 ms, 0.1-1 per second, above 30 Hz (assumption); mean rate and chi "
    bursts += "are derived from it (`bursting`)"
    dies = "activity dies above 3 mM: less than a tenth of the control (assumption)"
    markram = "Markram et al. 2015: synchronous at 2 mM Ca; chi is twice that of an asynchronous "
    markram += "network or more (assumption)"
    silent = "derived from Isaev et al. 2012: a slice that does not burst is all but silent"
    avoli = "Avoli et al. 1991: discharges are abolished by NMDA antagonists"
    return [
        Finding("1 mM Mg", "rate", 0.85 * CONTROL, 1.15 * CONTROL, held),
        *asynchronous("1 mM Mg"),
        Finding("1.3 mM Mg", "rate", CONTROL / 1.3, CONTROL / 1.3**0.1, slope),
        *asynchronous("1.3 mM Mg"),
        Finding("0.5 mM Mg", "rate", 1.2 * CONTROL, 2 * CONTROL, double),
        Finding("0.5 mM Mg", "chi", 0.1, 0.3, double),
        Finding("0.1 mM Mg", "rate", *rate, bursts),
        Finding("0.1 mM Mg", "chi", *chi, bursts),
        Finding("3 mM Mg", "rate", 0.0, 0.1 * CONTROL, dies),
        Finding("1 Mg, 2 Ca", "chi", 0.3, 0.8, markram),
        Finding("slice, 0 Mg, 1 Ca", "chi", 0.8, 1.0, isaev),
        Finding("slice, 0 Mg, 2 Ca", "chi", 0.48, 0.76, isaev),
        Finding("slice, 0 Mg, 3 Ca", "chi", 0.0, 0.2, isaev),
        Finding("slice, 0 Mg, 3 Ca", "rate", 0.0, 1.0, silent),
        Finding("slice, 0 Mg, no NMDA", "chi", 0.0, 0.15, avoli),
    ]


def targets() -> cx.Targets:
    """The findings as what a fit aims at."""
    return cx.Targets(MEASURES, [f.target for f in findings()], CONDITIONS)


def bounds_of(network: cx.Network) -> dict[str, cx.Bounds]:
    """Ranges and priors of the literature, of what is fitted."""
    known = cx.priors(network)
    return {path: known[path] for _, path, _ in FITTED}
