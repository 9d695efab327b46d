"""The steps of a run in frames, nested by the intervals of the recorders."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from cortexmg.clock import whole_steps
from cortexmg.derivatives import in_groups, remembered
from cortexmg.network import Network, State
from cortexmg.recorders import Recorder
from cortexmg.tangents import Tangents, faded

Record = dict[str, Recorder]
Plan = tuple[tuple[int, tuple[str, ...]], ...]


def plan_of(record: Record, dt: float) -> Plan:
    """The intervals of the recorders in steps, longest first, with the names that share each.

    Raises: if an interval is not a whole number of steps, or two do not divide one another.
    """
    by_steps: dict[int, list[str]] = {}
    for name, r in record.items():
        steps = 1 if r.every is None else whole_steps(r.every, dt, f"the interval of {name!r}")
        by_steps.setdefault(steps, []).append(name)
    plan = tuple((s, tuple(sorted(by_steps[s]))) for s in sorted(by_steps, reverse=True))
    for (long, longer), (short, shorter) in zip(plan, plan[1:], strict=False):
        if long % short:
            raise ValueError(
                f"The intervals of recorders must divide one another, got {long * dt:g} ms for "
                f"{longer[0]!r} and {short * dt:g} ms for {shorter[0]!r}."
            )
    return plan or ((1, ()),)


def frames_in(duration: float, dt: float, plan: Plan) -> int:
    """How many times the longest interval of the recorders fits into `duration`."""
    steps, frame = whole_steps(duration, dt, "duration"), plan[0][0]
    if steps % frame:
        raise ValueError(
            f"duration of {duration:g} ms is not a whole number of the longest recorder "
            f"interval, {frame * dt:g} ms: change one of them."
        )
    return steps // frame


def run_frame(
    network: Network,
    state: State,
    record: Record,
    plan: Plan,
    dt: float,
    group: int = 0,
    tangents: Tangents = Tangents(),  # noqa: B008 - it never changes
):
    """One frame, as long as the longest interval: the state after it, and what was saved in it.

    Saved arrays have one entry per interval of their recorder along the first axis. For a
    derivative, the state is kept once per `group` of steps; 0 is for runs that have none.
    """

    def level(k: int, state: State, accs: dict[str, Any]):
        steps, names = plan[k]
        innermost = k == len(plan) - 1
        length = steps if innermost else steps // plan[k + 1][0]
        accs = accs | {name: record[name].init(network, state) for name in names}

        def part(carry, _):
            state, accs = carry
            if not innermost:
                state, accs, saved = level(k + 1, state, accs)
                return (state, accs), saved
            return (remembered(step) if group else step)(state, accs), {}

        def step(state, accs):
            if not tangents.plain:
                shadows = state.underway.shadows  # of constants, which do not fade
                state = faded(state, tangents.kept(state.step, dt))
                state = state._replace(underway=state.underway._replace(shadows=shadows))
            state, spikes = network.step(state, dt)
            accs = {n: record[n].update(acc, network, state, spikes) for n, acc in accs.items()}
            return state, accs

        if length == 1:
            (state, accs), saved = part((state, accs), None)
        else:
            turns = group * length // steps
            (state, accs), saved = in_groups(part, (state, accs), length, turns)
            saved = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), saved)
        read = {name: record[name].read(accs[name], network, state, steps) for name in names}
        saved = saved | jax.tree.map(lambda x: x[None], read)
        return state, {name: acc for name, acc in accs.items() if name not in names}, saved

    state, _, saved = level(0, state, {})
    return state, saved


class Health(NamedTuple):
    """What must hold after a piece of a run."""

    finite: dict[str, Any]  # whether all voltages of each population are
    late: dict[str, Any]  # spikes of each population that a queue could not deliver in time
    alike: dict[str, Any] = {}  # whether all devices saved the same, where not by cell


def run_frames(network, state, record, frames, *, plan, dt, most):
    """`frames` frames, of at most `most`: state, saved arrays with room for `most`, and health.

    How many is decided when it runs, so that one compiled program serves any duration. Delays of
    the network are in steps.
    """
    _, shapes = jax.eval_shape(lambda s: run_frame(network, s, record, plan, dt), state)
    room = jax.tree.map(lambda x: jnp.zeros((most, *x.shape), x.dtype), shapes)

    def frame(i, carry):
        state, saved = carry
        state, new = run_frame(network, state, record, plan, dt)
        return state, jax.tree.map(lambda room, x: room.at[i].set(x), saved, new)

    state, saved = jax.lax.fori_loop(0, frames, frame, (state, room))
    saved = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), saved)
    voltages = {name: network.real(name, p.v) for name, p in state.populations.items()}
    finite = {name: jnp.all(jnp.isfinite(v)) for name, v in voltages.items()}
    waiting = state.underway.waiting.items()
    late = {name: jnp.sum(w.late, dtype=jnp.int32) for name, w in waiting if w.late is not None}
    return state, saved, Health(finite, late)
