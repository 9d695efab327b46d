"""What a fit says in plain words of what it could not find out, or not reach."""

import numpy as np

from cortexmg.aim import FAR
from cortexmg.bounds import Coordinates
from cortexmg.protocol import Protocol

INSEPARABLE = 0.95  # correlation from which two parameters count as one
NOTHING_NEW = 0.9  # of the s.d. of a prior: from there on the targets say nothing
VAGUE = 1.0  # units of a coordinate: an e-fold, or a quarter of the range
TOO_MANY = 2000  # numbers beyond which none has an uncertainty: memory goes with their square


def not_told(
    coordinates: Coordinates, u: np.ndarray, sd: np.ndarray, correlation: np.ndarray | None
) -> list[str]:
    """In plain words, what the statistics do not tell."""
    labels, said = coordinates.labels, []
    if correlation is None:
        correlation = np.empty((0, 0))
        said.append(
            f"how certain {len(labels):,} numbers are, and which of them cannot be told apart, is "
            f"not computed: it is for up to {TOO_MANY:,}."
        )
    pairs = np.argwhere(np.triu(np.abs(correlation) > INSEPARABLE, 1))
    for a, b in pairs[:10]:
        words = (
            ("ratio", "product") if coordinates.logarithmic[[a, b]].all() else ("difference", "sum")
        )
        how = words[0] if correlation[a, b] > 0 else words[1]
        said.append(
            f"{labels[a]} and {labels[b]} cannot be told apart (correlation "
            f"{correlation[a, b]:+.3f}): the targets fix little more than their {how}. Add a "
            f"condition or a measure on which they act differently, or fix one."
        )
    vague = sd > np.minimum(VAGUE, NOTHING_NEW * coordinates.prior_sd)
    for i in np.flatnonzero(vague)[:10]:
        remedy = "its prior decides: add a condition that depends on it"
        if np.isinf(coordinates.prior_sd[i]):
            remedy = "add a condition that depends on it, a prior, or leave it out"
        said.append(
            f"the targets hardly determine {labels[i]} (s.d. {sd[i]:.2g} in its coordinate): "
            f"{remedy}."
        )
    for i in np.flatnonzero((u <= coordinates.low) | (u >= coordinates.high))[:10]:
        said.append(f"{labels[i]} ended at a bound: widen it if that is not meant.")
    more = len(pairs) + int(np.sum(vague))
    return said + ([f"{more} such findings in all"] if more > 10 else [])


def missed(protocol: Protocol, mean: np.ndarray, distance: np.ndarray) -> list[str]:
    """Which statistics are undefined where the fit ended, or far from their targets."""
    said = []
    for s, m, off in zip(protocol.statistics, mean, distance, strict=True):
        if np.isnan(m):
            said.append(f"{s} is undefined here: too few spikes.")
        elif abs(off) > FAR:
            said.append(f"{s} is {abs(off):.3g} s.d. {'above' if off > 0 else 'below'} its target.")
    return said[:10] + ([f"{len(said)} such statistics in all"] if len(said) > 10 else [])


def without_effect(protocol: Protocol, statistics: np.ndarray) -> list[str]:
    """Which conditions are the same to the last digit: what they set reaches nothing."""
    first: dict[bytes, str] = {}
    said = []
    for name in protocol.conditions:
        mine = statistics[:, [s.condition == name for s in protocol.statistics]]
        if not np.any(np.nan_to_num(mine)):
            continue  # silence is alike everywhere
        other = first.setdefault(mine.tobytes(), name)
        if other != name:
            said.append(
                f"conditions {other!r} and {name!r} are the same to the last digit: either nothing "
                f"in this network depends on what tells them apart, or these measures miss it."
            )
    return said
