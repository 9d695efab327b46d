"""A whole step of a network, with its noise, compiles for devices that are not here."""

import jax
import pytest
from jax import export

from cortexmg import models


@pytest.mark.parametrize("platform", ["cuda", "rocm", "tpu"])
def test_a_step_of_cortex_exports(platform):
    network = models.cortex(100)
    state = network.init(jax.random.key(0), 0.05)
    step = jax.jit(lambda s: network.step(s, 0.05)[0])
    assert export.export(step, platforms=[platform])(state).platforms == (platform,)
