"""Potassium outside of cells."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.numerics import Total, add, rounded
from cortexmg.part import PerCell, Scalar, quantity, shown
from cortexmg.tissues.glia import Glia
from cortexmg.tissues.tissue import Tissue
from cortexmg.tissues.voxels import PerVoxel, Voxels
from cortexmg.units import mM_per_pA_ms


class Outside(NamedTuple):
    """Of each voxel."""

    k: Total  # mM
    glia: Any


class Potassium(Tissue):
    """[K]o of each voxel: what its cells lose, less what glia and the bath take, and diffusion.

    The terms are those of Cressman et al. (2009, J Comput Neurosci 26:159). Diffusion is that of
    Kager, Wadman and Somjen (2000, doi:10.1152/jn.2000.84.1.495): 1.96 um2/ms in water over the
    squared tortuosity of tissue, 1.6. The bath is the environment of the network. Assumption: all
    voxels have the same `volume` outside of cells, and it never changes.
    """

    evidence = Evidence(
        "cells, glia, diffusion and the bath set K outside",
        ("k",),
        "established",
        "Cressman et al. 2009; diffusion as in Kager, Wadman & Somjen 2000",
    )
    ions = ("k",)

    volume: Scalar = quantity("um3", above=0.0)  # outside of cells, of one voxel
    voxels: Voxels = eqx.field(static=True, default=Voxels())
    exchange: Scalar = quantity("1/ms", 1.333e-3, low=0.0)  # with the bath
    diffusion: Scalar = quantity("um2/ms", 0.77, low=0.0)
    glia: Glia | None = None
    # One number or one for each voxel; as the bath unless given.
    start: PerCell | None = quantity("mM", None, low=0.0, optional=True)
    every: float = eqx.field(static=True, default=1.0)  # ms

    def __check_init__(self):
        Tissue.__check_init__(self)  # first of all these are numbers
        if not isinstance(self.glia, Glia | None):
            raise TypeError(f"Potassium.glia must be a Glia or None, got {shown(self.glia)}.")
        shape = () if self.start is None else np.shape(self.start)
        if shape not in ((), (1,), (self.voxels.number,)):
            raise ValueError(
                f"Potassium.start must be one number or one for each of {self.voxels.number} "
                f"voxels, got an array of shape {shape}."
            )
        if isinstance(self.diffusion, Tracer) or isinstance(self.exchange, Tracer):
            return
        width, height = self.voxels.size
        between = 2.0 * np.asarray(self.diffusion) * (width**-2 + height**-2)
        exchanged = self.every * (self.exchange + between * (self.voxels.number > 1))
        if exchanged > 0.5:
            raise ValueError(
                f"Potassium.every of {self.every:g} ms is too long for voxels of {width:g} x "
                f"{height:g} um: at diffusion = {self.diffusion:g} um2/ms and exchange = "
                f"{self.exchange:g}/ms they would exchange {exchanged:.2g} of what they hold, of "
                f"at most 0.5. Use a shorter one or larger voxels."
            )

    def init(self, env: Environment) -> Outside:
        start = env.ions["k"].outside if self.start is None else self.start
        zeros = jnp.zeros(self.voxels.number)
        k = zeros + start
        return Outside(Total(k, zeros), None if self.glia is None else self.glia.init(k))

    def step(
        self, state: Outside, currents: dict[str, PerVoxel], env: Environment, time: Scalar
    ) -> Outside:
        del time
        k, glia, dt = state.k.value, state.glia, self.every
        terms = [
            dt * mM_per_pA_ms(1, 1.0) / self.volume * currents["k"],
            dt * self.exchange * (env.ions["k"].outside - k),
            *self.voxels.inflows(k, dt * self.diffusion),
        ]
        if self.glia is not None:
            glia, taken = self.glia.step(glia, k, dt)
            terms.append(-taken)
        return Outside(add(state.k, sum(rounded(*terms))), glia)

    def felt(self, state: Outside) -> PerVoxel:
        return state.k.value

    def local(self, felt: PerCell, env: Environment) -> Environment:
        return env.with_outside("k", felt)
