"""The benchmark command and the report made from what it measures."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from cortexmg import bench, cli, hardware, models

ROOT = Path(cli.__file__).parent.parent


def script(name):
    """A script of the benchmarks as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report():
    return script("report")


@pytest.fixture(scope="module")
def accelerators():
    return script("accelerators")


def test_times_are_without_compilation():
    durations = []
    row = bench.measured(models.cobahh(100), 2, durations.append)
    assert durations == [bench.length(100)] * 2
    assert 0.0 < row["seconds"] <= row["median"] < row["compile_s"]
    assert row["peak_mb"] > 50 and row["n"] == 100 and row["rate_hz"] >= 0.0


@pytest.mark.parametrize("n, ms", [(10, 1000.0), (10_000, 600.0), (10**6, 300.0)])
def test_repetitions_are_shorter_for_more_cells(n, ms):
    assert bench.length(n) == ms


@pytest.mark.parametrize("size", ["cobahh", "cobahh:many", "cobahh:0", "cortex:100", ""])
def test_sizes_that_are_none_are_refused(size):
    with pytest.raises(ValueError, match="--sizes"):
        bench.parsed([size])


def test_the_command_prints_a_table_and_keeps_a_line_for_each_network(
    monkeypatch, capsys, tmp_path
):
    out = tmp_path / "new" / "speed.jsonl"
    words = ["bench", "--sizes", "cobahh:100", "--repetitions", "1", "--out", str(out)]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["cortexmg", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    text = capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["model"], row["n"]) for row in rows] == [("cobahh", 100)]
    for row in rows:
        needed = {"commit", "date", "device", "versions", "seconds", "compile_s", "peak_mb"}
        assert needed <= row.keys() and row["rate_hz"] > 0.0
        assert f"| {row['model']} | {row['n']} |" in text
        assert row["kind"] in text and row["versions"]["jax"] in text
    assert "without compilation" in text


def test_a_failure_is_told(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("JAX_PLATFORMS", "abacus")
    with pytest.raises(RuntimeError, match=r"cobahh.*100.*abacus"):
        bench.in_a_process_of_its_own("cobahh", 100, 1)


def test_the_report_holds_the_newest_row_of_each_network(report, tmp_path):
    old = {"model": "m1", "n": 4000, "median": 2.0, "device": "cpu:0", "jax": "0.12.0.1"}
    new = old | {"median": 1.0, "ratio": 2.0, "reference_seconds": 0.5}
    lines = "".join(json.dumps(row) + "\n" for row in (old, new, {"other": 1}))
    (tmp_path / "speed.jsonl").write_text(lines)
    (row,) = report.newest_rows(tmp_path)
    assert row["median"] == 1.0 and row["model"] == "cobahh"
    markers = "a <!-- speed --> old <!-- end of speed --> b"
    text = report.replaced(markers, "speed", report.tables([row]))
    assert "| cobahh | 4,000 |" in text and "old" not in text
    assert text.startswith("a ") and text.endswith(" b")
    assert report.replaced(text, "speed", report.tables([row])) == text
    assert report.figure([row]).axes[0].get_xscale() == "log"
    with pytest.raises(ValueError, match="markers"):
        report.replaced("nothing", "speed", "new")


def test_the_tables_in_the_readme_are_those_of_the_results(report):
    rows = report.newest_rows(ROOT / "benchmarks" / "results")
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert report.tables(rows) in text
    assert report.step_tables(ROOT / "benchmarks" / "results" / "accelerators.jsonl") in text


# ---- devices that are not here ------------------------------------------------------------------

PTX = """
  atom.global.add.u32 %r1, [%rd1], %r2;
  red.relaxed.gpu.global.add.s32 [%rd1], 1;
  red.global.add.f32 [%rd1], %f1;
  atom.global.cas.b32 %r1, [%rd1], %r2, %r3;
  ld.global.f32 %f1, [%rd1];
"""


def test_atomics_are_told_apart(accelerators, tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "module.ptx").write_text(PTX)
    found = accelerators.atomics(tmp_path)
    assert found == {"float_atomics": 1, "integer_atomics": 2, "compare_and_swap": 1}


def test_without_ptx_nothing_is_said_about_atomics(accelerators, tmp_path):
    assert set(accelerators.atomics(tmp_path).values()) == {None}


def test_every_accelerator_has_a_published_memory(accelerators):
    assert {*accelerators.GPUS, *accelerators.TPUS} == hardware.DEVICES.keys()


def test_a_compiler_that_is_not_there_is_told(accelerators, monkeypatch):
    monkeypatch.setitem(accelerators.GPUS, "abacus", accelerators.GPUS["t4"])
    row = accelerators.in_a_process_of_its_own("abacus", "cobahh", 1000, 10.0)
    assert row["device"] == "abacus" and "abacus" in row["failed"]


def test_a_step_is_summed_up_for_each_device(report, tmp_path):
    row = {"device": "h100", "model": "cobahh", "n": 10, "contacts": 800, "dt": 0.1, "kernels": 12}
    failed = {"device": "t4", "model": "cobahh", "n": 10, "failed": "no compiler"}
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in (row, row, failed)))
    text = report.step_tables(tmp_path / "a.jsonl")
    assert text.count("| h100 | 12 |") == 1 and "t4 failed: no compiler" in text
