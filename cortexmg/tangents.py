"""How derivatives travel through a run: from how far, how damped, through spikes how wide."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from cortexmg.network import Network
from cortexmg.part import Part, quantity


class Tangents(Part):
    """What is done to derivatives on their way through a run; values stay as they are.

    All of it trades variance for bias: in a recurrent network the plain derivative grows
    exponentially with time. The derivative of the state fades with the time constant `damping`,
    and is forgotten every `horizon` ms. `width` replaces that of the surrogate spikes of all cells
    (mV). With `escape`, in ms, integrate-and-fire cells get the slope of escape noise instead: that
    of a rate exp((v - threshold) / width) / escape.
    """

    damping: float | None = quantity("ms", None, above=0.0, optional=True)
    horizon: float | None = quantity("ms", None, above=0.0, optional=True)
    width: float | None = quantity("mV", None, above=0.0, optional=True)
    escape: float | None = quantity("ms", None, above=0.0, optional=True)

    def through(self, network: Network) -> Network:
        """The network with these slopes of its spikes."""
        given = {"width": self.width, "escape": self.escape}
        given = {name: value for name, value in given.items() if value is not None}
        populations = {}
        for name, p in network.populations.items():
            fields = {k: v for k, v in given.items() if hasattr(p.rule, k)}
            populations[name] = replace(p, rule=replace(p.rule, **fields))
        return replace(network, populations=populations) if given else network

    def kept(self, step: Int[Array, ""], dt: float) -> Any:
        """What part of the derivative of a state is kept at the beginning of a step."""
        fade = 1.0 if self.damping is None else float(np.exp(-dt / self.damping))
        if self.horizon is None:
            return fade
        return jnp.where(step % max(1, round(self.horizon / dt)) == 0, 0.0, fade)

    @property
    def plain(self) -> bool:
        """Whether derivatives of the state are left as they are."""
        return self.damping is None and self.horizon is None


def faded(state: Any, kept: Any) -> Any:
    """The same state, of whose derivative this part is kept."""
    leaves, tree = jax.tree.flatten(state)
    fading = [jnp.issubdtype(x.dtype, jnp.floating) for x in leaves]
    leaves = [_fade(x, kept) if f else x for x, f in zip(leaves, fading, strict=True)]
    return jax.tree.unflatten(tree, leaves)


@jax.custom_jvp
def _fade(x, kept):
    del kept
    return x


@_fade.defjvp
def _fade_jvp(primals, tangents):
    x, kept = primals
    return x, jnp.asarray(kept, x.dtype) * tangents[0]
