"""cortexmg as `simulate` runs it by default. usage: see protocol.py; a sixth number are `devices`.

With that number the cells are divided among as many CPU devices, as by `simulate(devices=...)`.
"""

import os
import sys
from pathlib import Path

from protocol import serve, task

DEVICES = int(sys.argv.pop()) if len(sys.argv) == 7 else None
TASK = task()
STEPS = {"cortex": 0.05}  # ms, of models that need shorter ones than the others
# A program that was kept would hide the time of compilation.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from cortexmg import bench, results  # noqa: E402
from cortexmg.choice import network_of, size_of  # noqa: E402

if __name__ == "__main__":
    network = network_of(TASK.model, size_of(TASK.model, TASK.n), TASK.seed)
    dt = STEPS.get(TASK.model, bench.DT)
    serve(bench.turns(network, TASK.duration, devices=DEVICES, dt=dt), results.versions())
