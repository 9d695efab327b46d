"""The command line: what it prints, writes and returns."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import jax
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cli, ladder, memory, models, results

MG = "environment/ions/mg/outside"
# As the installed command does, which need not be there.
COMMAND = [sys.executable, "-c", "from cortexmg.cli import main; main()"]


@pytest.fixture
def cortexmg(monkeypatch, capsys, tmp_path):
    """Runs a command as its entry point does: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["cortexmg", *words])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return (code, *capsys.readouterr())

    return run


def test_help_is_everywhere(cortexmg):
    code, text, _ = cortexmg("--help")
    assert code == 0
    for command in ("sweep", "run", "plan", "bench", "info"):
        assert command in text
        code, help_text, _ = cortexmg(command, "--help")
        assert code == 0 and "Usage" in help_text and "--help" in help_text
        options = re.findall(r"^\s+(--[a-z-]+)", help_text, re.MULTILINE)
        assert options
    assert "cortex" in cortexmg("run", "--help")[1]


@pytest.mark.parametrize(
    "words",
    [["walk"], ["run"], ["run", "cortex", "--speed", "9"], ["sweep", "--n", "many"]],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_says_so(cortexmg, words):
    code, out, err = cortexmg(*words)
    assert code == 2 and not out
    assert "Usage" in err or "usage" in err


@pytest.mark.parametrize(
    "words, answer",
    [
        (["run", "cortez"], ["'cortez'", "cortex"]),
        (["run", "brunel_wang", "--n", "10"], ["'brunel_wang'", "--n"]),
        (["run", "microcircuit", "--n", "10"], ["'microcircuit'", "--scale"]),
        (["run", "microcircuit", "--scale", "2"], ["scale must be above 0 and at most 1", "2"]),
        (["sweep", "--scale", "0.1"], ["'cortex'", "no scale", "--cells"]),
        (["run", "cortex", "--n", "40", "--set", f"{MG}x=1"], [MG]),
        (["run", "cortex", "--n", "40", "--set", f"{MG}=low"], ["--set", "low"]),
        (["run", "cortex", "--n", "40", "--set", f"{MG}=-1"], ["Ion.outside", "-1"]),
        (["sweep", "--n", "40", "--values", "1,1e6"], ["Ion.outside", "at most 1000 mM", "1e+06"]),
        (["run", "cortex", "--n", "40", "--dt", "0.3"], ["whole number", "0.3"]),
        (["run", "cortex", "--n", "40", "--dt", "0.5"], ["0.5 ms", "too large"]),
        (["sweep", "--values", "1,two"], ["--values", "1,two"]),
        (["sweep", "cortex", "--n", "40", "--parameter", "mg", "--values", "1"], ["'mg'"]),
        (["info", "--parameters", "cortez"], ["'cortez'", "cortex"]),
    ],
    ids=lambda x: " ".join(x[:5]),
)
def test_what_cannot_be_done_ends_with_1_and_one_line_of_reason(cortexmg, words, answer):
    code, out, err = cortexmg(*words)
    assert code == 1 and not out
    assert err.startswith("error: ") and len(err.strip().splitlines()) == 1
    for word in answer:
        assert word in err
    assert list(Path().iterdir()) == []


def test_a_jax_that_computes_wrong_numbers_ends_with_1_and_the_cure(cortexmg, monkeypatch):
    cli.check_arithmetic.cache_clear()
    monkeypatch.setattr(jax, "__version__", "0.11.1")
    code, _, err = cortexmg("info")
    assert code == 1
    assert err.startswith("error: ") and "0.11.1" in err and "pip install" in err


def test_info_lists_models_devices_versions_and_the_check(cortexmg):
    code, text, _ = cortexmg("info")
    assert code == 0
    for name in vars(models):
        if callable(getattr(models, name)) and not name.startswith("_"):
            assert re.search(rf"^model\s+{name}\s+\S", text, re.MULTILINE)
    assert str(jax.devices()[0]) in text
    assert jax.__version__ in text and cx.__name__ in text
    assert "right numbers" in text


def test_info_lists_every_parameter_of_a_model_with_its_unit(cortexmg):
    code, text, _ = cortexmg("info", "--parameters", "brunel_wang")
    assert code == 0
    listed = cx.parameters(models.brunel_wang())
    lines = text.strip().splitlines()
    assert len(lines) == len(listed)
    for line, (name, parameter) in zip(lines, listed.items(), strict=True):
        assert line.startswith(name + " ") and line.endswith(parameter.unit)
        if np.ndim(parameter.value) == 0:
            assert f" {float(parameter.value):g} " in line


def test_run_writes_data_figure_and_account(cortexmg):
    code, text, err = cortexmg(
        "run", "cortex", "--n", "60", "--duration", "150", "--set", f"{MG}=0.4", "--out", "here"
    )
    assert code == 0 and "rate E" in text and "here" in text
    assert "of 150 ms" in err  # progress
    assert_complete("here", command="run", model="cortex", duration=150.0, key=0, noise=1)
    _, account = results.load("here")
    assert account["parameters"][MG] == {"value": pytest.approx(0.4), "unit": "mM"}


@pytest.mark.parametrize(
    "words, module, size",
    [
        (["run", "microcircuit", "--scale", "0.03"], cli, 2317),
        (["sweep", "microcircuit", "--quick"], ladder, 1543),
        (["sweep", "brunel_wang", "--quick"], ladder, 1000),
        (["sweep", "--quick"], ladder, 500),
    ],
)
def test_a_model_has_the_size_that_it_takes(cortexmg, monkeypatch, words, module, size):
    seen = []

    def interrupted(network, *_, **how):
        seen.append(sum(network.sizes.values()))
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "simulate" if module is cli else "sweep", interrupted)
    assert cortexmg(*words)[0] == 130
    assert seen == [pytest.approx(size, rel=0.01)]


