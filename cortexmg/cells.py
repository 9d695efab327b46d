"""Published cells, as populations of `n`.

Each function takes the receptors of the cells, their initial voltage `v0` (mV; the leak reversal
unless given) and returns a `Population`, whose numbers can be replaced by name.
"""

from typing import NamedTuple

import equinox as eqx

from cortexmg.channels import (
    Adaptation,
    CalciumL,
    CalciumT,
    Channel,
    Leak,
    MCurrent,
    Potassium,
    Sodium,
    Upstroke,
)
from cortexmg.part import PerCell
from cortexmg.pools import CalciumShell, Pool
from cortexmg.population import Population
from cortexmg.spiking import Reset
from cortexmg.synapses import Synapse
from cortexmg.units import whole_cell_nS, whole_cell_pF

Receptors = dict[str, Synapse] | None


class Pospischil(NamedTuple):
    """Densities (S/cm2) of one cell of Pospischil et al. (2008, doi:10.1007/s00422-008-0263-8)."""

    area: float  # um2
    sodium: float
    potassium: float
    leak: float
    e_leak: float  # mV
    m_current: float = 0.0
    calcium_l: float = 0.0
    calcium_t: float = 0.0

    def population(
        self, n: int, receptors: Receptors, v0: PerCell | None, calcium_shell: bool = False
    ) -> Population:
        """`n` of these cells. With a shell, calcium that enters lowers its own reversal."""

        def nS(density: float) -> float:
            return whole_cell_nS(density, self.area)

        channels: dict[str, Channel] = {
            "leak": Leak(nS(self.leak), self.e_leak),
            "na": Sodium(nS(self.sodium)),
            "k": Potassium(nS(self.potassium)),
        }
        if self.m_current:
            channels["m"] = MCurrent(nS(self.m_current))
        if self.calcium_l:
            channels["ca_l"] = CalciumL(nS(self.calcium_l))
        if self.calcium_t:
            channels["ca_t"] = CalciumT(nS(self.calcium_t))
        pools: dict[str, Pool] | None = {"ca": CalciumShell(self.area)} if calcium_shell else None
        v0 = self.e_leak if v0 is None else v0
        capacitance = whole_cell_pF(1.0, self.area)
        return Population(n, capacitance, channels, receptors, pools=pools, v0=v0)


RS_AREA, FS_AREA = 28953.0, 14103.0  # um2: cylinders of 96 and 67 um


def regular_spiking(n: int, receptors: Receptors = None, v0: PerCell | None = None) -> Population:
    """Adapting pyramidal cells (RS) of Pospischil et al. (2008)."""
    cell = Pospischil(RS_AREA, 0.05, 0.005, 1e-4, -70.0, m_current=7e-5)
    return cell.population(n, receptors, v0)


def fast_spiking(n: int, receptors: Receptors = None, v0: PerCell | None = None) -> Population:
    """Interneurons without adaptation (FS) of Pospischil et al. (2008)."""
    return Pospischil(FS_AREA, 0.05, 0.01, 1.5e-4, -70.0).population(n, receptors, v0)


def intrinsically_bursting(
    n: int,
    receptors: Receptors = None,
    v0: PerCell | None = None,
    *,
    repetitive: bool = False,
    calcium_shell: bool = False,
) -> Population:
    """Bursting cells (IB) of Pospischil et al. (2008): one burst, or with `repetitive` many.

    Their published spike times need constant calcium inside, without a shell.
    """
    calcium = 2.2e-4 if repetitive else 1.7e-4
    cell = Pospischil(RS_AREA, 0.05, 0.005, 1e-5, -85.0, m_current=3e-5, calcium_l=calcium)
    return cell.population(n, receptors, v0, calcium_shell)


def low_threshold_spiking(
    n: int, receptors: Receptors = None, v0: PerCell | None = None, *, calcium_shell: bool = False
) -> Population:
    """Low-threshold spiking cells (LTS) of Pospischil et al. (2008)."""
    cell = Pospischil(RS_AREA, 0.05, 0.005, 1e-5, -85.0, m_current=3e-5, calcium_t=4e-4)
    return cell.population(n, receptors, v0, calcium_shell)


