"""What every factor must do, published tables of each, and what release and cells make of them."""

import math
import sys
from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import concrete_members
from hypothesis import given, settings, strategies as st

import cortexmg as cx
from cortexmg import acsf, cells, channels, factors, recorders, releases, synapses
from cortexmg.channels import CalciumL, Leak
from cortexmg.evidence import Evidence, mechanisms
from cortexmg.factors import (
    Arousal,
    CalciumBlock,
    DodgeRahamimoff,
    Factor,
    GABAPotentiation,
    HillRelease,
    PumpEnergy,
    ReleaseLaw,
    SympatheticRelease,
    ZincInhibition,
    calcium_block,
    hill_release,
    product,
)
from cortexmg.membrane import Pathway
from cortexmg.numerics import relax_gate
from cortexmg.part import Part
from cortexmg.releases import Binomial, Certain, Saturating, TsodyksMarkram
from cortexmg.surface import Screening
from cortexmg.tissues import Noradrenaline

EVERY_FACTOR = [
    c(1.8) if c is Arousal else c()  # which by itself changes nothing
    for c in concrete_members(factors, Factor)
]
EVERY_LAW = [f for f in EVERY_FACTOR if isinstance(f, ReleaseLaw)]


@pytest.fixture(params=EVERY_FACTOR, ids=lambda f: type(f).__name__)
def factor(request):
    return request.param


@pytest.fixture(params=EVERY_LAW, ids=lambda f: type(f).__name__)
def law(request):
    return request.param


def reference(factor):
    """The environment in which a factor is 1."""
    env = acsf().with_outside("zn", 0.0)
    for name in (f.name for f in fields(factor) if f.name in ("mg_ref", "ca_ref")):
        side = env.with_inside if isinstance(factor, PumpEnergy) else env.with_outside
        env = side(name.removesuffix("_ref"), getattr(factor, name))
    return env


@jax.jit
def compiled(factor, env):
    return factor(env)


def arrays(tree, precision=None):
    return jax.tree.map(lambda x: jnp.asarray(x, precision), tree)


# ---- contracts ---------------------------------------------------------------------------------


def test_every_factor_is_found():
    assert {CalciumBlock, HillRelease, ZincInhibition} < {type(f) for f in EVERY_FACTOR}
    assert {DodgeRahamimoff, HillRelease, SympatheticRelease} <= {type(f) for f in EVERY_LAW}


def test_a_factor_is_exactly_one_at_its_reference(factor, precision):
    env = reference(factor)
    assert factor(env) == 1.0
    assert jax.jit(lambda: factor(env))() == 1.0  # its numbers are constants of the program
    assert compiled(arrays(factor, precision), arrays(env, precision)) == 1.0


@pytest.mark.parametrize("mg, ca", [(1.0, 1.2), (0.3, 2.9), (3.7, 0.41)])
def test_a_factor_is_exactly_one_where_each_cell_has_its_own_fluid(factor, mg, ca, precision):
    refs = {"mg_ref": mg, "ca_ref": ca}
    moved = replace(factor, **{name: x for name, x in refs.items() if hasattr(factor, name)})
    env = arrays(reference(moved), precision)
    ions = jax.tree.map(lambda x: jnp.full(33, x), env.ions)  # some in vectors, some left over
    many = replace(env, ions=ions, noradrenaline=jnp.full(33, env.noradrenaline))
    np.testing.assert_array_equal(jax.jit(lambda env: moved(env))(many), 1.0)
    np.testing.assert_array_equal(compiled(arrays(moved, precision), many), 1.0)


@given(mg=st.floats(0.05, 8.0), ca=st.floats(0.05, 8.0), scale=st.floats(0.2, 1.0))
@settings(max_examples=20)
def test_a_factor_is_exactly_one_at_any_reference_and_with_any_numbers(mg, ca, scale):
    for factor in EVERY_FACTOR:
        moved = jax.tree.map(lambda x: x * scale, factor)
        refs = {"mg_ref": mg, "ca_ref": ca, "atp_ref": getattr(moved, "atp", None)}
        refs = {name: x for name, x in refs.items() if hasattr(moved, name)}
        moved = replace(moved, **refs)
        assert compiled(arrays(moved), arrays(reference(moved))) == 1.0


def test_a_factor_is_never_negative_and_takes_one_number_for_each_cell(factor):
    mg, ca = np.array([0.0, 0.5, 10.0]), np.array([3.0, 0.0, 1.2])
    got = jnp.broadcast_to(factor(acsf(mg, ca)), 3)
    assert np.all(got >= 0.0) and got[0] > 0.0 and np.all(np.isfinite(got))
    one = [float(factor(acsf(float(m), float(c)))) for m, c in zip(mg, ca, strict=True)]
    np.testing.assert_allclose(got, one, rtol=1e-14)