def test_a_model_that_is_large_by_default_is_looked_at_before_it_is_built(cortexmg, monkeypatch):
    monkeypatch.setattr(memory, "memory_here", lambda: 3e9)
    monkeypatch.setattr(cli, "network_of", None)  # called by what builds
    code, _, err = cortexmg("run", "microcircuit")
    assert code == 1 and "'wiring' with " in err and "3,000 MB are left" in err


def assert_complete(folder, **settings):
    """A figure, every array whole, and an account of every parameter, seed, version and commit."""
    arrays, account = results.load(folder)
    figures = [p for p in Path(folder).iterdir() if p.suffix == ".png"]
    assert figures and all(p.read_bytes().startswith(b"\x89PNG") for p in figures)
    assert any(name.endswith("/ids") for name in arrays)
    assert any(name.startswith("summary/rate") for name in arrays)
    for name, value in settings.items():
        assert account["settings"][name] == value
    listed = cx.parameters(models.cortex(40))
    assert account["parameters"].keys() == listed.keys()
    assert all(p["unit"] for p in account["parameters"].values())
    assert {"jax", "jaxlib", "numpy", "python", "cortexmg"} <= account["versions"].keys()
    assert "commit" in account and account["settings"]["complete"] is True


SWEEP = ("--quick", "--n", "60", "--dt", "0.1")


@pytest.fixture(scope="module")
def piped(tmp_path_factory):
    """A quick sweep in a process of its own, all its output piped."""
    folder = tmp_path_factory.mktemp("piped")
    run = subprocess.run(
        [*COMMAND, "sweep", *SWEEP, "--out", str(folder / "sweep")],
        capture_output=True,
        text=True,
        cwd=Path(cx.__file__).parent.parent,
        env={**os.environ, "COLUMNS": "80"},
    )
    return run, folder / "sweep"


def test_a_quick_sweep_writes_figure_data_and_account(piped):
    run, folder = piped
    assert run.returncode == 0, run.stderr
    assert_complete(folder, command="sweep", model="cortex", parameter=MG)
    arrays, account = results.load(folder)
    assert account["settings"]["values"] == list(arrays["values"]) == [0.05, 0.5, 1.0, 2.0]
    assert len(arrays["summary/unblocked E"]) == 4
    assert np.all(np.diff(arrays["summary/unblocked E"]) < 0)  # magnesium blocks


def test_piped_output_is_readable(piped):
    run, _ = piped
    for text in (run.stdout, run.stderr):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text), "control characters"
    rows = [line.split() for line in run.stdout.splitlines() if re.match(r"\s+[\d.]+\s", line)]
    assert [float(row[0]) for row in rows] == [0.05, 0.5, 1.0, 2.0]
    assert len({len(row) for row in rows}) == 1
    assert "rate E" in run.stdout and "unblocked E" in run.stdout
    assert re.search(r"of \d+ ms.*s left", run.stderr)


def test_the_account_is_plain_json_that_any_program_reads(piped):
    _, folder = piped
    account = json.loads((folder / "account.json").read_text())
    assert account["parameters"][MG]["unit"] == "mM"


def test_the_name_of_a_foreign_folder_is_refused_before_anything_is_overwritten(cortexmg):
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    code, _, err = cortexmg("run", "cortex", "--n", "60", "--duration", "150", "--out", "mine")
    assert code == 1 and "mine" in err and "another folder" in err
    assert [p.name for p in Path("mine").iterdir()] == ["thesis.txt"]
    assert [p.name for p in Path().iterdir()] == ["mine"]


def test_a_sweep_over_negative_values_is_drawn(cortexmg):
    words = ["--n", "40", "--duration", "100", "--settle", "0", "--dt", "0.1", "--values=-65,-60"]
    words += ["--out", "swept"]
    leak = "populations/cells/channels/leak/e"
    code, out, _ = cortexmg("sweep", "cobahh", *words, "--parameter", leak)
    assert code == 0 and "are in swept" in out and Path("swept/figure.png").exists()


def test_what_cannot_be_drawn_is_saved(cortexmg, monkeypatch):
    def broken(*_, **__):
        raise ValueError("no canvas")

    monkeypatch.setattr(cli.plots, "raster", broken)
    words = ["cobahh", "--n", "40", "--duration", "100", "--dt", "0.1", "--out", "kept"]
    code, _, err = cortexmg("run", *words)
    assert code == 1 and "no canvas" in err and "data and account are in kept" in err
    assert results.load("kept")[0]["summary/rate cells"].shape == (1,)


def test_what_acts_is_printed_with_level_places_and_source(piped):
    run, _ = piped
    known = cx.mechanisms(models.cortex(60)).values()
    assert {e.level for e in known} == {"established", "supported", "assumption"}
    for e in set(known):
        places = sum(e == other for other in known)
        line = rf"^{re.escape(e.effect)} +{e.level} +{places} x  {re.escape(e.source)}$"
        assert re.search(line, run.stdout, re.MULTILINE), e


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_keeps_what_is_recorded(tmp_path):
    words = ["run", "cobahh", "--n", "2000", "--duration", "60000", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [*COMMAND, *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(cx.__file__).parent.parent,
    )
    # The first progress line says that it runs.
    watchdog = threading.Timer(300.0, process.kill)
    watchdog.start()
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    watchdog.cancel()
    assert process.returncode == 130
    _, account = results.load(tmp_path / "run")
    assert account["settings"]["complete"] is False
    assert 0.0 < account["settings"]["duration"] < 60000.0
