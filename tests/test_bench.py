"""The benchmark command and the report made from what it measures."""

import importlib
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from cortexmg import bench, cli, hardware, models
from cortexmg.bench_command import measure

ROOT = Path(cli.__file__).parent.parent


def script(name):
    """A script of the benchmarks as a module; they import one another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def report():
    return script("report")


@pytest.fixture(scope="module")
def speed():
    return script("speed")


@pytest.fixture(scope="module")
def growth():
    return script("growth")


@pytest.fixture(scope="module")
def accelerators():
    return script("accelerators")


def test_times_are_without_compilation(monkeypatch):
    turns, told = bench.turns, []
    monkeypatch.setattr(bench, "turns", lambda *a: (told.append(x) or x for x in turns(*a)))
    row = bench.measured(models.cobahh(100), 3)
    # Each of them: of the least and the median, one turn with the compilation would tell nothing.
    assert len(told) == 4
    assert all(0.0 < turn["seconds"] < 0.5 * row["compile_s"] for turn in told[1:])
    assert row["seconds"] <= row["median"]
    assert row["peak_mb"] > 50 and row["n"] == 100 and row["rate_hz"] >= 0.0


@pytest.mark.parametrize("n, ms", [(10, 1000.0), (10**5, 2000.0), (75_000, 2700.0), (10**6, 300.0)])
def test_repetitions_are_shorter_for_more_cells(n, ms):
    assert bench.length(n) == ms


@pytest.mark.parametrize("size", ["cobahh", "cobahh:many", "cobahh:0", "cortex:100", ""])
def test_sizes_that_are_none_are_refused(size):
    with pytest.raises(ValueError, match="--sizes"):
        bench.parsed([size])


@pytest.mark.parametrize("more", [("cobahh:100", None), (None, 5)])
def test_what_is_not_for_scale_is_refused(more):
    assert [n for _, n, _ in bench.cases("scale", None, None)] == [n for n, _ in bench.SCALE]
    with pytest.raises(ValueError, match="leave --sizes and --repetitions away"):
        bench.cases("scale", *more)
    assert bench.cases("speed", "cobahh:100", None) == [("cobahh", 100, bench.REPETITIONS)]


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


def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "in_a_process_of_its_own", lambda *_: pytest.fail("measured"))
    with pytest.raises(IsADirectoryError):
        measure("speed", "cobahh:100", 1, tmp_path)


def test_the_rate_is_that_of_all_cells(monkeypatch):
    class Done(dict):
        seconds, state = 1.0, None

    rates = Done(E=SimpleNamespace(values=[5.0, 15.0]), I=SimpleNamespace(values=[40.0]))
    monkeypatch.setattr(bench, "simulate", lambda *_, **given: rates)
    going = bench.turns(models.cortex(100, mechanisms=()), 100.0)
    next(going)
    assert next(going)["rate_hz"] == pytest.approx(0.8 * 10.0 + 0.2 * 40.0)


def test_a_failure_is_told(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("JAX_PLATFORMS", "abacus")
    with pytest.raises(RuntimeError, match=r"cobahh.*100.*abacus"):
        bench.in_a_process_of_its_own("cobahh", 100, 1)


# ---- other simulators, taking turns --------------------------------------------------------------

ABOUT = {"kind": "abacus", "cores": 2, "date": "2026-01-01", "commit": "0123", "versions": {}}
ANSWERS = """
import json, sys
print("welcome")
print(json.dumps({"compile_s": 1.5}), flush=True)
for turn, _ in enumerate(sys.stdin):
    row = {"seconds": 2.0 + turn % 2, "rate_hz": float(sys.argv[1]), "peak_mb": 7.0}
    print(json.dumps(row), flush=True)
