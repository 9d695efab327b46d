"""What a run is said to need, against what it takes."""

import json
import re
import sys
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cli, devices, memory, models, outline, plan, plan_command, recorders
from cortexmg.distributions import Normal
from cortexmg.hardware import DEVICES, device_named
from cortexmg.states import initial
from cortexmg.wiring import fixed_out_degree

HERE = Path(cli.__file__).parent.parent
DT = 0.1  # ms

FORECAST = """
import sys
from functools import partial
from cortexmg import choice, cli, hardware, outline, plan, recorders, starting
model, n, dt, devices, duration, rate, *procedural = sys.argv[1:]
n, dt, devices, duration, rate = int(n), float(dt), int(devices), float(duration), float(rate)
starting.start()
build = partial(choice.MODELS[model], **{"procedural": True} if procedural else {})
network = outline.outline(build, n)
record = {name: recorders.Spikes(name) for name in network.populations}
how = {"host": True, "duration": duration}
found = plan.forecast(network, record, dt, rate, hardware.device_named("cpu"), **how)
print(float((plan.divided(found, devices) if devices > 1 else found).total))
"""
RUN = r"""
import re, sys
import cortexmg as cx
from cortexmg import choice, cli, recorders
model, n, dt, devices, duration, rate, *procedural = sys.argv[1:]
n, dt, devices, duration = int(n), float(dt), int(devices), float(duration)
network = choice.MODELS[model](n, **{"procedural": True} if procedural else {})
record = {name: recorders.Spikes(name) for name in network.populations}
cx.simulate(network, duration, dt, record=record, devices=devices)
peak = re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())
print(1024 * int(peak[1]))  # not ru_maxrss, which begins with that of the parent
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="where the peak is read")
@pytest.mark.parametrize(
    "model, n, dt, devices, how",
    [
        ("ei_nmda", 10_000, DT, 1, ()),
        ("ei_nmda", 20_000, DT, 1, ()),
        ("cobahh", 100_000, DT, 1, ()),
        ("cobahh", 300_000, DT, 1, ()),
        ("cobahh", 400_000, DT, 2, ()),
        ("cortex", 20_000, 0.05, 1, ()),
        ("cortex", 20_000, 0.05, 2, ()),
        ("cortex", 100_000, 0.05, 1, ()),
        ("balanced", 200_000, DT, 1, ()),
        ("balanced", 200_000, DT, 1, ("procedural",)),
        ("balanced", 1_000_000, DT, 1, ("procedural",)),
        ("balanced", 1_000_000, DT, 2, ("procedural",)),
    ],
)
def test_memory_is_that_of_a_run(model, n, dt, devices, how, in_a_fresh_process):
    """A fresh process that builds and simulates, with its libraries, against the forecast."""
    _check_forecast(in_a_fresh_process, model, n, dt, devices, 100.0, 10.0, *how)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="where the peak is read")
def test_memory_of_many_spikes_is_that_of_a_run(in_a_fresh_process):
    """25 million, of a minute at the rate of COBAHH."""
    _check_forecast(in_a_fresh_process, "cobahh", 10_000, DT, 1, 60_000.0, 42.0)


def _check_forecast(in_a_fresh_process, *given):
    words = [str(x) for x in given]
    measured, foretold = (
        float(in_a_fresh_process(program, *words, JAX_NUM_CPU_DEVICES="2"))
        for program in (RUN, FORECAST)
    )
    assert foretold == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize("name", ["cobahh", "cortex", "ei_nmda"])
def test_an_outline_has_the_shapes_of_the_network(name):
    build = getattr(models, name)
    drawn, built = outline.outline(build, 4000), outline.shapes(build(4000))
    assert jax.tree.structure(drawn.populations) == jax.tree.structure(built.populations)
    key = jax.random.key(0)
    states = [
        jax.eval_shape(lambda k, n=n: initial(n, k, dt=DT, exact=True), key) for n in (drawn, built)
    ]
    assert jax.tree.leaves(states[0]) == jax.tree.leaves(states[1])
    for p, projection in built.projections.items():
        mine, theirs = drawn.projections[p].connectivity, projection.connectivity
        assert mine.starts == theirs.starts and mine.sending == theirs.sending
        assert mine.targets.shape[0] == pytest.approx(theirs.targets.shape[0], rel=0.06)


def test_contacts_per_cell_are_shared_as_in_the_model():
    wide = outline.outline(models.cobahh, 4000, 160.0)
    sizes = [p.connectivity.targets.shape[0] for p in wide.projections.values()]
    assert sum(sizes) == pytest.approx(4000 * 160, rel=0.05)
    assert sizes[0] / sizes[1] == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("n", [0, -3, 1, 1.5, 2500.5, True, "5"])
def test_a_size_that_the_model_refuses_is_refused(is_refused, n):
    words = ["n must be a whole number of at least 2", f"got {n!r}"]
    is_refused(lambda: outline.outline(models.cobahh, n), words)


@pytest.mark.parametrize("contacts", [0, -1.0, np.nan, np.inf, True, "5"])
def test_contacts_that_are_no_number_are_refused(is_refused, contacts):
    words = ["contacts must be a number of at least 1", f"got {contacts!r}"]
    is_refused(lambda: outline.outline(models.cobahh, 100, contacts), words)


@pytest.mark.parametrize(
    "dt, words",
    [(-0.1, ["dt must be positive"]), (0.0, ["dt must be"]), (5.0, ["dt of 5 ms", "'na'", "0.1"])],
)
def test_a_step_in_which_a_network_cannot_be_run_is_refused(dt, words, is_refused):
    is_refused(lambda: outline.outline(models.cobahh, 10**6, dt=dt), words)


@cache
def forecast(n):
    network = outline.outline(models.cobahh, n)
    return plan.forecast(network, {}, DT, 10.0, device_named("h100"))


def test_a_model_with_a_scale_is_outlined_from_small_ones():
    network, tried = models.microcircuit(0.1), []
    built = outline.shapes(network)

    def build(scale):
        tried.append(scale)
        return models.microcircuit(scale)

    drawn = outline.outline(build, scale=0.1)
    assert max(tried) < 0.05
    for name, p in built.populations.items():
        assert drawn.populations[name].n == pytest.approx(p.n, rel=0.05)
    mine, theirs = (
        sum(p.connectivity.targets.shape[0] for p in network.projections.values())
        for network in (drawn, built)
    )
    assert mine == pytest.approx(theirs, rel=0.03)
    longest = max(np.diff(network.projections["L4E to L4E"].connectivity.starts))
    assert drawn.projections["L4E to L4E"].connectivity.longest == pytest.approx(longest, rel=0.1)
    with pytest.raises(ValueError, match="at most 1"):
        outline.outline(build, scale=1.5)


def test_what_was_compiled_for_a_device_is_what_is_stored():
    file = HERE / "benchmarks" / "results" / "accelerators.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    newest = {
        (row["model"], row["device"]): [row[k] for k in plan.CompiledStep._fields]
        for row in rows
        if row["what"] == "step" and row["n"] == 1_000_000 and "failed" not in row
    }
    assert newest.keys() == plan.COMPILED.keys()
    for which, (*found, date) in newest.items():
        *said, day = plan.COMPILED[which]
        assert said == pytest.approx(found, rel=1e-3) and day == date


def test_a_million_cells_with_a_thousand_stored_contacts_fit_80_gigabytes():
    # A constant weight of COBAHH, and a weight and a delay for each contact of cortex.
    for build, gigabytes in ((models.cobahh, 4.2), (models.cortex, 15.9)):
        with jax.enable_x64(False):
            network = outline.queued(outline.outline(build, 10**6, 1000))
            needed = sum(memory.needed(network, {}, 0.05, 1).values())
        assert needed == pytest.approx(gigabytes * 1e9, rel=0.01)
        assert needed < DEVICES["h100"].share * 80e9


@pytest.mark.parametrize("n, of_target", [(8000, 2), (66_000, 4)])
def test_stored_wiring_takes_the_bytes_that_it_is_said_to(n, of_target):
    weights = Normal(1.0, 0.1)
    for weight, delay, more in ((1.0, 1.0, 0), (weights, 1.0, 4), (weights, weights, 8)):
        wiring = fixed_out_degree(n, n, 100, weight, delay, key=1)
        size = sum(np.asarray(x).nbytes for x in jax.tree.leaves(wiring)) / wiring.n_contacts
        # Where rows begin, and room at the end, are up to 4 %.
        assert of_target + more <= size < 1.04 * (of_target + more)


def test_ten_times_the_cells_need_ten_times_the_memory_and_time():
    small, large = forecast(100_000), forecast(1_000_000)
    assert large.total == pytest.approx(10 * small.total, rel=0.05)
    assert large.moving == pytest.approx(10 * small.moving, rel=0.05)
    assert large.step.kernels == small.step.kernels
    # 80 contacts of 4 bytes, and 7 numbers of state, held three times.
    assert large.memory["wiring"] == pytest.approx(1e6 * 80 * 4, rel=0.05)
    number = jnp.result_type(float).itemsize
    assert 3 * 7e6 * number <= large.memory["cells"] <= 3 * 10e6 * number
    # Each state is read and written at least once in a step, and rows are visited in full.
    assert 2 * 7e6 * number <= large.step.moved <= 20 * 7e6 * number


def test_the_largest_that_fits_just_fits():
    device = DEVICES["t4"]._replace(memory=1e9)
    f = forecast(1_000_000)._replace(device=device)
    largest = plan.largest_that_fits(f)
    assert forecast(largest)._replace(device=device).total == pytest.approx(f.usable, rel=0.05)


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs `cortexmg plan`: exit code, standard output, standard error."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["cortexmg", "plan", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capsys.readouterr()

    return run


MILLION = ("cobahh", "--cells", "1000000", "--device", "h100")


def test_the_command_says_what_fits_and_what_does_not(command):
    code, text, _ = command(*MILLION, "--dt", "0.1", "--spikes", "--gradients", "10")
    assert code == 0 and "It fits" in text and "H100" in text
    # What the compiler for it made, and not what that of this machine makes.
    row = plan.COMPILED["cobahh", "h100"]
    how = f"as compiled for NVIDIA H100 SXM on {row.date}, of a million cells"
    assert f"{how}:\n  {row.kernels} kernels" in text
    assert " 0 loops" in text and "this CPU" not in text
    here = {"libraries and compiler", "wiring, copied to the device", "wiring, as it is divided"}
    for part in memory.REMEDY.keys() - here:
        assert part in text
    code, text, _ = command("cortex", "--cells", "10000000", "--device", "t4")
    assert code == 3 and "It does not fit" in text and "'wiring'" in text and "fewer" in text
    assert "cells fit instead of 10,000,000" in text


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("--dt", "0.05"), marks=pytest.mark.slow),
        ("--contacts-per-cell", "40", "--dt", "0.1"),
    ],
    ids=" ".join,
)
def test_what_was_compiled_in_another_way_is_not_used(command, other):
    _, text, _ = command("cobahh", "--cells", "1000", "--device", "t4", *other)
    assert "as compiled for this CPU" in text and "Compilers for the device make other" in text


def test_of_more_contacts_than_can_be_numbered_the_largest_that_fits_is_told(command):
    code, text, _ = command("cobahh", "--cells", "3000000000", "--device", "t4", "--dt", "0.1")
    assert code == 3 and "of 3,000,000,000 cells" in text and "2^31 contacts" in text
    (fit,) = re.findall(r"About ([\d,]+) cells fit", text)
    (shown,) = re.findall(r"cobahh, ([\d,]+) cells", text)
    assert 1e7 < int(fit.replace(",", "")) < int(shown.replace(",", "")) < 3.4e7


def test_on_a_cpu_a_long_run_is_divided_as_simulate_does(command, monkeypatch):
    monkeypatch.setattr(devices, "WORK", 10**8)
    words = ("cobahh", "--cells", "50000", "--dt", "0.1")
    _, long, _ = command(*words, "--duration", "200")
    _, short, _ = command(*words, "--duration", "100")
    _, said, _ = command(*words, "--duration", "200", "--devices", "1")
    assert "on 2 devices of this machine" in long and "wiring, as it is divided" in long
    for text in (short, said):
        assert "on one device of this machine" in text and "copied to the device" in text
    # Not where there is no room for it, unless it was said.
    available = device_named("cpu")._replace(memory=0.0)
    monkeypatch.setattr(plan_command, "device_named", lambda name: available)
    _, long, _ = command(*words, "--duration", "200")
    _, said, _ = command(*words, "--devices", "2")
    assert "on one device" in long and "on 2 devices" in said and "does not fit" in said


@pytest.mark.parametrize(
    "words, answer",
    [
        (["cortex", "--scale", "0.5"], ["no scale", "--cells"]),
        (["microcircuit", "--cells", "1000"], ["use --scale", "--cells"]),
        (["microcircuit", "--scale", "1.5"], ["above 0 and at most 1", "1.5"]),
        (["brunel_wang", "--cells", "10"], ["fixed size", "--cells"]),
        (["cobahh", "--cells", "1"], ["at least 2", "1"]),
        (["cortex", "--device", "abacus"], ["abacus", "h100"]),
        ([*MILLION, "--rate", "-5"], ["--rate", "at least 0 Hz", "-5"]),
        ([*MILLION, "--rate", "nan"], ["--rate", "nan"]),
        ([*MILLION, "--duration", "0"], ["duration", "positive"]),
        ([*MILLION, "--dt", "0"], ["dt", "positive"]),
        ([*MILLION, "--dt", "5"], ["dt of 5 ms", "too large"]),
        ([*MILLION, "--devices", "2"], ["--devices", "CPU", "2"]),
        (["cobahh", "--devices", "0"], ["devices", "between 1 and", "0"]),
    ],
    ids=lambda x: " ".join(x),
)
def test_the_command_refuses_what_makes_no_sense(command, words, answer):
    code, text, err = command(*words)
    assert code == 1 and not text and all(word in err for word in answer), err


# ---- before a run -------------------------------------------------------------------------------


def test_a_run_that_fits_is_not_stopped():
    memory.check_memory(models.cobahh(1000), {}, DT, 1000)
    memory.check_memory(models.cobahh(1000), {}, DT, 1000, available=3e6)


def test_a_run_that_cannot_fit_is_stopped_with_the_part_to_shrink():
    network = models.cobahh(1000)
    with pytest.raises(MemoryError, match=r"'wiring'.*fewer contacts.*cells fit") as error:
        memory.check_memory(network, {}, DT, 1000, available=1e5)
    assert "instead of 1,000" in str(error.value)
    record = {"v": recorders.Probe("cells", "v", every=None)}
    with pytest.raises(MemoryError, match=r"'recording'.*less often"):
        memory.check_memory(network, record, DT, 20_000, available=1e6)


def test_simulate_refuses_what_cannot_fit_before_it_allocates(monkeypatch):
    network, record = models.cobahh(1000), {"v": recorders.Probe("cells", every=None)}
    module = sys.modules["cortexmg.simulate"]
    monkeypatch.setattr(module, "room_of", lambda mesh: 3e9)
    cx.simulate(network, 0.1, DT, record=record)
    monkeypatch.setattr(module, "arrays", None)  # called by what allocates
    with pytest.raises(MemoryError, match=r"'recording'.*less often.*instead of 1,000"):
        cx.simulate(network, 1e6, DT, record=record)
    slower = record | {"rate": recorders.PopulationRate("cells", every=1000.0)}
    with pytest.raises(MemoryError, match="'recording'"):
        cx.simulate(network, 1e6, DT, record=slower)
    with pytest.raises(MemoryError, match=r"fit instead of 1,000"):
        cx.sweep(network, {"projections/E/strength": np.ones(100)}, 1e5, DT, record=record)


def test_the_command_line_refuses_a_size_before_it_builds(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cli, "network_of", None)  # called by what builds
    words = ["run", "balanced", "--cells", "3000000000", "--out", str(tmp_path / "new")]
    monkeypatch.setattr(sys, "argv", ["cortexmg", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1 and "limit is 2^31" in capsys.readouterr().err


@pytest.mark.slow
def test_devices_of_a_cpu_share_the_contacts_of_a_sweep_and_others_do_not(monkeypatch):
    network = models.cobahh(400)
    how = {"members": 8, "most": 100, "record": {}, "dt": DT}
    one, four = (memory.needed(network, copies=c, **how) for c in (1, 4))
    assert four.pop("wiring") == 4 * one.pop("wiring") > 0 and four == one
    asked = []
    simulate = sys.modules["cortexmg.simulate"]  # the package has a function of that name
    monkeypatch.setattr(simulate, "check_memory", lambda *_, **how: asked.append(how))
    leaks = {"populations/cells/channels/leak/g": np.linspace(5.0, 10.0, 3)}
    for count in (1, 2):
        cx.sweep(network, leaks, 1.0, DT, devices=count)
    assert [how["members"] for how in asked] == [3, 4]
    assert all(how.get("copies", 1) == 1 for how in asked)
    monkeypatch.setattr(simulate, "platform_of", lambda mesh: "gpu")
    cx.sweep(network, leaks, 1.0, DT, devices=2)
    assert asked[-1]["copies"] == 2


def test_procedural_wiring_is_planned_without_memory_per_contact():
    few, many = (
        memory.needed(
            outline.outline(partial(models.balanced, contacts=k, procedural=True), 10**6),
            {}, DT, 1,
        )["wiring"]
        for k in (100, 1000)
    )  # fmt: skip
    assert few == many < 1000


def test_members_of_a_sweep_share_the_wiring_only():
    network = outline.shapes(models.cobahh(1000))
    one, ten = (memory.needed(network, {}, DT, 100, members=m) for m in (1, 10))
    assert ten["wiring"] == one["wiring"]
    assert ten["spikes and inputs underway"] == 10 * one["spikes and inputs underway"]


@pytest.mark.slow
def test_what_is_said_to_be_needed_is_what_the_compiled_program_takes():
    network = models.cortex(2000)
    f = plan.forecast(outline.shapes(network), {}, DT, 10.0, device_named("cpu"))
    estimated = memory.needed(outline.shapes(network), {}, DT, 100)["temporaries of a step"]
    assert estimated == pytest.approx(f.memory["temporaries of a step"], rel=0.3)


# ---- reading programs ---------------------------------------------------------------------------


def test_every_device_is_published_and_plausible():
    for d in DEVICES.values():
        assert 1e10 < d.memory < 1e12 and 1e11 < d.bandwidth < 1e13 and d.source
    here = device_named("cpu")
    assert 1e8 < here.bandwidth < 1e12 and here.memory > 1e8
    assert np.isfinite(here.memory)
