"""Spikes as ids and times, and as counts."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, UInt32

from cortexmg.compaction import pack
from cortexmg.network import Network, State
from cortexmg.numerics import with_slope_of
from cortexmg.part import shown
from cortexmg.recorders.recorder import Emitted, Recorder
from cortexmg.spike_trains import SpikeTrains


class Events(NamedTuple):
    """Spikes of a piece of a run, in order of time."""

    ids: Int[np.ndarray, " k"]
    times: Float[np.ndarray, " k"]  # ms


class Spikes(Recorder):
    """All spikes of a population; the result is a `SpikeTrains`.

    One bit per cell and step leaves the compiled program and is turned into ids and times piece
    by piece, so memory follows the spikes. A spike carries the time of the end of its step.
    """

    population: str = eqx.field(static=True)
    every: None = eqx.field(static=True, default=None)

    def check_rules(self) -> None:
        if self.every is not None:
            raise ValueError(
                f"Spikes.every must be left out, got {shown(self.every)}: the spikes of every step "
                f"are kept. SpikeCount counts them in intervals."
            )

    def init(self, network: Network, state: State) -> UInt32[Array, " words"]:
        del state
        return pack(jnp.zeros(network.populations[self.population].n, bool))

    def update(
        self, acc: UInt32[Array, " words"], network: Network, state: State, spikes: Emitted
    ) -> UInt32[Array, " words"]:
        del acc, network, state
        return pack(spikes[self.population].fired)

    def read(
        self, acc: UInt32[Array, " words"], network: Network, state: State, steps: int
    ) -> UInt32[Array, " words"]:
        del network, state, steps
        return acc

    @property
    def by_cell(self) -> bool:
        return True

    def piece(
        self, saved: Any, first: int | Int[Array, ""], steps: int, dt: float, parts: int = 1
    ) -> Events:
        del steps
        if isinstance(saved, Tracer):
            raise TypeError(
                "recorders.Spikes lists spikes on the host, which cannot be done inside jit, vmap "
                "or grad: use recorders.SpikeCount there, or cortexmg.sweep instead of vmap."
            )
        words = np.asarray(saved)
        step, word = np.nonzero(words)
        bits = np.unpackbits(
            words[step, word].astype("<u4").view(np.uint8).reshape(-1, 4), axis=1, bitorder="little"
        )
        which, bit = np.nonzero(bits)
        each = words.shape[1] // parts  # words of a part, each of which is packed by itself
        part, word = np.divmod(word[which], each)
        step, ids = step[which], (part * 32 * each + bit * each + word).astype(np.int32)
        order = np.lexsort((ids, step))
        return Events(ids[order], np.asarray((first + step[order] + 1) * dt))

    def result(self, joined: Events, network: Network, start: float, stop: float) -> SpikeTrains:
        n = network.populations[self.population].n
        real = joined.ids < n
        return SpikeTrains(joined.ids[real], joined.times[real], n, start, stop)


class SpikeCount(Recorder):
    """Spikes of each cell in each interval; values [frames, n]. It can be differentiated."""

    population: str = eqx.field(static=True)
    every: float | None = eqx.field(static=True, default=5.0)

    def init(self, network: Network, state: State) -> Float[Array, " n"]:
        return jnp.zeros_like(state.populations[self.population].v)

    def update(
        self, acc: Float[Array, " n"], network: Network, state: State, spikes: Emitted
    ) -> Float[Array, " n"]:
        del network, state
        return acc + spikes[self.population].amount

    def read(self, acc: Float[Array, " n"], network: Network, state: State, steps: int) -> Array:
        del network, state, steps
        return acc

    @property
    def by_cell(self) -> bool:
        return True


class Counted(NamedTuple):
    """Spikes in an interval."""

    spikes: Int[Array, ""]
    slope: Float[Array, ""]  # 0, with the derivative of the count


class PopulationRate(Recorder):
    """Mean rate of a population in each interval; values [frames] (Hz per cell)."""

    population: str = eqx.field(static=True)
    every: float | None = eqx.field(static=True, default=5.0)

    def init(self, network: Network, state: State) -> Counted:
        del network
        return Counted(jnp.int32(0), jnp.zeros((), state.dt.dtype))

    def update(self, acc: Counted, network: Network, state: State, spikes: Emitted) -> Counted:
        del state
        # Delivery packs the spikes anyway, so counting bits is nearly free.
        words = pack(network.real(self.population, spikes[self.population].fired))
        count = jax.lax.population_count(words).astype(jnp.int32).sum(dtype=jnp.int32)
        amount = jnp.sum(network.real(self.population, spikes[self.population].amount))
        return Counted(acc.spikes + count, with_slope_of(acc.slope, acc.slope + amount))

    def read(self, acc: Counted, network: Network, state: State, steps: int) -> Float[Array, ""]:
        everywhere = network.split.everywhere
        spikes = everywhere(acc.spikes[None]).sum(dtype=jnp.int32).astype(state.dt.dtype)
        spikes = with_slope_of(spikes, jnp.sum(everywhere(acc.slope[None])))
        # One product, whose rounding does not depend on how many runs are computed together.
        return spikes * (1e3 / (float(network.count(self.population) * steps) * state.dt))
