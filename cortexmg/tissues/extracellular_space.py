"""Potassium, sodium and chloride outside of cells."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.numerics import Total, add, rounded
from cortexmg.part import PerCell, Scalar, quantity
from cortexmg.tissues.glia import Glia
from cortexmg.tissues.tissue import Tissue
from cortexmg.tissues.voxels import PerVoxel, Voxels
from cortexmg.units import mM_per_pA_ms

KNOWN = ("k", "na", "cl")


class Outside(NamedTuple):
    """Of each voxel."""

    ions: dict[str, Total]  # mM
    glia: Any


class ExtracellularSpace(Tissue):
    """What cells lose and gain of each of its `ions`, exchange with the bath, and diffusion.

    The terms of potassium are those of Cressman et al. (2009, J Comput Neurosci 26:159). Diffusion
    is that of Kager, Wadman and Somjen (2000, doi:10.1152/jn.2000.84.1.495): 1.96 um2/ms in water
    over the squared tortuosity of tissue, 1.6. The bath is the environment of the network.
    Assumptions: sodium and chloride reach the bath and other voxels as fast as potassium does,
    which keeps the space neutral where cells carry nothing else; what keeps uptake by glia neutral
    is not followed; all voxels have the same `volume` outside of cells, and it never changes.
    """

    evidence = Evidence(
        "cells, glia, diffusion and the bath set K outside, and Na and Cl where it holds them",
        ("k",),
        "established",
        "Cressman et al. 2009; diffusion as in Kager et al. 2000; Na and Cl as K is an assumption",
    )

    volume: Scalar = quantity("um3", above=0.0)  # outside of cells, of one voxel
    voxels: Voxels = eqx.field(static=True, default=Voxels())
    exchange: Scalar = quantity("1/ms", 1.333e-3, low=0.0)  # with the bath
    diffusion: Scalar = quantity("um2/ms", 0.77, low=0.0)
    glia: Glia | None = None
    # Of potassium, one number or one for each voxel, for which sodium makes room; unless given all
    # begin as the bath.
    start: PerCell | None = quantity("mM", None, low=0.0, optional=True)
    every: float = eqx.field(static=True, default=1.0)  # ms
    ions: tuple[str, ...] = eqx.field(static=True, default=KNOWN)  # potassium, and which others

    def check_rules(self) -> None:
        super().check_rules()
        if "k" not in self.ions or not set(self.ions) <= set(KNOWN):
            raise ValueError(
                f"ExtracellularSpace.ions must hold 'k', and 'na' and 'cl' if these are to move "
                f"too, got {self.ions!r}."
            )
        shape = () if self.start is None else np.shape(self.start)
        if shape not in ((), (1,), (self.voxels.number,)):
            raise ValueError(
                f"ExtracellularSpace.start must be one number or one for each of "
                f"{self.voxels.number} voxels, got an array of shape {shape}."
            )
        if not isinstance(self.diffusion, Tracer) and not isinstance(self.exchange, Tracer):
            self._check_every()

    def _check_every(self) -> None:
        """Raise if a step moves more than half of what a voxel holds."""
        width, height = self.voxels.size
        between = 2.0 * np.asarray(self.diffusion) * (width**-2 + height**-2)
        exchanged = self.every * (self.exchange + between * (self.voxels.number > 1))
        if exchanged > 0.5:
            raise ValueError(
                f"ExtracellularSpace.every of {self.every:g} ms is too long for voxels of "
                f"{width:g} x {height:g} um: at diffusion = {self.diffusion:g} um2/ms and "
                f"exchange = {self.exchange:g}/ms they would exchange {exchanged:.2g} of what "
                f"they hold, of at most 0.5. Use a shorter one or larger voxels."
            )

    def init(self, env: Environment) -> Outside:
        zeros = jnp.zeros(self.voxels.number)
        outside = {ion: zeros + env.ions[ion].outside for ion in self.ions}
        if self.start is not None:
            more = self.start - outside["k"]
            outside["k"] = zeros + self.start
            if "na" in outside:
                outside["na"] = outside["na"] - more
                self._check_room(outside, env)
        glia = None if self.glia is None else self.glia.init(outside["k"])
        return Outside({ion: Total(c, zeros) for ion, c in outside.items()}, glia)

    def _check_room(self, outside: dict[str, PerVoxel], env: Environment) -> None:
        """Raise if there is less sodium than potassium that it is to make room for."""
        if not isinstance(outside["na"], Tracer) and jnp.min(outside["na"]) < 0.0:
            raise ValueError(
                f"ExtracellularSpace.start of {jnp.max(outside['k']):g} mM cannot be reached: "
                f"sodium makes room for potassium, and the bath has "
                f"{env.ions['na'].outside:g} mM of it. Give a lower start, or leave 'na' out of "
                f"ions."
            )

    def step(
        self, state: Outside, currents: dict[str, PerVoxel], env: Environment, time: Scalar
    ) -> Outside:
        del time
        ions, glia, dt = {}, state.glia, self.every
        for ion, held in state.ions.items():
            c, kind = held.value, env.ions[ion]
            terms = [
                dt * mM_per_pA_ms(kind.valence, 1.0) / self.volume * currents[ion],
                dt * self.exchange * (kind.outside - c),
                *self.voxels.inflows(c, dt * self.diffusion),
            ]
            if ion == "k" and self.glia is not None:
                glia, taken = self.glia.step(glia, c, dt)
                terms.append(-taken)
            ions[ion] = add(held, sum(rounded(*terms)))
        return Outside(ions, glia)

    def felt(self, state: Outside) -> dict[str, PerVoxel]:
        return {ion: held.value for ion, held in state.ions.items()}

    def local(self, felt: dict[str, PerCell], env: Environment) -> Environment:
        for ion, outside in felt.items():
            env = env.with_outside(ion, outside)
        return env
