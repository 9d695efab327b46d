"""How far statistics are from what a fit aims at, and the slope of that."""

import abc
import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from cortexmg.part import shown
from cortexmg.protocol import Protocol
from cortexmg.targets import Loss, Targets

Statistics = Float[np.ndarray, " q"]
BIT = 0.05  # of a change that is taken to first order: single precision tells so much


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

    def bend(
        self, mean: Statistics, change: Float[np.ndarray, "seeds q"]
    ) -> Float[np.ndarray, "seeds q"]:
        """How much the slope changes with each of these changes of the mean, to first order."""
        ends = [(self.slope(mean + BIT * c), self.slope(mean - BIT * c)) for c in change]
        return np.stack([(up - down) / (2.0 * BIT) for up, down in ends])

    def residual(self, mean: Statistics) -> Statistics | None:
        """Distances in standard deviations, NaN where undefined; None without targets."""
        del mean

    def scale(self, mean: Statistics) -> Statistics:
        """The derivative of a residual by its statistic."""
        return np.ones_like(mean)

    def wanted(self) -> Statistics:
        """The value that each statistic should have, NaN without a target."""
        return np.full(len(self.protocol.statistics), np.nan)

    def missed(self, mean: Statistics) -> Statistics:
        """How many standard deviations each statistic is from its target, 0 without one."""
        return np.zeros_like(mean)

    @abc.abstractmethod
    def account(self) -> Any:
        """What tells it from other aims."""


FAR = 3.0  # standard deviations from which a distance counts linearly
ABSENT = 1.0  # how far off an undefined statistic is, on the scale on which it is compared


class AtTargets(Aim):
    """Half the sum of squared distances in standard deviations; those beyond 3 grow linearly.

    So a statistic that cannot be met, or is far off at the beginning, does not outweigh the others
    (the pseudo-Huber loss: Charbonnier et al. 1997, doi:10.1109/83.551699). One that is undefined,
    such as the CV of silent cells, costs as much as one that is 1 away: with nothing, silence would
    be a reward. It still is beside statistics that are farther off, so give rates a target too.
    """

    def __init__(self, protocol: Protocol, targets: Targets):
        super().__init__(protocol)
        self._wanted, self.value, self.sd = targets.aimed(protocol)

    def loss(self, mean: Statistics) -> float:
        distance = self._distance(mean)
        far = np.where(np.isnan(distance), ABSENT / self.sd, distance)
        return float(np.sum(FAR**2 * (1.0 / _weight(far) - 1.0)))

    def slope(self, mean: Statistics) -> Statistics:
        distance = self._distance(mean)
        return np.nan_to_num(_weight(distance) * distance * self._scale(mean))

    def residual(self, mean: Statistics) -> Statistics:
        distance = self._distance(mean)
        return np.sqrt(_weight(distance)) * distance

    def scale(self, mean: Statistics) -> Statistics:
        return np.nan_to_num(np.sqrt(_weight(self._distance(mean)))) * self._scale(mean)

    def _distance(self, mean: Statistics) -> Statistics:
        scaled = np.asarray(self.protocol.scaled(jnp.asarray(mean)), float)
        return np.where(np.isfinite(self.sd), (scaled - self.value) / self.sd, 0.0)

    def _scale(self, mean: Statistics) -> Statistics:
        return np.where(np.isfinite(self.sd), self.protocol.slopes(mean) / self.sd, 0.0)

    def wanted(self) -> Statistics:
        return self._wanted

    def missed(self, mean: Statistics) -> Statistics:
        return np.where(np.isfinite(self._wanted), np.nan_to_num(self._distance(mean)), 0.0)

    def account(self) -> Any:
        return {"targets": self._wanted.tolist(), "sd": self.sd.tolist()}


def _weight(distance: Statistics) -> Statistics:
    """How much a distance counts, against a squared one."""
    return 1.0 / np.sqrt(1.0 + (distance / FAR) ** 2)


class AtLoss(Aim):
    """A loss of the user's."""

    def __init__(self, protocol: Protocol, loss: Loss):
        """Raises: KeyError, TypeError or ValueError if it is none of these statistics."""
        super().__init__(protocol)
        self._function = lambda x: loss.function(self._named(x))
        self._check(loss)
        self._value_and_grad = jax.value_and_grad(self._function)
        self._seen: tuple[bytes, Any] = (b"", None)

    def _check(self, loss: Loss) -> None:
        given = self._named(np.zeros(len(self.protocol.statistics)))
        shapes = {c: {name: np.shape(x) for name, x in m.items()} for c, m in given.items()}
        what = f"by condition and measure it gets numbers of the shapes {shapes}"
        if not callable(loss.function):
            raise TypeError(
                f"Loss.function must be a function, got {shown(loss.function)}: {what}."
            )
        try:
            found = jax.eval_shape(self._function, self._zeros)
        except KeyError as error:
            raise KeyError(
                f"Loss.function asks for {error}, which there is not: {what}."
            ) from error
        except Exception as error:
            first = str(error).partition("\n")[0]
            raise ValueError(
                f"Loss.function cannot be computed: {what}. Write it in jax.numpy. {first}"
            ) from error
        one = isinstance(found, jax.ShapeDtypeStruct) and found.shape == ()
        if not (one and jnp.issubdtype(found.dtype, jnp.floating)):
            raise ValueError(
                f"Loss.function must return one real number, got {found}: {what}. Sum or average "
                f"what it returns."
            )

    def loss(self, mean: Statistics) -> float:
        return float(self._both(mean)[0])

    def slope(self, mean: Statistics) -> Statistics:
        return np.asarray(self._both(mean)[1], float)

    def account(self) -> Any:
        # What it computes, not its name, which all lambdas of a function share; constants included.
        program = jax.jit(self._function).lower(self._zeros).as_text()
        if "callback" in program:
            raise ValueError(
                "Loss.function calls Python from within JAX, so that a folder cannot know what it "
                "computes: write it in jax.numpy, or leave the folder away."
            )
        return hashlib.sha256(program.encode()).hexdigest()

    @property
    def _zeros(self) -> jax.Array:
        return jnp.zeros(len(self.protocol.statistics))

    def _both(self, mean: Statistics) -> Any:
        if self._seen[0] != mean.tobytes():
            value, slope = self._value_and_grad(jnp.asarray(mean))
            self._seen = (mean.tobytes(), (value, slope))
        return self._seen[1]

    def _named(self, mean: Any) -> dict[str, dict[str, Any]]:
        named: dict[str, dict[str, Any]] = {c: {} for c in self.protocol.conditions}
        for (condition, measure), at in self.protocol.entries.items():
            one = self.protocol.statistics[at.start].part is None
            named[condition][measure] = mean[at.start] if one else mean[at]
        return named


def aim_of(protocol: Protocol, what: Targets | Loss) -> Aim:
    """What a fit to these targets, or with this loss, aims at."""
    return AtTargets(protocol, what) if isinstance(what, Targets) else AtLoss(protocol, what)
