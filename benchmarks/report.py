"""Tables and figures of benchmarks/README.md from results/*.jsonl, the newest of each network.

usage: python benchmarks/report.py

Replaces what is between the markers "<!-- speed -->" and "<!-- end of speed -->", from rows of
benchmarks/speed.py and of `cortexmg bench --out results/FILE.jsonl`, and likewise what the other
scripts have measured (see `sections`). What was never measured is left as it is.
"""

import json
from pathlib import Path

import accelerators
import gradients
import growth
import mechanisms
import threads
from matplotlib.figure import Figure

from cortexmg import bench, plots

HERE = Path(__file__).parent
COMPARED = {
    "model": "network",
    "n": "cells",
    "default": "cortexmg by default (s)",
    "mine": "best of cortexmg (s)",
    "way": "which that is",
    "peer": "fastest peer",
    "theirs": "it (s)",
    "default_gain": "it / default",
    "mine_gain": "it / best",
    "c": "plain C (s)",
    "default_behind": "default / C",
    "mine_behind": "best / C",
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
DEVICES = bench.SCALE_COLUMNS | {"kind": "device", "cores": "cores", "date": "date"}


def rows_of(file: Path) -> list[dict]:
    """What was measured, oldest first."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def newest(rows: list[dict], *keys: str) -> list[dict]:
    """The rows of the newest run of each combination of `keys`, in their order."""
    runs = {tuple(row[k] for k in keys): row["run"] for row in rows}
    mine = [row for row in rows if runs[tuple(row[k] for k in keys)] == row["run"]]
    return sorted(mine, key=lambda row: [row[k] for k in keys])


def best(rows: list[dict], threads: int, names: set[str]) -> dict | None:
    """The fastest of some simulators with at most so many threads: more do not always help."""
    some = [r for r in rows if r["participant"] in names and r["threads"] <= threads]
    return min((r for r in some if r["seconds"]), key=lambda r: r["seconds"], default=None)


def ours(row: dict) -> bool:
    """Whether a row is of cortexmg, in whichever way."""
    return row["participant"].startswith("cortexmg")


def said(row: dict) -> str:
    """A simulator with its number of threads."""
    return f"{row['participant']} ({row['threads']})"


def comparison(rows: list[dict], threads: int) -> list[dict]:
    """cortexmg beside the fastest peer and C, a row for each network."""
    found = []
    measured_so = [row for row in rows if row["threads"] == threads]
    for model, n in dict.fromkeys((row["model"], row["n"]) for row in measured_so):
        some = [row for row in rows if (row["model"], row["n"]) == (model, n)]
        mine = {row["participant"] for row in some if ours(row)}
        fastest = best(some, threads, mine)
        if fastest is None:
            continue
        with_so_many = [row for row in some if row["threads"] == threads > 1]  # 1 has one way
        default = best(with_so_many, threads, {"cortexmg"})
        peers = {row["participant"] for row in some} - mine - {"c"}
        peer, c = best(some, threads, peers), best(some, threads, {"c"})
        row = {"model": model, "n": n, "way": said(fastest), "c": c and c["seconds"]}
        row |= {"peer": said(peer), "theirs": peer["seconds"]} if peer else {}
        for name, us in (("mine", fastest), ("default", default)):
            if us:
                row[name] = us["seconds"]
                row[f"{name}_gain"] = peer and peer["seconds"] / us["seconds"]
                row[f"{name}_behind"] = c and us["seconds"] / c["seconds"]
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
    for most in sorted({row["threads"] for row in rows}):
        parts.append(f"At most {most} thread{'s' if most > 1 else ''}:")
        compared = comparison(rows, most)
        shown = {k: v for k, v in COMPARED.items() if any(k in row for row in compared)}
        parts.append(bench.table(compared, shown))
    single = [row | {"off": f"{row['deviation']:+.1%}"} for row in rows]
    parts += ["All of them:", bench.table(single, SINGLE)]
    if others:
        parts += ["`cortexmg bench`:", bench.table(others, DEVICES)]
    return "\n\n".join([*parts, "![Seconds per simulated second](results/speed.png)"])


def speed_figure(rows: list[dict]) -> Figure:
    """Seconds per simulated second against cells, a panel per network."""
    models, names = (list(dict.fromkeys(r[k] for r in rows)) for k in ("model", "participant"))
    drawn = Figure(figsize=(8.5, 3.5), layout="constrained")
    for axes, model in zip(drawn.subplots(1, len(models), squeeze=False)[0], models, strict=True):
        about = {"xlabel": "cells", "ylabel": "s per simulated second", "title": model}
        axes.set(xscale="log", yscale="log", **about)
        axes.xaxis.set_minor_formatter("")  # labels of less than a decade overlap
        some = [row for row in rows if row["model"] == model and row["seconds"]]
        for name, count in dict.fromkeys((row["participant"], row["threads"]) for row in some):
            mine = [r for r in some if (r["participant"], r["threads"]) == (name, count)]
            style = ("o-" if count == 1 else "s--") + f"C{names.index(name)}"
            x, y = [r["n"] for r in mine], [r["seconds"] for r in mine]
            axes.plot(x, y, style, label=f"{name} ({count})")
        axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


def replaced(text: str, what: str, new: str) -> str:
    """The text with what is between the markers of `what` replaced."""
    begin, end = f"<!-- {what} -->", f"<!-- end of {what} -->"
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"README.md needs the markers {begin} and {end}: put them back.")
    return f"{before}{begin}\n\n{new}\n\n{end}{after}"


def measured(folder: Path) -> tuple[list[dict], list[dict]]:
    """The newest rows of speed.py, and those of `cortexmg bench` in any file."""
    compared = rows_of(folder / "speed.jsonl")
    timed = (r for f in sorted(folder.glob("*.jsonl")) for r in rows_of(f) if "run" not in r)
    return newest(compared, "model", "n"), [r for r in timed if {"seconds", "model"} <= r.keys()]


def grown(folder: Path, *, compiled: bool) -> list[dict]:
    """The newest rows of growth.py, of those series that time runs or compilation."""
    rows = [r for r in rows_of(folder / "growth.jsonl") if ("compile_s" in r) == compiled]
    return newest(rows, "series")


def sections(folder: Path) -> dict[str, str]:
    """What goes between the markers of each name."""
    compared, others = measured(folder)
    ran, compiled = (grown(folder, compiled=kind) for kind in (False, True))
    differentiated = gradients.shown(rows_of(folder / "gradients.jsonl"))
    one_or_two = newest(rows_of(folder / "threads.jsonl"), "model", "n")
    tried = newest(rows_of(folder / "mechanisms.jsonl"), "n")
    tables = {
        "growth": (growth.table, ran),
        "compilation": (growth.compilation, compiled),
        "threads": (threads.table, one_or_two),
        "derivatives": (gradients.table, newest(differentiated, "series")),
        "mechanisms": (mechanisms.table, tried),
    }
    steps = accelerators.table(rows_of(folder / "accelerators.jsonl"))
    found = {"speed": speed(compared, others), "accelerators": steps}
    for name, (table, rows) in tables.items():
        found |= {name: f"{heading(rows)}\n\n{table(rows)}"} if rows else {}
    return found


def main() -> None:
    readme, folder = HERE / "README.md", HERE / "results"
    plots.save(speed_figure(measured(folder)[0]), folder / "speed.png")
    plots.save(growth.figure(grown(folder, compiled=False)), folder / "growth.png")
    text = readme.read_text()
    for what, new in sections(folder).items():
        text = replaced(text, what, new)
    readme.write_text(text)


if __name__ == "__main__":
    main()
