"""Tables and figures of benchmarks/README.md from results/*.jsonl, the newest of each network.

usage: python benchmarks/report.py

Replaces what is between the markers "<!-- speed -->" and "<!-- end of speed -->", from rows of
benchmarks/speed.py and of `cortexmg bench --out results/FILE.jsonl`; between those of "growth",
from rows of benchmarks/growth.py; and of "accelerators", from rows of benchmarks/accelerators.py.
"""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cortexmg import bench, plots

HERE, DELIVERIES = Path(__file__).parent, "deliveries per second"
COMPARED = {
    "model": "network",
    "n": "cells",
    "mine": "cortexmg (s)",
    "peer": "fastest peer",
    "theirs": "it (s)",
    "gain": "it / cortexmg",
    "c": "plain C (s)",
    "behind": "cortexmg / C",
    "spread": "largest deviation of rate",
}
SINGLE = {
    "model": "network",
    "n": "cells",
    "participant": "simulator",
    "threads": "threads",
    "rate_hz": "rate (Hz)",
    "off": "deviation of rate",
    "seconds": "minimum (s)",
    "median": "median (s)",
    "compile_s": "compilation (s)",
    "peak_mb": "peak memory (MB)",
}
DEVICES = bench.SCALE_COLUMNS | {"kind": "device", "date": "date"}
GROWTH = {
    "series": "series",
    "model": "network",
    "n": "cells",
    "contacts": "contacts of a cell",
    "rate_hz": "rate (Hz)",
    "seconds": "minimum (s)",
    "fixed_s": "silent (s)",
}
WHAT = {
    "step": "A step",
    "several": "A step on four devices",
    "gradient": "The derivative of 20 steps",
}
STEPS = {
    "device": "device",
    "kernels": "kernels",
    "loops": "loops on data",
    "branches": "branches",
    "atomics": "atomics in them, float and integer",
    "moved_mb": "MB per step",
    "argument_mb": "arguments (MB)",
    "temp_mb": "temporaries (MB)",
    "roofline_s": "bandwidth (s per simulated second)",
    "kernel_s": "kernels (s per simulated second)",
    "compile_s": "compilation (s)",
}


