"""Figures for a paper: each function returns a matplotlib Figure and changes no global setting."""

import os
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import ArrayLike, Float

from cortexmg.drawing import (
    COLUMN,
    PAGE,
    STYLE,
    Series,
    Values,
    axes_grid,
    check_populations,
    check_series,
    clock,
    draw_against,
    draw_spikes,
    draw_steps,
    legend,
    looks,
    new_figure,
    style,
)
from cortexmg.spike_trains import Number, SpikeTrains
from cortexmg.statistics import population_rate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def raster(
    trains: Mapping[str, SpikeTrains],
    *,
    cells: int = 400,
    bin: Number = 5.0,
    width: Number = COLUMN,
) -> "Figure":
    """Spikes of each population over time, above the population rates in bins of `bin` ms.

    The largest population shows `cells` cells, evenly spaced, and the others as many in proportion.
    """
    check_populations("raster", trains)
    scale, unit = clock(max(t.duration for t in trains.values()))
    figure, total = new_figure(width, 0.75 * width), sum(t.n for t in trains.values())
    with style():
        spikes, below = axes_grid(figure, 2, 1, sharex=True, height_ratios=[2, 1])[:, 0]
        shown = draw_spikes(spikes, trains, cells, scale)
        for (name, t), look in zip(trains.items(), looks(len(trains), "marker"), strict=True):
            hz = population_rate(t, bin)
            middle = t.start + bin * (np.arange(hz.size) + 0.5)
            below.plot(scale * middle, hz, label=name, **look)
        spikes.set_ylabel("Cells" if shown == total else f"Cells ({shown} of {total})")
        below.set(xlabel=f"Time ({unit})", ylabel="Rate (Hz)", ylim=(0, None))
        legend(below)
    return figure


def traces(
    t: Float[ArrayLike, " time"],
    v: Float[ArrayLike, "time cells"],
    labels: Sequence[str],
    *,
    ylabel: str = "Membrane potential (mV)",
    width: Number = COLUMN,
) -> "Figure":
    """One signal per row over time (ms; more than 5 s in s), all rows to the same scale."""
    t, v = np.asarray(t), np.asarray(v)
    if v.ndim != 2 or v.shape != (t.size, len(labels)) or not labels:
        raise ValueError(
            f"v must be [time, cells] with a time for each row and a label for each column, got "
            f"shape {v.shape} for {t.size} times and {len(labels)} labels."
        )
    scale, unit = clock(float(np.ptp(t)))
    figure = new_figure(width, min(18.0 + 16.0 * len(labels), 1.6 * width))
    with style():
        rows = axes_grid(figure, len(labels), 1, sharex=True, sharey=True)[:, 0]
        for row, signal, label in zip(rows, v.T, labels, strict=True):
            row.plot(t * scale, signal, color="black", linewidth=0.7)
            row.set_title(label, loc="left", pad=1)
            row.margins(x=0)
        rows[-1].set_xlabel(f"Time ({unit})")
        figure.supylabel(ylabel, fontsize=STYLE["font.size"])
    return figure


def spectrum_plot(
    frequencies: Values,
    power: Values | Series,
    *,
    unit: str = "Hz²/Hz",
    width: Number = COLUMN,
) -> "Figure":
    """Power spectral density against frequency (Hz), one or several by name, both axes logarithmic.

    The first frequency, 0 Hz, has no place on the axis and is left out.
    """
    f = np.asarray(frequencies)
    series = power if isinstance(power, Mapping) else {"": power}
    check_series("power", series, f.size)
    figure = new_figure(width, 0.7 * width)
    with style():
        axes = axes_grid(figure, 1, 1)[0, 0]
        for (name, p), look in zip(series.items(), looks(len(series), "marker"), strict=True):
            axes.loglog(f[f > 0], np.asarray(p)[f > 0], label=name, **look)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(
            xlabel="Frequency (Hz)", ylabel=f"Power density ({unit})", xlim=(f[f > 0][0], f[-1])
        )
        legend(axes)
    return figure


def against(
    values: Values,
    series: Series,
    xlabel: str,
    ylabel: str,
    *,
    log: bool = True,
    width: Number = COLUMN,
) -> "Figure":
    """Series by name against a swept parameter; repeats, [n, repeats], as mean and s.d.

    On a logarithmic axis a value of 0 has a place of its own, left of a gap.
    """
    figure = new_figure(width, 0.7 * width)
    with style():
        axes = axes_grid(figure, 1, 1)[0, 0]
        draw_against(axes, values, series, log)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        legend(axes)
    return figure


