"""Charges on the outer face of the membrane, which divalent ions screen: they shift all gating."""

import abc
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence, Mechanism
from cortexmg.numerics import anchored
from cortexmg.part import PerCell, Scalar, quantity
from cortexmg.units import FARADAY, GAS, KELVIN


class SurfaceCharge(Mechanism):
    """By how much the gates of a membrane feel a voltage other than the one across it.

    Every channel feels v - screening * shift, with its own share `screening`; integrate-and-fire
    cells have their threshold raised by the shift instead.
    """

    @abc.abstractmethod
    def shift(self, env: Environment) -> PerCell:
        """The shift (mV): exactly 0 at the reference, positive where divalent ions stabilise."""


# Hille, Woodhull and Shapiro (1975): 20 to 25 mV for ten times as much; -18 mV without divalents,
# relative to 2 mM of calcium.
_SLOPE = 22.5 / math.log(10.0)  # 9.77 mV
_OTHER = 2.0 / math.expm1(18.0 / _SLOPE)  # 0.377 mM


class Screening(SurfaceCharge):
    """slope ln of the effective concentration [Ca]o + potency [Mg]o + other, to the reference.

    Slope (22.5 mV per decade) and `other` (-18 mV without divalents, relative to 2 mM calcium) are
    those of Hille, Woodhull and Shapiro (1975, Phil Trans R Soc B 270:301), frog nerve. Calcium
    shifts sodium channels of the hippocampus 1.4 times as far as magnesium: Isaev et al. (2012,
    J Neurophysiol). Assumption: which share of the shift channels other than sodium's feel.
    """

    evidence = Evidence(
        "Ca and Mg screen the surface charge of the membrane",
        ("mg", "ca"),
        "established",
        "Hille, Woodhull & Shapiro 1975; Isaev et al. 2012; shares of channels assumed",
    )

    slope: PerCell = quantity("mV", _SLOPE, low=0.0)  # for e times as much
    potency: PerCell = quantity("1", 1.0 / 1.4, low=0.0)  # of magnesium, relative to calcium
    other: PerCell = quantity("mM", _OTHER, above=0.0)
    ca_ref: PerCell = quantity("mM", 1.2, low=0.0)
    mg_ref: PerCell = quantity("mM", 1.0, low=0.0)

    def shift(self, env: Environment) -> PerCell:
        ca, mg = env.ions["ca"].outside, env.ions["mg"].outside
        change = self._effective(ca, mg) / self._effective(self.ca_ref, self.mg_ref)
        shift = self.slope * jnp.log(change)
        return anchored(shift, 0.0, (ca, self.ca_ref), (mg, self.mg_ref))

    def _effective(self, ca: PerCell, mg: PerCell) -> PerCell:
        return ca + self.potency * mg + self.other


class GouyChapman(SurfaceCharge):
    """The same from theory: the potential of a charged plane in a solution of ions (Grahame).

    The plane has `density`, the value with which screening alone gives both numbers of Hille,
    Woodhull and Shapiro (1975) at 278 K and 117 mM: fitted, not predicted. Calcium and magnesium
    act alike here. For teaching and to check `Screening`, whose slope cannot exceed RT/2F.
    Assumption: the permittivity of water is 78.4 at 25 degrees and goes with 1/T.

    At -0.1 e/nm2, 0.1 instead of 1 mM magnesium (at 1.2 mM calcium, 37 degrees) shifts by 0.20 mV.
    """

    evidence = Evidence(
        "Ca and Mg screen the surface charge of the membrane",
        ("mg", "ca"),
        "established",
        "Grahame 1947; density fitted to Hille, Woodhull & Shapiro 1975",
    )

    density: Scalar = quantity("e/nm2", -1.466, high=-1e-3)
    monovalent: Scalar = quantity("mM", 150.0, above=0.0)
    ca_ref: Scalar = quantity("mM", 1.2, low=0.0)
    mg_ref: Scalar = quantity("mM", 1.0, low=0.0)

    def shift(self, env: Environment) -> PerCell:
        ca, mg = env.ions["ca"].outside, env.ions["mg"].outside
        shift = self.potential(ca + mg, env) - self.potential(self.ca_ref + self.mg_ref, env)
        return anchored(shift, 0.0, (ca, self.ca_ref), (mg, self.mg_ref))

    def potential(self, divalent: PerCell, env: Environment) -> Float[Array, "..."]:
        """Potential of the surface (mV, below 0) in `divalent` mM of doubly charged ions."""
        thermal = 1e3 * GAS * (env.temperature + KELVIN) / FARADAY
        divalent = jnp.asarray(divalent, jnp.result_type(float))
        known = jax.lax.stop_gradient(self._solve(divalent, env) / thermal)
        # A step of Newton's method from the root stays there, and has the derivatives of the root.
        excess, slope = jax.jvp(
            lambda u: self._excess(u, divalent, env), (known,), (jnp.ones_like(known),)
        )
        return thermal * (known - excess / jax.lax.stop_gradient(slope))

    def _solve(self, divalent: PerCell, env: Environment) -> PerCell:
        thermal = 1e3 * GAS * (env.temperature + KELVIN) / FARADAY
        low, high = jnp.full_like(divalent, -16.0), jnp.zeros_like(divalent)

        def halve(_, bounds):
            low, high = bounds
            mid = 0.5 * (low + high)
            above = self._excess(mid, divalent, env) > 0.0  # still too far from 0
            return jnp.where(above, mid, low), jnp.where(above, high, mid)

        low, high = jax.lax.fori_loop(0, 50, halve, (low, high))
        return thermal * 0.5 * (low + high)

    def _excess(self, u: PerCell, divalent: PerCell, env: Environment) -> PerCell:
        """ln of the squared charge of a plane at u RT/F, over that of this plane."""
        kelvin = env.temperature + KELVIN
        permittivity = 8.8541878e-12 * 78.4 * 298.15 / kelvin  # F/m, of water
        anions = self.monovalent + 2.0 * divalent
        ions = (
            self.monovalent * jnp.expm1(-u) + divalent * jnp.expm1(-2.0 * u) + anions * jnp.expm1(u)
        )
        charge = self.density * 0.1602176634  # C/m2
        return jnp.log(2.0 * permittivity * GAS * kelvin * ions / charge**2)


def felt_by_gates(shift: PerCell | None) -> Callable[[PerCell, Any], PerCell]:
    """What the gates of a channel feel of a voltage where surface charge shifts it, or not."""
    if shift is None:
        return lambda v, channel: v
    return lambda v, channel: v - channel.screening * shift