"""


def result(participant="cortexmg", seconds=1.0, threads=1, run="2", **more):
    row = {"model": "cobahh", "n": 4000, "rate_hz": 40.0, "deviation": 0.0, "median": seconds}
    who = {"participant": participant, "threads": threads, "seconds": seconds, "run": run}
    return ABOUT | row | who | {"compile_s": 1.0, "peak_mb": 1.0} | more


def test_simulators_take_turns_and_rates_that_differ_are_not_timed(speed):
    command = [sys.executable, "-c", ANSWERS]
    simulators = [speed.Simulator(f"at {hz} Hz", [*command, hz], 2) for hz in ("10", "11", "13")]
    rows = speed.compared(simulators, 500.0, 3)
    for s in simulators:
        s.end()
    assert [row["compile_s"] for row in rows] == [1.5] * 3
    # The first turn is the check of rates; the three that follow take 3, 2 and 3 s for half one.
    assert [row["seconds"] for row in rows] == [4.0, 4.0, None]
    assert [row["median"] for row in rows] == [6.0, 6.0, None]
    assert [row["deviation"] for row in rows] == pytest.approx([0.0, 0.1, 0.3])


def test_a_simulator_that_stops_is_named(speed):
    with pytest.raises(RuntimeError, match="abacus.*code 3"):
        speed.Simulator("abacus", [sys.executable, "-c", "raise SystemExit(3)"], 2)


def test_peers_have_the_python_that_is_given(speed):
    found = speed.pythons(["nest=some/python", "brian2"])
    assert found == {"nest": "some/python", "brian2": sys.executable}
    assert speed.pythons([]) == {}
    assert list(speed.commands(found, "folder")) == ["cortexmg", "nest", "brian2"]
    with pytest.raises(ValueError, match="--peers.*'abacus'"):
        speed.pythons(["abacus"])


def test_with_two_threads_cortexmg_takes_part_in_both_of_its_ways(speed):
    called = {"cortexmg": ["python", "script"], "c": ["program"]}
    one, two = (speed.taking_part(called, "cobahh", 4000, 500.0, k, 1) for k in (1, 2))
    assert one == {"cortexmg": ["python", "script", *["cobahh", "4000", "500", "1", "1"]],
                   "c": ["program", *["cobahh", "4000", "500", "1", "1"]]}  # fmt: skip
    assert two["cortexmg"] == ["python", "script", *["cobahh", "4000", "500", "2", "1"]]
    assert two["cortexmg, 2 devices"] == [*two["cortexmg"], "2"] and len(two) == 3


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
@pytest.mark.parametrize("model, lowest, highest", [("cobahh", 28, 46), ("ei_nmda", 7.0, 9.5)])
def test_the_c_program_fires_like_the_published_networks(
    speed, monkeypatch, tmp_path, model, lowest, highest
):
    # Threads that wait for each other in turns of an endless loop crawl where others compute.
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    (program,) = speed.commands({"c": ""}, str(tmp_path))["c"]
    simulator = speed.Simulator("c", [program, model, "2000", "500", "2", "1"], 2)
    answer = simulator.turn()
    simulator.end()
    assert lowest < answer["rate_hz"] < highest and answer["seconds"] > 0.0


def test_rows_are_those_of_the_newest_run_of_a_network(report):
    old, new = result(run="1"), result(seconds=2.0)
    other = result(run="1", n=20_000)
    gone = result("brainpy", run="1")  # not in the newest run: nothing to compare with
    assert report.newest([old, gone, other, new], "model", "n") == [new, other]


def test_the_fastest_peer_is_that_with_at_most_so_many_threads(report):
    rows = [result(seconds=3.0), result("c", 1.5), result("c", 1.0, threads=2)]
    rows += [result("nest", 9.0), result("brainpy", 6.0, deviation=-0.1)]
    rows += [result("brainpy", 4.5, threads=2), result("brian2", None)]
    (one,), (two,) = report.comparison(rows, 1), report.comparison(rows, 2)
    assert one["peer"] == "brainpy (1)" and one["mine_gain"] == 2.0 and one["mine_behind"] == 2.0
    assert one["spread"] == "-10.0%"
    assert two["peer"] == "brainpy (2)" and two["mine_gain"] == 1.5 and two["mine_behind"] == 3.0
    text = report.speed(rows, [])
    assert "| cobahh | 4,000 | 3 | cortexmg (1) | brainpy (1) | 6 | 2 | 1.5 | 2 | -10.0% |" in text
    assert text.count("| cobahh | 4,000 | brian2 |") == 1 and "abacus, 2 cores" in text
    assert report.speed_figure(rows).axes[0].get_xscale() == "log"


def test_the_default_and_the_best_of_cortexmg_are_told_apart(report):
    rows = [result(seconds=3.0), result("nest", 9.0), result("c", 2.0, threads=2)]
    rows += [result(seconds=2.5, threads=2), result("cortexmg, 2 devices", 1.5, threads=2)]
    (row,) = report.comparison(rows, 2)
    assert row["default"] == 2.5 and row["mine"] == 1.5 and row["way"] == "cortexmg, 2 devices (2)"
    assert row["default_gain"] == 3.6 and row["mine_gain"] == 6.0 and row["peer"] == "nest (1)"
    assert row["default_behind"] == 1.25 and row["mine_behind"] == 0.75
    assert "default" not in report.comparison(rows, 1)[0]


def test_gains_by_a_second_core_are_over_one():
    threads = script("threads")
    rows = [
        result(way=way, seconds=s, n=50_000)
        for way, s in zip(threads.WAYS, (3.0, 2.0, 1.5), strict=True)
    ]
    assert "| cobahh | 50,000 | 3 | 2 | 1.5 | 1.5 | 2 | 1, 1, 1 |" in threads.table(rows)


def test_mechanisms_are_added_to_the_block_alone():
    mechanisms = script("mechanisms")
    built = {name: build(50) for name, (_, build) in mechanisms.NETWORKS.items()}
    trees = {name: jax.tree.structure(network) for name, network in built.items()}
    assert len(set(trees.values())) == len(trees)
    for name, (beside, _) in mechanisms.NETWORKS.items():
        assert mechanisms.NETWORKS[beside][0] == beside
        assert built[name].sizes == built[beside].sizes


def test_peers_are_shown_with_what_took_turns_with_them():
    gradients = script("gradients")
    rows = [{"series": "peers", "participant": x, "run": r} for x, r in
            (("cortexmg", "1"), ("jaxley", "1"), ("cortexmg", "2"))]  # fmt: skip
    rows.append({"series": "rates", "participant": "cortexmg", "run": "2"})
    assert gradients.shown(rows) == [*rows[:2], rows[3]]


def test_exponents_are_slopes_over_the_sizes(growth):
    def row(contacts, fixed):
        return ABOUT | {
            "series": "contacts", "model": "driven", "n": 10, "contacts": contacts, "rate_hz": 2.0,
            "fixed_s": fixed, "seconds": fixed + 1e-3 * contacts**1.02,
        }  # fmt: skip

    rows = [row(contacts, 0.5) for contacts in (10, 100, 1000)]
    by = growth.DELIVERIES
    assert growth.exponent(rows, by, without_fixed=True) == pytest.approx(1.02)
    assert growth.exponent(rows, by) < 0.5
    text = growth.table(rows)
    assert "from 200 to 20,000 deliveries per second" in text and "1.020 without" in text
    assert np.isnan(growth.exponent([r | {"fixed_s": 9.0} for r in rows], by, without_fixed=True))
    assert growth.figure(rows).axes[0].get_yscale() == "log"


def test_exponents_by_cells_say_what_rates_make_of_them(growth):
    row = ABOUT | {"series": "cells", "model": "cobahh", "contacts": 80}
    sizes, rates = (1e3, 1e4, 1e5), (20.0, 40.0, 40.0)
    rows = [
        row | {"n": int(n), "rate_hz": r, "seconds": n * r}
        for n, r in zip(sizes, rates, strict=True)
    ]
    text = growth.table(rows)
    assert "the power 1.151, and with the power 1.000 of deliveries" in text
    assert "from 10,000 cells on 1.000 and 1.000." in text


def test_each_projection_costs_the_slope(growth):
    def row(k, n, slope):
        seconds = 1.0 + slope * k**2
        return {"populations": k, "projections": k**2, "n": k * n, "compile_s": seconds, "lines": 9}

    rows = [row(k, n, slope) for k in (2, 4, 8) for n, slope in ((100, 0.25), (1000, 0.5))]
    text = growth.compilation(rows)
    assert "takes 0.25 s with 100 cells in each population and 0.50 s with 1,000 cells" in text


def test_driven_cells_fire_at_the_rate(growth):
    (row,) = growth.seconds([growth.driven(500, 50, 50.0)], [500.0], 1)
    assert row["rate_hz"] == pytest.approx(50.0, rel=0.1)


def test_text_between_markers_is_replaced(report):
    text = report.replaced("a <!-- x --> old <!-- end of x --> b", "x", "new")
    assert text.startswith("a ") and text.endswith(" b") and "new" in text and "old" not in text
    assert report.replaced(text, "x", "new") == text
    with pytest.raises(ValueError, match="markers"):
        report.replaced("nothing", "x", "new")


def test_the_readme_holds_what_the_report_says(report):
    text = (ROOT / "benchmarks" / "README.md").read_text()
    for part in report.sections(ROOT / "benchmarks" / "results").values():
        assert part in text


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
    row = accelerators.in_a_process_of_its_own("step", "abacus", "cobahh", 1000, 10.0)
    assert row["device"] == "abacus" and "abacus" in row["failed"]


def test_a_step_is_summed_up_for_each_device(accelerators):
    which = {"what": "step", "model": "cobahh", "n": 10}
    row = which | {"device": "h100", "contacts": 800, "dt": 0.1, "kernels": 12, "loops": 0}
    row |= {"date": "2026-01-02", "commit": "0123456789abcdef+changes"}
    counted = {"branches": 0, "float_atomics": 1, "integer_atomics": 2, "compare_and_swap": 3}
    failed = which | {"device": "t4", "failed": "no compiler"}
    text = accelerators.table([row, row | counted, failed])
    assert text.count("| h100 | 12 | 0 | 0 | 1, 2, 3 |") == 1 and "t4 failed: no compiler" in text
    assert "| 2026-01-02 | 0123456789ab+changes |" in text
    assert "1, 2" not in accelerators.table([row])
