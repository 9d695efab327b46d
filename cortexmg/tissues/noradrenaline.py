"""Noradrenaline around all cells."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from cortexmg.environment import Environment
from cortexmg.evidence import Evidence
from cortexmg.factors import Factor, SympatheticRelease
from cortexmg.numerics import relax
from cortexmg.part import PerCell, Scalar, quantity
from cortexmg.tissues.tissue import Tissue
from cortexmg.tissues.voxels import PerVoxel, Voxels

Course = Float[np.ndarray | Array, " k"]


class Noradrenaline(Tissue):
    """Noradrenaline relative to waking: tau dN/dt = release x activity - N.

    `activity` is that of the locus coeruleus relative to waking, given at `times` and straight
    between; in deep sleep it falls to a tenth. Release falls with magnesium. Assumption: one value
    for all cells, and its time constant.
    """

    evidence = Evidence(
        "the locus coeruleus releases noradrenaline, which Mg lowers",
        (),
        "assumption",
        "form and time constant ours; release as in factors.SympatheticRelease",
    )

    ions = ()

    activity: Course = quantity("1", low=0.0)
    times: Course = quantity("ms")
    tau: Scalar = quantity("ms", 5000.0, above=0.0)
    release: Factor = eqx.field(default_factory=SympatheticRelease)
    start: Scalar | None = quantity("1", None, low=0.0, optional=True)  # settled unless given
    voxels: Voxels = eqx.field(static=True, default=Voxels())
    every: float = eqx.field(static=True, default=1.0)  # ms

    def check_rules(self) -> None:
        super().check_rules()
        if self.voxels.number != 1:
            raise ValueError(
                f"Noradrenaline.voxels must be 1, as it is the same everywhere, got "
                f"{self.voxels.number}."
            )
        if isinstance(self.times, Tracer):
            return
        times = np.asarray(self.times)
        if times.ndim != 1 or not times.size or times.shape != np.shape(self.activity):
            raise ValueError(
                f"Noradrenaline.times and activity must be lists of one length, got shapes "
                f"{times.shape} and {np.shape(self.activity)}."
            )
        if np.any(np.diff(times) <= 0.0):
            raise ValueError(f"Noradrenaline.times must ascend, got {times}.")

    def init(self, env: Environment) -> PerVoxel:
        start = self._target(env, 0.0) if self.start is None else self.start
        return jnp.zeros(1) + start

    def step(
        self, state: PerVoxel, currents: dict[str, PerVoxel], env: Environment, time: Scalar
    ) -> PerVoxel:
        del currents
        return relax(state, self._target(env, time - 0.5 * self.every), self.tau, self.every)

    def felt(self, state: PerVoxel) -> PerVoxel:
        return state

    def local(self, felt: PerCell, env: Environment) -> Environment:
        return replace(env, noradrenaline=felt)

    def _target(self, env: Environment, time: Scalar) -> Scalar:
        times, activity = jnp.asarray(self.times), jnp.asarray(self.activity)
        return self.release(env) * jnp.interp(time, times, activity)
