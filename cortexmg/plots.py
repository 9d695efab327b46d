"""Figures for a paper: each function returns a matplotlib Figure and changes no global setting.

Series differ in line style, marker and lightness, so that they also differ in black and white.
"""

import os
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, ArrayLike, Float, Num

from cortexmg.spike_trains import Number, SpikeTrains, check_least, check_positive, check_trains
from cortexmg.statistics import population_rate

# matplotlib is imported where a figure begins: loading it is slow, and most runs draw nothing.
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

COLUMN, PAGE = 85.0, 180.0  # mm, width of one column and of two
MM = 1 / 25.4  # inch
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
}
# Dark and light in turn: far apart in print and for the colour-blind.
SERIES = [
    {"color": "#0b2f52", "linestyle": "-", "marker": "o", "markerfacecolor": "#0b2f52"},
    {"color": "#d9822b", "linestyle": "--", "marker": "s", "markerfacecolor": "white"},
    {"color": "#4d4d4d", "linestyle": ":", "marker": "^", "markerfacecolor": "#4d4d4d"},
    {"color": "#56a3d9", "linestyle": "-.", "marker": "D", "markerfacecolor": "white"},
]

Values = Sequence[float | int] | Num[np.ndarray | Array, " n"]
Series = Mapping[str, Values | Num[np.ndarray | Array, "n repeats"]]


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
    _check_populations("raster", trains)
    scale, unit = _clock(max(t.duration for t in trains.values()))
    figure, total = _figure(width, 0.75 * width), sum(t.n for t in trains.values())
    with _style():
        spikes, below = _panels(figure, 2, 1, sharex=True, height_ratios=[2, 1])[:, 0]
        shown = _draw_spikes(spikes, trains, cells, scale)
        for (name, t), look in zip(trains.items(), _looks(len(trains), "marker"), strict=True):
            hz = population_rate(t, bin)
            middle = t.start + bin * (np.arange(hz.size) + 0.5)
            below.plot(scale * middle, hz, label=name, **look)
        spikes.set_ylabel("Cells" if shown == total else f"Cells ({shown} of {total})")
        below.set(xlabel=f"Time ({unit})", ylabel="Rate (Hz)", ylim=(0, None))
        _legend(below)
    return figure


