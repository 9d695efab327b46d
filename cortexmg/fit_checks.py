"""What a fit checks before anything runs."""

from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cortexmg import results
from cortexmg.bounds import Place, listed, values_at
from cortexmg.course import Course
from cortexmg.estimators import Estimator
from cortexmg.gauss_newton import Trust
from cortexmg.noise import is_key
from cortexmg.parameters import with_parameters
from cortexmg.part import number, shown, whole
from cortexmg.protocol import Protocol
from cortexmg.states import key_of

BETWEEN = 0.381966  # of a range: no whole number of steps from ends that are


def check_how(estimator: Any, seeds: Any, key: Any) -> None:
    """Raise unless derivatives can be estimated in this way, from so many seeds."""
    if estimator is not None and not isinstance(estimator, Estimator):
        raise TypeError(
            f"estimator must be an Estimator, such as estimators.Differences(), got "
            f"{shown(estimator)}."
        )
    whole("seeds", seeds, 2)
    whole("key", key, 0)
    key_of(key)


def check_course(optimiser: Any, steps: Any, tolerance: Any, patience: Any) -> None:
    """Raise unless steps can be made in this way, and so many."""
    if optimiser is not None and not (hasattr(optimiser, "init") and hasattr(optimiser, "update")):
        raise TypeError(
            f"optimiser must be one of optax, such as optax.adam(0.1), or gauss_newton(), got "
            f"{shown(optimiser)}."
        )
    whole("steps", steps, 1)
    whole("patience", patience, 1)
    if number(tolerance) is None or not 0 <= tolerance < np.inf:
        raise ValueError(
            f"tolerance must be a number of at least 0, in coordinates, got {shown(tolerance)}."
        )


def check_optimiser(optimiser: Any, fresh: Course, saved: bool) -> None:
    """Raise if steps could not be made with an optimiser, or its state not be saved."""
    if isinstance(fresh.optimiser, Trust):
        return

    def inside(x):
        return isinstance(x, Trust)

    if any(map(inside, jax.tree.leaves(fresh.optimiser, is_leaf=inside))):
        raise ValueError(
            "gauss_newton cannot be a part of another optimiser: use it alone, with its own "
            "`longest` and `damping`."
        )
    u = jnp.asarray(fresh.coordinates, jnp.result_type(float))
    try:
        with suppress(AttributeError):  # of one that looks into residuals, of which there are none
            optimiser.update(jnp.zeros_like(u), fresh.optimiser, u, residuals=None, value=0.0)
    except TypeError as error:
        raise TypeError(
            f"optimiser cannot be used, because it evaluates the loss itself or needs more than "
            f"gradient and loss ({error}): use optax.adam(0.1), or gauss_newton()."
        ) from error
    for x in jax.tree.leaves(fresh.optimiser) if saved else ():
        if is_key(x) or not results.kept(x):
            kind = "a random key" if is_key(x) else f"numbers of {x.dtype}"
            raise TypeError(f"optimiser has {kind} in its state, which a folder does not keep.")


def check_free(protocol: Protocol) -> None:
    """Raise if a condition sets what is fitted, whatever the condition."""
    for place in protocol.coordinates.places:
        if all(set(place.paths) <= values.keys() for values in protocol.conditions.values()):
            raise ValueError(
                f"{place.name} is set by every condition, {sorted(protocol.conditions)}, so that "
                f"nothing depends on its fitted value: fit others, or add a condition that leaves "
                f"it free."
            )


def check_bounds(protocol: Protocol) -> None:
    """Raise if a network within the bounds could not be run, as far as one or two numbers decide.

    Looked at are both ends of each parameter, a place between them, for what must be a whole number
    of steps, and the ends of two that belong to one part, between which there may be a rule.
    """
    c, network = protocol.coordinates, protocol.network
    start, looked_at = values_at(c.places, c.start), []
    for i, place in enumerate(c.places):
        looked_at += [{place: share} for share in (0.0, BETWEEN, 1.0)]
        for other in c.places[:i]:
            if _owners(place) & _owners(other):
                looked_at += [{place: a, other: b} for a in (0.0, 1.0) for b in (0.0, 1.0)]
    for shares in looked_at:
        given = {p: p.bounds.low + x * (p.bounds.high - p.bounds.low) for p, x in shares.items()}
        there = {path: np.full(p.shape, x) for p, x in given.items() for path in p.paths}
        fixed = next(v for v in protocol.conditions.values() if not there.keys() <= v.keys())
        try:
            with_parameters(network, start | there | fixed).check(protocol.dt)
        except ValueError as error:
            raise ValueError(
                f"The bounds of {' and '.join(p.name for p in given)} hold values with which the "
                f"network cannot be run:{listed({p.name: x for p, x in given.items()})}\n{error}\n"
                f"Narrow the bounds, or leave out what cannot move freely."
            ) from None


def _owners(place: Place) -> set[str]:
    """The parts to which the numbers of a place belong."""
    return {path.rpartition("/")[0] for path in place.paths}
