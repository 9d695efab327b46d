"""Two processes on this machine, which run this file, do the same as one."""

import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import cells, measures, memory, recorders, stimuli, synapses, wiring
from cortexmg.bounds import Coordinates
from cortexmg.distributions import LogNormal, Uniform
from cortexmg.protocol import Protocol, keys_of

DT, COUNT, TIMEOUT = 0.1, 2, 150  # ms, processes, s
pytestmark = pytest.mark.usefixtures("single_precision")


def network(key=1):
    """Noisy and recurrent: more cells than a device gets at least."""
    n, receptors = 600, {"ampa": synapses.Exponential(5.0, 0.0)}
    contacts = wiring.fixed_in_degree(n, n, 10, LogNormal(1.0, 0.5), Uniform(0.3, 1.5), key=key)
    return cx.Network(
        cx.acsf(),
        {"E": cells.leaky_integrate_and_fire(n, receptors)},
        {"E to E": cx.Projection("E", "E", "glutamate", contacts)},
        {"noise": stimuli.OrnsteinUhlenbeckCurrent("E", 250.0, 300.0)},
    )


def unstored():
    """The same with contacts that are computed when a cell fires."""
    stored = network()
    contacts = wiring.procedural(600, 600, 10, 1.0, 0.5, key=1)
    drawn = cx.Projection("E", "E", "glutamate", contacts)
    return replace(stored, projections={"E to E": drawn})


RECORD = {
    "spikes": recorders.Spikes("E"),
    "rate": recorders.PopulationRate("E", every=1.0),
    "some": recorders.Probe("E", cells=[0, 599]),
    "all": recorders.Probe("E"),
}
SPIKES = {"spikes": RECORD["spikes"]}
STRENGTHS = {"projections/E to E/strength": np.array([0.1, 0.5, 1.0])}


def everything(**options):
    """What the runs that are compared have recorded, and the states they end in."""
    first = cx.simulate(network(), 20.0, DT, record=RECORD, key=3, progress=True, **options)
    second = cx.simulate(network(), 10.0, DT, record=RECORD, state=first.state, **options)
    keys = jax.random.split(jax.random.key(5, impl="threefry2x32"), 3)
    swept = cx.sweep(network(), STRENGTHS, 10.0, DT, record=SPIKES, key=keys, **options)
    drawn = cx.simulate(unstored(), 20.0, DT, record=SPIKES, key=3, at_once=8, **options)
    found = {
        f"{name} {i}": numbers((run.recordings, run.state))
        for name, runs in {"simulate": [first, second, drawn], "sweep": swept}.items()
        for i, run in enumerate(runs)
    }
    return found | {"runs of a fit": numbers(runs_of_a_fit(**options))}


def runs_of_a_fit(**options):
    """The statistics of three runs, at three values of a parameter."""
    bounds = {name: cx.Bounds(0.05, 2.0) for name in STRENGTHS}
    measured, times = {"rate": measures.Rate("E")}, {"duration": 20.0, "settle": 10.0, "dt": DT}
    p = Protocol(network(), Coordinates(network(), bounds), measured, **times, **options)
    return p.run(np.array([[[-1.0]], [[0.0]], [[1.0]]]), keys_of(3, 0, 3))


def numbers(tree):
    """Arrays by path, without JAX."""

    def array(x):
        is_key = jax.dtypes.issubdtype(getattr(x, "dtype", None), jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(x) if is_key else x)

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): array(x) for path, x in leaves}


# ---- what each process does ---------------------------------------------------------------------


def interrupted():
    """The run in which process 1, and no other, is told to end after its first piece."""
    real = recorders.Spikes.piece

    def piece(self, *args):
        recorders.Spikes.piece = real
        if jax.process_index() == 1:
            signal.raise_signal(signal.SIGINT)
        return real(self, *args)

    recorders.Spikes.piece = piece
    run = cx.simulate(network(), 20.0, DT, record=RECORD, key=3)
    return run.complete, run.stop, len(run["rate"].t)


