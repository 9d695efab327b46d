"""Double precision in all tests, unless one asks for single precision."""

import jax
import pytest

jax.config.update("jax_enable_x64", True)


@pytest.fixture
def single_precision():
    """The precision that users get."""
    with jax.enable_x64(False):
        yield
