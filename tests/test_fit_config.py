"""Fits from files: the documented one is read, what is wrong is named, results are whole."""

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cortexmg as cx
from cortexmg import results
from cortexmg.cli import app
from cortexmg.fit_config import read
from cortexmg.fitter import Fitter
from cortexmg.protocol import Protocol
from cortexmg.sensitivity import Sensitivity

DOCS = Path(__file__).parent.parent / "docs" / "gradients.md"
SMALL = """
[network]
model = "cortex"
n = 40
mechanisms = []
[parameters."stimuli/outside E/weight"]
low = 2.0
high = 60.0
start = 30.0
[measures.rate]
kind = "Rate"
population = "E"
[[targets]]
measure = "rate"
value = 15.0
[fit]
steps = 2
seeds = 2
duration = 50.0
settle = 0.0
"""


def written(folder, text):
    path = folder / "fit.toml"
    path.write_text(text)
    return path


def test_the_file_in_the_documentation_can_be_read(tmp_path):
    text = re.search(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)
    config = read(written(tmp_path, text.replace("n = 1000", "n = 20")))
    assert config.bounds["environment/ions/mg/outside"].prior == (1.0, 0.5)
    assert "projections/*/k_mg" in config.bounds
    assert set(config.targets.conditions) == {"control", "2 mM Ca"}
    assert config.options["seeds"] == 4


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("[fit]", "[fits]", r"\['fits'\], which is not known"),
        ("steps = 2", "step = 2", r"\[fit\] has \['step'\]"),
        ('kind = "Rate"', 'kind = "Rates"', "needs kind, one of"),
        ('kind = "Rate"', 'kind = "Measure"', "needs kind, one of"),
        ('population = "E"', 'populatio = "E"', "measures.rate"),
        ("value = 15.0", "val = 15.0", r"\[\[targets\]\] has \['val'\]"),
        ("low = 2.0", "low = 70.0", "must be below"),
        ("steps = 2", 'optimiser = "sgd"', "optimiser must be one of"),
        ("[fit]", "[fit", "is not TOML"),
        ("[fit]", "[conditions]\nc = 3.0\n[fit]", r"\[conditions\] c must be a table, got 3.0"),
        ("[fit]", '[conditions.c]\nx = "a"\n[fit]', r"\[conditions.'c'\] x must be a number"),
        ("n = 40", "n = 40\nset = [3]", r"\[network\] set must be a table, got \[3\]"),
        ("n = 40", "n = 40\nset = {x = 1.0}", r"\[network\] set: No parameter 'x'"),
        ("n = 40", 'n = "a"', r"\[network\] n must be a whole number, got 'a'"),
        ("n = 40", "n = 1", r"\[network\]: n must be a whole number of at least 2"),
        ("n = 40", "scale = 0.1", r"model 'cortex' has \['scale'\], .* it takes \['cells'"),
        ("n = 40", 'cells = "HHH"', r"\[network\]: cells must be"),
        ("mechanisms = []", 'mechanisms = "release"', "mechanisms must be a list of names"),
        ('"cortex"', "3", r"\[network\] model must be a name, got 3"),
        ('"cortex"', '"cortices"', r"\[network\] model must be one of"),
        ("start = 30.0", 'start = "a"', "weight'\\] start must be a number or a list of numbers"),
        ("start = 30.0", "prior = 3.0", "weight'\\] prior must be a list of two numbers, got 3.0"),
        ("start = 30.0", "prior = [1.0, 0.5]", "weight'\\]: Bounds.prior must be a median"),
        ("high = 60.0\n", "", "outside E/weight'\\] needs low and high"),
        ("[measures.rate]", "[parameters]\nx = 3\n[measures.rate]", r"\[parameters\] x must be a"),
        ("[fit]", '[priors]\nsets = "release"\n[fit]', r"\[priors\] sets must be a list of names"),
        ("[fit]", '[priors]\nsets = ["x"]\n[fit]', r"\[priors\]: No set 'x'"),
        ("[fit]", '[priors]\nshared = "no"\n[fit]', r"\[priors\] shared must be true or false"),
        ("[[targets]]", "[targets]", r"targets must be a list of tables, each under \[\[targets"),
        ("value = 15.0", 'value = "a"', r"\[\[targets\]\] value must be a number or a list"),
        ("value = 15.0", "value = inf", r"\[\[targets\]\]: .*value must be finite"),
        ("steps = 2", 'tolerance = "a"', r"\[fit\] tolerance must be a number"),
        ("steps = 2", "steps = 2.0", r"\[fit\] steps must be a whole number"),
        ("steps = 2", "estimator = { kind = [3] }", "estimator needs kind, one of"),
        ("steps = 2", 'estimator = { kind = "Differences", step = -1.0 }', r"estimator: .*\.step"),
        ('kind = "Rate"', 'kind = "Rate"\nbin = -5.0', r"\[measures.rate\]: Rate.bin must be"),
        ('[measures.rate]\nkind = "Rate"\npopulation = "E"', "[measures]\nrate = 3", "rate. needs"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, without_type_checks, old, new, message):
    with pytest.raises(ValueError, match=message):
        read(written(tmp_path, SMALL.replace(old, new)))