def ladder(
    rasters: Sequence[Mapping[str, SpikeTrains]],
    values: Values,
    panels: Mapping[str, Series],
    *,
    name: str = "[Mg²⁺]ₒ",
    unit: str = "mM",
    window: tuple[Number, Number] | None = None,
    cells: int = 100,
    log: bool = True,
    width: Number = PAGE,
) -> "Figure":
    """Rasters along the values of a parameter, above panels of statistics against it.

    `panels` has the series of each panel under its axis label; `window` (ms) is the piece of each
    recording that the rasters show, its start drawn as time 0.
    """
    if len(rasters) != len(values) or not rasters or not panels:
        raise ValueError(
            f"ladder needs a raster for each value and at least one panel, got {len(rasters)} "
            f"rasters, {len(values)} values and {len(panels)} panels."
        )
    n_rows = 1 if len(values) <= 5 else 2
    heights = [22.0 * n_rows + 6.0, 46.0]
    figure = new_figure(width, sum(heights) * width / PAGE)
    with style():
        above, below = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
        grid = axes_grid(above, n_rows, -(-len(values) // n_rows))
        draw_steps(
            above, grid.ravel(), rasters, [f"{x:g} {unit}".rstrip() for x in values], window, cells
        )
        bottom = axes_grid(below, 1, len(panels))[0]
        for axes, (label, series) in zip(bottom, panels.items(), strict=True):
            draw_against(axes, values, series, log)
            axes.set(xlabel=f"{name} ({unit})" if unit else name, ylabel=label)
            legend(axes)
        for letter, axes in zip(ascii_uppercase, [grid[0, 0], *bottom], strict=False):
            axes.set_title(letter, loc="left", pad=2, fontweight="bold", fontsize=10)
    return figure


def heat_map(
    values: Float[np.ndarray, "rows columns"],
    errors: Float[np.ndarray, "rows columns"],
    down: Sequence[str],
    across: Sequence[str],
    label: str,
) -> "Figure":
    """Values as colours, blue where they are negative, pale below two standard errors.

    Each of `down` has a scale of its own, up to its largest value that is not pale: what is in
    mV and what is a logarithm do not compare. What is undefined (NaN) is grey, with a dash. The
    rows run down the figure, or the columns where there are more of them.
    """
    from matplotlib import colormaps

    clear = np.abs(values) > 2.0 * errors  # not so where an error is unknown
    most = np.nanmax(np.where(clear, np.abs(values), 0.0), axis=1, initial=0.0)
    largest = np.nanmax(np.abs(values), axis=1, initial=0.0)
    most = np.where(most > 0, most, np.where(largest > 0, largest, 1.0))
    shares = np.clip(values / most[:, None], -1.0, 1.0)
    if len(across) > len(down):
        values, shares, clear, down, across = values.T, shares.T, clear.T, across, down
    rows, columns = values.shape
    figure = new_figure(PAGE, min(1.8, 0.2 + (0.03 if rows < 40 else 0.014) * rows) * PAGE)
    with style():
        axes = axes_grid(figure, 1, 1)[0, 0]
        colours = colormaps["RdBu_r"].with_extremes(bad="0.8")
        image = axes.imshow(shares, cmap=colours, vmin=-1.0, vmax=1.0, aspect="auto")
        image.set_alpha(np.where(clear | np.isnan(values), 1.0, 0.25))
        for (q, p), x in np.ndenumerate(values if rows * columns <= 400 else np.zeros((0, 0))):
            look = {"color": "w" if clear[q, p] and abs(shares[q, p]) > 0.6 else "k", "fontsize": 5}
            text = "-" if np.isnan(x) else f"{float(f'{x:.2g}') + 0.0:g}"
            axes.text(p, q, text, ha="center", va="center", **look)
        axes.set_xticks(range(columns), across, rotation=30, ha="right", fontsize=5)
        axes.set_yticks(range(rows), down, fontsize=5)
        figure.colorbar(image, label=label)
    return figure


def save(figure: "Figure", path: str | os.PathLike) -> None:
    """Write a figure in the format its ending names: text stays text, dots are 600 an inch."""
    with style():
        figure.savefig(path, dpi=600)
