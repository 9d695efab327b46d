"""Tables and figure of benchmarks/README.md from results/*.jsonl, the newest row of each network.

usage: python benchmarks/report.py

Replaces what is between the markers "<!-- speed -->" and "<!-- end of speed -->", from rows of
`cortexmg bench --out FILE` or of benchmarks/speed.py, and between those of "accelerators", from
rows of benchmarks/accelerators.py.
"""

import json
from pathlib import Path

from matplotlib.figure import Figure

from cortexmg import bench, plots

HERE = Path(__file__).parent
OLD_NAMES = {"m1": "cobahh", "m2": "ei_nmda"}
COLUMNS = bench.COLUMNS | {
    "first_call_s": "first call (s)",
    "reference_seconds": "reference program",
    "ratio": "ratio",
    "reference_rate_hz": "its rate (Hz)",
    "date": "date",
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


def newest_rows(folder: Path) -> list[dict]:
    """The last row of each network, device and thread count, in order of device and size."""
    rows = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            if "median" not in row:
                continue  # not of speed
            row["model"] = OLD_NAMES.get(row["model"], row["model"])
            rows[device(row), row["model"], row["n"]] = row
    return [rows[key] for key in sorted(rows)]


def device(row: dict) -> str:
    """What a row was measured on."""
    if "kind" not in row:
        return f"{row['device']}, one thread"
    return f"{row['kind']}, {row['cores']} cores" if "cpu" in row["device"] else row["kind"]


def by_device(rows: list[dict]) -> dict[str, list[dict]]:
    """The rows of each device."""
    return {name: [r for r in rows if device(r) == name] for name in map(device, rows)}


def tables(rows: list[dict]) -> str:
    """One table per device, without columns that are empty."""
    parts = []
    for name, mine in by_device(rows).items():
        columns = {k: title for k, title in COLUMNS.items() if any(k in row for row in mine)}
        jax = {row.get("jax") or row["versions"]["jax"] for row in mine}
        parts += [f"On {name}, JAX {', '.join(sorted(jax))}:", bench.table(mine, columns)]
    return "\n\n".join(parts)


def figure(rows: list[dict]) -> Figure:
    """Seconds per simulated second against cells, a line per model and device."""
    drawn = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = drawn.subplots()
    axes.set(xscale="log", yscale="log", xlabel="cells", ylabel="s per simulated second")
    for name, mine in by_device(rows).items():
        for model in dict.fromkeys(row["model"] for row in mine):
            some = [row for row in mine if row["model"] == model]
            cells = [row["n"] for row in some]
            label = f"{model}, {name}"
            (line,) = axes.plot(cells, [row["median"] for row in some], "o-", label=label)
            other = [(row["n"], row["reference_seconds"]) for row in some if "ratio" in row]
            if other:
                style = {"color": line.get_color(), "label": f"{model}, reference program"}
                axes.plot(*zip(*other, strict=True), "s--", mfc="none", **style)
    axes.axhline(1.0, color="0.7", lw=0.8, zorder=0)
    axes.legend(fontsize=7, frameon=False)
    return drawn


def step_tables(file: Path) -> str:
    """One table per network of what a step is compiled to, a row per device."""
    rows = {}
    for line in file.read_text().splitlines():
        row = json.loads(line)
        counted = (row.get("float_atomics"), row.get("integer_atomics"))
        row["atomics"] = None if counted[0] is None else "{}, {}".format(*counted)
        rows[row["model"], row["n"], row["device"]] = row
    parts = []
    for model, n in dict.fromkeys(key[:2] for key in rows):
        mine = [row for row in rows.values() if (row["model"], row["n"]) == (model, n)]
        good = [row for row in mine if "failed" not in row]
        if good:
            contacts, dt = good[0]["contacts"], good[0]["dt"]
            parts.append(f"`{model}({n:,})`, {contacts:,} contacts, steps of {dt:g} ms:")
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


def main() -> None:
    rows = newest_rows(HERE / "results")
    plots.save(figure(rows), HERE / "results" / "speed.png")
    readme = HERE / "README.md"
    picture = "![Seconds per simulated second against cells](results/speed.png)"
    text = replaced(readme.read_text(), "speed", f"{tables(rows)}\n\n{picture}")
    steps = step_tables(HERE / "results" / "accelerators.jsonl")
    readme.write_text(replaced(text, "accelerators", steps))


if __name__ == "__main__":
    main()
