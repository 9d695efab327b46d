"""cortexmg, the way its users run it. usage: see protocol.py.

Two threads are two CPU devices, which cortexmg uses where it finds them worthwhile.
"""

import os
import sys
from pathlib import Path

from protocol import serve, task

TASK = task()
if TASK.threads > 1:
    os.environ["JAX_NUM_CPU_DEVICES"] = str(TASK.threads)  # before JAX is imported
# A program that was kept would hide the time of compilation.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from cortexmg import bench, results  # noqa: E402
from cortexmg.choice import builder_of  # noqa: E402

if __name__ == "__main__":
    network = builder_of(TASK.model, TASK.n)(TASK.n, key=TASK.seed)
    serve(bench.turns(network, TASK.duration), results.versions())
