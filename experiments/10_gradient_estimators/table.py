"""Bias, spread and cost of estimators against the truth, as text and as a figure."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from scipy.stats import norm

from cortexmg import drawing

ROUNDING = 1e-9  # below it a derivative is 0
RATES_ALONE = ("open loop, closed by rates",)  # estimators that give no other statistic
KNOWN = 0.2  # relative s.e. of a truth with which estimates can be compared
GRADES = {  # of estimate / truth
    "within 20 %": "#0b2f52",
    "within a factor of 2": "#5aa2e0",
    "right sign": "#f2cf9b",
    "wrong sign": "#d9822b",
    "not finite": "0.55",
    "truth 0 or not known to 20 %, or no estimate": "white",
}


def judged(data: dict, name: str, truth: str, batch: int) -> dict[str, np.ndarray]:
    """Ratio to the truth, its s.e., s.d. of batches over the truth, and how often signs are right.

    Each [q, p]. Signs are counted as normal deviates of mean and s.d. of a batch.
    """
    exact = np.where(np.abs(data[truth]) < ROUNDING, 0.0, data[truth])
    true, true_error = exact.mean(axis=0), exact.std(axis=0, ddof=1) / np.sqrt(len(exact))
    with np.errstate(all="ignore"):
        found, groups, size = data[name].mean(axis=0), *_grouped(data[name])
        spread = groups.std(axis=0, ddof=1)
        return {
            "ratio": found / true,
            "error": np.hypot(spread / np.sqrt(len(groups)), true_error) / np.abs(true),
            "spread": spread / np.sqrt(batch / size) / np.abs(true),
            "sign": norm.cdf(np.sign(true) * found / (spread / np.sqrt(batch / size))),
            "truth": true,
            "truth error": true_error / np.abs(true),
        }


def _grouped(seeds: np.ndarray) -> tuple[np.ndarray, int]:
    """Means of two seeds that follow one another, and how many they are: single ones of few.

    A one-sided difference has one on each side.
    """
    size = 2 if len(seeds) >= 8 else 1
    return seeds[: len(seeds) // size * size].reshape(-1, size, *seeds.shape[1:]).mean(1), size


def names_of(data: dict) -> list[str]:
    """The estimators in the data."""
    return [k for k in data if f"{k}: seconds" in data]


def _all_names(saved: dict, truth: str) -> list[str]:
    """The estimators of all networks, each once, whatever the order in which they were run."""
    last = list(saved.values())[::-1]
    return list(dict.fromkeys(n for data in last for n in names_of(data) if n != truth))


def table(title: str, data: dict, rows: list[str], columns: list[str], truth: str, batch: int):
    """Tables in Markdown, one per statistic: truth, then estimate over truth +- s.d. of a batch."""
    known = judged(data, truth, truth, batch)
    found = {name: judged(data, name, truth, batch) for name in names_of(data)}
    lines = [f"\n### {title}"]
    for q, row in enumerate(rows):
        lines.append(f"\n| d {row} / d log | {' | '.join(columns)} | s per seed |")
        lines.append("|" + "---|" * (len(columns) + 2))
        errors = known["truth error"][q]
        cells = [
            f"{t:.3g} ({100 * e:.0f} %)" if t else "0"
            for t, e in zip(known["truth"][q], errors, strict=True)
        ]
        lines.append(f"| truth (s.e.) | {' | '.join(cells)} | |")
        for name, j in found.items():
            if name in RATES_ALONE and not row.startswith("rate"):
                continue
            numbers = zip(j["ratio"][q], j["spread"][q], j["sign"][q], errors, strict=True)
            cost = f"{float(data[f'{name}: seconds']):.2f}"
            lines.append(f"| {name} | {' | '.join(_cell(*x) for x in numbers)} | {cost} |")
    return "\n".join(lines)


def _cell(ratio: float, spread: float, sign: float, error: float) -> str:
    """An entry of the table: in brackets where the truth is not known to `KNOWN`."""
    if not np.isfinite(error):
        return ""  # of 0
    if not np.isfinite(ratio):
        return "not finite"
    text = (
        f"{ratio:.2f} +- {spread:.2f}, {100 * sign:.0f} %" if abs(ratio) < 1e3 else f"{ratio:.0e}"
    )
    return text if error < KNOWN else f"({text})"


def draw(saved: dict, columns: list[str], truth: str, batch: int, folder: Path) -> None:
    """Estimate over truth of d rate E by each parameter, one panel per network."""
    lines = -(-len(saved) // 3)
    size = {"figsize": (11, 1 + 2.5 * lines), "layout": "constrained", "squeeze": False}
    fig, axes = plt.subplots(lines, 3, sharex=True, sharey=True, **size)
    for ax in axes.flat[len(saved) :]:
        ax.set_visible(False)
    names = _all_names(saved, truth)
    for ax, (title, data) in zip(axes.flat, saved.items(), strict=False):
        for i, name in enumerate(names):
            if name not in data:
                continue
            j = judged(data, name, truth, batch)
            clear = j["truth error"][0] < 0.1
            for p in np.flatnonzero(clear):
                y = i + 0.12 * (p - 2)
                style = {"color": drawing.SERIES[p]["color"], "ms": 3, "capsize": 0}
                r = np.clip(j["ratio"][0, p], -4, 6) if np.isfinite(j["ratio"][0, p]) else 6.0
                ax.errorbar(r, y, xerr=min(j["spread"][0, p], 5.0), fmt="o", **style)
        ax.axvspan(0.8, 1.2, color="0.9", zorder=0)
        ax.set(title=title, xlim=(-4, 6.2), yticks=range(len(names)), yticklabels=names)
        ax.tick_params(labelsize=7)
    for p, name in enumerate(columns):
        axes[0, 0].plot([], [], "o", color=drawing.SERIES[p]["color"], ms=3, label=f"by {name}")
    axes[0, 0].legend(fontsize=6)
    for ax in axes[-1]:
        ax.set_xlabel("estimate / truth")
    fig.savefig(folder / "figure.png", dpi=150)


def draw_grades(
    saved: dict, rows: list[str], columns: list[str], truth: str, batch: int, folder: Path
) -> None:
    """How near estimates of all derivatives are: a panel per statistic, a column per derivative."""
    names = _all_names(saved, truth)
    size = {"figsize": (11, 1 + 1.9 * len(rows)), "layout": "constrained", "squeeze": False}
    fig, axes = plt.subplots(len(rows), 1, sharex=True, **size)
    found = {
        (n, q): np.concatenate([_graded(data, n, row, q, truth, batch) for data in saved.values()])
        for n in names
        for q, row in enumerate(rows)
    }
    colors = ListedColormap(list(GRADES.values()))
    for q, (ax, row) in enumerate(zip(axes.flat, rows, strict=True)):
        each = np.array([found[name, q] for name in names])
        ax.pcolormesh(each, cmap=colors, vmin=0, vmax=len(GRADES), ec="0.8", lw=0.3)
        ax.vlines(len(columns) * np.arange(1, len(saved)), 0, len(names), color="k", lw=1.2)
        ax.set_yticks(0.5 + np.arange(len(names)), names, fontsize=7)
        ax.set_title(f"d {row} / d log of the parameter", fontsize=9, loc="left")
        ax.invert_yaxis()
        ax.tick_params(axis="x", rotation=90, length=0)
    ax.set_xticks(0.5 + np.arange(len(columns) * len(saved)), columns * len(saved), fontsize=6)
    above = axes[0, 0].secondary_xaxis("top")
    above.set_xticks(len(columns) * (0.5 + np.arange(len(saved))), list(saved), fontsize=7)
    above.tick_params(length=0, pad=14)
    keys = [Patch(fc=color, ec="0.6", label=name) for name, color in GRADES.items()]
    fig.legend(handles=keys, loc="outside lower center", ncols=len(GRADES), fontsize=8)
    fig.savefig(folder / "all.png", dpi=130)


def _graded(data: dict, name: str, row: str, q: int, truth: str, batch: int) -> np.ndarray:
    """The index in `GRADES` of an estimator in one network, for one statistic, [p]."""
    if name not in data or (name in RATES_ALONE and not row.startswith("rate")):
        return np.full(data[truth].shape[-1], len(GRADES) - 1)
    return _grade(judged(data, name, truth, batch))[q]


def _grade(j: dict[str, np.ndarray]) -> np.ndarray:
    """The index in `GRADES` of every estimate, [q, p]."""
    r = j["ratio"]
    conditions = [
        ~(j["truth error"] < KNOWN),
        ~np.isfinite(r),
        r <= 0,
        np.abs(r - 1) <= 0.2,
        np.abs(np.log2(np.where(r > 0, r, 1.0))) <= 1,
    ]
    return np.select(conditions, [5, 4, 3, 0, 1], default=2)
