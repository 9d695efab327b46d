"""The sodium pump: three sodium ions out for two potassium ions in."""

import abc
from typing import TYPE_CHECKING, ClassVar

import equinox as eqx
import jax.numpy as jnp

from cortexmg.channels.channel import Ungated
from cortexmg.environment import Environment
from cortexmg.evidence import Evidence, Mechanism
from cortexmg.factors import Factor, product
from cortexmg.membrane import Current, Pathway
from cortexmg.numerics import bounded_exp
from cortexmg.part import PerCell, members, quantity

KNOWN = Evidence(
    "the pump moves Na out and K in, driven by Na inside and K outside",
    ("na", "k"),
    "established",
    "Barreto & Cressman 2011; Huebel & Dahlem 2014",
)


class Pump(Ungated, Mechanism):
    """Na/K-ATPase: at a turnover of I it carries 3 I of sodium out and 2 I of potassium in.

    `maximum` is I where sodium inside and potassium outside drive it fully. The net current I
    leaves the cell, unless it is not `electrogenic`: some models have pumps move ions only.
    """

    if TYPE_CHECKING:  # fields of final classes
        maximum: ClassVar[PerCell]
        electrogenic: ClassVar[bool]
        factors: ClassVar[dict[str, Factor]]

    @abc.abstractmethod
    def activity(self, na: PerCell, k: PerCell) -> PerCell:
        """Share of the maximum at `na` mM inside and `k` mM outside."""

    @property
    def carries(self) -> tuple[str, ...]:
        return ("na", "k")

    def pathway(self, state: None, v: PerCell, env: Environment) -> Current:
        del state
        turnover = self.turnover(env) if self.electrogenic else 0.0
        return Current(jnp.zeros_like(v) - turnover)

    def carried(
        self, state: None, path: Pathway | Current, v: PerCell, env: Environment
    ) -> dict[str, PerCell]:
        del state, path, v
        turnover = self.turnover(env)
        return {"na": 3.0 * turnover, "k": -2.0 * turnover}

    def turnover(self, env: Environment) -> PerCell:
        """Net current out of the cell (pA)."""
        driven = self.activity(env.ions["na"].inside, env.ions["k"].outside)
        return self.maximum * driven * product(self.factors, env)


class SigmoidPump(Pump):
    """1 / ((1 + exp((half_na - [Na]i) / slope_na)) (1 + exp((half_k - [K]o) / slope_k))).

    Barreto and Cressman (2011, J Biol Phys 37:361) and, with the same numbers, Huebel and Dahlem
    (2014, PLoS Comput Biol 10:e1003941). Wei, Ullah and Schiff (2014, J Neurosci 34:11733) have
    3.5 mM for potassium.
    """

    evidence = KNOWN

    maximum: PerCell = quantity("pA", 62.7, low=0.0)
    half_na: PerCell = quantity("mM", 25.0, low=0.0)
    slope_na: PerCell = quantity("mM", 3.0, above=0.0)
    half_k: PerCell = quantity("mM", 5.5, low=0.0)
    slope_k: PerCell = quantity("mM", 1.0, above=0.0)
    electrogenic: bool = eqx.field(static=True, default=True)
    factors: dict[str, Factor] = members()

    def activity(self, na: PerCell, k: PerCell) -> PerCell:
        sodium = 1.0 + bounded_exp((self.half_na - na) / self.slope_na)
        potassium = 1.0 + bounded_exp((self.half_k - k) / self.slope_k)
        return 1.0 / sodium / potassium


class HillPump(Pump):
    """(1 + k_k / [K]o)^-2 (1 + k_na / [Na]i)^-3: two and three binding sites.

    Kager, Wadman and Somjen (2000, doi:10.1152/jn.2000.84.1.495).
    """

    evidence = KNOWN._replace(source="Kager, Wadman & Somjen 2000")

    maximum: PerCell = quantity("pA", 62.7, low=0.0)
    k_na: PerCell = quantity("mM", 10.0, above=0.0)
    k_k: PerCell = quantity("mM", 2.0, above=0.0)
    electrogenic: bool = eqx.field(static=True, default=True)
    factors: dict[str, Factor] = members()

    def activity(self, na: PerCell, k: PerCell) -> PerCell:
        return (k / (k + self.k_k)) ** 2 * (na / (na + self.k_na)) ** 3
