"""The unit system: ms, mV, nS, pF, pA, mM, um. No formula needs a factor: 1 nS x 1 mV = 1 pA.

Literature gives membranes in densities; the functions here convert them at the edge.
"""

FARADAY = 96485.33  # C/mol
GAS = 8.31446  # J/mol/K
KELVIN = 273.15  # K at 0 degrees Celsius


def whole_cell_nS(density: float, area: float) -> float:
    """Conductance (nS) of a membrane of `area` um2 with `density` S/cm2."""
    return density * area * 10.0


def whole_cell_pF(density: float, area: float) -> float:
    """Capacitance (pF) of a membrane of `area` um2 with `density` uF/cm2."""
    return density * area * 0.01


def whole_cell_pA(density: float, area: float) -> float:
    """Current (pA) through a membrane of `area` um2 at `density` uA/cm2."""
    return density * area * 0.01


def mM_per_pA_ms(valence: int, volume: float) -> float:
    """Rise in concentration (mM) when 1 pA flows for 1 ms into `volume` um3."""
    return 1e3 / (valence * FARADAY * volume)
