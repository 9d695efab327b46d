"""The notebooks run from the first cell to the last, as scripts in a process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    notebook = json.loads(path.read_text())
    code = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    script = tmp_path / "notebook.py"
    script.write_text("\n\n".join(code) + "\n")
    settings = {"MPLBACKEND": "agg", "PYTHONPATH": str(FOLDER.parent)}
    run = subprocess.run(
        [sys.executable, str(script)],
        cwd=FOLDER,  # as Jupyter does
        env=os.environ | settings,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
