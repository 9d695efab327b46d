"""The formulas that mechanisms share: exponential relaxation, x / (exp(x) - 1), exact sums."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
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
_NEAR = 0.7  # below which |x| the series is used


def relax(x: PerCell, target: PerCell, tau: PerCell, dt: PerCell) -> PerCell:
    """`x` after it has relaxed towards `target` with time constant `tau` for a time `dt`: exact."""
    return x - (target - x) * jnp.expm1(-dt / tau)


def relax_gate(x: PerCell, alpha: PerCell, beta: PerCell, dt: PerCell) -> PerCell:
    """An open fraction after `dt`, opening at rate `alpha` and closing at rate `beta` (1/ms)."""
    rate = alpha + beta
    # alpha / rate + (x - alpha / rate) exp(-dt rate), with every division and exponential used
    # once: what is used twice XLA puts into a kernel of its own.
    return x + (alpha - rate * x) * reach(rate, dt)


@jax.custom_jvp
def reach(rate: PerCell, dt: PerCell) -> PerCell:
    """(1 - exp(-z)) / rate, z = dt rate: how far a distance of 1 / rate shrinks in a time `dt`.

    In single precision exp(-z) is (1 - z/3 + z^2/30) / (1 + 2z/3 + z^2/5 + z^3/30 + z^4/360), its
    Pade approximant: a third less time for a Hodgkin-Huxley cell, and more accurate than 1 - exp
    for slow gates. What is left of a distance is not negative but by rounding, and deviates by
    4e-6 at z = 1, 1.5e-4 at 2, 1.5e-3 at 3.5 and at most by 0.012, at 12.
    """
    z = jnp.asarray(dt * rate)
    if z.dtype.itemsize > 4:
        return (1.0 - jnp.exp(-z)) / rate
    above = 1.0 + z * (1 / 6 + z * (1 / 30 + z * (1 / 360)))
    return dt * above / _below(z)


@partial(reach.defjvp, symbolic_zeros=True)
def _reach_jvp(primals, tangents):
    """With what is left, which is the derivative by `dt`, in place of an exponential."""
    rate, dt = primals
    found = reach(rate, dt)
    z, left = dt * rate, 1.0 - rate * found
    if found.dtype.itemsize > 4:
        by_rate = (dt * left - found) / rate
    else:  # the same of the approximant, with what cancels cancelled
        by_rate = -dt * dt * (0.5 + z * z * (1 / 360)) / _below(z)
    changes = [
        slope * d
        for slope, d in zip((by_rate, left), tangents, strict=True)
        if not isinstance(d, SymbolicZero)  # XLA would multiply by 0
    ]
    return found, sum(changes)


def _below(z: PerCell) -> PerCell:
    """The denominator of the approximant."""
    return 1.0 + z * (2 / 3 + z * (1 / 5 + z * (1 / 30 + z * (1 / 360))))


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


def anchored(value: PerCell, at: PerCell, *pairs: tuple[PerCell, PerCell]) -> PerCell:
    """`value`, but exactly `at` where both of every pair are equal; its derivatives are as before.

    What a compiler works out beforehand and what it does for every cell may round differently.
    """
    same = jnp.asarray(True)
    for here, reference in pairs:
        here = jnp.asarray(here, jnp.result_type(float))
        same = same & (here == jnp.asarray(reference, here.dtype))
    return _held(jnp.asarray(value), at, same)


@jax.custom_jvp
def _held(value, at, same):
    return jnp.where(same, at, value)


@_held.defjvp
def _held_jvp(primals, tangents):
    return _held(*primals), jnp.broadcast_to(tangents[0], jnp.shape(_held(*primals)))


@jax.custom_jvp
def with_slope_of(x: Array, y: Array) -> Array:
    """`x`, with the derivative of `y`, which is as large or the same for all."""
    del y
    return x


@with_slope_of.defjvp
def _with_slope_of_jvp(primals, tangents):
    x = with_slope_of(*primals)  # which has a derivative again
    return x, jnp.broadcast_to(tangents[1].astype(x.dtype), x.shape)


def bounded_exp(x: PerCell, power: int = 1) -> Array:
    """exp(x), held where its `power` or the reciprocal of that would overflow or lose all bits.

    Rates of gates are evaluated at any voltage that a caller can think of; beyond the bound
    they are 0 or saturated to all digits anyway. `reach` takes the fourth power of a rate.
    """
    x = jnp.asarray(x)
    return _bounded_exp(x, (80.0 if x.dtype.itemsize <= 4 else 600.0) / power)


@jax.custom_jvp
def _bounded_exp(x, bound):
    return jnp.exp(jnp.clip(x, -bound, bound))


@_bounded_exp.defjvp
def _bounded_exp_jvp(primals, tangents):
    """With one selection; that of `clip` takes ten."""
    found, (x, bound) = _bounded_exp(*primals), primals
    return found, jnp.where(jnp.abs(x) < bound, found, 0.0) * tangents[0]


@jax.custom_jvp
def logistic(x: PerCell, exp_x: PerCell) -> PerCell:
    """1 / (1 + exp(-x)) where the caller has exp(x), with a derivative that does not overflow."""
    del x
    return exp_x / (1.0 + exp_x)


@logistic.defjvp
def _logistic_jvp(primals, tangents):
    found = logistic(*primals)
    return found, found * (1.0 - found) * tangents[0]  # the second follows from the first


def linoid(x: PerCell, exp_x: Any = None) -> Float[Array, "..."]:
    """x / (exp(x) - 1), accurate and smooth through x = 0, where it is 1.

    Near 0 the quotient cancels, so a series takes over (relative error below 1e-7 in single and
    2e-15 in double precision). `exp_x` is exp(x) where the caller has it already.
    """
    x = jnp.asarray(x)
    return _linoid(x, bounded_exp(x) if exp_x is None else exp_x)


@jax.custom_jvp
def _linoid(x, exp_x):
    near, terms = jnp.abs(x) < _NEAR, _EVEN_TERMS[: 3 if x.dtype.itemsize <= 4 else 10]
    y = x * x
    return jnp.where(near, 1.0 - 0.5 * x + _series(terms, y) * y, x / (exp_x - 1.0))


@_linoid.defjvp
def _linoid_jvp(primals, tangents):
    """In closed form: the derivative of the series and of both branches takes twice the time."""
    (x, exp_x), (d_x, _) = primals, tangents  # the second follows from the first
    found, near = _linoid(x, exp_x), jnp.abs(x) < _NEAR
    terms = _EVEN_TERMS[: 4 if x.dtype.itemsize <= 4 else 10]
    slopes = tuple(2 * (k + 1) * term for k, term in enumerate(terms))
    # Both branches may be differentiated again, so each is finite where it is not used.
    inside = jnp.where(near, x, 0.0)
    # y exp(x) is x + y, so that the exponential is not needed.
    series = _series(slopes, inside * inside) * inside - 0.5
    above = jnp.where(near, series, found * (1.0 - x - found))
    return found, above / jnp.where(near, 1.0, x) * d_x


def _series(terms: tuple[float, ...], y: Array) -> Array:
    """The polynomial of `y` with these coefficients, lowest first."""
    total = jnp.full_like(y, terms[-1])
    for term in reversed(terms[:-1]):
        total = total * y + term
    return total
