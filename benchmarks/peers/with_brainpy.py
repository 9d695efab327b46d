"""BrainPy with brainevent on the CPU. usage: see protocol.py.

python3.13 -m venv peers && peers/bin/pip install brainpy brainevent brainstate braintools numba

COBAHH is written as in its examples: a Hodgkin-Huxley cell, projections that are aligned with the
cells they reach, random wiring driven by events. Every cell makes 80 contacts, and a spike is an
upward crossing. EI-NMDA multiplies binary events with fixed numbers of contacts (1,000 of each
cell, so that those onto a cell vary). Brainevent's own kernels are compiled by Numba.
"""

import os
import time
from importlib.metadata import version

from protocol import DT, in_turns, serve, task

TASK = task()
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["NUMBA_NUM_THREADS"] = str(TASK.threads)
if TASK.threads == 1:
    os.environ["XLA_FLAGS"] = (
        os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
    )

import brainevent  # noqa: E402
import brainpy  # noqa: E402
import brainstate  # noqa: E402
import braintools  # noqa: E402
import brainunit as u  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

N, N_E = TASK.n, TASK.n * 4 // 5


def constant(value: float):
    return braintools.init.Constant(value)


class TraubMiles(brainpy.state.HH):
    def __init__(self):
        super().__init__(
            N, ENa=50.0 * u.mV, gNa=20e3 * u.nS, EK=-90.0 * u.mV, gK=6e3 * u.nS, EL=-60.0 * u.mV,
            gL=10.0 * u.nS, C=200.0 * u.pF, V_th=-20.0 * u.mV,
            V_initializer=braintools.init.Normal(-65.0 * u.mV, 5.0 * u.mV),
            m_initializer=constant(0.0), h_initializer=constant(0.0), n_initializer=constant(0.0),
        )  # fmt: skip

    def get_spike(self, V=None):
        # V_th is negative, and the class would divide by it.
        return self.spk_fun(((self.V.value if V is None else V) - self.V_th) / (20.0 * u.mV))

    def rates(self, V):
        """Opening and closing of m, h and n; V counts from -63 mV."""
        x, exp, exprel = V / u.mV + 63.0, u.math.exp, u.math.exprel
        m = 1.28 / exprel((13.0 - x) / 4.0), 1.4 / exprel((x - 40.0) / 5.0)
        h = 0.128 * exp((17.0 - x) / 18.0), 4.0 / (1.0 + exp((40.0 - x) / 5.0))
        n = 0.16 / exprel((15.0 - x) / 5.0), 0.5 * exp((10.0 - x) / 40.0)
        return m, h, n

    def update(self, x=0.0 * u.nA):
        # The class takes synaptic current as constant over a step; here it depends on V.
        before, m, h, n = self.V.value, self.m.value, self.h.value, self.n.value
        na, k = self.gNa * m**3 * h, self.gK * n**4

        def slope(V):
            current = na * (V - self.ENa) + k * (V - self.EK) + self.gL * (V - self.EL)
            return (self.sum_current_inputs(x, V) - current) / self.C

        self.V.value = brainstate.nn.exp_euler_step(slope, before)
        for gate, (a, b) in zip((self.m, self.h, self.n), self.rates(before), strict=True):
            gate.value = brainstate.nn.exp_euler_step(
                lambda y, a=a, b=b: (a * (1.0 - y) - b * y) / u.ms, gate.value
            )
        return self.get_spike(self.V.value) * (1.0 - self.get_spike(before))


class Cobahh(brainstate.nn.Module):
    def __init__(self):
        super().__init__()
        self.cells = TraubMiles()
        self.E = self.projection(N_E, 6.0 * u.nS, 5.0 * u.ms, 0.0 * u.mV)
        self.I = self.projection(N - N_E, 67.0 * u.nS, 10.0 * u.ms, -80.0 * u.mV)

    def projection(self, n, weight, tau, E):
        return brainpy.state.AlignPostProj(
            comm=brainstate.nn.EventFixedProb(n, N, conn_num=80, conn_weight=weight),
            syn=brainpy.state.Expon.desc(N, tau=tau),
            out=brainpy.state.COBA.desc(E=E),
            post=self.cells,
        )

    def begin(self):
        draw = np.random.default_rng(TASK.seed).normal
        self.E.syn.g.value = jnp.asarray(10 * draw(4.0, 1.5, N), jnp.float32) * u.nS
        self.I.syn.g.value = jnp.asarray(10 * draw(20.0, 12.0, N), jnp.float32) * u.nS

    def init_state(self, *args, **kwargs):
        self.spikes = brainstate.ShortTermState(jnp.zeros(N))
        self.count = brainstate.ShortTermState(jnp.zeros(N, jnp.int32))

    def update(self, i):
        with brainstate.environ.context(i=i, t=i * brainstate.environ.get_dt()):
            self.E(self.spikes.value[:N_E])
            self.I(self.spikes.value[N_E:])
            self.spikes.value = self.cells(0.0 * u.nA)
            self.count.value += (self.spikes.value > 0.5).astype(jnp.int32)


