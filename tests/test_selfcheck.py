"""The start-up check passes on a right JAX and detects a wrong one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, selfcheck


@pytest.fixture(autouse=True)
def not_checked_before():
    selfcheck.check_arithmetic.cache_clear()
    yield
    selfcheck.check_arithmetic.cache_clear()


def test_this_jax_computes_right_numbers():
    selfcheck.check_arithmetic()


@pytest.mark.parametrize("version", ["0.10.2", "0.11.0", "0.11.1", "0.11.2"])
def test_versions_known_to_be_wrong_are_refused_with_the_cure(monkeypatch, version):
    monkeypatch.setattr(jax, "__version__", version)
    with pytest.raises(RuntimeError) as error:
        selfcheck.check_arithmetic()
    for word in (version, "wrong numbers", "pip install", "jax>=0.12"):
        assert word in str(error.value)


WRONG = {
    "sum of a broadcast": ("sum", lambda right: lambda x, **k: right(x, **k) + 1),
    "gather and sum": ("sum", lambda right: lambda x, **k: right(x, **k) * 1.0001),
    "running sum": ("cumsum", lambda right: lambda x, *a: right(x, *a).at[3, 5].add(1)),
    "scatter": ("zeros", lambda right: lambda n: right(n).at[7].add(1)),
}


def test_a_wrong_jaxlib_beside_a_right_jax_is_refused_too(monkeypatch):
    monkeypatch.setattr(selfcheck, "version", lambda package: "0.11.2")
    with pytest.raises(RuntimeError, match="jaxlib 0.11.2"):
        selfcheck.check_arithmetic()


@pytest.mark.parametrize("name, wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_operation_is_detected(monkeypatch, name, wrong):
    monkeypatch.setattr(jnp, name, wrong(getattr(jnp, name)))
    with pytest.raises(RuntimeError, match=r"wrong numbers.*off by.*jax>=0.12"):
        selfcheck.check_arithmetic()


def test_a_rare_error_in_one_of_many_repetitions_is_detected(monkeypatch):
    jitted, calls = jax.jit, []

    def sometimes_wrong(f):
        compiled = jitted(f)

        def call(*x):
            calls.append(x)
            results = compiled(*x)
            return {name: r + (len(calls) == 4) for name, r in results.items()}

        return call

    monkeypatch.setattr(jax, "jit", sometimes_wrong)
    with pytest.raises(RuntimeError, match="off by 1"):
        selfcheck.check_arithmetic()


def test_every_run_is_preceded_by_the_check(monkeypatch):
    network = cx.Network(cx.acsf(), {"E": cells.leaky_integrate_and_fire(1)})
    cx.simulate(network, 1.0, dt=0.1)
    selfcheck.check_arithmetic.cache_clear()
    monkeypatch.setattr(jax, "__version__", "0.11.1")
    with pytest.raises(RuntimeError, match="0.11.1"):
        cx.simulate(network, 1.0, dt=0.1)
    with pytest.raises(RuntimeError, match="0.11.1"):
        cx.sweep(network, {"environment/temperature": np.asarray([20.0])}, 1.0, dt=0.1)