def rows_of(file: Path) -> list[dict]:
    """What was measured, oldest first."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def newest(rows: list[dict], *keys: str) -> list[dict]:
    """The rows of the newest run of each combination of `keys`, in their order."""
    runs = {tuple(row[k] for k in keys): row["run"] for row in rows}
    mine = [row for row in rows if runs[tuple(row[k] for k in keys)] == row["run"]]
    return sorted(mine, key=lambda row: [row[k] for k in keys])


def best(rows: list[dict], threads: int, names: set[str]) -> dict | None:
    """The fastest of some simulators with at most so many threads: more do not always help."""
    some = [r for r in rows if r["participant"] in names and r["threads"] <= threads]
    return min((r for r in some if r["seconds"]), key=lambda r: r["seconds"], default=None)


def comparison(rows: list[dict], threads: int) -> list[dict]:
    """cortexmg beside the fastest peer and C, a row for each network."""
    found = []
    measured_so = [row for row in rows if row["threads"] == threads]
    for model, n in dict.fromkeys((row["model"], row["n"]) for row in measured_so):
        some = [row for row in rows if (row["model"], row["n"]) == (model, n)]
        mine = best(some, threads, {"cortexmg"})
        if mine is None:
            continue
        peers = {row["participant"] for row in some} - {"cortexmg", "c"}
        peer, c = best(some, threads, peers), best(some, threads, {"c"})
        row = {"model": model, "n": n, "mine": mine["seconds"]}
        if peer:
            row |= {"peer": f"{peer['participant']} ({peer['threads']})", "theirs": peer["seconds"]}
            row["gain"] = peer["seconds"] / mine["seconds"]
        if c:
            row |= {"c": c["seconds"], "behind": mine["seconds"] / c["seconds"]}
        off = [r["deviation"] for r in (peer, c) if r]
        found.append(row | {"spread": f"{max(off, key=abs):+.1%}" if off else None})
    return found


def heading(rows: list[dict]) -> str:
    """What rows were measured on and with."""
    versions = {k: v for row in rows for k, v in row["versions"].items()}
    seen = {name: sorted({str(row[name]) for row in rows}) for name in ("kind", "cores", "date")}
    parts = {(row["commit"] or "unknown").partition("+") for row in rows}
    commits = sorted(commit[:12] + plus + edited for commit, plus, edited in parts)
    where = f"{', '.join(seen['kind'])}, {', '.join(seen['cores'])} cores"
    named = ", ".join(f"{k} {v}" for k, v in sorted(versions.items()) if k != "cortexmg")
    return f"{where}; {', '.join(seen['date'])}; commit {', '.join(commits)}; {named}."


def speed(rows: list[dict], others: list[dict]) -> str:
    """Tables of runs of speed.py, and one of rows of `cortexmg bench` on any device."""
    parts = [heading(rows)]
    for threads in sorted({row["threads"] for row in rows}):
        parts.append(f"At most {threads} thread{'s' if threads > 1 else ''}:")
        parts.append(bench.table(comparison(rows, threads), COMPARED))
    single = [row | {"off": f"{row['deviation']:+.1%}"} for row in rows]
    parts += ["All of them:", bench.table(single, SINGLE)]
    if others:
        parts += ["`cortexmg bench`:", bench.table(others, DEVICES)]
    return "\n\n".join([*parts, "![Seconds per simulated second](results/speed.png)"])


def speed_figure(rows: list[dict]) -> Figure:
    """Seconds per simulated second against cells, a panel per network."""
    models, names = (list(dict.fromkeys(r[k] for r in rows)) for k in ("model", "participant"))
    drawn = Figure(figsize=(7.0, 3.5), layout="constrained")
    for axes, model in zip(drawn.subplots(1, len(models), squeeze=False)[0], models, strict=True):
        about = {"xlabel": "cells", "ylabel": "s per simulated second", "title": model}
        axes.set(xscale="log", yscale="log", **about)
        axes.xaxis.set_minor_formatter("")  # labels of less than a decade overlap
        some = [row for row in rows if row["model"] == model and row["seconds"]]
        for name, threads in dict.fromkeys((row["participant"], row["threads"]) for row in some):
            mine = [r for r in some if (r["participant"], r["threads"]) == (name, threads)]
            style = ("o-" if threads == 1 else "s--") + f"C{names.index(name)}"
            x, y = [r["n"] for r in mine], [r["seconds"] for r in mine]
            axes.plot(x, y, style, label=f"{name} ({threads})")
        axes.legend(fontsize=7, frameon=False)
    return drawn


def size(row: dict) -> float:
    """What the time of a row is to be proportional to: cells, or deliveries per second."""
    return row["n"] * (1.0 if row["series"] == "cells" else row["contacts"] * row["rate_hz"])


def exponent(rows: list[dict], *, without_fixed: bool = False) -> float:
    """The slope of log time against log size; nan where the fixed cost leaves no time."""
    times = np.array([r["seconds"] - (r["fixed_s"] if without_fixed else 0.0) for r in rows])
    if np.any(times <= 0.0):
        return float("nan")
    return float(np.polyfit(np.log([size(r) for r in rows]), np.log(times), 1)[0])


def growth(rows: list[dict]) -> str:
    """Exponents of each series, and the times they are fitted to."""
    parts = [heading(rows)]
    for series in dict.fromkeys(row["series"] for row in rows):
        mine = [row for row in rows if row["series"] == series]
        ends, what = sorted(map(size, mine)), "cells" if series == "cells" else DELIVERIES
        said = f"- {series}: from {ends[0]:,.0f} to {ends[-1]:,.0f} {what}, time grows with the"
        said += f" power {exponent(mine):.2f}"
        if all("fixed_s" in row for row in mine):
            less = exponent(mine, without_fixed=True)
            said += f", and {less:.2f} without what the silent network takes"
        parts.append(said + ".")
    table = bench.table(rows, GROWTH)
    return "\n\n".join([*parts, table, "![Growth of the time](results/growth.png)"])


def growth_figure(rows: list[dict]) -> Figure:
    """Time against size, a panel per series; dashed is proportional to it."""
    names = list(dict.fromkeys(row["series"] for row in rows))
    drawn = Figure(figsize=(9.0, 3.2), layout="constrained")
    for axes, name in zip(drawn.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        mine = sorted((row for row in rows if row["series"] == name), key=size)
        x, y = np.array([size(r) for r in mine]), np.array([r["seconds"] for r in mine])
        axes.loglog(x, y, "o-", label="whole run")
        if all("fixed_s" in r for r in mine):
            axes.loglog(x, y - [r["fixed_s"] for r in mine], "s-", label="without fixed cost")
        axes.loglog(x, y[-1] * x / x[-1], "--", color="0.6", label="proportional")
        unit = "cells" if name == "cells" else DELIVERIES
        axes.set(title=name, xlabel=unit, ylabel="s per simulated second")
        axes.legend(fontsize=7, frameon=False)
    return drawn


def step_tables(file: Path) -> str:
    """One table per network of what a step is compiled to, a row per device."""
    rows = {}
    for row in rows_of(file):
        counted = (row.get("float_atomics"), row.get("integer_atomics"))
        row["atomics"] = None if counted[0] is None else "{}, {}".format(*counted)
        rows[row["what"], row["model"], row["n"], row["device"]] = row
    parts = []
    for what, model, n in dict.fromkeys(key[:3] for key in rows):
        mine = [row for key, row in rows.items() if key[:3] == (what, model, n)]
        good = [row for row in mine if "failed" not in row]
        if good:
            which = f"{WHAT[what]} of `{model}({n:,})`, {good[0]['contacts']:,} contacts"
            parts.append(f"{which}, steps of {good[0]['dt']:g} ms:")
            parts.append(bench.table(good, STEPS))
        parts += [f"{r['device']} failed: {r['failed']}" for r in mine if "failed" in r]
    return "\n\n".join(parts)


def replaced(text: str, what: str, new: str) -> str:
    """The text with what is between the markers of `what` replaced."""
    begin, end = f"<!-- {what} -->", f"<!-- end of {what} -->"
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"README.md needs the markers {begin} and {end}: put them back.")
    return f"{before}{begin}\n\n{new}\n\n{end}{after}"


def measured(folder: Path) -> tuple[list[dict], list[dict], list[dict]]:
    """The newest rows of speed.py and of growth.py, and those of `cortexmg bench`."""
    rows = [
        row
        for f in sorted(folder.glob("*.jsonl"))
        for row in rows_of(f)
        if {"seconds", "model"} <= row.keys()
    ]
    compared = newest([r for r in rows if "participant" in r], "model", "n")
    grown = newest([r for r in rows if "series" in r], "series")
    return compared, grown, [r for r in rows if "participant" not in r and "series" not in r]


def sections(folder: Path) -> dict[str, str]:
    """What goes between the markers of each name."""
    compared, grown, others = measured(folder)
    steps = step_tables(folder / "accelerators.jsonl")
    return {"speed": speed(compared, others), "growth": growth(grown), "accelerators": steps}


def main() -> None:
    readme, folder = HERE / "README.md", HERE / "results"
    compared, grown, _ = measured(folder)
    plots.save(speed_figure(compared), folder / "speed.png")
    plots.save(growth_figure(grown), folder / "growth.png")
    text = readme.read_text()
    for what, new in sections(folder).items():
        text = replaced(text, what, new)
    readme.write_text(text)


if __name__ == "__main__":
    main()
