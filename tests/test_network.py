"""Networks: exact arrival of spikes; independence of order; what imports may and may not do."""

import ast
import functools
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, models, recorders, stimuli, synapses, waiting, wiring
from cortexmg.distributions import LogNormal
from cortexmg.part import Part
from cortexmg.releases import TsodyksMarkram

PACKAGE = Path(cx.__file__).parent
DT = 0.1


def passive(n, receptors):
    """Cells that never fire."""
    return cells.leaky_integrate_and_fire(n, receptors, threshold=1e6)


# ---- delivery -----------------------------------------------------------------------------------


def arrivals(delays_steps, kicks, duration, weights=None):
    """Steps in which one cell fires, and what arrives at its targets: [steps, targets].

    The cell is kicked by a short, strong current at `kicks` (ms). Target k hears it after
    `delays_steps[k]` steps, counted from the end of the step in which the cell fires: that is the
    time that the spike carries.
    """
    k = len(delays_steps)
    receptor = synapses.Exponential(5.0)
    contacts = wiring.from_arrays(
        np.zeros(k, int), np.arange(k), np.ones(k) if weights is None else weights,
        np.asarray(delays_steps) * DT, 1, k,
    )  # fmt: skip
    network = cx.Network(
        cx.acsf(),
        {
            "pre": cells.leaky_integrate_and_fire(1, refractory=0.0),
            "post": passive(k, {"ampa": receptor}),
        },
        {"contacts": cx.Projection("pre", "post", "glutamate", contacts)},
        {f"kick {t}": stimuli.StepCurrent("pre", 1e5, float(t), float(t) + DT) for t in kicks},
    )
    record = {
        "fired": recorders.SpikeCount("pre", every=None),
        "g": recorders.Probe("post", "receptors/ampa", every=None),
    }
    run = cx.simulate(network, duration, dt=DT, record=record)
    g = run["g"].values
    before = np.concatenate([np.zeros((1, k)), g[:-1]])
    landed = (g - before * np.exp(-DT / 5.0)) / np.exp(-DT / 2 / 5.0)
    return np.flatnonzero(run["fired"].values[:, 0]), np.where(np.abs(landed) < 1e-9, 0, landed)


def test_a_spike_arrives_after_exactly_its_delay_and_the_ring_wraps():
    delays = np.arange(1, 41)
    kicks = [1.0, 3.3, 7.8, 7.9, 19.0]  # the last after the ring has gone round four times
    fired, landed = arrivals(delays, kicks, 25.0)
    np.testing.assert_array_equal(fired, np.round(np.asarray(kicks) / DT))
    want = np.zeros_like(landed)
    for step in fired:
        want[step + 1 + delays, np.arange(40)] += 1.0
    np.testing.assert_allclose(landed, want, atol=1e-9)


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_the_shortest_rings_lose_and_repeat_nothing(slots):
    kicks = [1.0, 1.1, 1.2, 2.0]
    fired, landed = arrivals([slots] * 2, kicks, 4.0, weights=[0.5, 2.0])
    want = np.zeros_like(landed)
    want[fired + 1 + slots] = [0.5, 2.0]
    np.testing.assert_allclose(landed, want, atol=1e-9)


def test_a_delay_between_two_steps_is_rounded():
    network_delays = [1.4, 1.6, 1.0, 2.9]
    fired, landed = arrivals(network_delays, [1.0], 3.0)
    steps = [np.flatnonzero(landed[:, k]) - (fired + 1) for k in range(4)]
    np.testing.assert_array_equal(np.ravel(steps), [1, 2, 1, 3])


@pytest.mark.parametrize("others", [[], [0.15, 0.95]], ids=["alone", "with others"])
def test_a_delay_half_way_between_two_steps_goes_down(others, precision):
    del precision  # 0.35 / 0.1 is below three and a half in double, and not in single
    pre, post = np.zeros(1 + len(others), int), np.arange(1 + len(others))
    c = wiring.from_arrays(pre, post, 1.0, np.array([0.35, *others], np.float32), 1, post.size)
    p = cx.Projection("a", "b", "glutamate", c)
    first = int(np.asarray(waiting.delays_left(p, 0.1))[0])
    assert waiting.wait(p, 0.1) + first == 3


