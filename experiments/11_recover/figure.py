"""The figure and the tables of rivals.py and many.py, from their results alone."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

RESULTS = Path(__file__).parent / "results"
PANELS = {"rivals.jsonl": "8 parameters", "many.jsonl": "128 parameters, a drive per E cell"}
COLOURS = {
    "fit": "#c1272d",
    "CMA-ES": "#0b6fa4",
    "Nevergrad": "#3f8f4f",
    "NPE": "#8a63a9",
    "TSNPE": "#c77f1a",
}
CALLED = {"fit": "cx.fit", "NPE": "sbi NPE", "TSNPE": "sbi TSNPE"}
LEVELS = ("median", 0.10), ("median", 0.05), ("max", 0.20)


def held(curve: dict, seconds: np.ndarray, which: str = "median") -> np.ndarray:
    """The error of the last recommendation at these simulated seconds, NaN before the first."""
    at = np.searchsorted(curve["seconds"], seconds, side="right") - 1
    return np.where(at < 0, np.nan, np.array(curve[which])[at])


def reached(curve: dict, which: str, level: float) -> tuple[float, float]:
    """Simulated seconds until an error is below a level at first, and for good."""
    below = np.array(curve[which]) < level
    if not below.any():
        return np.inf, np.inf
    last = np.flatnonzero(~below)[-1] + 1 if not below.all() else 0
    good = curve["seconds"][last] if last < len(below) else np.inf
    return curve["seconds"][int(np.argmax(below))], good


def called(line: dict) -> str:
    """What a method is called in the figure and the table."""
    kind = "diagonal " if line.get("CMA_diagonal") else ""
    name = f" {line['name']}" if "name" in line else ""
    return kind + CALLED.get(line["method"], line["method"]) + name


def draw(ax, lines: list[dict], title: str) -> None:
    """A thin line per start, a thick one for the median over starts."""
    for method, colour in COLOURS.items():
        found = [x for x in lines if x["method"] == method]
        if not found:
            continue
        curves = [x["curve"] for x in found]
        for c in curves:
            ax.step(c["seconds"], c["median"], where="post", color=colour, lw=0.6, alpha=0.45)
        end = np.median([c["seconds"][-1] for c in curves])
        grid = np.geomspace(10.0, end, 400)
        middle = np.median([held(c, grid) for c in curves], axis=0)
        ax.step(grid, middle, where="post", color=colour, lw=2.2, label=called(found[0]))
        if np.isfinite(middle[-1]):
            ax.plot(grid[-1], middle[-1], "o", color=colour, ms=4)
    for which, level in LEVELS:
        if which == "median":
            ax.axhline(level, color="0.6", lw=0.6, ls=":", zorder=0)
    ax.set(xscale="log", yscale="log", title=title, xlabel="simulated seconds", xlim=(30, None))
    ax.set_yticks(
        [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0], ["1 %", "2 %", "5 %", "10 %", "20 %", "0.5", "1"]
    )
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)


def table(lines: list[dict]) -> str:
    """Simulated seconds to an error, and the error at the end, by method."""
    rows = [
        "| method | starts | simulated s to 10 % (for good) | to 5 % (for good) | to all within "
        "20 % (for good) | simulated s | median error | largest | within 10 % | wall s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method in COLOURS:
        found = [x for x in lines if x["method"] == method]
        if not found:
            continue
        curves = [x["curve"] for x in found]
        cells = [called(found[0]), f"{len(found)}"]
        for which, level in LEVELS:
            first, good = np.array([reached(c, which, level) for c in curves]).T
            cells.append(f"{told(first)} ({told(good)})")
        cells.append(f"{np.median([c['seconds'][-1] for c in curves]):.0f}")
        for which in ("median", "max", "close"):
            cells.append(f"{100 * np.median([c[which][-1] for c in curves]):.1f} %")
        cells.append(f"{np.median([x['total wall'] for x in found]):.0f}")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def told(seconds: np.ndarray) -> str:
    """The median over all starts, and how many came there if not all did."""
    some = np.isfinite(seconds)
    if not some.any():
        return "never"
    middle = np.median(seconds)
    number = "" if some.all() else f", {some.sum()} of {len(seconds)}"
    return (f"{middle:.0f}" if np.isfinite(middle) else "-") + number


def main() -> None:
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    for ax, (name, title) in zip(axes, PANELS.items(), strict=True):
        path = RESULTS / name
        lines = [json.loads(x) for x in path.read_text().splitlines()] if path.exists() else []
        draw(ax, lines, title)
        print(f"{title}\n\n{table(lines)}\n")
    axes[0].set_ylabel("median error, |log(found / hidden)|")
    for ax in axes:
        ax.legend(frameon=False, fontsize=8, loc="lower left")
    figure.savefig(RESULTS / "rivals.png", dpi=150)


if __name__ == "__main__":
    main()
