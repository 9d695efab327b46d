"""What every receptor must do, the published kinetics, and transmitter release."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import concrete_members
from hypothesis import given, settings, strategies as st

from cortexmg import (
    Network,
    Population,
    acsf,
    recorders,
    releases,
    simulate,
    sweep,
    synapses,
)
from cortexmg.channels import Leak
from cortexmg.membrane import Current, voltage_change
from cortexmg.releases import Certain, Release, Saturating, SlowDepression, TsodyksMarkram
from cortexmg.stimuli import SpikeInput
from cortexmg.synapses import (
    AMPA,
    GABAA,
    GABAB,
    NMDA,
    Exponential,
    ExponentialCurrent,
    Synapse,
    TwoExponentialKinetics,
)

ENV, NO_MG = acsf(), acsf(mg=0.0)
V = np.linspace(-100.0, 60.0, 33)
AS_THEY_ARE = [c() for c in concrete_members(synapses, Synapse)]
BY_IONS = [replace(s, e=None) for s in AS_THEY_ARE if s.permeant]
EVERY_SYNAPSE = [*AS_THEY_ARE, *BY_IONS]
NONLINEAR = (GABAB,)  # its receptors saturate


def name_of(synapse):
    return type(synapse).__name__ + " by ions" * (synapse in BY_IONS)


@pytest.fixture(params=EVERY_SYNAPSE, ids=name_of)
def synapse(request):
    return request.param


@pytest.fixture(
    params=[s for s in EVERY_SYNAPSE if not isinstance(s, NONLINEAR)],
    ids=lambda c: type(c).__name__,
)
def linear_synapse(request):
    return request.param


def opened(synapse, state, v, env):
    """Conductance (nS), or the current (pA) of a receptor that does not conduct."""
    path = synapse.pathway(state, v, env)
    assert isinstance(path, Current) != synapse.conducts
    return path.i if isinstance(path, Current) else path.g


@jax.jit
def compiled_conductance(synapse, arrivals, dt, env, v):
    def step(state, weight):
        state = synapse.step(state, weight, v, env, dt)
        return state, opened(synapse, state, v, env)

    return jax.lax.scan(step, synapse.init(jnp.zeros(()) + v, env), arrivals)[1]


def conductance(synapse, arrivals, dt, env=NO_MG, v=-65.0):
    """Conductance (nS) in the middle of each step, given what arrives at its beginning."""
    return np.asarray(compiled_conductance(synapse, jnp.asarray(arrivals, float), dt, env, v))


def one_arrival(steps, weight=1.0):
    return np.where(np.arange(steps) == 0, weight, 0.0)


def test_every_receptor_is_found():
    known = {AMPA, NMDA, GABAA, GABAB, Exponential, ExponentialCurrent}
    assert known <= {type(s) for s in EVERY_SYNAPSE}


def test_silent_receptors_stay_closed(synapse):
    np.testing.assert_array_equal(conductance(synapse, np.zeros(50), 0.1), 0.0)


def test_conductances_are_never_negative_and_never_exceed_what_is_bound(synapse):
    rng = np.random.default_rng(0)
    state = synapse.init(V, ENV)
    for _ in range(30):
        arrivals = rng.exponential(1.0, V.size) * (rng.random(V.size) < 0.3)
        state = synapse.step(state, arrivals, V, ENV, 0.1)
        bound = np.asarray(synapse.bound(state))
        assert bound.min() >= 0.0
        assert np.all(np.abs(opened(synapse, state, V, ENV)) <= bound)


def test_receptors_close_in_the_end(synapse):
    state = synapse.step(synapse.init(V, ENV), np.full_like(V, 5.0), V, ENV, 0.1)
    assert np.min(synapse.bound(state)) > 0.0
    for _ in range(2):  # a second messenger may be one step behind
        state = synapse.step(state, np.zeros_like(V), V, ENV, 1e5)
    assert np.max(synapse.bound(state)) < 1e-30


def test_two_inputs_add(linear_synapse):
    rng = np.random.default_rng(1)
    a, b = rng.exponential(1.0, (2, 200)) * (rng.random((2, 200)) < 0.1)
    together = conductance(linear_synapse, 2.0 * a + b, 0.1)
    apart = 2.0 * conductance(linear_synapse, a, 0.1) + conductance(linear_synapse, b, 0.1)
    np.testing.assert_allclose(together, apart, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "synapse", [s for s in EVERY_SYNAPSE if s.conducts], ids=lambda s: type(s).__name__
)
def test_no_current_flows_at_the_reversal_and_elsewhere_it_drives_the_voltage_there(synapse):
    state = synapse.step(synapse.init(V, NO_MG), np.full_like(V, 5.0), V, NO_MG, 1.0)
    path = synapse.pathway(state, V, NO_MG)
    after = np.asarray(V + voltage_change(V, [path], 100.0, 0.1))
    left = (V - path.e) * np.exp(-0.1 * path.g / 100.0)
    np.testing.assert_allclose(after - path.e, left, rtol=1e-9, atol=1e-12)


concentrations = st.floats(0.0, 200.0)


@jax.jit
def what_passes(synapse, env, v):
    """The pathway after an arrival, the current of each ion, and the reversal of what passes."""
    state = synapse.step(synapse.init(jnp.zeros(()) + v, env), 5.0, v, env, 1.0)
    state = synapse.step(state, 0.0, v, env, 1.0)
    path = synapse.pathway(state, v, env)
    reversals = [env.reversal(ion) for ion in synapse.permeant.ions]
    return path, synapse.carried(state, path, v, env), reversals


@pytest.mark.parametrize("synapse", BY_IONS, ids=lambda s: type(s).__name__)
@given(st.lists(st.tuples(concentrations, concentrations), min_size=2, max_size=2), st.data())
@settings(max_examples=40)
def test_the_ions_that_pass_share_the_conductance_and_none_flows_uphill(synapse, sides, data):
    ions = dict(ENV.ions)
    for ion, (outside, inside) in zip(synapse.permeant.ions, sides, strict=False):
        ions[ion] = replace(ions[ion], outside=outside, inside=inside)
    env, v = replace(ENV, ions=ions), data.draw(st.floats(-100.0, 60.0))
    path, carried, reversals = what_passes(synapse, env, v)
    assert set(carried) == set(synapse.carries)
    scale = max(1e-9, *(abs(float(x)) for x in carried.values()))
    np.testing.assert_allclose(sum(carried.values()), path.g * (v - path.e), atol=1e-9 * scale)
    # Calcium takes the place of sodium.
    through = [carried[x] + carried.get("ca", 0.0) * (x == "na") for x in synapse.permeant.ions]
    drives = [v - float(e) for e in reversals]
    assert all(i * drive >= -1e-4 * scale for i, drive in zip(through, drives, strict=True))
    assert min(drives) - 1e-3 <= v - path.e <= max(drives) + 1e-3
    if min(map(abs, drives)) > 1.0 and abs(drives[0] - drives[-1]) > 1.0:
        conductances = [i / drive for i, drive in zip(through, drives, strict=True)]
        np.testing.assert_allclose(sum(conductances), path.g, rtol=1e-6)


def test_receptors_reverse_where_their_ions_say():
    slope = 1e3 * 8.314462618 * 309.15 / 96485.33212
    env = acsf()
    cations, anions = slope * np.log(147.5 / 152.0), -slope * np.log(135.2 / 10.0)
    for synapse in BY_IONS:
        want = {AMPA: cations, NMDA: cations, GABAA: anions, GABAB: env.reversal("k")}
        np.testing.assert_allclose(synapse.reversal(env), want[type(synapse)], rtol=1e-5)
    assert GABAA().reversal(env) == -80.0 and GABAA().carries == () and NMDA().carries == ("ca",)


def test_magnesium_keeps_sodium_and_calcium_out_alike():
    v, carried = np.array([-70.0, -20.0]), []
    for env in (NO_MG, ENV):
        nmda = NMDA(e=None)
        state = nmda.step(nmda.init(v, env), 5.0, v, env, 1.0)
        path = nmda.pathway(state, v, env)
        carried.append(nmda.carried(state, path, v, env))
    unblocked = NMDA().block.unblocked(NMDA().block.init(v, ENV), v, ENV)
    for ion in ("na", "k", "ca"):
        np.testing.assert_allclose(carried[1][ion] / carried[0][ion], unblocked, rtol=1e-12)
    assert np.all(carried[0]["na"] < 0.0) and np.all(carried[0]["k"] > 0.0)


def test_every_derivative_is_finite(precision):
    def total(synapse, v, env, arrivals):
        state = synapse.step(synapse.init(v, env), arrivals, v, env, 0.1)
        state = synapse.step(state, 0.0 * arrivals, v, env, 0.1)
        return jnp.sum(opened(synapse, state, v, env) + synapse.bound(state))

    gradient = jax.grad(total, (0, 1, 2, 3))
    gradients = jax.jit(lambda every, *given: [gradient(s, *given) for s in every])
    v = np.array([-1000.0, -65.0, 0.0, 1000.0])
    for env in (NO_MG, ENV, acsf(mg=10.0)):
        for weight in (0.0, 1.0):
            args = EVERY_SYNAPSE, v, env, np.full(4, weight)
            found = gradients(*jax.tree.map(lambda x: jnp.asarray(x, precision), args))
            for synapse, of_it in zip(EVERY_SYNAPSE, found, strict=True):
                assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(of_it)), synapse


# ---- kinetics ----------------------------------------------------------------------------------

# tau_rise, tau_decay (ms), N = 1 / peak and time of the peak (ms), as published, to the last digit.
KINETICS = [
    (0.2, 1.7, 1.50758, 0.4851),
    (0.5, 3.0, 1.71716, 1.0751),
    (0.29, 43.0, 1.04155, 1.4596),
    (0.29, 70.0, 1.02734, 1.5977),
    (2.0, 100.0, 1.10522, 7.9837),
    (4.0, 40.0, 1.43506, 10.2337),
    (0.2, 8.0, 1.12739, 0.7567),
    (3.5, 260.9, 1.07479, 15.295),
]


@pytest.mark.parametrize("rise, decay, factor, peak", KINETICS)
def test_one_arrival_peaks_at_its_weight_at_the_published_time(rise, decay, factor, peak):
    kinetics = TwoExponentialKinetics(rise, decay)
    np.testing.assert_allclose(1.0 / kinetics.peak(), factor, rtol=0, atol=5.1e-6)
    steps = 2001
    dt = 2.0 * peak / steps
    synapse = AMPA(kinetics=kinetics, gain=0.7)
    g = conductance(synapse, one_arrival(steps, 2.5), dt)
    assert g.max() <= 2.5 * 0.7
    np.testing.assert_allclose(g.max(), 2.5 * 0.7, rtol=1e-6)
    # The steps are seen at their middles; the published times have four or five digits.
    np.testing.assert_allclose((np.argmax(g) + 0.5) * dt, peak, rtol=0, atol=dt + 5e-4)


@pytest.mark.parametrize("kind", [AMPA, NMDA, GABAA])
def test_receptors_peak_at_weight_times_gain(kind):
    g = conductance(kind(gain=0.4), one_arrival(2000, 3.0), 0.01)
    np.testing.assert_allclose(g.max(), 1.2, rtol=1e-3)


def test_nmda_conducts_what_magnesium_lets_through():
    open_, blocked = (conductance(NMDA(), one_arrival(100), 0.1, env) for env in (NO_MG, ENV))
    np.testing.assert_allclose(blocked / open_, 1 / (1 + np.exp(0.062 * 65.0) / 3.57), rtol=1e-12)


def area(synapse, dt, duration):
    return conductance(synapse, one_arrival(round(duration / dt)), dt).sum() * dt


def seen_in_steps(tau, dt):
    """The sum of exp(-t/tau) over the middles of all steps, times dt: tau to second order."""
    return dt / (2.0 * np.sinh(dt / (2.0 * tau)))


@pytest.mark.parametrize(
    "kind, rise, decay", [(AMPA, 0.5, 3.0), (NMDA, 2.0, 80.0), (GABAA, 0.2, 8.0)]
)
@pytest.mark.parametrize("dt", [0.1, 0.05])
def test_the_charge_of_an_arrival_does_not_depend_on_the_step(kind, rise, decay, dt):
    got, peak = area(kind(), dt, 40.0 * decay), kind().kinetics.peak()
    np.testing.assert_allclose(got, (decay - rise) / peak, rtol=1e-3)
    discrete = (seen_in_steps(decay, dt) - seen_in_steps(rise, dt)) / peak
    np.testing.assert_allclose(got, discrete, rtol=1e-10)


def test_the_charge_of_an_exponential_arrival_does_not_depend_on_the_step():
    got = area(Exponential(tau=5.0), 0.1, 200.0)
    np.testing.assert_allclose(got, seen_in_steps(5.0, 0.1), rtol=1e-10)
    np.testing.assert_allclose(got, 5.0, rtol=1e-4)
    jump = conductance(Exponential(tau=5.0, gain=2.0), one_arrival(1, 3.0), 1e-6)
    np.testing.assert_allclose(jump, 6.0, rtol=1e-6)


@pytest.mark.parametrize("gain", [1.0, -4.0])
@pytest.mark.parametrize("dt", [0.1, 0.5])
def test_the_charge_of_a_current_is_exact_at_any_step_and_has_the_sign_of_its_gain(gain, dt):
    synapse = ExponentialCurrent(tau=0.5, gain=gain)
    np.testing.assert_allclose(area(synapse, dt, 50.0), gain * 0.5, rtol=1e-10)
    i = conductance(synapse, one_arrival(50, 3.0), dt)
    t = np.arange(50) * dt
    mean = 0.5 * (np.exp(-t / 0.5) - np.exp(-(t + dt) / 0.5)) / dt
    np.testing.assert_allclose(i, 3.0 * gain * mean, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("gain", [1.0, -4.0])
def test_a_current_moves_the_voltage_as_its_analytic_solution_to_second_order(gain):
    """That of 87.8 pA, 0.5 ms, 250 pF and 10 ms is 0.15 mV high."""

    def potential(dt):
        cell = Population(
            1, 250.0, {"leak": Leak(25.0, -65.0)}, {"i": ExponentialCurrent(gain=gain)}, v0=-65.0
        )
        arrival = SpikeInput("cell", "i", np.array([1.0]), np.zeros(1, np.int32), 87.8084935)
        run = simulate(
            Network(ENV, {"cell": cell}, stimuli={"arrival": arrival}),
            12.0,
            dt=dt,
            record={"v": recorders.Probe("cell", every=0.5)},
        )
        t, v = run["v"].t - 1.0, run["v"].values[:, 0] + 65.0
        exact = 87.8084935 / 250.0 / (1 / 0.5 - 1 / 10.0) * (np.exp(-t / 10) - np.exp(-t / 0.5))
        return v, gain * np.where(t > 0, exact, 0.0)

    (coarse, exact), (fine, _) = potential(0.1), potential(0.05)
    errors = [np.abs(v - exact).max() for v in (coarse, fine)]
    assert errors[0] < 2e-3 * np.abs(exact).max()
    np.testing.assert_allclose(errors[0] / errors[1], 4.0, rtol=0.05)
    times = np.linspace(0.0, 5.0, 10_001)
    peak = np.max(np.exp(-times / 10) - np.exp(-times / 0.5)) * 87.8084935 / 250.0 / 1.9
    np.testing.assert_allclose(peak, 0.15, rtol=1e-6)


def test_an_exponential_conductance_may_be_open_from_the_start():
    g = conductance(Exponential(tau=5.0, g0=40.0), np.zeros(10), 0.5)
    np.testing.assert_allclose(g, 40.0 * np.exp(-0.1 * np.arange(1, 11)), rtol=1e-12)


def g_protein(t, bound):
    """G of GABA_B at `t` after `bound` receptors have bound at once: the analytic solution."""
    k2, k3, k4 = 0.0013, 0.098, 0.033
    return k3 * bound * (np.exp(-k2 * t) - np.exp(-k4 * t)) / (k4 - k2)


BOUND_BY_A_PULSE = 1 - np.exp(-0.52 * 0.5 * 0.3)  # 0.5 mM for 0.3 ms


def test_gaba_b_is_of_second_order_in_the_step():
    def error(dt):
        arrivals = one_arrival(round(20.0 / dt))
        got = conductance(GABAB(k_d=1.0), arrivals, dt)
        fourth = g_protein((np.arange(arrivals.size) + 0.5) * dt, BOUND_BY_A_PULSE) ** 4
        return np.abs(got - fourth / (fourth + 1.0)).max()

    np.testing.assert_allclose(error(0.4) / error(0.2), 4.0, rtol=0.02)
    assert error(0.1) < 1e-7


def test_gaba_b_saturates():
    peak_at = np.log(0.033 / 0.0013) / (0.033 - 0.0013)
    for weight, bound in ((1.0, BOUND_BY_A_PULSE), (1e3, 1.0)):
        g = conductance(GABAB(), one_arrival(3000, weight), 0.1)
        fourth = g_protein(peak_at, bound) ** 4
        np.testing.assert_allclose(g.max(), fourth / (fourth + 100.0), rtol=1e-5)


# ---- against Brian2 ----------------------------------------------------------------------------

REFERENCE = np.load(Path(__file__).parent / "reference" / "synapses.npz")
MAGNESIUM = np.array([0.0, 0.1, 1.0])
CELLS = {
    "ampa": AMPA(),
    "nmda": NMDA(),
    "gaba_a": GABAA(),
    "gaba_b": GABAB(),
    "gaba_b_burst": GABAB(),
}
PARITY = {
    # case: (run of the sweep, cell, how late the reference binds in ms)
    "ampa": (0, "ampa", 0.0),
    "nmda_mg0": (0, "nmda", 0.0),
    "nmda_mg0p1": (1, "nmda", 0.0),
    "nmda_mg1": (2, "nmda", 0.0),
    "gaba_a": (0, "gaba_a", 0.0),
    # Its transmitter stays for 0.3 ms, ours acts at once: at the middle of that on average.
    "gaba_b": (0, "gaba_b", 0.15),
    "gaba_b_burst": (0, "gaba_b_burst", 0.15),
}


@pytest.fixture(scope="module")
def passive_cells():
    """Voltages every 0.1 ms of one passive cell per receptor, for each magnesium."""
    populations = {
        name: Population(1, 200.0, {"leak": Leak(10.0, -70.0)}, {name: r}, v0=-70.0)
        for name, r in CELLS.items()
    }
    arrivals = {
        name: SpikeInput(
            name,
            name,
            REFERENCE["gaba_b_burst_arrivals" if name == "gaba_b_burst" else "arrivals"],
            np.zeros(20 if name == "gaba_b_burst" else 4, np.int32),
            1.0,
        )
        for name in CELLS
    }
    runs = sweep(
        Network(ENV, populations, stimuli=arrivals),
        {"environment/ions/mg/outside": MAGNESIUM},
        150.0,
        dt=0.01,
        record={name: recorders.Probe(name, every=0.1) for name in CELLS},
    )
    return [{name: (run[name].t, run[name].values[:, 0]) for name in CELLS} for run in runs]


@pytest.mark.parametrize("case", PARITY)
def test_a_passive_cell_sees_the_voltage_that_it_has_in_brian2(passive_cells, case):
    run, cell, late = PARITY[case]
    t, v = passive_cells[run][cell]
    want = np.interp(t, REFERENCE["trace_time"] - late, np.asarray(REFERENCE[f"{case}_v"], float))
    inside = t + late <= REFERENCE["trace_time"][-1]
    deflection = np.abs(want + 70.0).max()
    # At 0.01 ms the block, which is that of the beginning of a step, costs 3e-5; the file is in
    # single precision.
    error = np.abs(v - want)[inside].max()
    assert error < 1e-4 * deflection + 4e-6


# ---- release -----------------------------------------------------------------------------------

EVERY_RELEASE = [c() for c in concrete_members(releases, Release)]


@pytest.fixture(params=EVERY_RELEASE, ids=lambda c: type(c).__name__)
def release(request):
    return request.param


@jax.jit
def states_and_amounts(release, spikes, dt):
    """After each step: the state, and what each cell released; `spikes` [steps, cells]."""

    def step(state, amount):
        state, out = release.step(state, amount, ENV, dt)
        return state, (state, out)

    return jax.lax.scan(step, release.init(spikes.shape[1]), spikes)[1]


def released(release, spikes, dt):
    """What each cell releases in each step; `spikes` [steps, cells]."""
    return np.asarray(states_and_amounts(release, jnp.asarray(spikes, float), dt)[1])


def test_silent_cells_release_nothing(release):
    np.testing.assert_array_equal(released(release, np.zeros((20, 3)), 0.1), 0.0)


def test_spikes_release_where_and_when_they_occur(release):
    spikes = np.random.default_rng(0).random((200, 4)) < 0.05
    spikes[:, 3] = False
    out = released(release, spikes, 0.1)
    np.testing.assert_array_equal(out > 0, spikes)


def test_the_first_spike_after_a_long_rest_releases_as_the_very_first(release):
    spikes = np.zeros((4, 1))
    spikes[[0, 3]] = 1.0
    out = released(release, spikes, 1e5)[:, 0]
    np.testing.assert_allclose(out[3], out[0], rtol=1e-12)
    assert 0.0 < out[0] <= 1.0


def test_release_can_be_differentiated(precision):
    def total(release, amounts):
        state, out = release.step(release.init(3), amounts, ENV, 0.1)
        return jnp.sum(out + release.step(state, amounts, ENV, 0.1)[1])

    args = EVERY_RELEASE, np.array([0.0, 0.5, 1.0])
    args = jax.tree.map(lambda x: jnp.asarray(x, precision), args)
    both = jax.value_and_grad(total, (0, 1))
    every = jax.jit(lambda releases, amounts: [both(r, amounts) for r in releases])(*args)
    for release, found in zip(EVERY_RELEASE, every, strict=True):
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(found)), release


def test_the_derivative_by_a_spike_is_what_a_spike_releases(release):
    state = release.init(2)
    amounts, one = jnp.array([0.0, 1.0]), jnp.ones(2)
    full = release.step(state, one, ENV, 0.1)[1]
    slope = jax.jvp(lambda a: release.step(state, a, ENV, 0.1)[1], (amounts,), (one,))[1]
    np.testing.assert_allclose(slope, full, rtol=1e-12)


def test_certain_release_is_the_spike_itself():
    spikes = np.random.default_rng(0).random((20, 4)) < 0.5
    np.testing.assert_array_equal(released(Certain(), spikes, 0.1), spikes)


@pytest.mark.parametrize("dt", [0.1, 0.5])
def test_depression_at_20_hz_is_that_of_tsodyks_and_markram(dt):
    spikes = np.zeros((round(400 / dt), 1))
    spikes[:: round(50 / dt)] = 1.0
    synapse = TsodyksMarkram(u0=0.5, tau_d=671.0, tau_f=17.0)
    out = released(synapse, spikes, dt)[:: round(50 / dt), 0]
    want = [0.5, 0.2750, 0.1612, 0.1097, 0.0864, 0.0759, 0.0711, 0.0690]
    np.testing.assert_allclose(out * 0.5, want, rtol=0, atol=5.1e-5)
    np.testing.assert_allclose(out[1] / out[0], 0.5501, rtol=0, atol=5.1e-5)


def test_facilitating_synapses_facilitate():
    spikes = np.zeros((120, 1))
    spikes[::20] = 1.0
    out = released(TsodyksMarkram(u0=0.09, tau_d=138.0, tau_f=670.0), spikes, 1.0)[::20, 0]
    assert out[0] == pytest.approx(1.0) and out[1] > 1.2 * out[0]


def test_slow_depression_goes_with_what_is_released_and_recovers_by_its_time_constant():
    """Spikes 20 s apart find the fast part recovered; a burst takes as much as what it releases."""
    fast, share, tau, dt = TsodyksMarkram(0.5, 50.0, 1.0), 0.2, 9200.0, 2.0
    spikes = np.zeros((10_021, 1))
    spikes[[0, 1, 2, 10_000, 10_020]] = 1.0
    alone = released(fast, spikes, dt)[:, 0]
    out = released(SlowDepression(fast, share, tau), spikes, dt)[:, 0]
    left = 1.0
    for k in (0, 1, 2):
        np.testing.assert_allclose(out[k], left * alone[k], rtol=1e-6)
        left = 1.0 - (1.0 - left * (1.0 - share) ** alone[k]) * np.exp(-dt / tau)
    left = 1.0 - (1.0 - left) * np.exp(-9997 * dt / tau)
    np.testing.assert_allclose(out[10_000], left * alone[10_000], rtol=1e-6)
    assert 0.9 < left < 0.99  # 20 s are two time constants
    left = 1.0 - (1.0 - left * (1.0 - share) ** alone[10_000]) * np.exp(-20 * dt / tau)
    np.testing.assert_allclose(out[10_020], left * alone[10_020], rtol=1e-6)


@pytest.mark.usefixtures("single_precision")
@pytest.mark.parametrize("dt", [0.01, 0.05])
@pytest.mark.parametrize(
    "release, taken",
    [
        (SlowDepression(Certain(), 0.025, 9200.0), 0.025),
        (TsodyksMarkram(0.025, tau_d=9200.0, tau_f=1.0), 0.025),
        (TsodyksMarkram(0.9, tau_d=9200.0, tau_f=1.0), 0.9),
    ],
    ids=["slow depression", "little used", "much used"],
)
def test_depression_recovers_in_single_precision(release, taken, dt):
    """A step moves what is left by less than a unit of its last place."""
    spike, none = jnp.ones(1, jnp.float32), jnp.zeros(1, jnp.float32)
    state, _ = release.step(release.init(1), spike, ENV, dt)
    steps = round(1e4 / dt)

    @jax.jit
    def rested(state):
        return jax.lax.fori_loop(0, steps, lambda _, s: release.step(s, none, ENV, dt)[0], state)

    _, found = release.step(rested(state), spike, ENV, dt)
    np.testing.assert_allclose(1.0 - found, taken * np.exp(-1e4 / 9200.0), rtol=2e-3)


def test_slow_depression_of_nothing_changes_nothing():
    spikes = np.random.default_rng(2).random((200, 4)) < 0.3
    plain, slow = TsodyksMarkram(), SlowDepression(TsodyksMarkram(), share=0.0)
    found, expected = released(slow, spikes, 0.1), released(plain, spikes, 0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)  # two programs


spike_trains = st.lists(st.booleans(), min_size=40, max_size=40)


@given(train=spike_trains, dt=st.floats(0.01, 100.0))
@settings(max_examples=20)
def test_saturating_receptors_are_never_more_than_all_occupied(train, dt):
    state, _ = states_and_amounts(Saturating(), np.array(train, float)[:, None], dt)
    assert np.all((state >= 0.0) & (state <= 1.0))


@given(train=spike_trains, dt=st.floats(0.01, 100.0), u0=st.floats(0.01, 1.0))
@settings(max_examples=20)
def test_no_more_is_released_than_there_is(train, dt, u0):
    spikes = np.array(train, float)[:, None]
    state, out = states_and_amounts(TsodyksMarkram(u0=u0), spikes, dt)
    for x in (state.used, state.u):
        assert np.all((x >= 0.0) & (x <= 1.0))
    assert np.all(out * u0 <= 1.0)


def test_saturation_settles_where_decay_and_release_balance():
    dt, every, tau, fraction = 0.5, 20, 100.0, 0.6
    spikes = np.zeros((4000, 1))
    spikes[::every] = 1.0
    out = released(Saturating(tau, fraction), spikes, dt)[-every, 0]
    kept = np.exp(-every * dt / tau)
    occupied = fraction / (1 - kept * (1 - fraction))  # right after a spike
    np.testing.assert_allclose(out, occupied * (1 - kept), rtol=1e-10)