@pytest.mark.parametrize(
    "n",
    [
        pytest.param(1, marks=pytest.mark.slow),
        pytest.param(31, marks=pytest.mark.slow),
        32,
        33,
        1000,
    ],
)
def test_all_cells_firing_at_once_lose_nothing(n):
    k = min(n, 80)
    contacts = wiring.fixed_out_degree(n, 50, k, LogNormal(1.0, 1.0), 0.5, key=n)
    network = cx.Network(
        cx.acsf(),
        {
            "pre": cells.leaky_integrate_and_fire(n, refractory=0.0),
            "post": passive(50, {"ampa": synapses.Exponential(5.0)}),
        },
        {"contacts": cx.Projection("pre", "post", "glutamate", contacts)},
        {"kick": stimuli.StepCurrent("pre", 1e5, 1.0, 1.3)},  # in three successive steps
    )
    record = {
        "rate": recorders.PopulationRate("pre", every=None),
        "g": recorders.Probe("post", "receptors/ampa", every=None),
    }
    run = cx.simulate(network, 2.0, dt=DT, record=record)
    np.testing.assert_array_equal(np.flatnonzero(run["rate"].values), [10, 11, 12])
    np.testing.assert_allclose(run["rate"].values[10:13], 1e3 / DT)  # every cell, in every step
    once = contacts.dense().sum(0) * np.exp(-DT / 2 / 5.0)
    np.testing.assert_allclose(run["g"].values[16], once, rtol=1e-12)
    decay = np.exp(-DT / 5.0)
    np.testing.assert_allclose(run["g"].values[18], once * (1 + decay + decay**2), rtol=1e-12)


def test_projections_onto_one_transmitter_add_up_and_strength_multiplies():
    contacts = wiring.one_to_one(3, 1.0, 0.5)
    network = cx.Network(
        cx.acsf(),
        {
            "pre": cells.leaky_integrate_and_fire(3),
            "post": passive(3, {"a": synapses.Exponential(5.0), "b": synapses.Exponential(9.0)}),
        },
        {
            "one": cx.Projection("pre", "post", "glutamate", contacts),
            "two": cx.Projection("pre", "post", "glutamate", contacts, strength=2.5),
        },
        {"kick": stimuli.StepCurrent("pre", 1e5, 1.0, 1.0 + DT)},
    )
    record = {name: recorders.Probe("post", f"receptors/{name}", every=None) for name in ("a", "b")}
    run = cx.simulate(network, 2.0, dt=DT, record=record)
    for name, tau in (("a", 5.0), ("b", 9.0)):
        np.testing.assert_allclose(run[name].values[16], 3.5 * np.exp(-DT / 2 / tau), rtol=1e-12)
        assert not run[name].values[15].any()


# ---- order and size -----------------------------------------------------------------------------


def turned_around(part):
    """The same with every dict, however deep, in the opposite order."""
    if isinstance(part, dict):
        return {name: turned_around(x) for name, x in reversed(part.items())}
    if not isinstance(part, Part):
        return part
    inside = {f.name: getattr(part, f.name) for f in fields(part)}
    changed = {k: turned_around(x) for k, x in inside.items() if isinstance(x, dict | Part)}
    return replace(part, **changed) if changed else part


def orders(part, inside=""):
    """The names in every dict below, by path."""
    if isinstance(part, dict):
        yield inside, list(part)
    members = part if isinstance(part, dict) else {}
    if isinstance(part, Part):
        members = {f.name: getattr(part, f.name) for f in fields(part)}
    for name, member in members.items():
        yield from orders(member, f"{inside}/{name}")


