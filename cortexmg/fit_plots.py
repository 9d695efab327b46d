"""Figures of fits and of sensitivities."""

from typing import TYPE_CHECKING

import numpy as np

from cortexmg.drawing import PAGE, SERIES, axes_grid, new_figure, style
from cortexmg.fitted import Fit
from cortexmg.sensitivity import Sensitivity

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


def heat_map(found: Sensitivity) -> "Figure":
    """Sensitivities as colours, blue where a statistic falls, pale below two s.e."""
    rows, columns = found.values.shape
    figure = new_figure(PAGE, min(1.4, 0.25 + 0.05 * rows) * PAGE)
    with style():
        axes = axes_grid(figure, 1, 1)[0, 0]
        shown = np.where(np.isfinite(found.values), found.values, 0.0)
        most = np.max(np.abs(shown), initial=1e-9)
        clear = np.abs(shown) > 2.0 * np.nan_to_num(found.errors)
        image = axes.imshow(shown, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
        image.set_alpha(np.where(clear, 1.0, 0.25))
        for (q, p), x in np.ndenumerate(shown if rows * columns <= 400 else np.zeros((0, 0))):
            axes.text(p, q, f"{x:.2g}", ha="center", va="center", fontsize=5)
        names = [name[-32:] for name in found.parameters]
        axes.set_xticks(range(columns), names, rotation=30, ha="right", fontsize=5)
        axes.set_yticks(range(rows), found.statistics, fontsize=5)
        figure.colorbar(image, label="d statistic / d parameter")
    return figure
