"""Conductance that rises with one time constant and decays with another."""

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from cortexmg.environment import Environment
from cortexmg.factors import Factor, product
from cortexmg.membrane import Pathway
from cortexmg.numerics import relax
from cortexmg.part import Part, PerCell, Scalar, quantity
from cortexmg.synapses.synapse import Synapse

# What is nearly equal cancels: in single precision peaks are 7e-4 off here, 0.015 at 0.999.
ALIKE = 0.99


class TwoExponential(NamedTuple):
    """The two components (nS); their difference is the conductance."""

    rise: PerCell
    decay: PerCell


class TwoExponentialKinetics(Part):
    """N (exp(-t/tau_decay) - exp(-t/tau_rise)), with N such that the peak is 1.

    Time constants are those at 36 degrees; both rates have a Q10.
    """

    tau_rise: PerCell = quantity("ms", above=0.0)
    tau_decay: PerCell = quantity("ms", above=0.0)
    q10: PerCell = quantity("1", 1.0, above=0.0)

    def check_rules(self) -> None:
        if isinstance(self.tau_rise, Tracer) or isinstance(self.tau_decay, Tracer):
            return
        rise, decay = np.asarray(self.tau_rise), np.asarray(self.tau_decay)
        if np.any(rise > ALIKE * decay):
            raise ValueError(
                f"TwoExponentialKinetics.tau_rise must be at most {ALIKE:g} tau_decay, got "
                f"{self.tau_rise} and {self.tau_decay} ms: swap them, use {ALIKE:g} for an alpha "
                f"function, or synapses.Exponential for an instantaneous rise."
            )

    def init(self, v: PerCell) -> TwoExponential:
        """Nothing bound."""
        return TwoExponential(jnp.zeros_like(v), jnp.zeros_like(v))

    def step(
        self, state: TwoExponential, arrivals: PerCell, env: Environment, dt: Scalar
    ) -> TwoExponential:
        """Both components after `dt`; what arrives at its beginning is seen at its middle."""
        arrivals, dt = arrivals / self.peak(), dt * env.faster(self.q10)
        # exp(-dt/2tau): at the middle of the step the arrivals have decayed for half of it. Left
        # out, every conductance would be dt/2tau too large (2.5 % for tau 2 ms at 0.1 ms).
        return TwoExponential(
            relax(state.rise, 0.0, self.tau_rise, dt) + arrivals * jnp.exp(-dt / 2 / self.tau_rise),
            relax(state.decay, 0.0, self.tau_decay, dt)
            + arrivals * jnp.exp(-dt / 2 / self.tau_decay),
        )

    def peak(self) -> PerCell:
        """Largest value of exp(-t/tau_decay) - exp(-t/tau_rise)."""
        ratio = self.tau_rise / self.tau_decay
        return ratio ** (ratio / (1.0 - ratio)) - ratio ** (1.0 / (1.0 - ratio))


class TwoExponentialSynapse(Synapse):
    """A receptor that opens with two-exponential kinetics and conducts at any voltage."""

    if TYPE_CHECKING:  # fields of the final classes
        kinetics: ClassVar[TwoExponentialKinetics]
        factors: ClassVar[dict[str, Factor]]

    def init(self, v: PerCell, env: Environment) -> TwoExponential:
        del env
        return self.kinetics.init(v)

    def step(
        self, state: TwoExponential, arrivals: PerCell, v: PerCell, env: Environment, dt: Scalar
    ) -> TwoExponential:
        del v
        return self.kinetics.step(state, self.gain * arrivals, env, dt)

    def bound(self, state: TwoExponential) -> PerCell:
        return state.decay - state.rise

    def pathway(self, state: TwoExponential, v: PerCell, env: Environment) -> Pathway:
        del v
        return Pathway(self.bound(state) * product(self.factors, env), self.reversal(env))
