"""What the figures are drawn with: one style, and the pieces that several figures share.

Series differ in line style, marker and lightness, so that they also differ in black and white.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, Num

from cortexmg.part import check_positive, whole
from cortexmg.spike_trains import Number, SpikeTrains, check_trains

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
    {"color": "#7a1f5c", "linestyle": (0, (5, 1)), "marker": "v", "markerfacecolor": "#7a1f5c"},
    {"color": "#8fbf6b", "linestyle": (0, (3, 1, 1, 1)), "marker": "P", "markerfacecolor": "white"},
    {"color": "#1d6b4f", "linestyle": (0, (1, 2)), "marker": "X", "markerfacecolor": "#1d6b4f"},
    {
        "color": "#c9b458",
        "linestyle": (0, (6, 1, 1, 1, 1, 1)),
        "marker": "*",
        "markerfacecolor": "white",
    },
]

Values = Sequence[float | int] | Num[np.ndarray | Array, " n"]
Series = Mapping[str, Values | Num[np.ndarray | Array, "n repeats"]]


def draw_steps(above, grid, rasters, titles, window, cells) -> None:
    """Small rasters in reading order with one label for their common time axis."""
    pieces = [piece_in_window(trains, window) for trains in rasters]
    scale, unit = clock(max(t.duration for piece in pieces for t in piece.values()))
    for axes, piece, title in zip(grid, pieces, titles, strict=False):
        draw_spikes(axes, piece, cells, scale)
        axes.set_title(title, pad=2)
        axes.locator_params(axis="x", nbins=3)
    columns = above.axes[0].get_gridspec().ncols
    for at, axes in enumerate(grid):
        # Only the left column and the lowest raster of each column carry labels.
        axes.tick_params(labelleft=at % columns == 0, labelbottom=at + columns >= len(pieces))
        axes.set_visible(at < len(pieces))
    above.supxlabel(f"Time ({unit})", fontsize=STYLE["font.size"])


def piece_in_window(trains: Mapping[str, SpikeTrains], window) -> dict[str, SpikeTrains]:
    """The trains in the window, if one is given, with time counted from the start of the piece."""
    check_populations("ladder", trains)
    pieces = {name: t.between(*window) if window else t for name, t in trains.items()}
    return {
        name: t._replace(times=t.times - t.start, start=0.0, stop=t.duration)
        for name, t in pieces.items()
    }


def draw_spikes(axes: "Axes", trains: Mapping[str, SpikeTrains], cells: int, scale: float) -> int:
    """Draw a band of rows for each population, the first lowest; returns the number of rows."""
    whole("cells", cells, 1)
    largest = max(t.n for t in trains.values())
    middles, below = [], 0
    rows = [max(1, round(t.n * min(1.0, cells / largest))) for t in trains.values()]
    height = 72 * axes.get_window_extent().height / axes.figure.dpi  # points
    size = max(0.8, 0.8 * height / sum(rows))
    for t, m, look in zip(trains.values(), rows, looks(len(trains)), strict=True):
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


def draw_against(axes: "Axes", values, series: Series, log: bool) -> None:
    """Series by name against the values of a parameter, with legend."""
    x = np.asarray(values, dtype=float)
    check_series("series", series, x.size)
    at, lowest = (on_log_axis(axes, x) if log else x), 0.0
    for (name, y), look in zip(series.items(), looks(len(series)), strict=True):
        y = np.asarray(y, dtype=float)
        spread = y.std(axis=1, ddof=1) if y.ndim == 2 and y.shape[1] > 1 else None
        y = y.mean(axis=1) if y.ndim == 2 else y
        axes.errorbar(at, y, spread, label=name, clip_on=False, elinewidth=0.6, capsize=1.5, **look)
        lowest = min(lowest, *y[np.isfinite(y)], 0.0)
    if lowest == 0.0:
        axes.set_ylim(0, None)


def on_log_axis(axes: "Axes", x: np.ndarray) -> np.ndarray:
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


def style():
    """The style, while it is entered."""
    from matplotlib import rc_context

    return rc_context(STYLE)


def new_figure(width: Number, height: Number) -> "Figure":
    """An empty figure of this size in mm, its layout made to fit when it is drawn."""
    from matplotlib.figure import Figure

    check_positive("width", width, "mm")
    return Figure(figsize=(float(width) * MM, float(height) * MM), dpi=300, layout="constrained")


def looks(n: int, *without: str) -> list[dict[str, Any]]:
    """How each of n series is drawn."""
    looks = [SERIES[i % len(SERIES)] for i in range(n)]
    return [{key: look[key] for key in look if key not in without} for look in looks]


def axes_grid(figure: "Figure | SubFigure", rows: int, columns: int, **how: Any) -> np.ndarray:
    """A grid of axes, which are told their ticks now: most are made after the style is gone."""
    grid = figure.subplots(rows, columns, squeeze=False, **how)
    for axes in grid.flat:
        axes.tick_params(which="major", labelsize=7, width=0.6, length=2.5, pad=2)
        axes.tick_params(which="minor", width=0.4, length=1.5)
    return grid


def legend(axes: "Axes") -> None:
    """A legend where there is more than one series."""
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend()


def clock(duration: float) -> tuple[float, str]:
    """Factor and unit of a time axis of this many ms."""
    return (1.0, "ms") if duration <= 5e3 else (1e-3, "s")


def check_populations(owner: str, trains: Mapping[str, SpikeTrains]) -> None:
    """Raise if these are not spike trains by population."""
    if not isinstance(trains, Mapping) or not trains:
        raise TypeError(
            f"{owner} needs spike trains by population, such as {{'E': trains}}, got {trains!r}."
        )
    for t in trains.values():
        check_trains(owner, t)


def check_series(name: str, series: Series, n: int) -> None:
    """Raise if a series does not have one value, or row of repeats, for each of `n`."""
    for label, y in series.items():
        if np.shape(y)[:1] != (n,):
            raise ValueError(
                f"{name} '{label}' must have one row for each of the {n} values, got {np.shape(y)}."
            )
