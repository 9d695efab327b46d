"""The voltage-dependent block of NMDA receptors by extracellular magnesium."""

import abc
import math
from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence, Mechanism
from cortexmg.numerics import bounded_exp, relax
from cortexmg.part import PerCell, Scalar, quantity


class Block(Mechanism):
    """Which fraction of NMDA receptors has no magnesium ion in the pore."""

    evidence = Evidence(
        "Mg blocks NMDA receptors, by voltage",
        ("mg",),
        "established",
        "Jahr & Stevens 1990; published forms differ 2.6-fold at rest",
    )

    @abc.abstractmethod
    def init(self, v: PerCell, env: Environment) -> Any:
        """The state the block settles to when the voltage is held at `v`."""

    @abc.abstractmethod
    def step(self, state: Any, v: PerCell, env: Environment, dt: Scalar) -> Any:
        """The block after `dt` at voltage `v`."""

    @abc.abstractmethod
    def unblocked(self, state: Any, v: PerCell, env: Environment) -> PerCell:
        """Fraction without magnesium, from 0 to 1; exactly 1 at 0 mM."""

    @abc.abstractmethod
    def weaker(self, by: PerCell) -> "Block":
        """The same block where it takes `by` times as much magnesium, at any voltage."""


class Woodhull(Block):
    """Instantaneous block of one site in the field: 1 / (1 + [Mg]o / mg_half exp(-slope v)).

    Woodhull (1973, doi:10.1085/jgp.61.6.687). The functions below give published constants.
    Assumption: they hold at any temperature (a Q10 of 1).
    """

    mg_half: PerCell = quantity("mM", 3.57, above=0.0)  # blocks half of the receptors at 0 mV
    slope: PerCell = quantity("1/mV", 0.062, low=0.0)

    def init(self, v: PerCell, env: Environment) -> None:
        del v, env

    def step(self, state: None, v: PerCell, env: Environment, dt: Scalar) -> None:
        del state, v, env, dt

    def unblocked(self, state: None, v: PerCell, env: Environment) -> PerCell:
        del state
        mg = env.ions["mg"].outside
        return 1.0 / (1.0 + mg / self.mg_half * bounded_exp(-self.slope * v))

    def weaker(self, by: PerCell) -> "Woodhull":
        return replace(self, mg_half=by * self.mg_half)


class UnblockState(NamedTuple):
    """Unblocked fractions of the two kinetic components."""

    fast: PerCell
    slow: PerCell


class SlowUnblock(Block):
    """Block that falls in at once and lets go with a fast and a slow time constant.

    Vargas-Caballero and Robinson (2003, doi:10.1152/jn.01038.2002) saw the slow unblock; the two
    components and their voltage-dependent share are those of Hill and Tononi (2005,
    doi:10.1152/jn.00915.2004). Assumption: the Q10 of both rates.
    """

    evidence = Evidence(
        "Mg leaves the pore in part slowly",
        ("mg",),
        "supported",
        "Vargas-Caballero & Robinson 2003; components of Hill & Tononi 2005; Q10 assumed",
    )

    equilibrium: Woodhull = Woodhull()
    tau_fast: PerCell = quantity("ms", 0.68, above=0.0)
    tau_slow: PerCell = quantity("ms", 22.7, above=0.0)
    q10: PerCell = quantity("1", 2.5, above=0.0)  # of both rates, from 36 degrees

    def init(self, v: PerCell, env: Environment) -> UnblockState:
        settled = self.equilibrium.unblocked(None, v, env)
        return UnblockState(settled, settled)

    def step(self, state: UnblockState, v: PerCell, env: Environment, dt: Scalar) -> UnblockState:
        settled, dt = self.equilibrium.unblocked(None, v, env), dt * env.faster(self.q10)
        fast = relax(state.fast, settled, self.tau_fast, dt)
        slow = relax(state.slow, settled, self.tau_slow, dt)
        return UnblockState(jnp.minimum(fast, settled), jnp.minimum(slow, settled))

    def unblocked(self, state: UnblockState, v: PerCell, env: Environment) -> PerCell:
        del env
        share = jnp.clip(0.51 - 0.0028 * v, 0.0, 1.0)
        return share * state.fast + (1.0 - share) * state.slow

    def weaker(self, by: PerCell) -> "SlowUnblock":
        return replace(self, equilibrium=self.equilibrium.weaker(by))


def jahr_stevens() -> Woodhull:
    """Rat hippocampus, room temperature: Jahr and Stevens (1990, J Neurosci 10:3178)."""
    return Woodhull(3.57, 0.062)


def vargas_caballero() -> Woodhull:
    """Rat neocortex at 35 degrees; they measured a reversal of -3 mV, a number of the receptor.

    Vargas-Caballero and Robinson (2003, doi:10.1152/jn.01038.2002).
    """
    return Woodhull(2.552, 0.072)


def kager_somjen() -> Woodhull:
    """Block of the model of Kager, Wadman and Somjen (2000, doi:10.1152/jn.2000.84.1.495).

    They write [Mg]o / 3 exp(-0.07 (v + 10)).
    """
    return Woodhull(3.0 * math.exp(0.7), 0.07)


def ascher_nowak() -> Woodhull:
    """Equilibrium of on rate 0.61 [Mg]o exp(-v/17) and off rate 5.4 exp(v/47) per ms.

    Ascher and Nowak (1988, doi:10.1113/jphysiol.1988.sp017078).
    """
    return Woodhull(5.4 / 0.61, 1.0 / 17.0 + 1.0 / 47.0)


def kampa() -> Woodhull:
    """Open-state equilibrium in layer 5 cells.

    Kampa et al. (2004, doi:10.1113/jphysiol.2003.058842): on rate
    0.05 [Mg]o exp(-1.6 (v - 40) / 25), off rate 12.8 exp(0.4 (v - 40) / 25) per ms.
    """
    return Woodhull(256.0 * math.exp(-3.2), 2.0 / 25.0)


def hill_tononi() -> Woodhull:
    """1 / (1 + exp(-0.081 (v + 25.57))) at 1 mM: Hill and Tononi (2005, doi:10.1152/jn.00915.2004).

    Assumption: they fixed [Mg]o at 1 mM; that it scales the exponential is ours.
    """
    return Woodhull(math.exp(0.081 * 25.57), 0.081)
