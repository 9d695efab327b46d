"""Brian2 as a C++ program of its own. usage: see protocol.py; pip install brian2, and a compiler.

The program that Brian2 writes is given a loop over the lines of its input. Its flags are those of
Brian2, -O3 -ffast-math -march=native, and its numbers of double precision.
"""

import os
import subprocess
import tempfile
import time

import brian2 as b2
from protocol import DT, TRANSIENT, Task, task

COBAHH = """
dv/dt = (10*nS*(-60*mV-v) - ge*v + gi*(-80*mV-v) - na*(v-50*mV) - k*(v+90*mV))/(200*pF) : volt
na = 20000*nS*(m*m*m)*h : siemens
k = 6000*nS*(n*n*n*n) : siemens
x = v/mV + 63 : 1
dm/dt = (1.28/exprel((13-x)/4)*(1-m) - 1.4/exprel((x-40)/5)*m)/ms : 1
dh/dt = (0.128*exp((17-x)/18)*(1-h) - 4/(1+exp((40-x)/5))*h)/ms : 1
dn/dt = (0.16/exprel((15-x)/5)*(1-n) - 0.5*exp((10-x)/40)*n)/ms : 1
dge/dt = -ge/(5*ms) : siemens
dgi/dt = -gi/(10*ms) : siemens
"""
EI_NMDA = """
dv/dt = (10*nS*(-70*mV-v) - (ga+gn/(1+exp(-62*v/volt)/3.57))*v + gg*(-70*mV-v))/(200*pF)
        : volt (unless refractory)
dga/dt = -ga/(2*ms) : siemens
dx/dt = -x/(2*ms) : siemens
dgn/dt = -gn/(100*ms) + x/(2*ms) : siemens
dgg/dt = -gg/(5*ms) : siemens
"""
BEGIN = """
std::printf("{\\"compile_s\\": %s, \\"versions\\": {\\"brian2\\": \\"VERSION\\"}}\\n",
            std::getenv("COMPILE_S"));
std::fflush(stdout);
for (std::string line; std::getline(std::cin, line);) {
const int before = _array_counter_N[0];
"""
END = """
long peak = 0;
std::ifstream status("/proc/self/status");
for (std::string word; status >> word;) if (word == "VmHWM:") status >> peak;
const double rate = double(_array_counter_N[0] - before) / CELLS;
std::printf("{\\"seconds\\": %g, \\"rate_hz\\": %g, \\"peak_mb\\": %g}\\n", Network::_last_run_time,
            rate / DURATION * 1e3, peak / 1024.0);
std::fflush(stdout);
}
std::_Exit(0);  // without writing results
"""


def cobahh(n: int) -> list:
    cells = b2.NeuronGroup(
        n, COBAHH, threshold="v>-20*mV", refractory=3 * b2.ms, method="exponential_euler"
    )
    n_e, p = n * 4 // 5, min(1.0, 80.0 / n)
    excite = b2.Synapses(cells[:n_e], cells, on_pre="ge += 6*nS")
    inhibit = b2.Synapses(cells[n_e:], cells, on_pre="gi += 67*nS")
    excite.connect(p=p)
    inhibit.connect(p=p)
    cells.v = "(-65 + 5*randn())*mV"
    cells.ge, cells.gi = "10*(4 + 1.5*randn())*nS", "10*(20 + 12*randn())*nS"
    return [cells, excite, inhibit]


def ei_nmda(n: int) -> list:
    cells = b2.NeuronGroup(
        n, EI_NMDA, threshold="v>-50*mV", reset="v=-60*mV", refractory=2 * b2.ms,
        method="exponential_euler",
    )  # fmt: skip
    n_e, late = n * 4 // 5, {"delay": 1.5 * b2.ms}
    excite = b2.Synapses(cells[:n_e], cells, on_pre="ga += 0.1*nS; x += 0.02*nS", **late)
    inhibit = b2.Synapses(cells[n_e:], cells, on_pre="gg += 3*nS", **late)
    excite.connect(i="k for k in sample(0, N_pre, size=800)")
    inhibit.connect(i="k for k in sample(0, N_pre, size=200)")
    outside = b2.PoissonInput(cells, "ga", 1000, 2.4 * b2.Hz, weight=1.5 * b2.nS)
    cells.v = "(-70 + 20*rand())*mV"
    return [cells, excite, inhibit, outside]


def program(task: Task, folder: str) -> None:
    """Write and compile the program."""
    b2.set_device("cpp_standalone", build_on_run=False, directory=folder)
    if task.threads > 1:
        b2.prefs.devices.cpp_standalone.openmp_threads = task.threads
    b2.prefs.codegen.cpp.headers += ["<cstdio>"]
    b2.seed(task.seed)
    b2.defaultclock.dt = DT * b2.ms
    objects = {"cobahh": cobahh, "ei_nmda": ei_nmda}[task.model](task.n)
    counter = b2.SpikeMonitor(objects[0], record=False, name="counter")
    network = b2.Network(*objects, counter)
    network.run(TRANSIENT * b2.ms)
    b2.device.insert_code("main", BEGIN.replace("VERSION", b2.__version__))
    network.run(task.duration * b2.ms)
    end = END.replace("CELLS", str(task.n)).replace("DURATION", str(task.duration))
    b2.device.insert_code("main", end)
    b2.device.build(directory=folder, compile=True, run=False, with_output=False)


if __name__ == "__main__":
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        program(task(), folder)
        os.environ["COMPILE_S"] = f"{time.perf_counter() - began:.2f}"
        subprocess.run(["./main"], cwd=folder, check=True)