def of_logarithms(factor, logs):
    """A factor by ln of [Mg]o, [Ca]o, [Mg]i and zinc (uM), each plus 1e-6, in rows of `logs`.

    Noradrenaline, relative to waking, is as much as magnesium inside.
    """
    mg, ca, inside, zn = jnp.moveaxis(jnp.exp(logs) - 1e-6, -1, 0)
    env = acsf(mg, ca).with_inside("mg", inside).with_outside("zn", 1e-3 * zn)
    return jnp.broadcast_to(factor(replace(env, noradrenaline=inside)), mg.shape)


def test_every_derivative_is_finite_without_ions_and_with_many(precision):
    mM = [(mg, ca, mg, ca) for mg in (0.0, 1e-6, 1.0, 10.0) for ca in (0.0, 1.2, 10.0)]
    logs = jnp.log(jnp.array(mM, precision) + 1e-6)
    total = jax.value_and_grad(lambda f, x: jnp.sum(of_logarithms(f, x)), (0, 1))
    every = jax.jit(lambda given, x: [total(f, x) for f in given])
    found = every(arrays(EVERY_FACTOR, precision), logs)
    for factor, (value, gradients) in zip(EVERY_FACTOR, found, strict=True):
        assert np.isfinite(value) and value.dtype == precision, factor
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(gradients)), factor


def test_derivatives_are_those_of_finite_differences(factor):
    mM = [(0.02, 0.3, 0.5, 2.0), (0.8, 1.2, 0.1, 0.01), (1.0, 2.0, 2.0, 0.1), (6.0, 9.0, 0.5, 9.0)]
    logs, h = jnp.log(jnp.array(mM) + 1e-6), 1e-3
    values = jax.jit(lambda x: of_logarithms(factor, x))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(values(x))))(logs)
    assert np.any(gradient)
    for i, along in enumerate(np.eye(4)):

        def moved(by, along=along):
            return values(logs + by * along)

        two, one = ((moved(k * h) - moved(-k * h)) / (2 * k * h) for k in (2, 1))
        np.testing.assert_allclose(gradient[:, i], (4 * one - two) / 3, rtol=1e-8, atol=1e-11)


def carried(mg_ca):
    """Calcium through NMDA receptors, without and with magnesium in their way."""
    receptor = synapses.NMDA()
    state = receptor.step(receptor.init(-40.0, mg_ca), 1.0, -40.0, mg_ca, 1.0)
    path = receptor.pathway(state, -40.0, mg_ca)
    return receptor.carried(state, path, -40.0, mg_ca)["ca"]


def released(release):
    """What a third spike releases."""

    def of(env):
        state = release.init(1)
        for _ in range(3):
            state, amount = release.step(state, jnp.ones(1), env, 10.0)
        return amount[0]

    return of


LAWS = {"ions": hill_release.steep()}
FED = {
    "Certain": released(Certain(LAWS)),
    "TsodyksMarkram": released(TsodyksMarkram(0.3, factors=LAWS)),
    "Saturating": released(Saturating(factors=LAWS)),
    "SlowDepression": released(releases.SlowDepression(TsodyksMarkram(0.3, factors=LAWS))),
    "calcium of NMDA": carried,
}


@pytest.mark.parametrize("name", FED)
def test_what_factors_feed_has_the_derivatives_of_finite_differences(name):
    @jax.jit
    def value(logs):
        mg, ca = jnp.exp(logs) - 1e-6
        return FED[name](acsf(mg, ca))

    h, gradient = 1e-3, jax.jit(jax.grad(value))
    for mg, ca in ((0.02, 0.3), (1.0, 2.0), (6.0, 9.0)):
        logs = jnp.log(jnp.array([mg, ca]) + 1e-6)
        got = gradient(logs)
        for i, along in enumerate(np.eye(2)):
            ends = {k: float(value(logs + k * h * along)) for k in (-2, -1, 1, 2)}
            two, one = ((ends[k] - ends[-k]) / (2 * k * h) for k in (2, 1))
            np.testing.assert_allclose(got[i], (4 * one - two) / 3, rtol=1e-7, atol=1e-10)
    for mg, ca in ((0.0, 1.2), (1.0, 0.0), (10.0, 10.0)):
        assert np.all(np.isfinite(gradient(jnp.log(jnp.array([mg, ca]) + 1e-6))))


def test_the_order_of_factors_does_not_matter():
    env, names = acsf(0.37, 1.63), [f"{i}" for i in range(len(EVERY_FACTOR))]
    forth = dict(zip(names, EVERY_FACTOR, strict=True))
    back = dict(reversed(forth.items()))
    assert product(forth, env) == product(back, env)
    assert factors.largest(dict(a=EVERY_LAW[0], b=EVERY_LAW[1])) == factors.largest(
        dict(b=EVERY_LAW[1], a=EVERY_LAW[0])
    )
    parts = [float(f(env)) for f in EVERY_FACTOR]
    np.testing.assert_allclose(product(forth, env), math.prod(parts), rtol=1e-14)
    assert product({}, env) == 1.0


