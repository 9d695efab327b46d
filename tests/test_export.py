"""A whole step of a network, with its noise, compiles for devices that are not here."""

import jax
import jax.numpy as jnp
import pytest
from jax import export

import cortexmg as cx
from cortexmg import models

DT = 0.05  # ms


PLATFORMS = ["cuda", "rocm", "tpu"]


def exported(function, platform, *given):
    """The program of a function for a platform, as text."""
    program = export.export(jax.jit(function), platforms=[platform])(*given)
    assert program.platforms == (platform,)
    return program.mlir_module()


@pytest.mark.parametrize("how", ["stored", "procedural"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_step_with_a_queue_exports_without_a_loop(platform, how):
    """Loops of a device wait for the host in each turn."""
    network = models.cortex(100)
    if how == "procedural":
        network = models.balanced(100, contacts=32, procedural=True)
    network = network.with_queue(8)
    state = network.init(jax.random.key(0), DT, exact=True)
    text = exported(lambda s: network.step(s, DT)[0], platform, state)
    assert "stablehlo.while" not in text and "stablehlo.add" in text


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_derivative_of_a_step_exports(platform):
    network = models.cortex(100)
    state = network.init(jax.random.key(0), DT, exact=False)

    def voltage(mg):
        changed = cx.with_parameters(network, {"environment/ions/mg/outside": mg})
        return changed.step(state, DT)[0].populations["E"].v.mean()

    exported(jax.value_and_grad(voltage), platform, jnp.ones(()))
