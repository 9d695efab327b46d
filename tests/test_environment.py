"""Reversal potentials, the two fluids, and units."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, strategies as st

import cortexmg as cx
from cortexmg import Environment, Ion, acsf, in_vivo, models
from cortexmg.units import mM_per_pA_ms, whole_cell_nS, whole_cell_pA, whole_cell_pF


def test_calcium_reverses_at_120_mV():
    nernst = 1e3 * 8.31446 * 309.15 / (2 * 96485.33) * np.log(2.0 / 2.4e-4)
    np.testing.assert_allclose(nernst, 120.3, rtol=0, atol=0.05)
    # What stands for an absent ion, 1e-9 mM, takes 4e-6 of the calcium inside: 6e-5 mV.
    np.testing.assert_allclose(acsf(ca=2.0).reversal("ca"), nernst, rtol=0, atol=6e-5)


def test_ions_reverse_on_the_side_that_their_charge_says():
    env = acsf()
    assert env.reversal("k") < env.reversal("cl") < 0.0 < env.reversal("na") < env.reversal("ca")
    # RT/F of 26.64 mV at 36 degrees; ln(3.5 / 140), ln(144 / 12), ln(7 / 130).
    for ion, log in {"k": -3.68888, "na": 2.48491, "cl": -2.92166}.items():
        np.testing.assert_allclose(env.reversal(ion), 26.6405 * log, rtol=2e-5)


def test_reversal_grows_with_temperature_and_equal_sides_reverse_at_zero():
    ions = {"k": Ion(5.0, 5.0, 1), "ca": Ion(2.0, 1e-4, 2)}
    cold, warm = Environment(ions, 20.0), Environment(ions, 37.0)
    assert cold.reversal("k") == 0.0
    np.testing.assert_allclose(
        warm.reversal("ca") / cold.reversal("ca"), 310.15 / 293.15, rtol=1e-12
    )


@pytest.mark.parametrize("ion", ["mg", "ca", "k", "na", "cl"])
@pytest.mark.parametrize("side", ["outside", "inside"])
def test_absent_ions_have_a_finite_reversal_and_gradient(ion, side, precision):
    env = acsf()
    kind = env.ions[ion]

    def reversal(mM):
        sides = {"outside": kind.outside, "inside": kind.inside} | {side: mM}
        return Environment({ion: Ion(**sides, valence=kind.valence)}, 36.0).reversal(ion)

    value, gradient = jax.value_and_grad(reversal)(jnp.asarray(0.0, precision))
    assert np.isfinite(value) and np.isfinite(gradient)
    assert abs(value) < 800.0


def test_calcium_inside_a_cell_changes_nothing_else():
    env = acsf()
    calcium = np.array([1e-4, 1e-3])
    inside = env.with_inside("ca", calcium)
    np.testing.assert_array_equal(inside.ions["ca"].inside, calcium)
    assert inside.ions["ca"].outside == env.ions["ca"].outside
    assert {k: v for k, v in inside.ions.items() if k != "ca"} == {
        k: v for k, v in env.ions.items() if k != "ca"
    }
    # Ten times as much inside: RT/2F ln 10 less.
    drop = -np.diff(inside.reversal("ca"))
    np.testing.assert_allclose(drop, 26.6405 / 2 * np.log(10.0), rtol=2e-5)


def test_the_fluids_hold_what_their_names_say():
    slice_fluid, brain_fluid = acsf(), in_vivo()
    assert (slice_fluid.ions["mg"].outside, slice_fluid.ions["ca"].outside) == (1.0, 2.0)
    assert (brain_fluid.ions["mg"].outside, brain_fluid.ions["ca"].outside) == (0.8, 1.2)
    assert (slice_fluid.temperature, brain_fluid.temperature) == (36.0, 37.0)
    assert acsf(mg=0.0, ca=1.0, k=5.0).ions["k"].outside == 5.0


@given(mM=st.floats(0.0, 1000.0))
@example(mM=0.0)
@example(mM=1000.0)
def test_a_fluid_holds_any_concentration_up_to_1_M_and_a_tenth_of_it_of_two_charges(mM):
    fluid = acsf(mg=mM / 10, ca=np.array([mM / 10, 1.0]), k=mM).with_inside("na", mM)
    assert fluid.ions["k"].outside == fluid.ions["na"].inside == mM
    assert fluid.ions["mg"].outside == mM / 10


def test_a_fluid_of_arrays_can_be_changed_inside_a_compiled_program():
    fluid, inside = acsf(jnp.float32(0.5), jnp.ones(3)), jnp.ones(3)
    found = jax.jit(lambda: fluid.with_inside("mg", inside).ions["mg"].outside)()
    assert found == 0.5


NETWORK = models.cobahh(10)


@given(mM=st.floats(100.0, 1000.0, exclude_min=True))
def test_more_of_an_ion_of_two_charges_was_not_meant_in_mM(mM):
    """500 of magnesium are in uM."""
    given = {"environment/ions/mg/outside": mM}
    makes = [lambda: acsf(mg=mM), lambda: in_vivo(ca=np.array([1.0, mM])), lambda: Ion(1.0, mM, -2)]
    for make in [*makes, lambda: cx.with_parameters(NETWORK, given)]:
        with pytest.raises(ValueError, match=rf"at most 100 mM .*{re.escape(f'{mM:g}')}.*unit"):
            make()


@given(mM=st.floats(1000.0, 1e30, exclude_min=True) | st.floats(-1e30, 0.0, exclude_max=True))
@example(mM=np.nextafter(1000.0, 2000.0))
@example(mM=-1e-30)
def test_other_concentrations_are_refused_with_field_value_and_remedy(mM):
    ways = {
        "outside": [lambda: acsf(mg=mM), lambda: in_vivo(ca=mM), lambda: acsf(k=np.array([3, mM]))],
        "inside": [lambda: Ion(1.0, mM, 1), lambda: acsf().with_inside("na", mM)],
    }
    got = re.escape(f"got {mM:g}")
    want = rf"must be at least 0 and at most 1000 mM, {got}.*: check its sign and unit"
    for side, makes in ways.items():
        for make in makes:
            with pytest.raises(ValueError, match=rf"Ion.{side} {want}"):
                make()


def test_the_largest_concentration_has_a_gradient():
    assert jax.grad(lambda mM: acsf(mg=mM).reversal("mg"))(1000.0) > 0.0


def test_densities_become_whole_cells():
    area = 28953.0  # um2, the regular-spiking cell of Pospischil et al. (2008)
    np.testing.assert_allclose(whole_cell_pF(1.0, area), 289.53, rtol=1e-14)
    np.testing.assert_allclose(whole_cell_nS(0.05, area), 14476.5, rtol=1e-14)
    # 1 uA/cm2 is 10 pA for every 1000 um2.
    np.testing.assert_allclose(whole_cell_pA(1.0, area), 289.53, rtol=1e-14)


def test_calcium_current_fills_a_shell_as_published():
    # 1 uA/cm2 into a shell 1 um deep: 0.0518 uM/ms.
    rise = whole_cell_pA(1.0, 100.0) * mM_per_pA_ms(2, 100.0 * 1.0)
    np.testing.assert_allclose(rise * 1e3, 0.0518, rtol=0, atol=5e-5)
    charge = 1e-12 * 1e-3  # C, 1 pA for 1 ms
    mol_per_litre = charge / (2 * 96485.33) / 1e-15
    np.testing.assert_allclose(mM_per_pA_ms(2, 1.0), 1e3 * mol_per_litre, rtol=1e-12)