class EiNmda(brainstate.nn.Module):
    DELAY = 15  # steps

    def __init__(self):
        super().__init__()
        rng, one = np.random.default_rng(TASK.seed), jnp.ones(1)
        self.E, self.I = (
            brainevent.FixedNumPerPre(
                one, jnp.asarray(rng.integers(0, N, (n, 1000), np.int32)), shape=(n, N)
            )
            for n in (N_E, N - N_E)
        )

    def begin(self):
        pass

    def init_state(self, *args, **kwargs):
        state, rng = brainstate.ShortTermState, np.random.default_rng(TASK.seed)
        self.v = state(jnp.asarray(rng.uniform(-70.0, -50.0, N), jnp.float32))
        self.ampa, self.drive, self.nmda, self.gaba = (state(jnp.zeros(N)) for _ in range(4))
        self.silent, self.count = (state(jnp.zeros(N, jnp.int32)) for _ in range(2))
        self.before = state(jnp.zeros((self.DELAY, N), bool))

    def arrivals(self):
        """Counts with a mean of 0.24, by the inverse of the distribution."""
        terms = np.cumprod([np.exp(-0.24), *(0.24 / np.arange(1, 6))])
        x = brainstate.random.rand(N)
        return sum((x > float(p)).astype(x.dtype) for p in np.cumsum(terms))

    def update(self, i):
        late = self.before.value[i % self.DELAY]
        excite = brainevent.BinaryArray(late[:N_E]) @ self.E
        inhibit = brainevent.BinaryArray(late[N_E:]) @ self.I
        v, silent = self.v.value, self.silent.value
        ampa = self.ampa.value + 0.1 * excite + 1.5 * self.arrivals()
        drive, gaba = self.drive.value + 0.02 * excite, self.gaba.value + 3.0 * inhibit
        gate = 1.0 / (1.0 + jnp.exp(-0.062 * v) / 3.57)
        g = 10.0 + ampa + self.nmda.value * gate + gaba
        end = (-700.0 - 70.0 * gaba) / g
        v = jnp.where(silent > 0, v, end + (v - end) * jnp.exp(-DT * g / 200.0))
        fired = (v > -50.0) & (silent == 0)
        self.v.value = jnp.where(fired, -60.0, v)
        self.silent.value = jnp.where(fired, 20, jnp.maximum(silent - 1, 0))
        self.nmda.value = self.nmda.value * np.exp(-DT / 100.0) + drive * (DT / 2.0)
        self.ampa.value, self.drive.value = ampa * np.exp(-DT / 2.0), drive * np.exp(-DT / 2.0)
        self.gaba.value = gaba * np.exp(-DT / 5.0)
        self.before.value = self.before.value.at[i % self.DELAY].set(fired)
        self.count.value += fired


def turns():
    network = Cobahh() if TASK.model == "cobahh" else EiNmda()
    brainstate.nn.init_all_states(network)
    network.begin()
    steps, first, before = round(TASK.duration / DT), 0, 0

    @brainstate.transform.jit
    def go_on(first):
        brainstate.transform.for_loop(network.update, first + jnp.arange(steps))

    def run() -> tuple[float, int]:
        nonlocal first, before
        began = time.perf_counter()
        go_on(jnp.int32(first))
        network.count.value.block_until_ready()  # the whole run is one program
        seconds = time.perf_counter() - began
        total = int(network.count.value.sum())
        first, fired, before = first + steps, total - before, total
        return seconds, fired

    return in_turns(run, TASK)


if __name__ == "__main__":
    if TASK.threads > 1:
        brainevent.config.set_numba_parallel(True, TASK.threads)
    brainstate.environ.set(dt=DT * u.ms)
    brainstate.random.seed(TASK.seed)
    used = ("brainpy", "brainevent", "brainstate", "jax", "numba")
    serve(turns(), {name: version(name) for name in used})