def test_the_order_of_mechanisms_does_not_matter(same_bits):
    """Of populations, channels, receptors, pools, factors and ions: a slice has them all."""
    network = models.cortex_slice(20, ions=True, mg=0.3)
    other = turned_around(network)
    there, turned = dict(orders(network)), dict(orders(other))
    assert there.keys() == turned.keys() and sum(len(names) > 1 for names in there.values()) > 8
    assert all(names == turned[path][::-1] for path, names in there.items())
    # JAX sorts names on the way into a compiled program.
    same_bits(*(cx.simulate(x, 0.5, 0.05).state for x in (network, other)))


@pytest.mark.slow
def test_the_order_of_names_does_not_matter(few_cells, same_bits):
    contacts = few_cells.projections["contacts"].connectivity
    network = cx.Network(
        few_cells.environment,
        {**few_cells.populations, "A": few_cells.populations["E"]},
        {
            "a": few_cells.projections["contacts"],
            "b": cx.Projection("A", "E", "glutamate", contacts, TsodyksMarkram()),
        },
        {**few_cells.stimuli, "also": stimuli.OrnsteinUhlenbeckCurrent("A", 200.0)},
    )
    other = turned_around(network)
    assert list(other.populations) == ["A", "E"]
    record = {name: recorders.Spikes(name) for name in ("E", "A")}
    a, b = (cx.simulate(x, 40.0, dt=DT, record=record) for x in (network, other))
    assert a["E"].times.size > 10 and a["A"].times.size > 2
    same_bits(a.recordings, b.recordings)
    same_bits(a.state, b.state)


def test_a_member_keeps_its_noise_when_others_join(few_cells):
    crowd = cx.Network(
        few_cells.environment,
        {**few_cells.populations, "A": cells.leaky_integrate_and_fire(3)},
        few_cells.projections,
        {**few_cells.stimuli, "also": stimuli.OrnsteinUhlenbeckCurrent("A")},
    )
    record = {"E": recorders.Spikes("E")}
    alone, together = (cx.simulate(x, 50.0, dt=DT, record=record) for x in (few_cells, crowd))
    assert alone["E"].times.size > 10
    np.testing.assert_array_equal(alone["E"].times, together["E"].times)
    np.testing.assert_array_equal(alone["E"].ids, together["E"].ids)


@pytest.mark.parametrize("contacts", [0, 1])
def test_one_cell_with_and_without_a_contact_onto_itself_runs(contacts):
    ends = np.zeros(contacts, int)
    network = cx.Network(
        cx.acsf(),
        {"E": cells.leaky_integrate_and_fire(1, {"ampa": synapses.AMPA()})},
        {"self": cx.Projection(
            "E", "E", "glutamate", wiring.from_arrays(ends, ends, 1.0, 0.5, 1, 1)
        )},
        {"drive": stimuli.StepCurrent("E", 250.0)},
    )  # fmt: skip
    record = {"E": recorders.Spikes("E"), "g": recorders.Conductance("E", "ampa")}
    run = cx.simulate(network, 100.0, dt=DT, record=record)
    assert 1 < run["E"].times.size < 10
    assert (run["g"].values.bound.max() > 0.1) == bool(contacts)


def test_cells_without_receptors_projections_and_stimuli_stay_at_rest():
    network = cx.Network(cx.acsf(), {"E": cells.leaky_integrate_and_fire(2)})
    run = cx.simulate(network, 100.0, dt=DT)
    np.testing.assert_allclose(run.state.populations["E"].v, -70.0)


# ---- structure ----------------------------------------------------------------------------------

