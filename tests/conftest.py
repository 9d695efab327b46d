"""Double precision in all tests, unless one asks for single; networks that tests share."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import jax
import jaxtyping
import numpy as np
import pytest
from hypothesis import settings

import cortexmg as cx
from cortexmg import cells, recorders, stimuli, synapses, wiring
from cortexmg.distributions import LogNormal, Uniform
from cortexmg.releases import TsodyksMarkram

os.environ["CORTEXMG_CACHE"] = "off"  # what earlier tests compiled would hide what these do
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", 8)
# The first example of a test is compiled.
settings.register_profile("compiled", deadline=None)
settings.load_profile("compiled")


@pytest.fixture
def single_precision():
    """The precision that users get."""
    with jax.enable_x64(False):
        yield


@pytest.fixture(params=["single", "double"])
def precision(request):
    """The dtype of floating-point numbers, in each precision."""
    with jax.enable_x64(request.param == "double"):
        yield np.dtype("f8" if request.param == "double" else "f4")


@pytest.fixture(scope="session")
def noisy_network():
    """33 Hodgkin-Huxley and 7 integrate-and-fire cells: recurrent, delayed, plastic, irregular."""
    receptors = {
        "ampa": synapses.AMPA(),
        "nmda": synapses.NMDA(gain=0.5),
        "gaba_a": synapses.GABAA(),
        "gaba_b": synapses.GABAB(),
    }
    n = {"E": 33, "I": 7}

    def contacts(pre, post, k, weight, key):
        delay = Uniform(0.2, 2.0)
        return wiring.fixed_in_degree(n[pre], n[post], k, LogNormal(weight, weight), delay, key=key)

    return cx.Network(
        cx.acsf(),
        {
            "E": cells.regular_spiking(n["E"], receptors),
            "I": cells.leaky_integrate_and_fire(n["I"], receptors),
        },
        {
            "E to E": cx.Projection("E", "E", "glutamate", contacts("E", "E", 5, 6.0, 1)),
            "E to I": cx.Projection(
                "E", "I", "glutamate", contacts("E", "I", 5, 2.0, 2), TsodyksMarkram()
            ),
            "I to E": cx.Projection("I", "E", "gaba", contacts("I", "E", 3, 5.0, 3)),
            "I to I": cx.Projection(
                "I", "I", "gaba", wiring.fixed_probability(7, 7, 0.3, 1.0, 0.5, key=4)
            ),
        },
        {
            "outside": stimuli.Poisson("E", "ampa", 2000.0, 3.0),
            "noise": stimuli.OrnsteinUhlenbeckCurrent("I", 250.0, 150.0),
            "drive": stimuli.StepCurrent("E", 200.0, 5.0),
        },
    )


@pytest.fixture(scope="session")
def few_cells():
    """Nine integrate-and-fire cells, noisy and recurrent with delays: quick to compile."""
    receptors = {"ampa": synapses.AMPA(), "nmda": synapses.NMDA(gain=0.1)}
    contacts = wiring.fixed_out_degree(9, 9, 3, 2.0, Uniform(0.5, 3.0), key=1)
    return cx.Network(
        cx.acsf(),
        {"E": cells.leaky_integrate_and_fire(9, receptors)},
        {"contacts": cx.Projection("E", "E", "glutamate", contacts)},
        {"noise": stimuli.OrnsteinUhlenbeckCurrent("E", 250.0, 300.0)},
    )


@pytest.fixture(scope="session")
def in_a_fresh_process():
    """What a program prints, which gets these words, and the environment without XLA's flags."""
    own = ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES", "NPROC")

    def printed(program, *words, **environment):
        run = subprocess.run(
            [sys.executable, "-c", program, *words],
            capture_output=True,
            text=True,
            cwd=Path(cx.__file__).parent.parent,
            env={k: v for k, v in os.environ.items() if k not in own} | environment,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    return printed


@pytest.fixture
def mean_of_step():
    """The mean of a voltage that relaxes from `before` to `after` at a rate (1/ms)."""

    def mean(before, after, rate, dt):
        left = np.exp(-dt * rate)
        settled = (after - before * left) / (1.0 - left)
        return settled + (before - settled) * (1.0 - left) / (dt * rate)

    return mean


def concrete_members(package, family):
    """The classes of a family that a package exports and of which one can make objects."""
    return [
        kind
        for kind in vars(package).values()
        if inspect.isclass(kind) and issubclass(kind, family) and not inspect.isabstract(kind)
    ]


def make_recorder(kind, population):
    """A recorder of any kind, for a population of the noisy network."""
    wanted = {"population": population, "receptor": "nmda", "every": 1.0}
    fields = inspect.signature(kind).parameters
    if fields["every"].default is None:
        del wanted["every"]  # it has no interval
    return kind(**{name: value for name, value in wanted.items() if name in fields})


@pytest.fixture(params=concrete_members(recorders, recorders.Recorder), ids=lambda k: k.__name__)
def recorder(request):
    """One recorder of each kind that the package exports, for a population of the noisy network."""
    return make_recorder(request.param, "E")


@pytest.fixture(scope="session")
def every_recorder():
    """A recorder of every kind for every population of the noisy network."""
    return {
        f"{kind.__name__} {population}": make_recorder(kind, population)
        for kind in concrete_members(recorders, recorders.Recorder)
        for population in ("E", "I")
    }


@pytest.fixture
def same_bits():
    """A check that two pytrees, such as states and recordings, are equal bit for bit."""

    def check(a, b):
        assert jax.tree.structure(a) == jax.tree.structure(b)
        for (path, x), y in zip(
            jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True
        ):
            x, y = (jax.random.key_data(z) if _is_key(z) else np.asarray(z) for z in (x, y))
            assert x.dtype == y.dtype and x.shape == y.shape, path
            np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))

    return check


def _is_key(x):
    return jax.dtypes.issubdtype(getattr(x, "dtype", None), jax.dtypes.prng_key)


@pytest.fixture
def is_refused(without_type_checks):
    """A check that making something is an error whose text has these words."""

    def check(make, words):
        with pytest.raises((ValueError, TypeError)) as caught:
            make()
        assert all(word in str(caught.value) for word in words), caught.value

    return check


@pytest.fixture
def without_type_checks():
    """Functions as users have them: without the type checks that only tests install."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