class Nothing:
    """What leaves everything as it is that it is multiplied with."""

    __array_ufunc__ = None  # so that NumPy asks it

    def __mul__(self, other):
        return other

    __rmul__ = __mul__


FACTORED = [
    kind()
    for package in (channels, synapses, releases)
    for kind in concrete_members(package, Part)
    if "factors" in {f.name for f in fields(kind)}
]


def effects(member):
    """Everything that a channel, receptor or release does at some voltages."""
    v, env = np.linspace(-90.0, 40.0, 27), acsf(0.37, 1.63)
    if isinstance(member, releases.Release):
        state, found = member.init(v.size), []
        for amount in (jnp.arange(v.size) % 2.0, jnp.ones(v.size)):
            state, released = member.step(state, amount, env, 0.1)
            found += [state, released]
        return found
    arrivals = () if isinstance(member, channels.Channel) else (np.linspace(0.0, 3.0, v.size),)
    state = member.step(member.init(v, env), *arrivals, v + 5.0, env, 0.1)
    after = None if arrivals else member.spiked(state, jnp.asarray(v > 0.0), env)
    return [state, member.pathway(state, v, env), after]


@pytest.mark.parametrize("member", FACTORED, ids=lambda m: type(m).__name__)
def test_without_factors_there_is_no_bit_of_them(member, precision, same_bits, monkeypatch):
    plain = replace(member, factors={})
    found = effects(plain)
    asked = []

    def nothing(given, env):
        asked.append(given)
        return Nothing()

    ours = [m for name, m in sys.modules.items() if name.startswith("cortexmg")]
    for module in [m for m in ours if getattr(m, "product", None) is product]:
        monkeypatch.setattr(module, "product", nothing)
    same_bits(found, effects(plain))
    if not isinstance(member, TsodyksMarkram | Saturating):  # which then do not ask
        assert asked and not any(asked)


def test_noradrenaline_as_awake_at_the_reference_changes_no_bit(few_cells, same_bits):
    e, awake = few_cells.populations["E"], {"noradrenaline": Arousal(1.8)}
    receptors = {name: replace(r, factors=awake) for name, r in e.receptors.items()}
    moved = replace(few_cells, populations={"E": replace(e, receptors=receptors)})
    tissue = Noradrenaline(np.array([1.0]), np.array([0.0]))
    mg, ca = tissue.release.mg_ref, tissue.release.ca_ref
    plain, moved = (replace(x, environment=acsf(mg, ca)) for x in (few_cells, moved))
    moved = replace(moved, tissues={"noradrenaline": tissue})
    ends = [cx.simulate(x, 20.0, 0.1).state.populations["E"] for x in (plain, moved)]
    same_bits(*({"v": s.v, "receptors": s.receptors} for s in ends))


class Watched(dict):
    """Ions that remember which of them were looked at."""

    def __init__(self, ions):
        super().__init__(ions)
        self.seen = set()

    def __getitem__(self, ion):
        self.seen.add(ion)
        return super().__getitem__(ion)


def test_a_factor_states_its_evidence_and_every_ion_that_it_reads(factor):
    known = factor.evidence
    assert isinstance(known, Evidence)
    assert known.level in ("established", "supported", "assumption")
    assert known.effect and known.source
    ions = Watched(acsf().ions)
    env = replace(acsf(), ions=ions)
    ions.seen.clear()  # checks of types look, too
    factor(env)
    assert ions.seen == set(known.ions)


@pytest.mark.parametrize(
    "block, channels, level, source",
    [(calcium_block.t_type(), "T-type", "supported", "Serrano"),
     (calcium_block.high_voltage(), "N-, P- and Q-type", "assumption", "Shimosawa"),
     (calcium_block.l_type(), "L-type", "assumption", "Kuo & Hess"),
     (CalciumBlock(3.0), "Ca channels", "supported", "K of others assumed")],
)  # fmt: skip
def test_the_block_of_each_kind_of_calcium_channel_has_its_own_evidence(
    block, channels, level, source
):
    for known in (block.evidence, replace(block, mg_ref=0.8).evidence):
        assert channels in known.effect and known.level == level and source in known.source


def network_of(part, env):
    channels = {"leak": Leak(factors={"this": part})}
    return cx.Network(env, {"E": cx.Population(1, 100.0, channels)})


def test_a_network_without_an_ion_that_a_factor_reads_is_refused(factor):
    network = network_of(factor, acsf())
    path = "populations/E/channels/leak/factors/this"
    assert mechanisms(network)[path] == factor.evidence
    for ion in factor.evidence.ions:
        ions = {name: x for name, x in acsf().ions.items() if name != ion}
        with pytest.raises(ValueError, match=f"{path}.* depends on '{ion}'.*add Ion"):
            network_of(factor, replace(acsf(), ions=ions))


# ---- published tables --------------------------------------------------------------------------

