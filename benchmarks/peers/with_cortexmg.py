"""cortexmg, the way its users run it. usage: see protocol.py.

With several threads networks of 50,000 cells and more are divided among as many CPU devices.
"""

import os
import sys
from pathlib import Path

from protocol import serve, task

TASK = task()
DIVIDED = 50_000  # cells
# A program that was kept would hide the time of compilation.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from cortexmg import bench, results  # noqa: E402
from cortexmg.choice import builder_of  # noqa: E402

if __name__ == "__main__":
    network = builder_of(TASK.model, TASK.n)(TASK.n, key=TASK.seed)
    devices = TASK.threads if TASK.n >= DIVIDED else 1
    serve(bench.turns(network, TASK.duration, devices=devices), results.versions())
