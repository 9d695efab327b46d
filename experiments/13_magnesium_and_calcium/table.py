"""The tables of the README, from results/summary: `python table.py` prints them."""

from pathlib import Path
from typing import Any

import numpy as np
from findings import Finding

from cortexmg import results


def tables(account: dict[str, Any]) -> str:
    """Findings, values, losses, what no fit saw, and what cannot be told, as Markdown."""
    warned = [w for f in account["fits"] for w in f["warnings"]]
    parts = of_findings(account), of_values(account), losses(account), of_unseen(account)
    return "\n\n".join(["\n".join(rows) for rows in [*parts, warned]])


def of_findings(account: dict[str, Any]) -> list[str]:
    """Every finding beside the default network and the fitted ones, each with its s.e."""
    at = account["validation"]["fresh noise"]
    fits = len(at["mean"]) - 1
    rows = [
        "| condition | statistic | finding | target | default | "
        + " | ".join(f"start {k + 1}" for k in range(fits))
        + " | source |",
        "|" + "---|" * (6 + fits),
    ]
    for f in (Finding(**x) for x in account["findings"]):
        i = at["statistics"].index(f"{f.measure} ({f.condition})")
        told = [_with_error(f, x[i], e[i]) for x, e in zip(at["mean"], at["error"], strict=True)]
        value, sd = f.target.value, f.target.sd
        target = (
            f"{value:.2g} x/ {np.exp(sd):.2f}"
            if f.measure == "rate"
            else f"{value:.2g} +- {sd:.2g}"
        )
        given = f.condition, f.measure, f"{f.low:.2g} to {f.high:.2g}", target, *told, f.source
        rows.append(f"| {' | '.join(given)} |")
    return rows


def _with_error(f: Finding, value: Any, error: Any) -> str:
    value, error = float(value), float(error)
    text = f"{value:.2f} +- {error:.2f}"
    return f"**{text}**" if f.holds(value) else text


def of_values(account: dict[str, Any]) -> list[str]:
    """Every fitted number: default, range, prior, fitted, and by how many prior s.d. it moved."""
    fits = len(account["fits"])
    rows = [
        "| number | default | range | prior s.d. | "
        + " | ".join(f"start {k + 1} | moved" for k in range(fits))
        + " |",
        "|" + "---|" * (4 + 2 * fits),
    ]
    for x in account["values"]:
        low, high = x["range"]
        each = zip(x["fitted"], x["e-folds, s.d."], x["moved, prior s.d."], strict=True)
        found = [f"{a:.3g} {_spread(float(s))} | {m:+.1f}" for a, s, m in each]
        rows.append(
            f"| {x['name']} ({x['unit']}) | {x['default']:.3g} | {low:g} to {high:g} | "
            f"{x['prior'][1]:g} | {' | '.join(found)} |"
        )
    return rows


def _spread(sd: float) -> str:
    return f"x/ {np.exp(sd):.2f}" if np.isfinite(sd) else "(not determined)"


def losses(account: dict[str, Any]) -> list[str]:
    """The loss of the targets with noise and wirings that no fit saw."""
    fits = len(account["fits"])
    rows = [
        "| loss of the targets | default | "
        + " | ".join(f"start {k + 1}" for k in range(fits))
        + " |",
        "|" + "---|" * (2 + fits),
    ]
    for where, at in account["validation"].items():
        told = [
            f"{x:.1f} ({a:.1f}, {b:.1f})"
            for x, (a, b) in zip(at["loss"], at["loss of halves"], strict=True)
        ]
        rows.append(f"| {where} | {' | '.join(told)} |")
    return rows


def of_unseen(account: dict[str, Any]) -> list[str]:
    """What no fit was told of."""
    at = account["unseen"]
    rows = [
        "| not fitted | "
        + " | ".join(["default", *(f"start {k}" for k in range(1, len(at["mean"])))])
        + " |"
    ]
    rows.append("|" + "---|" * (1 + len(at["mean"])))
    for i, name in enumerate(at["statistics"]):
        if name.startswith(("rate", "chi")):
            rows.append(f"| {name} | {' | '.join(f'{float(x[i]):.3g}' for x in at['mean'])} |")
    return rows


def main() -> None:
    _, account = results.load(Path(__file__).parent / "results" / "summary")
    print(tables(account))


if __name__ == "__main__":
    main()
