"""Double precision and strict broadcasting in all tests, unless one asks for single precision."""

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def single_precision():
    """The precision that users get."""
    with jax.enable_x64(False):
        yield
