"""Figures of fits."""

from typing import TYPE_CHECKING

import numpy as np

from cortexmg.drawing import PAGE, SERIES, axes_grid, new_figure, style
from cortexmg.fitted import Fit
from cortexmg.parameters import endings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANY = 8  # parameters beyond which lines are not told apart


def report(fit: Fit) -> "Figure":
    """The loss and the parameters at every step, and the statistics beside their targets."""
    figure = new_figure(PAGE, 0.36 * PAGE)
    with style():
        loss, way, reached = axes_grid(figure, 1, 3)[0]
        steps = 1 + np.arange(len(fit.curve["loss"]))
        loss.plot(steps, fit.curve["loss"], **SERIES[0])
        # A loss of one's own may be negative.
        scale = "log" if np.all(fit.curve["loss"] > 0) else "linear"
        loss.set(xlabel="Step", ylabel="Loss", yscale=scale)
        tried = fit.curve["coordinates"] - fit.coordinates
        few, names = tried.shape[1] <= MANY, endings(fit.labels)
        for i in range(min(tried.shape[1], 200)):
            look = SERIES[i % len(SERIES)] if few else {"color": "0.6", "lw": 0.4}
            way.plot(steps, tried[:, i], label=names[i] if few else None, **look)
        way.set(xlabel="Step", ylabel="Coordinate, from the result")
        if few:
            way.legend(fontsize=5)
        found, error, target = np.array(list(fit.statistics.values()), float).T
        at = np.arange(found.size)
        reached.errorbar(found, at, xerr=error, fmt="o", color="#0b2f52", ms=3, label="found")
        reached.plot(target, at, "|", color="#d9822b", ms=9, mew=1.5, label="target")
        named = {"labels": list(fit.statistics), "fontsize": 5} if found.size <= 40 else {}
        reached.set_yticks(at if named else [], **named)
        reached.set_xscale("symlog", linthresh=0.1)
        reached.set(xlabel="Statistic")
        reached.legend()
    return figure
