"""Calcium in a thin shell beneath the membrane, or in the soma."""

import jax.numpy as jnp

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence, Mechanism
from cortexmg.numerics import relax
from cortexmg.part import PerCell, Scalar, quantity
from cortexmg.pools.pool import Pool
from cortexmg.units import mM_per_pA_ms


class CalciumShell(Pool, Mechanism):
    """Calcium that enters through channels and is removed with one time constant.

    Destexhe, Babloyantz and Sejnowski (1993, doi:10.1016/S0006-3495(93)81190-1), with the
    constants that Pospischil et al. (2008, doi:10.1007/s00422-008-0263-8) use for bursting cells.
    The state is the concentration (mM). Calcium never falls: an outward current is not counted.
    Every current of calcium enters, that through NMDA receptors too.
    """

    evidence = Evidence(
        "Ca enters through channels and NMDA receptors, and is removed",
        ("ca",),
        "established",
        "Destexhe et al. 1993; volumes and time constants vary",
    )
    ions = ("ca",)

    area: PerCell = quantity("um2", 28953.0, above=0.0)  # of the membrane
    depth: PerCell = quantity("um", 1.0, above=0.0)
    tau: PerCell = quantity("ms", 5.0, above=0.0)
    rest: PerCell = quantity("mM", 2.4e-4, above=0.0)
    free: PerCell = quantity("1", 1.0, above=0.0, high=1.0)  # what buffers leave of the calcium

    def init(self, v: PerCell, env: Environment) -> PerCell:
        del env
        return jnp.zeros_like(v) + self.rest

    def step(
        self, state: PerCell, currents: dict[str, PerCell], env: Environment, dt: Scalar
    ) -> PerCell:
        del env
        volume = self.area * self.depth / self.free
        entry = jnp.maximum(-currents["ca"], 0.0) * mM_per_pA_ms(2, 1.0) / volume
        return relax(state, self.rest + entry * self.tau, self.tau, dt)

    def local(self, state: PerCell, env: Environment) -> Environment:
        return env.with_inside("ca", state)


def soma(area: PerCell = 28953.0) -> CalciumShell:
    """Calcium that opens potassium channels, in a soma of `area` um2.

    Wang (1998, doi:10.1152/jn.1998.79.3.1549): 1 uA/cm2 raises it by 0.002 uM in every ms, and it
    is removed within 80 ms. Assumption: at rest it is 70 nM, where he counts from 0.
    """
    return CalciumShell(area, depth=1.0, tau=80.0, rest=7e-5, free=0.0385941)
