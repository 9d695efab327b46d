"""What the derivative of a run keeps of it, and how it is cut: no value depends on any of this.

A derivative in reverse needs what the run computed, last step first. The state is kept once per
group of steps; before a group is gone through backwards it is computed again, and then of each of
its steps a few numbers per cell are kept, from which the rest follows.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.interpreters.partial_eval import dce_jaxpr

KEPT = "kept"  # the name that marks what is kept of a step

# Marks what arrives, which would take long to compute again, and what is shorter than its inputs.
kept = partial(checkpoint_name, name=KEPT)

# A step of which its derivative keeps the state before it and what is marked. The rest is computed
# again, which takes less time than to write it down and read it.
remembered = partial(
    jax.checkpoint,
    policy=jax.checkpoint_policies.save_only_these_names(KEPT),
    prevent_cse=False,
)


def seam(tree: Any) -> Any:
    """The same, where compilers are to cut the derivative into kernels, and not the value.

    Otherwise they compute what several kernels need of the derivative anew in each of them.
    """
    return jax.tree.map(_seam, tree)


@jax.custom_jvp
def _seam(x: Any) -> Any:
    return x


@_seam.defjvp
def _seam_jvp(primals, tangents):
    return _seam(*primals), jax.lax.optimization_barrier(*tangents)


def group_of(steps: int) -> int:
    """How many steps a group has in a run of so many: about as many as there are groups.

    It divides the steps, if a number does that is not too far from their root: what is left over
    is a program of its own, which takes time to compile.
    """
    root = math.sqrt(steps)
    divisors = [k for k in range(int(root / 2) + 1, int(2 * root) + 1) if steps % k == 0]
    return min(divisors, key=lambda k: abs(math.log(k / root)), default=math.ceil(root))


def in_groups(part: Any, carry: Any, length: int, group: int) -> tuple[Any, Any]:
    """`jax.lax.scan` of `part`, whose derivative keeps what begins each `group` of turns.

    With groups of none or of all, this is a plain scan.
    """
    if not 1 <= group < length:
        return jax.lax.scan(part, carry, length=length)

    def turns(carry, count):
        return jax.lax.scan(part, carry, length=count)

    again = partial(jax.checkpoint, prevent_cse=False, static_argnums=1)(turns)
    carry, saved = jax.lax.scan(lambda c, _: again(c, group), carry, length=length // group)
    saved = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), saved)
    if length % group:
        carry, rest = again(carry, length % group)
        saved = jax.tree.map(lambda *x: jnp.concatenate(x), saved, rest)
    return carry, saved


def refuse_derivative() -> NoReturn:
    """Raise: sums of whole numbers have none."""
    raise TypeError(
        "Exactly summed input has no derivative: run with simulate(..., gradients=True) or "
        "Network.init(..., exact=False)."
    )


def depends(f: Callable[[Any], Any], x: Any) -> bool:
    """Whether what `f` computes depends on the array `x`."""
    traced = jax.make_jaxpr(f)(x).jaxpr
    _, (used,) = dce_jaxpr(traced, [True] * len(traced.outvars))
    return used