# Effects of magnesium at 1.2 mM of calcium, relative to 1 mM: [Mg]o, release (steep, shallow,
# mean, neuromuscular), GABA_A, N/P/Q-type channels, noradrenaline.
LADDER = [
    (2.0, 0.415, 0.629, 0.587, 0.595, 1.0326, 0.778, 0.773),
    (1.2, 0.826, 0.919, 0.901, 0.896, 1.0100, 0.946, 0.944),
    (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    (0.8, 1.220, 1.082, 1.109, 1.119, 0.9864, 1.061, 1.062),
    (0.5, 1.674, 1.203, 1.295, 1.333, 0.9531, 1.167, 1.172),
    (0.3, 2.091, 1.280, 1.439, 1.505, 0.9125, 1.250, 1.259),
    (0.1, 2.640, 1.352, 1.605, 1.705, 0.8313, 1.346, 1.360),
    (0.05, 2.802, 1.369, 1.650, 1.760, 0.7964, 1.373, 1.388),
    (0.0, 2.977, 1.385, 1.698, 1.817, 0.7500, 1.400, 1.417),
]
LADDER_FACTORS = [
    hill_release.steep(ca_ref=1.2),
    hill_release.shallow(ca_ref=1.2),
    hill_release.intermediate(ca_ref=1.2),
    DodgeRahamimoff(ca_ref=1.2),
    GABAPotentiation(),
    calcium_block.high_voltage(ca_ref=1.2),
    SympatheticRelease(),
]


@pytest.mark.parametrize("row", LADDER, ids=lambda row: f"{row[0]:g} mM")
def test_effects_along_the_magnesium_ladder(row):
    got = [f(acsf(row[0], 1.2)) for f in LADDER_FACTORS]
    np.testing.assert_allclose(got[:4] + got[5:], row[1:5] + row[6:], rtol=0, atol=5.1e-4)
    np.testing.assert_allclose(got[4], row[5], rtol=0, atol=5.1e-5)


@pytest.mark.parametrize(
    "mg, want",
    [(2.0, (0.515, 0.565)), (1.2, (0.842, 0.867)), (0.8, (1.232, 1.182)), (0.5, (1.887, 1.626)),
     (0.3, (2.926, 2.169)), (0.1, (6.506, 3.256)), (0.05, (9.373, 3.722)), (0.0, (16.76, 4.345))],
)  # fmt: skip
def test_the_block_along_the_magnesium_ladder(mg, want):
    v, block = np.array([-65.0, -40.0]), cx.magnesium.jahr_stevens()
    ratio = block.unblocked(None, v, acsf(mg)) / block.unblocked(None, v, acsf(1.0))
    np.testing.assert_allclose(ratio[0], want[0], rtol=0, atol=5.1e-4 if mg else 5.1e-3)
    np.testing.assert_allclose(ratio[1], want[1], rtol=0, atol=5.1e-4)


def test_release_at_the_neuromuscular_junction():
    law = DodgeRahamimoff(ca_ref=1.2)
    table = {(1.2, 0.0): 1.8171, (1.2, 0.1): 1.7046, (1.2, 0.5): 1.3331, (1.2, 0.8): 1.1191}
    table |= {(1.2, 1.2): 0.8963, (1.2, 2.0): 0.5948, (1.2, 4.8): 0.1839, (2.0, 1.0): 2.7051}
    for (ca, mg), want in table.items():
        np.testing.assert_allclose(law(acsf(mg, ca)), want, rtol=0, atol=5.1e-5)

    def slope(ca, mg):
        return jax.grad(lambda x: jnp.log(law(acsf(jnp.exp(x[1]), jnp.exp(x[0])))))(
            jnp.log(jnp.array([ca, mg]))
        )

    np.testing.assert_allclose(slope(1.2, 1.0), [2.2025, -0.5548], rtol=0, atol=5.1e-5)
    np.testing.assert_allclose(slope(1e-4, 1.0)[0], 4.0, rtol=1e-3)


# [Ca]o: steep, shallow, mean of the curves, and curve of the mean; at 1 mM of magnesium.
CALCIUM = {
    0.8: (0.0321, 0.2448, 0.1384, 0.0530),
    1.0: (0.0777, 0.4512, 0.2645, 0.1243),
    1.1: (0.1129, 0.5540, 0.3335, 0.1766),
    1.2: (0.1584, 0.6475, 0.4029, 0.2407),
    1.25: (0.1854, 0.6895, 0.4375, 0.2772),
    1.3: (0.2155, 0.7283, 0.4719, 0.3164),
    1.5: (0.3691, 0.8510, 0.6100, 0.4964),
    1.8: (0.7069, 0.9592, 0.8331, 0.8025),
    2.0: (1.0, 1.0, 1.0, 1.0),
    2.5: (1.8764, 1.0503, 1.4633, 1.3836),
}
PATHWAYS = [hill_release.steep(), hill_release.shallow(), hill_release.intermediate()]


@pytest.mark.parametrize("ca", CALCIUM)
def test_release_in_cortex_by_calcium(ca):
    got = [*(law(acsf(1.0, ca)) for law in PATHWAYS), hill_release.calcium_curve(ca, 1.94)]
    np.testing.assert_allclose(got, CALCIUM[ca], rtol=0, atol=5.1e-5)
    # The mean of the curves, not the curve of the mean of 2.79 and 1.09 mM.
    np.testing.assert_allclose(got[2], 0.5 * (got[0] + got[1]), rtol=1e-14)


@pytest.mark.parametrize(
    "mg, steep, shallow",
    [(0.1, 0.4181, 0.8752), (0.5, 0.2651, 0.7788), (0.8, 0.1933, 0.7005),
     (1.0, 0.1584, 0.6475), (1.2, 0.1309, 0.5951), (2.0, 0.0658, 0.4073)],
)  # fmt: skip
def test_release_in_cortex_by_magnesium(mg, steep, shallow):
    got = [law(acsf(mg, 1.2)) for law in PATHWAYS[:2]]
    np.testing.assert_allclose(got, [steep, shallow], rtol=0, atol=5.1e-5)


def test_noradrenaline_release_halves_from_1_2_to_4_8_mM():
    law = SympatheticRelease()
    np.testing.assert_allclose(law(acsf(4.8, 1.2)) / law(acsf(1.2, 1.2)), 0.5, rtol=1e-12)
    np.testing.assert_allclose(law(acsf(0.8, 1.2)), 1.0625, rtol=1e-12)


def test_potentiation_of_gaba():
    table = {0.0: 0.75, 0.1: 0.8313, 0.3: 0.9125, 0.5: 0.9531, 0.8: 0.9864}
    table |= {1.2: 1.01, 2.0: 1.0326, 5.0: 1.0566}
    for mg, want in table.items():
        np.testing.assert_allclose(GABAPotentiation()(acsf(mg)), want, rtol=0, atol=5.1e-5)


def test_block_of_calcium_channels():
    table = {
        calcium_block.t_type: {0.0: 1.5, 0.1: 1.4286, 0.5: 1.2, 1.0: 1.0, 2.0: 0.75},
        calcium_block.high_voltage: {0.0: 1.4, 0.1: 1.3462, 0.5: 1.1667, 2.0: 0.7778},
        calcium_block.l_type: {0.0: 1.2},
    }
    for kind, values in table.items():
        for mg, want in values.items():
            np.testing.assert_allclose(kind()(acsf(mg, 2.0)), want, rtol=0, atol=5.1e-5)


@pytest.mark.parametrize(
    "mg, told", [(2.0, 0.74), (1.0, 1.0), (0.5, 1.21), (0.1, 1.47), (0.0, 1.55)]
)
def test_the_block_of_n_type_channels_in_cortex_is_what_the_documentation_tells(mg, told):
    """2.5 mM at 2 mM of calcium are 11/6 mM at 1.2: (1 + 6/11) / (1 + 6/11 [Mg]o)."""
    block = cx.models.cortex(20).populations["E"].channels["ca_n"].factors["mg"]
    got = block(acsf(mg, 1.2))
    np.testing.assert_allclose(got, 17.0 / (11.0 + 6.0 * mg), rtol=1e-12)
    np.testing.assert_allclose(got, told, rtol=0, atol=5.1e-3)


def test_calcium_alone_does_not_change_the_block_of_its_channels():
    block = calcium_block.high_voltage()
    assert all(block(acsf(1.0, ca)) == 1.0 for ca in (0.0, 0.5, 1.2, 3.0))

    def from_one_pair(ca):  # were it counted from 1 and 2 mM
        free = block(acsf(0.0, ca)), block(acsf(0.0, 2.0))
        return free[1] / free[0]

    np.testing.assert_allclose([from_one_pair(0.5), from_one_pair(3.0)], [0.78, 1.08], atol=5.1e-3)


def test_calcium_protects_its_channels_from_magnesium():
    block = calcium_block.t_type()
    left = [float(block(acsf(2.0, ca))) for ca in (0.0, 0.5, 2.0, 5.0)]
    assert left == sorted(left)
    # Half of the affinity at twice the calcium plus 1 mM: 4 mM at 5 mM of calcium.
    np.testing.assert_allclose(left[-1], (1 + 1 / 4) / (1 + 2 / 4), rtol=1e-12)


@pytest.mark.parametrize(
    "mg, want",
    [(0.05, 0.8743), (0.1, 0.9399), (0.2, 0.9766), (0.3, 0.9895), (0.4, 0.9960), (0.8, 1.0060)],
)
def test_the_pump_depends_little_on_magnesium_inside(mg, want):
    got = PumpEnergy()(acsf().with_inside("mg", mg))
    np.testing.assert_allclose(got, want, rtol=0, atol=5.1e-5)


def test_without_atp_the_pump_stands_still():
    assert PumpEnergy(atp=0.0)(acsf()) == 0.0


def test_zinc_at_its_tonic_concentration():
    two_a, two_b = ZincInhibition(), ZincInhibition(0.9, 1e-3)
    env = acsf()  # 5 nM
    np.testing.assert_allclose(0.6 * two_a(env) + 0.4 * two_b(env), 0.9082, rtol=0, atol=5.1e-5)
    assert two_a(env.with_outside("zn", 0.0)) == 1.0
    np.testing.assert_allclose(two_a(env.with_outside("zn", 1.0)), 0.4, rtol=1e-4)


def test_arousal_is_what_it_is_in_sleep_without_noradrenaline():
    for asleep in (1.8, 1.98, 1.3):  # potassium leak, AMPA, GABA in N3
        factor = Arousal(asleep)
        assert factor(replace(acsf(), noradrenaline=0.0)) == asleep
        half = factor(replace(acsf(), noradrenaline=0.5))
        np.testing.assert_allclose(half, math.sqrt(asleep), rtol=1e-14)


# ---- release -----------------------------------------------------------------------------------


def ions(*laws):
    return {str(i): law for i, law in enumerate(laws)}


concentration = st.floats(0.0, 100.0)


@given(ca=concentration, mg=concentration, ca_ref=st.floats(0.5, 5.0), mg_ref=st.floats(0.0, 5.0))
@settings(max_examples=50)
def test_no_law_gives_more_than_its_largest(ca, mg, ca_ref, mg_ref):
    for law in EVERY_LAW:
        law = replace(law, ca_ref=ca_ref, mg_ref=mg_ref)
        assert law(acsf(mg, ca)) <= law.largest() * (1 + 1e-14)


def test_the_largest_is_approached(law):
    far = jax.jit(lambda ca: law(acsf(0.0, ca)))(1e3)  # where concentrations are not checked
    np.testing.assert_allclose(far, law.largest(), rtol=5e-3)
    both = {"a": law, "b": HillRelease()}
    np.testing.assert_allclose(
        Certain(both).largest(), law.largest() * HillRelease().largest(), rtol=1e-14
    )


@given(ca=concentration, mg=concentration, u0=st.floats(0.01, 1.0))
@settings(max_examples=50)
def test_utilisation_never_exceeds_one(ca, mg, u0):
    release = TsodyksMarkram(u0, factors={"ions": hill_release.steep()})
    u, law = float(release.probability(acsf(mg, ca))), release.factors["ions"]
    assert 0.0 <= u <= 1.0
    assert (u >= u0) == (float(law(acsf(mg, ca))) >= 1.0) or u == pytest.approx(u0, rel=1e-9)


@pytest.mark.parametrize("u0", [0.5, 0.9, 0.95])
def test_utilisation_saturates_smoothly_and_is_u0_at_the_reference(u0):
    release = TsodyksMarkram(u0, factors={"ions": hill_release.steep()})
    assert release.probability(acsf(1.0, 2.0)) == u0
    f = jax.value_and_grad(lambda ca: release.probability(acsf(0.0, ca)))
    found = [f(ca) for ca in (2.0, 2.5, 3.0, 4.0, 8.0)]
    u, slope = (np.array([float(x[k]) for x in found]) for k in (0, 1))
    assert np.all(np.diff(u) > 0.0) and u[-1] < 1.0 and np.all(slope > 0.0)
    by_ca = jax.grad(lambda ca: release.probability(acsf(1.0, ca)))
    free = jax.grad(lambda ca: u0 * release.factors["ions"](acsf(1.0, ca)))
    np.testing.assert_allclose(by_ca(2.0), free(2.0), rtol=1e-12)
    np.testing.assert_allclose([by_ca(2.0 - 1e-6), by_ca(2.0 + 1e-6)], by_ca(2.0), rtol=1e-5)


def test_utilisation_that_is_certain_at_the_reference_stays_so():
    release = TsodyksMarkram(1.0, factors={"ions": hill_release.steep()})
    f = jax.value_and_grad(lambda ca: release.probability(acsf(1.0, ca)))
    found = [f(ca) for ca in (1.2, 2.0, 2.1, 8.0)]
    np.testing.assert_allclose([u for u, _ in found], [0.1584, 1.0, 1.0, 1.0], atol=5.1e-5)
    assert found[0][1] > 0.0 and all(np.isfinite(slope) for _, slope in found)
    assert found[2][1] == found[3][1] == 0.0


@pytest.mark.usefixtures("single_precision")
@pytest.mark.parametrize("u0, ca_ref", [(0.5, 0.1), (0.9, 0.05), (0.05, 2.0)])
def test_more_calcium_never_releases_less(u0, ca_ref):
    """Also where the reference is so low that laws multiply by a million."""
    laws = {"a": hill_release.steep(ca_ref=ca_ref), "b": DodgeRahamimoff(ca_ref=ca_ref)}
    ca = np.linspace(0.0, 20.0, 401).astype(np.float32)
    u = TsodyksMarkram(u0, factors=laws).probability(acsf(1.0, ca))
    assert np.all(np.diff(u) >= -1e-6) and u[0] == 0.0 and u0 < u[-1] <= 1.0


@pytest.mark.usefixtures("single_precision")
def test_receptors_are_occupied_by_as_much_transmitter_as_is_released():
    law, fraction = hill_release.steep(), jnp.geomspace(1e-4, 0.99, 200)

    @jax.jit
    def bound(fraction, env):
        release = Saturating(fraction=fraction, factors=ions(law))
        return release.step(release.init(200), jnp.ones(200), env, 0.1)[1]

    np.testing.assert_array_equal(bound(fraction, acsf(1.0, 2.0)), fraction)
    for env in (acsf(1.0, 1.2), acsf(0.0, 5.0)):
        free = (1.0 - np.asarray(fraction, float)) ** float(law(env))
        np.testing.assert_allclose(bound(fraction, env), 1.0 - free, rtol=2e-6)
    slope = jax.jvp(lambda f: bound(f, acsf(1.0, 2.0)), (fraction,), (jnp.ones(200),))[1]
    np.testing.assert_allclose(slope, 1.0, rtol=1e-5)


def test_chance_needs_a_release_that_says_how_likely_it_is():
    with pytest.raises(ValueError, match="Binomial.release has Certain with factors.*give Tsodyks"):
        Binomial(Certain(ions(hill_release.steep())))
    Binomial(TsodyksMarkram(factors=ions(hill_release.steep())))


def train(release, env, spikes=8, interval=50.0):
    """What each spike of a regular train releases, as a fraction of what there is."""

    def step(state, amount):
        return release.step(state, amount, env, interval)

    return jax.lax.scan(step, release.init(1), jnp.ones((spikes, 1)))[1][:, 0] * release.u0


def test_trains_of_20_hz_with_the_law_and_without():
    plain = TsodyksMarkram(0.5, 671.0, 17.0)
    with_law = replace(plain, factors={"ions": hill_release.steep()})
    at_2_mM = [0.5, 0.2750, 0.1612, 0.1097, 0.0864, 0.0759, 0.0711, 0.0690]
    at_1_2_mM = [0.0792, 0.0769, 0.0716, 0.0669, 0.0629, 0.0595, 0.0566, 0.0542]
    reference, low = acsf(1.0, 2.0), acsf(1.0, 1.2)
    np.testing.assert_allclose(train(plain, low), at_2_mM, rtol=0, atol=5.1e-5)
    np.testing.assert_array_equal(train(with_law, reference), train(plain, low))
    got = train(with_law, low)
    np.testing.assert_allclose(got, at_1_2_mM, rtol=0, atol=5.1e-5)
    np.testing.assert_allclose(got[1] / got[0], 0.9715, rtol=0, atol=5.1e-5)


def test_more_magnesium_or_less_calcium_lowers_the_first_response_and_raises_the_pair_ratio():
    release = TsodyksMarkram(factors={"ions": hill_release.steep()})
    first, ratio = [], []
    for env in (acsf(0.0, 2.0), acsf(1.0, 2.0), acsf(2.0, 2.0), acsf(2.0, 1.2)):
        out = train(release, env, 2)
        first.append(float(out[0]))
        ratio.append(float(out[1] / out[0]))
    assert first == sorted(first, reverse=True) and ratio == sorted(ratio)


# ---- in a network ------------------------------------------------------------------------------


class BareAMPA(synapses.AMPA):
    """As it is written where there are no factors."""

    def pathway(self, state, v, env):
        return Pathway(self.bound(state), self.e)


class BareNMDA(synapses.NMDA):
    """As it is written where there are no factors."""

    def pathway(self, state, v, env):
        return Pathway(self.bound(state) * self.block.unblocked(state.block, v, env), self.e)


class BareCalciumL(CalciumL):
    """As it is written where there are no factors."""

    def pathway(self, state, v, env):
        return Pathway(self.g_max * state.q**2 * state.r, env.reversal("ca"))


class BareRelease(TsodyksMarkram):
    """As it is written where there are no factors."""

    def step(self, state, amount, env, dt):
        u = relax_gate(state.u, 0.0, 1.0 / self.tau_f, dt)
        used = relax_gate(state.used, 0.0, 1.0 / self.tau_d, dt)
        released = amount * (u + self.u0 * (1.0 - u)) * (1.0 - used)
        state = state._replace(u=u + amount * self.u0 * (1.0 - u), used=used + released)
        return state, released / self.u0


@pytest.fixture(scope="module")
def run_with():
    """A run of nine cells in which parts can be replaced."""

    def run(env=None, ampa=None, nmda=None, calcium=None, leak=None, release=None, surface=None):
        receptors = {"ampa": ampa or synapses.AMPA(), "nmda": nmda or synapses.NMDA(gain=0.1)}
        population = cells.leaky_integrate_and_fire(9, receptors)
        channels = {"leak": leak or Leak(10.0, -70.0), "ca": calcium or CalciumL(g_max=2.0)}
        population = replace(population, channels=channels, surface=surface)
        contacts = cx.wiring.fixed_out_degree(9, 9, 3, 2.0, 0.5, key=1)
        network = cx.Network(
            env or acsf().with_outside("zn", 0.0),
            {"E": population},
            {"c": cx.Projection("E", "E", "glutamate", contacts, release or TsodyksMarkram())},
            {"noise": cx.stimuli.OrnsteinUhlenbeckCurrent("E", 250.0, 300.0)},
        )
        return cx.simulate(network, 100.0, dt=0.1, record={"E": recorders.Spikes("E")})

    return run


def with_factors(*parts):
    return {"factors": ions(*parts)}


@pytest.fixture(scope="module")
def plain(run_with):
    run = run_with()
    assert len(run["E"].times) > 20
    return run


@pytest.fixture(scope="module")
def run_with_every_factor(run_with):
    parts = {
        "ampa": synapses.AMPA(**with_factors(Arousal(1.98))),
        "nmda": synapses.NMDA(gain=0.1, **with_factors(ZincInhibition())),
        "calcium": CalciumL(g_max=2.0, **with_factors(CalciumBlock(5.0))),
        "leak": Leak(10.0, -70.0, **with_factors(Arousal(1.8), GABAPotentiation(), PumpEnergy())),
        "release": TsodyksMarkram(**with_factors(HillRelease(), DodgeRahamimoff())),
        "surface": Screening(ca_ref=2.0, mg_ref=1.0),
    }
    return lambda env=None: run_with(env, **parts)


def test_every_factor_at_its_reference_leaves_the_spikes_as_they_are(
    run_with_every_factor, plain, same_bits
):
    same_bits(run_with_every_factor()["E"], plain["E"])


def test_factors_away_from_their_reference_change_the_spikes(run_with_every_factor, run_with):
    env = acsf(0.2, 1.2).with_outside("zn", 0.0)
    assert not np.array_equal(run_with_every_factor(env)["E"].times, run_with(env)["E"].times)


def test_without_factors_the_state_is_bit_for_bit_that_of_the_code_without(
    run_with, plain, same_bits
):
    bare = run_with(
        ampa=BareAMPA(), nmda=BareNMDA(gain=0.1), calcium=BareCalciumL(g_max=2.0),
        release=BareRelease(),
    )  # fmt: skip
    same_bits(plain.state, bare.state)
    same_bits(plain["E"], bare["E"])


# ---- bad input ---------------------------------------------------------------------------------

BAD = {
    "share above 1": (lambda: HillRelease(steep=1.5), ["HillRelease.steep", "at most 1", "1.5"]),
    "share below 0": (lambda: HillRelease(steep=-0.5), ["HillRelease.steep", "at least 0"]),
    "inhibition above 1": (
        lambda: ZincInhibition(inhibition=1.2), ["ZincInhibition.inhibition", "at most 1", "1.2"],
    ),
    "fraction above 1": (lambda: GABAPotentiation(f0=3.0), ["GABAPotentiation.f0", "at most 1"]),
    "half at nothing": (lambda: CalciumBlock(k_mg=0.0), ["CalciumBlock.k_mg", "above 0 mM"]),
    "reference without calcium": (
        lambda: HillRelease(ca_ref=0.0), ["HillRelease.ca_ref", "above 0 mM", "got 0"],
    ),
    "no concentration": (lambda: acsf(mg=float("nan")), ["Ion.outside", "finite"]),
    "negative concentration": (lambda: acsf(ca=-0.1), ["Ion.outside", "at least 0", "mM", "-0.1"]),
    "negative noradrenaline": (
        lambda: replace(acsf(), noradrenaline=-1.0), ["Environment.noradrenaline", "at least 0"],
    ),
    "a number for a factor": (
        lambda: Leak(factors={"mg": 0.5}), ["Leak.factors['mg']", "a Factor", "0.5"],
    ),
    "a factor that is not in a dict": (
        lambda: synapses.AMPA(factors=GABAPotentiation()), ["AMPA.factors", "a dict from names"],
    ),
    "a factor of conductance for release": (
        lambda: TsodyksMarkram(factors={"mg": GABAPotentiation()}),
        ["TsodyksMarkram.factors['mg']", "a ReleaseLaw", "GABAPotentiation"],
    ),
    "a factor with too many values": (
        lambda: cx.Population(
            3, 100.0, {"leak": Leak(factors={"mg": CalciumBlock(np.ones(2))})}
        ),
        ["factors/mg/k_mg", "one for each of 3 cells", "(2,)"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case, is_refused):
    is_refused(*BAD[case])