def traces(
    t: Float[ArrayLike, " time"],
    v: Float[ArrayLike, "time cells"],
    labels: Sequence[str],
    *,
    ylabel: str = "Membrane potential (mV)",
    width: Number = COLUMN,
) -> "Figure":
    """One signal per row over time (ms), all rows to the same scale."""
    t, v = np.asarray(t), np.asarray(v)
    if v.ndim != 2 or v.shape != (t.size, len(labels)) or not labels:
        raise ValueError(
            f"v must be [time, cells] with a time for each row and a label for each column, got "
            f"shape {v.shape} for {t.size} times and {len(labels)} labels."
        )
    figure = _figure(width, min(18.0 + 16.0 * len(labels), 1.6 * width))
    with _style():
        rows = _panels(figure, len(labels), 1, sharex=True, sharey=True)[:, 0]
        for row, signal, label in zip(rows, v.T, labels, strict=True):
            row.plot(t, signal, color="black", linewidth=0.7)
            row.set_title(label, loc="left", pad=1)
            row.margins(x=0)
        rows[-1].set_xlabel("Time (ms)")
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
    _check_series("power", series, f.size)
    figure = _figure(width, 0.7 * width)
    with _style():
        axes = _panels(figure, 1, 1)[0, 0]
        for (name, p), look in zip(series.items(), _looks(len(series), "marker"), strict=True):
            axes.loglog(f[f > 0], np.asarray(p)[f > 0], label=name, **look)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(
            xlabel="Frequency (Hz)", ylabel=f"Power density ({unit})", xlim=(f[f > 0][0], f[-1])
        )
        _legend(axes)
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
    figure = _figure(width, 0.7 * width)
    with _style():
        axes = _panels(figure, 1, 1)[0, 0]
        _draw_against(axes, values, series, log)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        _legend(axes)
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
    figure = _figure(width, sum(heights) * width / PAGE)
    with _style():
        above, below = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
        grid = _panels(above, n_rows, -(-len(values) // n_rows))
        _draw_steps(above, grid.ravel(), rasters, [f"{x:g} {unit}" for x in values], window, cells)
        bottom = _panels(below, 1, len(panels))[0]
        for axes, (label, series) in zip(bottom, panels.items(), strict=True):
            _draw_against(axes, values, series, log)
            axes.set(xlabel=f"{name} ({unit})", ylabel=label)
            _legend(axes)
        for letter, axes in zip(ascii_uppercase, [grid[0, 0], *bottom], strict=False):
            axes.set_title(letter, loc="left", pad=2, fontweight="bold", fontsize=10)
    return figure


def save(figure: "Figure", path: str | os.PathLike) -> None:
    """Write a figure in the format its ending names: text stays text, dots are 600 an inch."""
    with _style():
        figure.savefig(path, dpi=600)


def _draw_steps(above, grid, rasters, titles, window, cells) -> None:
    """Small rasters in reading order with one label for their common time axis."""
    pieces = [_pieces(trains, window) for trains in rasters]
    scale, unit = _clock(max(t.duration for piece in pieces for t in piece.values()))
    for axes, piece, title in zip(grid, pieces, titles, strict=False):
        _draw_spikes(axes, piece, cells, scale)
        axes.set_title(title, pad=2)
        axes.locator_params(axis="x", nbins=3)
    columns = above.axes[0].get_gridspec().ncols
    for at, axes in enumerate(grid):
        # Only the left column and the lowest raster of each column carry labels.
        axes.tick_params(labelleft=at % columns == 0, labelbottom=at + columns >= len(pieces))
        axes.set_visible(at < len(pieces))
    above.supxlabel(f"Time ({unit})", fontsize=STYLE["font.size"])


def _pieces(trains: Mapping[str, SpikeTrains], window) -> dict[str, SpikeTrains]:
    """The trains in the window, if one is given, with time counted from the start of the piece."""
    _check_populations("ladder", trains)
    pieces = {name: t.between(*window) if window else t for name, t in trains.items()}
    return {
        name: t._replace(times=t.times - t.start, start=0.0, stop=t.duration)
        for name, t in pieces.items()
    }


def _draw_spikes(axes: "Axes", trains: Mapping[str, SpikeTrains], cells: int, scale: float) -> int:
    """Draw a band of rows for each population, the first lowest; returns the number of rows."""
    check_least("cells", cells, 1)
    largest = max(t.n for t in trains.values())
    middles, below = [], 0
    rows = [max(1, round(t.n * min(1.0, cells / largest))) for t in trains.values()]
    height = 72 * axes.get_window_extent().height / axes.figure.dpi  # points
    size = max(0.8, 0.8 * height / sum(rows))
    for t, m, look in zip(trains.values(), rows, _looks(len(trains)), strict=True):
        part = t.of(np.arange(m) * t.n // m)
        mark = {"marker": "|", "markersize": size, "markeredgewidth": 0.4, "rasterized": True}
        axes.plot(
            scale * part.times, below + part.ids + 0.5, color=look["color"], linestyle="", **mark
        )
        middles.append(below + m / 2)
        below += m
        if below < sum(rows):
            axes.axhline(below, color="0.7", linewidth=0.4)
    axes.set_yticks(middles, list(trains))
    axes.tick_params(axis="y", length=0)
    start, stop = min(t.start for t in trains.values()), max(t.stop for t in trains.values())
    axes.set(xlim=(scale * start, scale * stop), ylim=(0, below))
    return below


def _draw_against(axes: "Axes", values, series: Series, log: bool) -> None:
    x = np.asarray(values, dtype=float)
    _check_series("series", series, x.size)
    at, lowest = (_on_log_axis(axes, x) if log else x), 0.0
    for (name, y), look in zip(series.items(), _looks(len(series)), strict=True):
        y = np.asarray(y, dtype=float)
        spread = y.std(axis=1, ddof=1) if y.ndim == 2 and y.shape[1] > 1 else None
        y = y.mean(axis=1) if y.ndim == 2 else y
        axes.errorbar(at, y, spread, label=name, clip_on=False, elinewidth=0.6, capsize=1.5, **look)
        lowest = min(lowest, *y[np.isfinite(y)], 0.0)
    if lowest == 0.0:
        axes.set_ylim(0, None)


def _on_log_axis(axes: "Axes", x: np.ndarray) -> np.ndarray:
    """Make the axis logarithmic; returns where the values stand on it, 0 included."""
    if not np.any(x > 0) or np.any(x < 0):
        raise ValueError(
            f"values on a logarithmic axis must be 0 or above, got {x}: use log=False."
        )
    least, most = x[x > 0].min(), x.max()
    zero = least / 4
    tens = 10.0 ** np.arange(np.floor(np.log10(least)), np.log10(most) + 1)
    steps = np.outer(tens, np.arange(1, 10)).ravel()
    # A short axis would have one tick or none at powers of ten.
    wanted = tens if most / least >= 30 else x if x.size <= 6 else np.outer(tens, [1, 2, 5]).ravel()
    steps, wanted = (t[(t >= 0.999 * least) & (t <= 1.001 * most)] for t in (steps, wanted))
    major = [0.0, *wanted] if np.any(x == 0) else [*wanted]
    axes.set_xscale("log")
    axes.set_xticks(np.array([t or zero for t in major]), [f"{t:g}" for t in major])
    axes.set_xticks(steps, minor=True, labels=[])
    if 0 in major:
        look = {"rotation": 90, "ha": "center", "va": "center", "fontsize": 7, "zorder": 3}
        blank = {"facecolor": "white", "edgecolor": "none", "pad": 0}
        axes.text(least / 2, 0, "=", transform=axes.get_xaxis_transform(), bbox=blank, **look)
    return np.where(x == 0, zero, x)


def _style():
    from matplotlib import rc_context

    return rc_context(STYLE)


def _figure(width: Number, height: Number) -> "Figure":
    """An empty figure of this size in mm, its layout made to fit when it is drawn."""
    from matplotlib.figure import Figure

    check_positive("width", width, "mm")
    return Figure(figsize=(float(width) * MM, float(height) * MM), dpi=300, layout="constrained")


def _looks(n: int, *without: str) -> list[dict[str, Any]]:
    """How each of n series is drawn."""
    looks = [SERIES[i % len(SERIES)] for i in range(n)]
    return [{key: look[key] for key in look if key not in without} for look in looks]


def _panels(figure: "Figure | SubFigure", rows: int, columns: int, **how: Any) -> np.ndarray:
    """A grid of axes, which are told their ticks now: most are made after the style is gone."""
    grid = figure.subplots(rows, columns, squeeze=False, **how)
    for axes in grid.flat:
        axes.tick_params(which="major", labelsize=7, width=0.6, length=2.5, pad=2)
        axes.tick_params(which="minor", width=0.4, length=1.5)
    return grid


def _legend(axes: "Axes") -> None:
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend()


def _clock(duration: float) -> tuple[float, str]:
    """Factor and unit of a time axis of this many ms."""
    return (1.0, "ms") if duration <= 5e3 else (1e-3, "s")


def _check_populations(owner: str, trains: Mapping[str, SpikeTrains]) -> None:
    if not isinstance(trains, Mapping) or not trains:
        raise TypeError(
            f"{owner} needs spike trains by population, such as {{'E': trains}}, got {trains!r}."
        )
    for t in trains.values():
        check_trains(owner, t)


def _check_series(name: str, series: Series, n: int) -> None:
    for label, y in series.items():
        if np.shape(y)[:1] != (n,):
            raise ValueError(
                f"{name} '{label}' must have one row for each of the {n} values, got {np.shape(y)}."
            )