# From the bottom to the top; a module imports from lower rows only, and within a family from the
# family itself. A package stands for all its modules.
LAYERS = [
    {"units", "part", "derivatives", "hardware"},
    {"numerics", "clock", "starting"},
    {
        "environment",
        "evidence",
        "membrane",
        "distributions",
        "sheet",
        "spike_trains",
        "selfcheck",
        "progress",
    },
    {"factors", "surface", "permeation"},
    {"compaction", "rows", "slots", "noise", "magnesium", "parameters", "spiking", "statistics"},
    {"connectivity", "procedural", "quantal", "form", "split"},
    {"channels", "synapses", "releases", "stimuli", "pools", "wiring", "contraction", "tissues"},
    {"population", "projection", "rounds"},
    {"events", "consistency"},
    {"waiting", "exact_sums", "shadows", "together"},
    {"transmission", "surroundings"},
    {"queue"},
    {"cells", "network"},
    {"devices", "processes"},
    {"recorders", "models", "drawing", "division", "states", "tangents"},
    {"measures", "kernels", "choice", "cache"},
    {"frames", "results", "plots"},
    {"programs"},
    {"outline", "members"},
    {"memory"},
    {"hostloop"},
    {"plan"},
    {"traced"},
    {"simulate", "bounds"},
    {"recipe", "priors"},
    {"protocol"},
    {"targets", "estimators"},
    {"aim", "gauss_newton"},
    {"course", "doubts"},
    {"fitted", "fit_checks"},
    {"fitter"},
    {"fit"},
    {"sensitivity", "fit_config"},
    {"fit_plots"},
    {"fit_command"},
    {"ladder", "bench", "episodes"},
    {"plan_command", "bench_command"},
    {"cli"},
    {"__main__"},
    {"__init__"},
]


@functools.cache
def modules():
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@functools.cache
def imported_modules(path):
    """The modules of this package that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "cortexmg":
            names |= {f"cortexmg.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module)
    return {name.removeprefix("cortexmg.") for name in names if name.startswith("cortexmg.")}


def test_every_module_has_one_layer():
    tops = [name.split(".")[0] for name in modules()]
    listed = [name for layer in LAYERS for name in layer]
    assert sorted(set(tops)) == sorted(listed)


@pytest.mark.parametrize("module", modules())
def test_imports_point_downwards(module):
    level = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    top = module.split(".")[0]
    for name in imported_modules(modules()[module]):
        below = name.split(".")[0]
        assert below == top or level[below] < level[top], f"{module} imports {name}"


def test_no_module_imports_itself_through_others():
    graph = {}
    for module, path in modules().items():
        package = module.removesuffix(".__init__")
        inside = {
            name if name in modules() else f"{name}.__init__" for name in imported_modules(path)
        }
        graph[module] = {
            name for name in inside if name in modules() and name != f"{package}.__init__"
        }
    done: set[str] = set()
    while len(done) < len(graph):
        free = {m for m, needs in graph.items() if m not in done and needs <= done}
        assert free, f"a cycle among {sorted(set(graph) - done)}"
        done |= free


# ---- hygiene ------------------------------------------------------------------------------------


UNTOUCHED = """
import logging, os, random, signal, sys, threading, warnings
import jax, numpy
import equinox, jaxtyping, scipy.sparse  # which answer for themselves
def world():
    return {
        "configuration": dict(jax.config.values),
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
        "logging": (logging.root.level, list(logging.root.handlers)),
        "random": (random.getstate(), str(numpy.random.get_state())),
        "signals": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "threads": threading.active_count(),
        "hooks": (sys.excepthook, sys.displayhook, list(sys.path)),
        "errors": numpy.geterr(),
    }
before = world()
import cortexmg
after = world()
for name in before:
    assert before[name] == after[name], name
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized(), "a device was started"
for name in ("matplotlib", "typer", "rich", "IPython"):
    assert name not in sys.modules, name
"""


def test_importing_changes_nothing_and_starts_no_device(in_a_fresh_process):
    in_a_fresh_process(UNTOUCHED)


def test_importing_takes_less_time_than_jax_does(tmp_path, in_a_fresh_process):
    """In seconds of the processor, of which a busy machine takes more for both."""
    # With its bytecode, which an installed package has, wherever tests do without it.
    kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    program = (
        "import time; now = time.process_time; a = now(); import jax; b = now(); import cortexmg; "
        "print((now() - b) / (b - a))"
    )
    in_a_fresh_process(program, **kept)  # writes it
    assert any(float(in_a_fresh_process(program, **kept)) < 0.85 for _ in range(3))
