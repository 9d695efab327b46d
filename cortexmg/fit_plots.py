"""Figures of fits."""

from typing import TYPE_CHECKING

import numpy as np

from cortexmg.drawing import PAGE, SERIES, axes_grid, new_figure, style
from cortexmg.fitted import Fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANY = 8  # parameters beyond which lines are not told apart


def report(fit: Fit) -> "Figure":
    """The loss and the parameters at every step, and the statistics beside their targets."""
    figure = new_figure(PAGE, 0.36 * PAGE)
    with style():
        loss, way, reached = axes_grid(figure, 1, 3)[0]
        steps = 1 + np.arange(len(fit.curve["loss"]))
        loss.semilogy(steps, np.maximum(fit.curve["loss"], 1e-6), **SERIES[0])
        loss.set(xlabel="Step", ylabel="Loss")
        tried = fit.curve["coordinates"] - fit.coordinates
        for i in range(min(tried.shape[1], 200)):
            look = (
                SERIES[i % len(SERIES)] if tried.shape[1] <= MANY else {"color": "0.6", "lw": 0.4}
            )
            label = fit.labels[i].removesuffix("/outside") if tried.shape[1] <= MANY else None
            way.plot(steps, tried[:, i], label=label and label[-28:], **look)
        way.set(xlabel="Step", ylabel="Coordinate, from the result")
        if tried.shape[1] <= MANY:
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