def traub_miles(
    n: int, receptors: Receptors = None, v0: PerCell | None = None, *, shut: bool = False
) -> Population:
    """Cells of the COBAHH benchmark: Brette et al. (2007, doi:10.1007/s10827-007-0038-6).

    There all gates are `shut` at the beginning; otherwise they have settled at `v0`.
    """
    channels: dict[str, Channel] = {
        "leak": Leak(10.0, -60.0),
        "na": Sodium(20_000.0, 50.0, -63.0, shut),
        "k": Potassium(6_000.0, -90.0, -63.0, shut),
    }
    return Population(n, 200.0, channels, receptors, v0=-60.0 if v0 is None else v0)


def leaky_integrate_and_fire(
    n: int,
    receptors: Receptors = None,
    v0: PerCell | None = None,
    *,
    capacitance: PerCell = 200.0,
    leak: PerCell = 10.0,
    e_leak: PerCell = -70.0,
    threshold: PerCell = -50.0,
    reset: PerCell = -60.0,
    refractory: PerCell = 2.0,
) -> Population:
    """Leaky integrate-and-fire cells (pF, nS, mV, ms)."""
    v0 = e_leak if v0 is None else v0
    rule = Reset(threshold, reset, refractory)
    return Population(n, capacitance, {"leak": Leak(leak, e_leak)}, receptors, rule, v0=v0)


def source(n: int) -> Population:
    """Cells that only fire when a stimulus makes them (`Poisson` or `SpikeInput`, receptor None).

    Projections from them release as any others do: input that many cells share, or that depresses.
    """
    return Population(n, 100.0, {"leak": Leak(10.0, -70.0)})


class AdEx(eqx.Module):
    """Numbers of adaptive exponential integrate-and-fire cells.

    The first defaults are those of Brette and Gerstner (2005, doi:10.1152/jn.00686.2005).
    """

    capacitance: PerCell = 281.0  # pF
    leak: PerCell = 30.0  # nS
    e_leak: PerCell = -70.6  # mV
    v_t: PerCell = -50.4  # mV
    delta: PerCell = 2.0  # mV
    tau_w: PerCell = 144.0  # ms
    a: PerCell = 4.0  # nS
    b: PerCell = 80.5  # pA
    reset: PerCell = -70.6  # mV
    refractory: PerCell = 0.0  # ms


def destexhe(kind: str = "RS") -> AdEx:
    """Cortical cells of Destexhe (2009, doi:10.1007/s10827-009-0164-4).

    "RS" adapts (b = 40 pA), "RS weak" little (5 pA), "FS" not at all, "LTS" below threshold.
    """
    kinds = {"RS": (1.0, 40.0), "RS weak": (1.0, 5.0), "FS": (1.0, 0.0), "LTS": (20.0, 0.0)}
    if kind not in kinds:
        raise ValueError(f"destexhe knows the kinds {sorted(kinds)}, got {kind!r}.")
    a, b = kinds[kind]
    return AdEx(200.0, 10.0, -60.0, -50.0, 2.5, 600.0, a, b, reset=-60.0, refractory=2.5)


def adaptive_exponential(
    n: int, receptors: Receptors = None, v0: PerCell | None = None, *, numbers: AdEx | None = None
) -> Population:
    """Adaptive exponential integrate-and-fire cells, cut 5 delta above v_t."""
    c = AdEx() if numbers is None else numbers
    channels: dict[str, Channel] = {
        "leak": Leak(c.leak, c.e_leak),
        "upstroke": Upstroke(c.leak, c.delta, c.v_t),
        "adaptation": Adaptation(c.a, c.b, c.tau_w, c.e_leak),
    }
    rule = Reset(c.v_t + 5.0 * c.delta, c.reset, c.refractory)
    v0 = c.e_leak if v0 is None else v0
    return Population(n, c.capacitance, channels, receptors, rule, v0=v0)
