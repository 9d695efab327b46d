"""The same network on any number of devices: the same spikes, states and recordings."""

import importlib
import os
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

import cortexmg as cx
from cortexmg import cells, devices, division, models, recorders, stimuli, synapses, wiring
from cortexmg.distributions import LogNormal, Uniform
from cortexmg.membrane import Current
from cortexmg.releases import TsodyksMarkram
from cortexmg.rows import in_rows, some_of

DT = 0.1
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
simulate_file = importlib.import_module("cortexmg.simulate")
pytestmark = pytest.mark.usefixtures("single_precision")


def every_kind(n_e, n_i):
    """Noise of each kind, delays that differ, depression, numbers that differ between cells."""
    receptors = {"ampa": synapses.AMPA(), "nmda": synapses.NMDA(), "gaba_a": synapses.GABAA()}
    rng = np.random.default_rng(1)
    threshold = rng.normal(-50.0, 1.0, n_e).astype(np.float32)
    rule = cx.Reset(threshold=threshold)
    each = {"gaba_a": synapses.GABAA(e=rng.normal(-70.0, 2.0, n_e))}  # else it is None
    e = cells.leaky_integrate_and_fire(n_e, receptors | each)
    e = cx.Population(n_e, e.capacitance, e.channels, e.receptors, rule, v0=e.v0)
    k = min(20, n_e - 1)
    excite = wiring.fixed_in_degree(
        n_e, n_i, k, LogNormal(1.0, 0.5), Uniform(0.5, 2.0), key=1, multiple=True
    )
    again = wiring.fixed_in_degree(n_e, n_e, k, LogNormal(0.2, 0.1), 1.5, key=2, multiple=True)
    inhibit = wiring.fixed_in_degree(n_i, n_e, 5, 2.0, Uniform(0.3, 1.0), key=3, multiple=True)
    return cx.Network(
        cx.acsf(),
        {"E": e, "I": cells.fast_spiking(n_i, receptors)},
        {
            "E to I": cx.Projection("E", "I", "glutamate", excite),
            "E to E": cx.Projection("E", "E", "glutamate", again, TsodyksMarkram()),
            "I to E": cx.Projection("I", "E", "gaba", inhibit),
        },
        {
            "poisson": stimuli.Poisson("E", "ampa", 2000.0, np.linspace(1.0, 2.0, n_e)),
            "current": stimuli.OrnsteinUhlenbeckCurrent("I", 400.0, 200.0),
            "conductance": stimuli.OrnsteinUhlenbeckConductance("E", 3.0),
            "ramp": stimuli.Ramp("E", np.linspace(0.0, 50.0, n_e), np.linspace(50.0, 0.0, n_e)),
            "course": stimuli.TimeCourse(
                stimuli.StepCurrent("I", 0.0), "amplitude", rng.normal(0.0, 50.0, (9, n_i)), 1.0
            ),
            "kick": stimuli.SpikeInput(
                "E", "ampa", np.array([1.0, 2.0, 2.0]), np.array([0, n_e - 1, n_e // 2]), 30.0
            ),
        },
    )


def record(name):
    """A recorder of every kind."""
    return {
        "spikes": recorders.Spikes(name),
        "count": recorders.SpikeCount(name, every=5.0),
        "rate": recorders.PopulationRate(name, every=5.0),
        "some": recorders.Probe(name, cells=[0, 2]),
        "all": recorders.Probe(name, "receptors/nmda/binding/decay", every=5.0),
        "conductance": recorders.Conductance(name, "nmda"),
        "conductances": recorders.Conductance(name, "nmda", cells=[0, 2]),
        "field": recorders.FieldPotential(name),
    }


@pytest.fixture(scope="module")
def network():
    return every_kind(700, 300)


class MeanVoltage(recorders.Recorder):
    """Of the cells on a device, or of all."""

    population: str = eqx.field(static=True)
    every: float | None = eqx.field(static=True, default=1.0)
    all: bool = eqx.field(static=True, default=True)

    def read(self, acc, network, state, steps):
        v = state.populations[self.population].v
        return jnp.mean(recorders.of_all_cells(network, self.population, v) if self.all else v)


class Common(stimuli.Stimulus):
    """A current with one state for all cells."""

    target: str = eqx.field(static=True)

    def init(self, n, key):
        return jnp.zeros(())

    def step(self, state, at):
        return state + 1.0, Current(state)


def test_what_depends_on_the_number_of_devices_is_refused():
    v0 = np.linspace(-80.0, -55.0, 300)
    quiet = cx.Network(cx.acsf(), {"c": cells.leaky_integrate_and_fire(300, v0=v0)})
    one, two = (
        cx.simulate(quiet, 1.0, DT, record={"v": MeanVoltage("c")}, devices=n)["v"].values
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match=r"'v' \(MeanVoltage\) saved different numbers on 2"):
        cx.simulate(quiet, 1.0, DT, record={"v": MeanVoltage("c", all=False)}, devices=2)
    common = cx.Network(quiet.environment, quiet.populations, stimuli={"common": Common("c")})
    with pytest.raises(ValueError, match=r"shape \(\) of a population of 300.* devices=1"):
        cx.simulate(common, 1.0, DT, devices=2)


@pytest.mark.parametrize(
    "sizes, counts",
    [pytest.param((700, 300), (2, 8), marks=pytest.mark.slow), ((5, 3), (8,))],
    ids=str,
)
def test_any_number_of_devices_gives_the_same_bits(sizes, counts, same_bits):
    network = every_kind(*sizes)
    recorded = record("E") | {"spikes of I": recorders.Spikes("I")}
    one = cx.simulate(network, 50.0, DT, record=recorded, devices=1, key=3)
    assert one["spikes"].times.size > 0
    for count in counts:
        many = cx.simulate(network, 50.0, DT, record=recorded, devices=count, key=3)
        same_bits(one.recordings, many.recordings)
        same_bits(one.state, many.state)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_devices(network, same_bits):
    whole = cx.simulate(network, 40.0, DT, devices=1)
    first = cx.simulate(network, 20.0, DT, devices=4)
    second = cx.simulate(network, 20.0, DT, state=first.state, devices=2)
    same_bits(second.state, whole.state)


@pytest.mark.slow
def test_ten_thousand_steps_of_a_noisy_network_keep_the_same_bits(same_bits):
    network = every_kind(1500, 400)
    runs = [
        cx.simulate(network, 1000.0, DT, record=record("E"), devices=count)
        for count in (1, 2, 4, 8)
    ]
    assert runs[0]["spikes"].times.size > 10_000
    for other in runs[1:]:
        same_bits(runs[0].recordings, other.recordings)
        same_bits(runs[0].state, other.state)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cortex", "cobahh", "ei_nmda"])
def test_models_give_the_same_bits(name, same_bits):
    network = getattr(models, name)(1300)
    one, two = (
        cx.simulate(network, 30.0, DT if name != "cortex" else 0.05, devices=d) for d in (1, 2)
    )
    same_bits(one.state, two.state)


@pytest.mark.parametrize("members", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_sweep_over_devices_gives_the_same_bits(few_cells, same_bits, members):
    mg = {"environment/ions/mg/outside": np.linspace(0.1, 2.0, members)}
    runs = {
        count: cx.sweep(few_cells, mg, 20.0, DT, record={"E": recorders.Spikes("E")}, devices=count)
        for count in (1, 2)
    }
    assert len(runs[2]) == members
    for one, two in zip(runs[1], runs[2], strict=True):
        same_bits(one.recordings, two.recordings)
        same_bits(one.state, two.state)


@pytest.mark.slow
def test_a_gradient_run_on_several_devices_is_close(network):
    one, two = (cx.simulate(network, 10.0, DT, gradients=True, devices=d) for d in (1, 2))
    v = [np.asarray(x.state.populations["I"].v) for x in (one, two)]
    np.testing.assert_allclose(*v, rtol=1e-4)


def test_whole_numbers_may_be_larger_than_integers(
    single_precision, same_bits, without_type_checks
):
    population = cells.leaky_integrate_and_fire(40)
    drive = stimuli.StepCurrent("cells", 400, 0, 3 * 10**9)
    network = cx.Network(cx.acsf(), {"cells": population}, stimuli={"drive": drive})
    record = {"n": recorders.SpikeCount("cells", every=20.0)}
    one, two = (cx.simulate(network, 40.0, DT, record=record, devices=d) for d in (1, 2))
    assert one["n"].values.sum() > 0
    same_bits(one["n"], two["n"])


@pytest.mark.parametrize("n", [33, pytest.param(100, marks=pytest.mark.slow)])
def test_cells_that_fill_up_a_part_are_not_counted(n):
    """A list of one device is divided into one part, which is filled up too."""
    drive = stimuli.StepCurrent("cells", 400.0)
    population = {"cells": cells.leaky_integrate_and_fire(n)}
    network = cx.Network(cx.acsf(), population, stimuli={"drive": drive})
    record = {"rate": recorders.PopulationRate("cells", every=20.0)}
    rates = [
        cx.simulate(network, 40.0, DT, record=record, devices=d)["rate"].values
        for d in (1, jax.devices()[:1], 2)
    ]
    assert rates[0].max() > 0.0
    np.testing.assert_array_equal(rates[1], rates[0])
    np.testing.assert_array_equal(rates[2], rates[0])


def test_cells_that_fill_up_a_part_stop_no_run(single_precision):
    """One cell on two devices, of which another, drawn at random, would stop being finite."""
    hits = {k: stimuli.Poisson("cells", "ampa", 0.5, 3e38) for k in ("a", "b")}
    receptors = {"ampa": synapses.AMPA()}
    lone = {"cells": cells.leaky_integrate_and_fire(1, receptors)}
    network = cx.Network(cx.acsf(), lone, stimuli=hits)
    runs = [cx.simulate(network, 20.0, DT, devices=d) for d in (1, 2)]
    assert all(run.complete for run in runs)


def test_devices_are_chosen_by_number_list_and_mesh(few_cells):
    chosen = jax.devices()[2:4]
    for choice in (2, chosen, Mesh(np.array(chosen), ("anything",))):
        mesh = devices.mesh_of(choice, 1)
        assert mesh.size == 2
    assert list(devices.mesh_of(chosen, 1).devices.flat) == chosen
    assert devices.mesh_of(np.int64(2), 1).size == 2
    # As few as give the runs the same time: 17 runs of which 8 take turns in 3 rounds.
    sizes = {runs: devices.mesh_of(None, runs).size for runs in (3, 8, 9, 17, 10**6)}
    assert devices.mesh_of(None, 1) is None and sizes == {3: 3, 8: 8, 9: 5, 17: 6, 10**6: 8}
    run = cx.simulate(few_cells, 5.0, DT, devices=chosen)
    assert run.complete


@pytest.mark.parametrize(
    "choice, error, message",
    [
        (9, ValueError, "between 1 and 8, .* cpu devices .*, got 9.*JAX_NUM_CPU_DEVICES=9"),
        # Nothing to ask of JAX.
        (0, ValueError, "between 1 and 8, the number of cpu devices of JAX, got 0[.]$"),
        (-1, ValueError, "got -1[.]$"),
        (True, TypeError, "a number, a list of different devices or a Mesh .*, got True"),
        (2.0, TypeError, "a number, a list of different devices or a Mesh .*, got 2.0"),
        (["cpu"], TypeError, "a number, a list of different devices or a Mesh"),
        (jax.devices()[:1] * 2, TypeError, "a list of different devices"),
        (
            Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("a", "b")),
            TypeError,
            "a Mesh with one axis",
        ),
    ],
)
def test_devices_that_do_not_exist_are_refused(few_cells, choice, error, message):
    with pytest.raises(error, match=message):
        cx.simulate(few_cells, 1.0, DT, devices=choice)


def test_only_a_cpu_is_told_how_to_have_more_devices(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(platform="gpu")] * 2)
    with pytest.raises(ValueError, match="between 1 and 2, the number of gpu .*, got 3[.]$"):
        devices.mesh_of(3, 1)


@pytest.mark.parametrize("n, parts", [(2**16, 17), (50_000, 96)])
def test_there_may_be_so_many_parts_that_the_last_are_empty(n, parts):
    """Of targets that two bytes hold, though what would be past the last does not."""
    c = wiring.one_to_one(n, 1.0, 1.0)
    network = cx.Network(
        cx.acsf(),
        {"a": cells.leaky_integrate_and_fire(n, {"ampa": synapses.AMPA()})},
        {"a to a": cx.Projection("a", "a", "glutamate", c)},
    )
    mine = (
        division.stacked_networks(network, parts, range(parts)).projections["a to a"].connectivity
    )
    counts = [starts[-1] for starts in mine.starts]
    assert sum(counts) == n and counts[-1] == 0
    found = [k * mine.n_post + mine.targets[k][: counts[k]].astype(int) for k in range(parts)]
    np.testing.assert_array_equal(np.concatenate(found), np.arange(n))


@pytest.mark.parametrize("lengths", [[3, 0, 2, 0, 0], [0, 0], [0, 4], [5]])
def test_contacts_are_counted_by_row(lengths):
    starts, n = np.concatenate([[0], np.cumsum(lengths)]), sum(lengths)
    some = np.arange(n) % 3 != 0
    rows = np.repeat(np.arange(len(lengths)), lengths)
    expected = np.bincount(rows[some], minlength=len(lengths))
    np.testing.assert_array_equal(in_rows(some, starts), expected)
    found = some_of(np.arange(n, dtype=np.uint16), some, n + 2, 7)
    np.testing.assert_array_equal(found, [*np.flatnonzero(some), *[7] * (n + 2 - some.sum())])


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_parts_have_all_contacts_between_them(parts):
    c = every_kind(700, 300).projections["E to I"].connectivity
    whole = division.stacked_networks(every_kind(700, 300), parts, range(parts))
    mine = whole.projections["E to I"].connectivity
    m, total = mine.n_post, np.zeros((700, 300))
    assert m % 256 == 0 and parts * m >= 300
    for k in range(parts):
        pieces = np.repeat(np.arange(700), np.diff(mine.starts[k]))
        count = mine.starts[k][-1]
        np.add.at(total, (pieces, k * m + mine.targets[k][:count]), mine.weights[k][:count])
    np.testing.assert_allclose(total, c.dense(), rtol=1e-6)


USES = """
import os, jax, cortexmg as cx
from cortexmg import cells
network = cx.Network(cx.acsf(), {"a": cells.leaky_integrate_and_fire(%d)})
cx.simulate(network, 1.0, 0.1)
print(len(jax.devices()), os.environ.get('XLA_FLAGS'))
"""


def test_there_is_a_device_for_each_core_unless_the_user_has_said_otherwise(in_a_fresh_process):
    assert in_a_fresh_process(USES % 10).split() == [str(CORES), "None"]
    flag = "--xla_force_host_platform_device_count=3"
    assert in_a_fresh_process(USES % 10, XLA_FLAGS=flag).split() == ["3", flag]


BUILT = """
import jax, cortexmg as cx
from cortexmg import models
models.{}
print(len(jax.devices()))
"""


@pytest.mark.parametrize(
    "model",
    [
        "cortex_slice(20, ions=True)",
        *(pytest.param(x, marks=pytest.mark.slow) for x in ("up_down(20)", "hubel_dahlem(2)")),
    ],
)
def test_a_network_whose_building_computes_leaves_a_device_for_each_core(model, in_a_fresh_process):
    assert in_a_fresh_process(BUILT.format(model)).split() == [str(CORES)]


DIVIDED = """
import importlib, warnings
import jax, numpy as np, cortexmg as cx
from cortexmg import devices, models, recorders
file = importlib.import_module("cortexmg.simulate")
if {late}:
    jax.devices()
ran, divided = [], file.ManyDevices
file.ManyDevices = lambda *given: ran.append(given[-1].size) or divided(*given)
record = {{"spikes": recorders.SpikeCount("cells", every=1.0)}}
for cells, work in {given}:
    network, devices.WORK = models.cobahh(cells), work
    with warnings.catch_warnings(record=True) as caught:
        runs = [cx.simulate(network, 20.0, 0.1, record=record, devices=d) for d in (None, 1)]
    print(ran, sum("JAX_NUM_CPU_DEVICES" in str(w.message) for w in caught), sep=";", end=";")
    same = [(a == b).all() for a, b in zip(*(jax.tree.leaves(r.state.populations) for r in runs))]
    one, two = (r["spikes"].values for r in runs)
    print(all(same) and (one == two).all() and one.sum() > 1000)
    ran.clear()
"""


@pytest.mark.parametrize(
    "late, given, expected",
    [
        (
            False,
            [(50_000, 10**7), (50_000, 10**7 + 1), (49_000, 1)],
            ["[2];0;True", "[];0;True", "[];0;True"],
        ),
        pytest.param(
            *(True, [(50_000, 10**7)], ["[];1;True"]),
            marks=pytest.mark.skipif(CORES < 2, reason="one device is right"),
        ),
    ],
    ids=["in time", "late"],
)
def test_a_long_run_of_many_cells_is_divided_among_the_cores(
    late, given, expected, in_a_fresh_process
):
    """Unless JAX runs already, which is told; the result is the same."""
    program = DIVIDED.format(late=late, given=given)
    cores = {} if late else {"JAX_NUM_CPU_DEVICES": "4"}
    assert in_a_fresh_process(program, **cores).splitlines() == expected


def test_where_memory_is_too_small_for_parts_a_run_is_not_divided(few_cells, monkeypatch):
    """By default; what the user asks for is refused."""
    monkeypatch.setattr(devices, "WORK", 1)
    monkeypatch.setattr(devices, "SHARE", 4)
    tried = []

    def check(*given, copies=1, **how):
        tried.append(copies)
        if copies > 1:
            raise MemoryError("too large")

    monkeypatch.setattr(simulate_file, "check_memory", check)
    assert cx.simulate(few_cells, 5.0, DT).complete
    assert len(tried) == 2 and tried[0] > tried[1] == 1
    with pytest.raises(MemoryError, match="too large"):
        cx.simulate(few_cells, 5.0, DT, devices=2)


@pytest.mark.slow
def test_flags_in_a_file_and_a_number_of_devices_are_kept_too(tmp_path, in_a_fresh_process):
    (tmp_path / "flags").write_text("--xla_force_host_platform_device_count=3")
    file = str(tmp_path / "flags")
    assert in_a_fresh_process(USES % 10, XLA_FLAGS=file).split() == ["3", file]
    assert in_a_fresh_process(USES % 10, JAX_NUM_CPU_DEVICES="5").split() == ["5", "None"]


LATE = """
import os, warnings, jax, cortexmg as cx
from cortexmg import cells
key = jax.random.split(jax.random.key(1), 3)  # starts JAX
network = cx.Network(cx.acsf(), {"a": cells.leaky_integrate_and_fire(10)})
with warnings.catch_warnings(record=True) as caught:
    cx.simulate(network, 1.0, 0.1)
    print(len(caught), len(jax.devices()), os.environ.get("XLA_FLAGS"))
    cx.sweep(network, {}, 1.0, 0.1, key=key)
    print(len(caught), "JAX_NUM_CPU_DEVICES=" in str(caught[-1].message) if caught else "")
"""


@pytest.mark.skipif(CORES < 2, reason="one device is right")
def test_a_sweep_says_that_it_cannot_use_every_core_where_jax_was_started_before(
    in_a_fresh_process,
):
    assert in_a_fresh_process(LATE).splitlines() == ["0 1 None", "1 True"]
    asked = in_a_fresh_process(LATE, JAX_NUM_CPU_DEVICES="1").split()
    assert asked == ["0", "1", "None", "0"]


CUTS = """
import jax, jax.numpy as jnp
from cortexmg.starting import compiler_options, start
start()
x = jnp.ones(10**6)
for options in (None, compiler_options("cpu"), compiler_options("cpu", long=True)):
    f = jax.jit(lambda x: jnp.exp(x) / (1.0 + jnp.exp(-x * x)), compiler_options=options)
    print("outer_dimension_partitions" in f.lower(x).compile().as_text())
"""


@pytest.mark.skipif(CORES < 2, reason="XLA cuts for the cores there are")
def test_only_long_kernels_are_cut_into_parts_unless_the_user_has_said_otherwise(
    in_a_fresh_process,
):
    assert in_a_fresh_process(CUTS, NPROC="2").split() == ["False", "False", "True"]
    flags = "--xla_disable_hlo_passes=algsimp"
    assert in_a_fresh_process(CUTS, NPROC="2", XLA_FLAGS=flags).split() == ["True", "True", "True"]


@pytest.mark.slow
@pytest.mark.skipif(CORES < 2, reason="XLA cuts for the cores there are")
def test_what_the_user_says_in_a_file_decides_how_kernels_are_cut(tmp_path, in_a_fresh_process):
    (tmp_path / "flags").write_text("--xla_disable_hlo_passes=algsimp")
    told = in_a_fresh_process(CUTS, NPROC="2", XLA_FLAGS=str(tmp_path / "flags")).split()
    assert told == ["True", "True", "True"]


FLAGS = """
import os, jax
from cortexmg.starting import compiler_options, start
jax.devices = lambda: print(os.environ["XLA_FLAGS"])
start()
print(compiler_options("cpu"))
"""


def test_vectors_are_as_wide_as_there_are_unless_the_user_has_said_otherwise(in_a_fresh_process):
    name = "xla_cpu_prefer_vector_width"
    flags, options = in_a_fresh_process(FLAGS).splitlines()
    assert f"--{name}=512" in flags and f"'{name}': 512" in options
    flags, options = in_a_fresh_process(FLAGS, XLA_FLAGS=f"--{name}=256").splitlines()
    assert flags.count(name) == 1 and f"--{name}=256" in flags and name not in options


THREADS = """
import hashlib, jax, numpy as np, cortexmg as cx
from cortexmg import models, programs, recorders
record = {"spikes": recorders.SpikeCount("cells", every=1.0)}
for long in (100_000, 1):
    programs.LONG = long
    run = cx.simulate(models.cobahh(20_000), 50.0, 0.1, record=record)
    bits = [np.asarray(x).tobytes() for x in jax.tree.leaves(run.state.populations)]
    print(hashlib.sha256(b"".join(bits)).hexdigest(), int(np.sum(run["spikes"].values)))
print(programs.compiled.cache_info().currsize)
"""


def test_threads_that_share_kernels_change_no_bit(in_a_fresh_process):
    alone, count, shared, again, ways = in_a_fresh_process(THREADS, NPROC="2").split()
    assert alone == shared and count == again and int(count) > 10_000
    assert ways == "2"  # compiled
