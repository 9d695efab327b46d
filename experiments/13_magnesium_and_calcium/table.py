"""The tables of the README, from results/summary: `python table.py` prints them."""

from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
from findings import Finding, findings

from cortexmg import results

WIRINGS = "fresh noise", "another wiring"  # of networks of one size


def tables(account: dict[str, Any], correlations: list[np.ndarray]) -> str:
    """Findings, values, losses, what no fit saw, and what cannot be told apart, as Markdown."""
    parts = [
        of_findings(account),
        of_values(account),
        losses(account),
        of_slices(account),
        of_unseen(account),
        *(apart(account, c) for c in correlations),
        [w for f in account["fits"] for w in f["warnings"]],
    ]
    return "\n\n".join("\n".join(rows) for rows in parts)


def of_findings(account: dict[str, Any]) -> list[str]:
    """Every finding beside the default network and the fitted ones, in bold where it holds."""
    at, all_found = account["validation"]["fresh noise"], findings()
    sources = list(dict.fromkeys(f.source for f in all_found))
    rows = _head("condition", "statistic", "finding", "target", *_networks(account), "source")
    for f in all_found:
        i = at["statistics"].index(f"{f.measure} ({f.condition})")
        told = [_with_error(f, x[i], e[i]) for x, e in zip(at["mean"], at["error"], strict=True)]
        value, sd = f.target.value, f.target.sd
        spread = f"x/ {np.exp(sd):.2f}" if f.measure == "rate" else f"± {sd:.2g}"
        letter = ascii_lowercase[sources.index(f.source)]
        ends = f"{f.low:.2g} to {f.high:.2g}"
        given = f.condition, f.measure, ends, f"{value:.2g} {spread}", *told, letter
        rows.append(f"| {' | '.join(given)} |")
    return [*rows, "", *(f"- {ascii_lowercase[i]}: {x}" for i, x in enumerate(sources))]


def _networks(account: dict[str, Any]) -> list[str]:
    return ["default", *(f"start {k + 1}" for k in range(len(account["fits"])))]


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]


def _with_error(f: Finding, value: Any, error: Any) -> str:
    value, error = float(value), float(error)
    text = f"{value:.2f} ± {error:.2f}"
    return f"**{text}**" if f.holds(value) else text


def of_values(account: dict[str, Any]) -> list[str]:
    """Every fitted number: default, range, prior, fitted, and by how many prior s.d. it moved."""
    each = [x for name in _networks(account)[1:] for x in (name, "moved")]
    rows = _head("number", "default", "range", "prior s.d.", *each)
    for x in account["values"]:
        low, high = x["range"]
        told = zip(x["fitted"], x["e-folds, s.d."], x["moved, prior s.d."], strict=True)
        found = [f"{a:.3g} {_spread(float(s))} | {m:+.1f}" for a, s, m in told]
        unit = "" if x["unit"] == "1" else f" ({x['unit']})"
        given = f"{x['name']}{unit}", f"{x['default']:.3g}", f"{low:g} to {high:g}"
        rows.append(f"| {' | '.join([*given, f'{x["prior"][1]:g}', *found])} |")
    return rows


def _spread(sd: float) -> str:
    return f"x/ {np.exp(sd):.2f}" if np.isfinite(sd) else "(not determined)"


def losses(account: dict[str, Any]) -> list[str]:
    """The loss of the targets with noise and wirings that no fit saw, and for halves of seeds."""
    rows = _head("loss of the targets", *_networks(account))
    for where, at in account["validation"].items():
        each = zip(at["loss"], at["loss of halves"], strict=True)
        told = [f"{x:.1f} ({a:.1f}, {b:.1f})" for x, (a, b) in each]
        rows.append(f"| {where} | {' | '.join(told)} |")
    return rows


def of_slices(account: dict[str, Any]) -> list[str]:
    """The share of runs of a slice that burst, over both wirings."""
    shares = [account["validation"][w]["slices that burst"] for w in WIRINGS]
    rows = _head("slices that burst", *_networks(account))
    for condition in shares[0]:
        if condition.startswith("slice"):
            mean = np.mean([x[condition] for x in shares], axis=0)
            rows.append(f"| {condition} | {' | '.join(f'{100 * x:.0f} %' for x in mean)} |")
    return rows


def of_unseen(account: dict[str, Any]) -> list[str]:
    """What no fit was told of."""
    at = account["unseen"]
    rows = _head("not fitted", *_networks(account))
    for i, name in enumerate(at["statistics"]):
        if name.startswith(("rate", "chi")):
            told = [f"{float(x[i]):.2g}" for x in at["mean"]]
            rows.append(f"| {name} | {' | '.join(told)} |")
    return rows


def apart(account: dict[str, Any], correlation: np.ndarray) -> list[str]:
    """The pairs of numbers that are told apart least."""
    names = [x["name"] for x in account["values"]]
    upper = np.triu(np.nan_to_num(np.abs(correlation)), 1)
    pairs = np.dstack(np.unravel_index(np.argsort(-upper, axis=None)[:5], upper.shape))[0]
    return [f"- {names[a]}, {names[b]}: {correlation[a, b]:+.2f}" for a, b in pairs]


def main() -> None:
    arrays, account = results.load(Path(__file__).parent / "results" / "summary")
    count = range(len(account["fits"]))
    print(tables(account, [arrays[f"correlation {k}"] for k in count]))


if __name__ == "__main__":
    main()
