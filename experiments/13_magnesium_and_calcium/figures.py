"""Figures of the results: findings met or not, and fitted values within published ranges.

`python figures.py` draws them from results/summary.
"""

from pathlib import Path
from typing import Any

import numpy as np
from findings import Finding
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cortexmg import plots, results
from cortexmg.drawing import PAGE, axes_grid, new_figure, style

BAND, DARK, LIGHT = "#dfe6ec", "#0b2f52", "#d9822b"
DEFAULT = {"color": LIGHT, "marker": "s", "mfc": "white"}
FITS = [{"color": DARK, "marker": "o"}, {"color": "#56a3d9", "marker": "D"}]


def draw_findings(account: dict[str, Any]) -> Figure:
    """Each statistic of the default and of the fitted networks, within the range of its finding."""
    found = account["validation"]["fresh noise"]
    mean, error = (np.array(found[k], float) for k in ("mean", "error"))
    looks = [DEFAULT, *FITS][: len(mean)]
    rows = [Finding(**x) for x in account["findings"]]
    figure = new_figure(PAGE, 0.62 * PAGE)
    with style():
        axes = axes_grid(figure, 1, 1)[0, 0]
        axes.axvspan(-1, 1, color=BAND, lw=0)
        for row, f in enumerate(rows):
            i = found["statistics"].index(f"{f.measure} ({f.condition})")
            for k, look in enumerate(looks):
                if np.isfinite(mean[k, i]):
                    place, wide = f.place(mean[k, i]), f.place(mean[k, i] + error[k, i])
                    at = row + 0.18 * (k - 1)
                    axes.errorbar(place, at, xerr=abs(wide - place), ls="", ms=3.5, **look)
        for k, look in enumerate(looks):
            word = f"fitted, start {k}" if k else "default"
            axes.plot([], [], ls="", ms=3.5, label=word, **look)
        axes.plot([], [], lw=6, color=BAND, label="range of the finding")
        _label(axes, rows)
        axes.legend(loc="upper left")
    return figure


def _label(axes: Axes, rows: list[Finding]) -> None:
    """The names of the findings on the left, their ranges on the right."""
    unit = {"rate": " (Hz)"}
    names = [f"{f.condition}: {f.measure}{unit.get(f.measure, '')}" for f in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_xscale("symlog", linthresh=2.0, linscale=1.5)
    ticks = [-10, -5, -2, -1, 0, 1, 2, 5, 10]
    axes.set_xticks(ticks, map(str, ticks))
    axes.set(xlim=(-12, 14), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xlabel("Distance from the middle of the range, in half its width")
    how = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6}
    for row, f in enumerate(rows):
        axes.text(1.01, row, f"{f.low:.3g} to {f.high:.3g}", **how)


def draw_values(account: dict[str, Any]) -> Figure:
    """Each fitted number with its uncertainty, its prior and its range, relative to the default."""
    figure = new_figure(PAGE, 0.45 * PAGE)
    with style():
        axes = axes_grid(figure, 1, 1)[0, 0]
        rows = account["values"]
        for row, x in enumerate(rows):
            median, sd = x["prior"]
            low, high = np.log(np.array(x["range"]) / x["default"])
            axes.barh(row, high - low, 0.7, low, color=BAND, lw=0)
            middle = np.log(median / x["default"])
            axes.plot(
                [middle - sd, middle + sd], [row, row], color="0.7", lw=5, solid_capstyle="butt"
            )
            for k, look in enumerate(FITS[: len(x["fitted"])]):
                at, error = np.log(x["fitted"][k] / x["default"]), float(x["e-folds, s.d."][k])
                known = np.isfinite(error)
                more = {} if known else {"mfc": "white"}
                bar = error if known else 0.0
                axes.errorbar(at, row + 0.3 * (k - 0.5), xerr=bar, ls="", ms=3.5, **look, **more)
        axes.axvline(0, color="0.3", lw=0.6, ls=":")
        axes.set_yticks(
            range(len(rows)),
            [f"{x['name']} ({x['default']:.3g} {x['unit']})".replace(" 1)", ")") for x in rows],
        )
        ticks = [0.25, 0.5, 0.7, 1, 1.5, 2, 4]
        axes.set_xticks(np.log(ticks), [f"{t:g}" for t in ticks])
        axes.set(
            xlim=(np.log(0.18), np.log(6)),
            ylim=(len(rows) - 0.5, -0.5),
            xlabel="Relative to the default",
        )
        for k, look in enumerate(FITS[: len(rows[0]["fitted"])]):
            axes.plot([], [], ls="", ms=3.5, label=f"fitted, start {k + 1}", **look)
        axes.plot([], [], color="0.7", lw=5, label="prior, 1 s.d.")
        axes.plot([], [], color=BAND, lw=6, label="range")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def main() -> None:
    folder = Path(__file__).parent / "results"
    _, account = results.load(folder / "summary")
    plots.save(draw_findings(account), folder / "findings.png")
    plots.save(draw_values(account), folder / "values.png")


if __name__ == "__main__":
    main()
