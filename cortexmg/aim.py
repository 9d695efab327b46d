"""How far statistics are from what a fit aims at, and the slope of that."""

import abc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from cortexmg.part import shown
from cortexmg.protocol import Protocol
from cortexmg.targets import Loss, Targets

Statistics = Float[np.ndarray, " q"]


class Aim(abc.ABC):
    """A loss of the mean of the statistics over seeds."""

    def __init__(self, protocol: Protocol):
        self.protocol = protocol

    @abc.abstractmethod
    def loss(self, mean: Statistics) -> float:
        """The loss; statistics that are undefined are left out."""

    @abc.abstractmethod
    def slope(self, mean: Statistics) -> Statistics:
        """The derivative of the loss by each statistic, 0 where it is undefined."""

    def residual(self, mean: Statistics) -> Statistics | None:
        """Distances in standard deviations, NaN where undefined; None without targets."""
        del mean

    def scale(self, mean: Statistics) -> Statistics:
        """The derivative of a residual by its statistic."""
        return np.ones_like(mean)

    def wanted(self) -> Statistics:
        """The value that each statistic should have, NaN without a target."""
        return np.full(len(self.protocol.statistics), np.nan)


FAR = 3.0  # standard deviations from which a distance counts linearly


class AtTargets(Aim):
    """Half the sum of squared distances in standard deviations; those beyond 3 grow linearly.

    So a statistic that cannot be met, or is far off at the beginning, does not outweigh the others
    (the pseudo-Huber loss: Charbonnier et al. 1997, doi:10.1109/83.551699).
    """

    def __init__(self, protocol: Protocol, targets: Targets):
        super().__init__(protocol)
        self.value, self.sd = targets.aimed(protocol)
        self._wanted = targets.wanted(protocol)

    def loss(self, mean: Statistics) -> float:
        return float(np.nansum(FAR**2 * (1.0 / self._weight(mean) - 1.0)))

    def slope(self, mean: Statistics) -> Statistics:
        weighted = self._weight(mean) * self._distance(mean) * self._scale(mean)
        return np.nan_to_num(weighted)

    def residual(self, mean: Statistics) -> Statistics:
        return np.sqrt(self._weight(mean)) * self._distance(mean)

    def scale(self, mean: Statistics) -> Statistics:
        return np.nan_to_num(np.sqrt(self._weight(mean))) * self._scale(mean)

    def _distance(self, mean: Statistics) -> Statistics:
        scaled = np.asarray(self.protocol.scaled(jnp.asarray(mean)), float)
        return np.where(np.isfinite(self.sd), (scaled - self.value) / self.sd, 0.0)

    def _weight(self, mean: Statistics) -> Statistics:
        return 1.0 / np.sqrt(1.0 + (self._distance(mean) / FAR) ** 2)

    def _scale(self, mean: Statistics) -> Statistics:
        return np.where(np.isfinite(self.sd), self.protocol.slopes(mean) / self.sd, 0.0)

    def wanted(self) -> Statistics:
        return self._wanted


class AtLoss(Aim):
    """A loss of the user's."""

    def __init__(self, protocol: Protocol, loss: Loss):
        super().__init__(protocol)
        self._value_and_grad = jax.value_and_grad(lambda x: loss.function(self._named(x)))
        self._seen: tuple[bytes, Any] = (b"", None)

    def loss(self, mean: Statistics) -> float:
        return float(self._both(mean)[0])

    def slope(self, mean: Statistics) -> Statistics:
        return np.asarray(self._both(mean)[1], float)

    def _both(self, mean: Statistics) -> Any:
        if self._seen[0] != mean.tobytes():
            value, slope = self._value_and_grad(jnp.asarray(mean))
            if value.shape:
                raise ValueError(f"The loss must be one number, got shape {value.shape}.")
            self._seen = (mean.tobytes(), (value, slope))
        return self._seen[1]

    def _named(self, mean: Any) -> dict[str, dict[str, Any]]:
        places: dict[str, dict[str, Any]] = {c: {} for c in self.protocol.conditions}
        for i, s in enumerate(self.protocol.statistics):
            places[s.condition].setdefault(s.measure, []).append((i, s.part))
        return {
            condition: {
                name: mean[at[0][0]] if at[0][1] is None else mean[np.array([i for i, _ in at])]
                for name, at in measures.items()
            }
            for condition, measures in places.items()
        }


def aim_of(protocol: Protocol, what: Targets | Loss) -> Aim:
    """What a fit to these targets, or with this loss, aims at."""
    if isinstance(what, Targets):
        return AtTargets(protocol, what)
    if isinstance(what, Loss):
        return AtLoss(protocol, what)
    raise TypeError(f"A fit needs Targets or a Loss, got {shown(what)}.")