def test_priors_are_all_sets_unless_some_or_none_are_named(tmp_path):
    def names(text):
        whole = SMALL.replace("mechanisms = []\n", "").replace("[fit]", text + "\n[fit]")
        return read(written(tmp_path, whole)).bounds.keys() - {"stimuli/outside E/weight"}

    every = names("[priors]")
    assert names('[priors]\nsets = ["nmda weight"]') < every
    assert names("[priors]\nsets = []") == set()


def test_a_model_has_its_own_arguments_in_a_file(tmp_path):
    def network(text):
        return read(written(tmp_path, text + SMALL[SMALL.index("[parameters") :])).network

    assert network("[network]\nn = 40\ncells = 'LIF'\n").sizes == {"E": 32, "I": 8}
    slice_of = network("[network]\nmodel = 'cortex_slice'\nn = 40\nmechanisms = []\n")
    assert "release" not in " ".join(cx.mechanisms(slice_of))
    small = network("[network]\nmodel = 'microcircuit'\nscale = 0.001\n")
    assert sum(small.sizes.values()) == pytest.approx(77, abs=4)


def test_tangents_and_differences_have_their_fields_in_a_file(tmp_path):
    def estimator(text):
        return read(written(tmp_path, SMALL + f"estimator = {text}\n")).options["estimator"]

    found = estimator('{ kind = "Forward", tangents = { damping = 20.0, width = 2.0 } }')
    assert (found.tangents.damping, found.tangents.width) == (20.0, 2.0)
    assert estimator('{ kind = "Differences", points = 4 }').points == 4
    with pytest.raises(ValueError, match="tangents has \\['damp'\\]"):
        estimator('{ kind = "Forward", tangents = { damp = 20.0 } }')


@pytest.mark.parametrize("simulated", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_command_writes_a_report(simulated, tmp_path, monkeypatch):
    if not simulated:
        monkeypatch.setattr(Protocol, "run", lambda self, us, keys: 0.2 * np.exp(us))
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["fit", str(written(tmp_path, SMALL)), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "stimuli/outside E/weight" in done.output
    arrays, account = results.load(out)
    assert arrays["curve loss"].size == 2
    assert account["settings"]["values"]["stimuli/outside E/weight"] > 0
    assert (out / "figure.png").stat().st_size > 5_000


def test_an_interrupted_command_says_so_and_the_same_again_goes_on(tmp_path, monkeypatch):
    step, words = Fitter.next, ["fit", str(written(tmp_path, SMALL)), "--out", str(tmp_path / "a")]
    monkeypatch.setattr(Protocol, "run", lambda self, us, keys: 0.2 * np.exp(us))  # no simulation

    def once(self, course):
        if course.steps:
            raise KeyboardInterrupt
        return step(self, course)

    with monkeypatch.context() as patch:
        patch.setattr(Fitter, "next", once)
        stopped = CliRunner().invoke(app, words)
    assert stopped.exit_code == 130 and "interrupted after 1 steps" in stopped.output
    first = results.load(tmp_path / "a")[0]["curve coordinates"]
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 0, again.output
    course = results.load(tmp_path / "a")[0]["curve coordinates"]
    assert len(course) == 2 and np.array_equal(course[:1], first)


def test_a_heat_map_shows_every_sensitivity():
    found = Sensitivity(["a", "b"], ["x", "y", "z"], np.eye(2, 3), np.full((2, 3), 0.1))
    turned = Sensitivity(["x", "y", "z"], ["a", "b"], np.eye(3, 2), np.full((3, 2), 0.1))
    for each in (found, turned):  # the longer list goes down
        axes = each.figure().axes[0]
        assert [t.get_text() for t in axes.get_yticklabels()] == ["x", "y", "z"]
        assert [t.get_text() for t in axes.texts] == ["1", "0", "0", "1", "0", "0"]


@pytest.mark.slow
def test_the_example_of_the_readme_runs(tmp_path, monkeypatch):
    text = (DOCS.parent.parent / "README.md").read_text()
    (code,) = re.findall(r"```python\n(from cortexmg import measures\n.*?)```", text, re.DOTALL)
    quick = {"duration": 100.0, "settle": 0.0, "dt": 0.1, "steps": 2, "seeds": 2}
    fit = cx.fit
    monkeypatch.setattr(cx, "fit", lambda *given, **more: fit(*given, **more, **quick))
    monkeypatch.chdir(tmp_path)
    made = {"cx": cx, "network": cx.models.cortex(60, cells="LIF")}
    exec(code, made)
    assert made["fit"].statistics["rate (control)"][2] == 4.0
    assert (tmp_path / "results" / "my_fit" / "account.json").exists()
