"""The membrane: what mechanisms add to it, and the voltage step."""

from collections.abc import Iterable
from typing import NamedTuple

from cortexmg.derivatives import seam
from cortexmg.numerics import reach
from cortexmg.part import PerCell, Scalar, shown


class Pathway(NamedTuple):
    """A way for charge through the membrane: the outward current is g * (v - e)."""

    g: PerCell  # nS
    e: PerCell  # mV


class Current(NamedTuple):
    """A current that flows into the cell whatever its voltage."""

    i: PerCell  # pA, inward (depolarising) is positive


def voltage_change(
    v: PerCell, inputs: Iterable[Pathway | Current], capacitance: PerCell, dt: Scalar
) -> PerCell:
    """Of the voltage (mV) in `dt` with all conductances and currents held: exact for that step.

    At least one pathway must conduct (every population has a leak).
    """
    g, i = _sums(inputs)
    g, i = seam(g), seam(i)
    # (i / g - v) (1 - exp(-dt g / C)), written as in numerics.relax_gate
    return (i - g * v) * reach(g, dt / capacitance)


def averaged(
    change: PerCell, inputs: Iterable[Pathway | Current], capacitance: PerCell, dt: Scalar
) -> PerCell:
    """Mean voltage (mV) of a step with this change: currents carry exactly the charge of that."""
    g, i = _sums(inputs)
    return (i - capacitance * change / dt) / g


def _sums(inputs: Iterable[Pathway | Current]) -> tuple[PerCell, PerCell]:
    """Of conductances (nS), and of what flows in at 0 mV (pA)."""
    pathways, currents = [], []
    for x in inputs:
        if not isinstance(x, Pathway | Current):
            raise TypeError(
                f"What acts on a membrane must be a Pathway or a Current, got {shown(x)}: see what "
                f"`pathway` of your channel or receptor, or `step` of your stimulus, gives."
            )
        (pathways if isinstance(x, Pathway) else currents).append(x)
    i = sum(p.g * p.e for p in pathways) + sum(c.i for c in currents)
    return sum(p.g for p in pathways), i
