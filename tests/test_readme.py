"""The code of the README can be read from top to bottom."""

import ast
import builtins
import importlib
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = [ast.parse(x) for x in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)]
IMPORTS = [n for b in BLOCKS for n in ast.walk(b) if isinstance(n, ast.ImportFrom)]


def bound(node):
    """The names that a statement or expression gives a meaning to."""
    for n in ast.walk(node):
        if isinstance(n, ast.Import | ast.ImportFrom):
            yield from ((a.asname or a.name).split(".")[0] for a in n.names)
        elif isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
            yield n.id
        elif isinstance(n, ast.FunctionDef | ast.ClassDef):
            yield n.name
        elif isinstance(n, ast.arg):
            yield n.arg


def test_every_name_has_been_introduced():
    known = set(dir(builtins))
    for statement in (s for block in BLOCKS for s in block.body):
        known |= set(bound(statement))
        used = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
        assert used <= known, ast.unparse(statement)


@pytest.mark.parametrize("node", IMPORTS, ids=ast.unparse)
def test_what_is_imported_exists(node):
    module = importlib.import_module(node.module)
    for alias in node.names:
        if not hasattr(module, alias.name):
            importlib.import_module(f"{node.module}.{alias.name}")
