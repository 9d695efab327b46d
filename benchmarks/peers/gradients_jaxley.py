"""The gradient by Jaxley. usage: see protocol.py

python3.12 -m venv peers && peers/bin/pip install jaxley

Compartments with the channels of COBAHH and 80 synapses each, by the conductance of every synapse.
Its synapses have no events: all are computed in every step, from the voltage. Noise takes the place
of conductances to begin with. In single precision, with the steps of the others: both make it
faster than its defaults. The forward run takes the same program without derivatives.
"""

import os
import time
from importlib.metadata import version

from protocol import DT, serve, task, with_and_without

TASK = task()
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jaxley as jx  # noqa: E402
import numpy as np  # noqa: E402
from jaxley.channels.pospischil import K, Leak, Na  # noqa: E402
from jaxley.connect import connectivity_matrix_connect  # noqa: E402
from jaxley.synapses import IonotropicSynapse  # noqa: E402

N, N_E, RADIUS = TASK.n, TASK.n * 4 // 5, 39.894  # um: 200 pF
CELL = {
    "radius": RADIUS, "length": 20e3 / (2 * np.pi * RADIUS), "capacitance": 1.0, "Na_gNa": 0.1,
    "K_gK": 0.03, "Leak_gLeak": 5e-5, "Leak_eLeak": -60.0, "eNa": 50.0, "eK": -90.0, "vt": -63.0,
}  # fmt: skip


def network(rng) -> jx.Network:
    cell = jx.Compartment()
    for channel in (Na(), K(), Leak()):
        cell.insert(channel)
    for name, value in CELL.items():
        cell.set(name, value)
    made = jx.Network([jx.Cell(jx.Branch(cell, ncomp=1), parents=[-1])] * N)
    onto = np.zeros((N, N), bool)
    for j in range(N):
        onto[rng.choice(N_E, 64, replace=False), j] = True
        onto[N_E + rng.choice(N - N_E, 16, replace=False), j] = True
    connectivity_matrix_connect(made.cell("all"), made.cell("all"), IonotropicSynapse(), onto)
    inhibit = np.where(made.edges["pre_index"].to_numpy() >= N_E)[0].tolist()
    made.set("IonotropicSynapse_gS", 6e-3)
    made.IonotropicSynapse.edge(inhibit).set("IonotropicSynapse_e_syn", -80.0)
    made.IonotropicSynapse.edge(inhibit).set("IonotropicSynapse_gS", 67e-3)
    made.set("v", -65.0 + 5.0 * rng.standard_normal(N))
    made.init_states(DT)
    made.cell("all").branch(0).loc(0.5).record(verbose=False)
    # As make_trainable of all edges, which takes 8 ms for each.
    weights = jnp.asarray(made.edges["IonotropicSynapse_gS"].to_numpy())
    made.base.trainable_params.append({"IonotropicSynapse_gS": weights})
    made.base.indices_set_by_trainables.append(jnp.arange(len(weights))[:, None])
    made.base.num_trainable_params += len(weights)
    return made


def turns():
    rng = np.random.default_rng(TASK.seed)
    made, steps = network(rng), round(TASK.duration / DT)
    noise = rng.uniform(0.2, 0.8, (N, steps)) * (np.arange(steps) * DT < 50.0)
    inputs = made.cell("all").branch(0).loc(0.5).data_stimulate(jnp.asarray(noise), None)
    parameters = made.get_parameters()
    made.to_jax()

    def loss(p):
        v = jx.integrate(made, params=p, data_stimuli=inputs, delta_t=DT, t_max=TASK.duration)
        return jnp.mean((v / 20.0) ** 2)

    calls = [jax.jit(loss), jax.jit(jax.value_and_grad(loss))]
    began = time.perf_counter()
    jax.block_until_ready([f(parameters) for f in calls])
    yield {"compile_s": time.perf_counter() - began}
    while True:
        yield with_and_without(*(lambda f=f: jax.block_until_ready(f(parameters)) for f in calls))


if __name__ == "__main__":
    serve(turns(), {name: version(name) for name in ("jaxley", "jax")})
