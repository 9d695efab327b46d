"""Bias, spread and cost of estimators against the truth, as text and as a figure."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

from cortexmg import drawing

ROUNDING = 1e-9  # below it a derivative is 0


def judged(data: dict, name: str, truth: str, batch: int) -> dict[str, np.ndarray]:
    """Ratio to the truth, its s.e., s.d. of batches over the truth, and how often signs are right.

    Each [q, p]. Signs are counted as normal deviates of mean and s.d. of a batch.
    """
    exact = np.where(np.abs(data[truth]) < ROUNDING, 0.0, data[truth])
    true, true_error = exact.mean(axis=0), exact.std(axis=0, ddof=1) / np.sqrt(len(exact))
    with np.errstate(all="ignore"):
        found = data[name].mean(axis=0)
        spread = data[name].std(axis=0, ddof=1)
        return {
            "ratio": found / true,
            "error": np.hypot(spread / np.sqrt(len(data[name])), true_error) / np.abs(true),
            "spread": spread / np.sqrt(batch) / np.abs(true),
            "sign": norm.cdf(np.sign(true) * found / (spread / np.sqrt(batch))),
            "truth": true,
            "truth error": true_error / np.abs(true),
        }


def names_of(data: dict) -> list[str]:
    """The estimators in the data."""
    return [k for k in data if f"{k}: seconds" in data]


def table(title: str, data: dict, rows: list[str], columns: list[str], truth: str, batch: int):
    """A table in Markdown: estimate over truth +- s.d. of a batch, by estimator, for both rates."""
    lines = [f"\n### {title}\n", f"| d rate E / d log | {' | '.join(columns)} | s per seed |"]
    lines.append("|" + "---|" * (len(columns) + 2))
    known = judged(data, truth, truth, batch)
    for q, row in enumerate(rows):
        cells = [
            f"{t:.3g} ({100 * e:.0f} %)"
            for t, e in zip(known["truth"][q], known["truth error"][q], strict=True)
        ]
        lines.append(f"| truth, {row} (s.e.) | {' | '.join(cells)} | |")
    for name in names_of(data):
        j = judged(data, name, truth, batch)
        for q in (0, 1):
            cells = [
                f"{r:.2f} +- {s:.2f}, {100 * p:.0f} %" if abs(r) < 1e3 else f"{r:.0e}"
                for r, s, p in zip(j["ratio"][q], j["spread"][q], j["sign"][q], strict=True)
            ]
            cost = f"{float(data[f'{name}: seconds']):.2f}"
            if np.any(np.isfinite(j["ratio"][q])):
                lines.append(f"| {name}, {rows[q]} | {' | '.join(cells)} | {cost} |")
    return "\n".join(lines)


def draw(saved: dict, rows: list[str], columns: list[str], truth: str, folder: Path) -> None:
    """Estimate over truth of d rate E by each parameter, one panel per network."""
    lines = -(-len(saved) // 3)
    size = {"figsize": (11, 1 + 2.5 * lines), "layout": "constrained", "squeeze": False}
    fig, axes = plt.subplots(lines, 3, sharex=True, sharey=True, **size)
    for ax in axes.flat[len(saved) :]:
        ax.set_visible(False)
    for ax, (title, data) in zip(axes.flat, saved.items(), strict=False):
        names = [n for n in names_of(data) if n != truth]
        for i, name in enumerate(names):
            j = judged(data, name, truth, 4)
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
