"""The formulas that mechanisms share: exponential relaxation, x / (exp(x) - 1), exact sums."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cortexmg.part import PerCell

# B(2k) / (2k)! of x/(exp(x)-1) = 1 - x/2 + sum B(2k)/(2k)! x^(2k), k = 1, 2, ... (exact fractions)
_EVEN_TERMS = (
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
    43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)


def relax(x: PerCell, target: PerCell, tau: PerCell, dt: PerCell) -> PerCell:
    """`x` after it has relaxed towards `target` with time constant `tau` for a time `dt`: exact."""
    return x + (target - x) * (1.0 - jnp.exp(-dt / tau))


def relax_gate(x: PerCell, alpha: PerCell, beta: PerCell, dt: PerCell) -> PerCell:
    """An open fraction after `dt`, opening at rate `alpha` and closing at rate `beta` (1/ms)."""
    rate = alpha + beta
    # alpha / rate + (x - alpha / rate) exp(-dt rate), with every division and exponential used
    # once: what is used twice XLA puts into a kernel of its own.
    return x + (alpha - rate * x) * reach(rate, dt)


@jax.custom_jvp
def reach(rate: PerCell, dt: PerCell) -> PerCell:
    """(1 - exp(-dt rate)) / rate, with a derivative of few divisions and no other exponential."""
    return (1.0 - jnp.exp(-dt * rate)) / rate


@reach.defjvp
def _reach_jvp(primals, tangents):
    (rate, dt), (d_rate, d_dt) = primals, tangents
    left, found = jnp.exp(-dt * rate), reach(rate, dt)
    return found, (dt * left - found) / rate * d_rate + left * d_dt


class Total(NamedTuple):
    """A number that grows by many small changes, of which none is lost to rounding."""

    value: PerCell
    rest: PerCell  # what is too small to change `value` as yet


def add(total: Total, change: PerCell) -> Total:
    """The total after one more change: in single precision 1e-6 would not move 20 by itself."""
    rest = total.rest + change
    value = total.value + rest
    return Total(value, rest - (value - total.value))


def rounded(*terms: PerCell) -> tuple[PerCell, ...]:
    """The terms of a sum, each rounded by itself.

    Of a b + c d a compiler may round either product or none, and not in all programs alike.
    """
    return jax.lax.optimization_barrier(terms)


def bounded_exp(x: PerCell) -> Array:
    """exp(x), held where it or its reciprocal would overflow or lose all bits.

    Rates of gates are evaluated at any voltage that a caller can think of; beyond the bound
    they are 0 or saturated to all digits anyway.
    """
    x = jnp.asarray(x)
    bound = 80.0 if x.dtype.itemsize <= 4 else 600.0
    return jnp.exp(jnp.clip(x, -bound, bound))


def linoid(x: PerCell, exp_x: Any = None) -> Float[Array, "..."]:
    """x / (exp(x) - 1), accurate and smooth through x = 0, where it is 1.

    Near 0 the quotient cancels, so a series takes over (|x| < 1; relative error below 1e-7 in
    single and 2e-15 in double precision). `exp_x` is exp(x) where the caller has it already.
    """
    x = jnp.asarray(x)
    return _linoid(x, bounded_exp(x) if exp_x is None else exp_x)


@jax.custom_jvp
def _linoid(x, exp_x):
    near, terms = jnp.abs(x) < 1.0, _EVEN_TERMS[: 5 if x.dtype.itemsize <= 4 else 10]
    # Both branches are differentiated, so the quotient must stay finite where it is not used.
    quotient = jnp.where(near, 1.0, x) / jnp.where(near, 1.0, exp_x - 1.0)
    y = jnp.where(near, x * x, 0.0)
    return jnp.where(near, 1.0 - 0.5 * x + _series(terms, y) * y, quotient)


@_linoid.defjvp
def _linoid_jvp(primals, tangents):
    """In closed form: the derivative of the series and of both branches takes twice the time."""
    (x, exp_x), (d_x, _) = primals, tangents  # the second follows from the first
    found, near = _linoid(x, exp_x), jnp.abs(x) < 1.0
    quotient = (1.0 - found * exp_x) / jnp.where(near, 1.0, exp_x - 1.0)
    terms = _EVEN_TERMS[: 6 if x.dtype.itemsize <= 4 else 10]
    slopes = tuple(2 * (k + 1) * term for k, term in enumerate(terms))
    inside = jnp.where(near, x, 0.0)
    return found, jnp.where(near, _series(slopes, inside * inside) * inside - 0.5, quotient) * d_x


def _series(terms: tuple[float, ...], y: Array) -> Array:
    """The polynomial of `y` with these coefficients, lowest first."""
    total = jnp.zeros_like(y)
    for term in reversed(terms):
        total = total * y + term
    return total
