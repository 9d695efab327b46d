"""NEST. usage: see protocol.py; python3.11 -m venv peers && peers/bin/pip install nest-simulator

COBAHH is hh_cond_exp_traub: an adaptive Runge-Kutta method, and a Poisson kick in place of
conductances to begin with. With fixed numbers of contacts onto a cell it would fire at 30 Hz
instead of 39, so every pair is drawn, which takes long for many cells. EI-NMDA is iaf_bw_2001,
which approximates NMDA; its weight is chosen for an equal rate.
"""

import time

import nest
from protocol import DT, TRANSIENT, Task, serve, task


def cobahh(n: int) -> None:
    cells = nest.Create("hh_cond_exp_traub", n, params={
        "C_m": 200.0, "g_Na": 20_000.0, "g_K": 6_000.0, "g_L": 10.0, "E_Na": 50.0, "E_K": -90.0,
        "E_L": -60.0, "V_T": -63.0, "tau_syn_ex": 5.0, "tau_syn_in": 10.0, "E_ex": 0.0,
        "E_in": -80.0, "t_ref": 3.0,
    })  # fmt: skip
    cells.V_m = nest.random.normal(mean=-65.0, std=5.0)
    n_e = n * 4 // 5
    for senders, weight in ((cells[:n_e], 6.0), (cells[n_e:], -67.0)):
        rule = {"rule": "pairwise_bernoulli", "p": min(1.0, 80.0 / n)}
        nest.Connect(senders, cells, rule, {"weight": weight, "delay": DT})
    kick = nest.Create("poisson_generator", params={"rate": 1500.0, "stop": 50.0})
    nest.Connect(kick, cells, syn_spec={"weight": 6.0, "delay": DT})


def ei_nmda(n: int) -> None:
    cells = nest.Create("iaf_bw_2001", n, params={
        "C_m": 200.0, "g_L": 10.0, "E_L": -70.0, "E_ex": 0.0, "E_in": -70.0, "V_th": -50.0,
        "V_reset": -60.0, "t_ref": 2.0, "tau_AMPA": 2.0, "tau_GABA": 5.0, "tau_decay_NMDA": 100.0,
        "tau_rise_NMDA": 2.0, "conc_Mg2": 1.0,
    })  # fmt: skip
    cells.V_m = nest.random.uniform(-70.0, -50.0)
    kinds, n_e = dict(cells[0].receptor_types), n * 4 // 5

    def synapse(kind: str, weight: float) -> dict:
        return {"weight": weight, "delay": 1.5, "receptor_type": kinds[kind]}

    both = nest.CollocatedSynapses(synapse("AMPA", 0.1), synapse("NMDA", 0.032))
    nest.Connect(cells[:n_e], cells, {"rule": "fixed_indegree", "indegree": 800}, both)
    inhibit = synapse("GABA", 3.0)
    nest.Connect(cells[n_e:], cells, {"rule": "fixed_indegree", "indegree": 200}, inhibit)
    outside = nest.Create("poisson_generator", params={"rate": 2400.0})
    nest.Connect(outside, cells, syn_spec=synapse("AMPA", 1.5))


def turns(task: Task):
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    nest.local_num_threads, nest.resolution, nest.rng_seed = task.threads, DT, task.seed
    {"cobahh": cobahh, "ei_nmda": ei_nmda}[task.model](task.n)
    nest.Prepare()
    nest.Run(TRANSIENT)
    yield {"compile_s": 0.0}
    while True:
        began = time.perf_counter()
        nest.Run(task.duration)
        seconds = time.perf_counter() - began
        spikes = nest.GetKernelStatus("local_spike_counter")  # those of the last Run
        yield {"seconds": seconds, "rate_hz": spikes / task.n / task.duration * 1e3}


if __name__ == "__main__":
    serve(turns(task()), {"nest": nest.__version__})