def sick():
    """A state in which a cell of the last process has no voltage."""
    state = network().init(jax.random.key(3, impl="threefry2x32"), DT, exact=True)
    return eqx.tree_at(
        lambda s: s.populations["E"].v, state, replace_fn=lambda v: v.at[599].set(np.nan)
    )


def error(**options):
    try:
        cx.simulate(**{"network": network(), "duration": 20.0, "dt": DT, **options})
    except (ValueError, FloatingPointError) as found:
        return f"{type(found).__name__}: {found}"
    return "none"


def one_of_several(me, port, out):
    jax.distributed.initialize(f"localhost:{port}", COUNT, me)
    found = {
        "process": (jax.process_index(), jax.process_count(), jax.device_count()),
        "runs": everything(),
        "interrupted": interrupted(),
        "too few": error(devices=1),
        "a list": error(devices=jax.local_devices()),
        "unlike": error(network=network(key=1 + me)),
        "not finite": error(state=sick(), record=RECORD),
    }
    Path(out).write_bytes(pickle.dumps(found))


# ---- and what must come of it -------------------------------------------------------------------


@contextmanager
def started(folder):
    """The processes, of which none is left in the end."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    plain = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "NPROC")}
    # Gloo is the default of JAX; it is named because a user may have chosen MPI.
    more = {"JAX_NUM_CPU_DEVICES": "1", "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo"}
    more |= {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[1])}
    processes = []
    try:
        for me in range(COUNT):
            with (folder / f"log{me}").open("w") as log:
                command = [sys.executable, __file__, str(me), str(port), str(folder / f"out{me}")]
                processes.append(
                    subprocess.Popen(command, env=plain | more, stdout=log, stderr=log)
                )
        yield processes
    finally:
        for process in processes:
            process.kill()  # JAX catches SIGTERM
            process.wait()


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What each process found and wrote on standard error."""
    folder = tmp_path_factory.mktemp("processes")
    with started(folder) as processes:
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end and not any(process.poll() for process in processes):
            if all(process.poll() == 0 for process in processes):
                break
            time.sleep(0.1)
        ended = [process.poll() for process in processes]
    logs = [(folder / f"log{me}").read_text() for me in range(COUNT)]
    assert ended == [0] * COUNT, "\n\n".join(logs)
    found = [pickle.loads((folder / f"out{me}").read_bytes()) for me in range(COUNT)]
    return [{**mine, "log": log} for mine, log in zip(found, logs, strict=True)]


def test_two_processes_give_the_same_bits_as_one(together):
    one = everything(devices=1)
    for name in ("simulate 0", "simulate 2"):
        assert one[name]["[0]['spikes'].times"].size > 200
    for me, found in enumerate(together):
        assert found["process"] == (me, 2, 2)
        assert found["runs"].keys() == one.keys()
        for name, expected in one.items():
            assert found["runs"][name].keys() == expected.keys()
            for path, x in expected.items():
                np.testing.assert_array_equal(found["runs"][name][path], x, err_msg=path)


def test_only_the_first_process_shows_progress(together):
    assert ["per simulated second" in found["log"] for found in together] == [True, False]


def test_ctrl_c_in_one_process_ends_all_after_the_same_step(together):
    (complete, stop, frames), other = (found["interrupted"] for found in together)
    assert not complete and 0.0 < stop < 20.0 and frames == round(stop)
    assert other == (complete, stop, frames)


@pytest.mark.parametrize(
    "what, message",
    [
        ("too few", "ValueError: devices must include some of each of the 2 processes, .*got 1 "),
        ("a list", "ValueError: devices must include some of each of the 2 processes"),
        ("unlike", "ValueError: All processes must be given the same, .*: network. Run one"),
        ("not finite", "NotFinite: The voltage of population 'E' .* cell 599 first of 1\\."),
    ],
)
def test_all_processes_raise_the_same_error(together, what, message):
    for found in together:
        assert re.match(message, found[what]), found[what]


if __name__ == "__main__":
    memory.CELL_STEPS = 1.0  # pieces of a few steps
    one_of_several(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
