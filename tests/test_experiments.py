"""Every experiment runs in its quick form."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NEEDED = '"--quick"', "__main__"
SCRIPTS = sorted(
    p for p in (ROOT / "experiments").glob("*/*.py") if all(w in p.read_text() for w in NEEDED)
)


def test_there_are_experiments():
    assert len(SCRIPTS) > 10


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_the_quick_form_ends_with_numbers(script, tmp_path):
    """In a copy without results, which it must not take for its own."""
    without = shutil.ignore_patterns("results")
    copy = shutil.copytree(ROOT / "experiments", tmp_path / "experiments", ignore=without)
    folder = copy / script.parent.name
    run = subprocess.run(
        [sys.executable, script.name, "--quick"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    written = [*(folder / "results").rglob("*.json*")]
    assert written or any(map(str.isdigit, run.stdout.splitlines()[-1]))
