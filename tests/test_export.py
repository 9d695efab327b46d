"""A whole step of a network, with its noise, compiles for devices that are not here."""

import jax
import pytest
from jax import export

from cortexmg import models


@pytest.mark.parametrize("how", ["differentiable", "with a queue", "procedural"])
@pytest.mark.parametrize("platform", ["cuda", "rocm", "tpu"])
def test_a_step_exports(platform, how):
    network = models.cortex(100)
    if how == "procedural":
        network = models.balanced(100, contacts=32, procedural=True)
    if how != "differentiable":
        network = network.with_queue(8)
    state = network.init(jax.random.key(0), 0.05, exact=how != "differentiable")
    step = jax.jit(lambda s: network.step(s, 0.05)[0])
    assert export.export(step, platforms=[platform])(state).platforms == (platform,)
