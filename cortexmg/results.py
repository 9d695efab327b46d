"""Results on disk: arrays, figures and a full account of how they came about.

A result is a folder that appears whole or not at all: it is written beside its place, flushed,
and renamed.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cortexmg.network import Network
from cortexmg.parameters import parameters

LARGEST = 16  # arrays longer than this are described in the account, not listed


def account(network: Network, **settings: Any) -> dict[str, Any]:
    """How a result came about: settings, versions, commit, machine and every parameter."""
    return {
        "settings": settings,
        "versions": versions(),
        "commit": commit(),
        "machine": {"platform": platform.platform(), "device": str(jax.devices()[0])},
        "parameters": {
            name: {"value": _described(p.value), "unit": p.unit}
            for name, p in parameters(network).items()
        },
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    packages = ("cortexmg", "jax", "jaxlib", "numpy", "scipy", "equinox")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }


def commit() -> str | None:
    """The commit this package runs from, "+changes" if it was edited; None outside a checkout."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        run = subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        )
        return run.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def save(
    folder: str | os.PathLike,
    arrays: Mapping[str, np.ndarray],
    account: Mapping[str, Any],
    figures: Mapping[str, Callable[[Path], None]] | None = None,
) -> Path:
    """Write data.npz, account.json (with a SHA-256 of every array) and figures into `folder`.

    `figures` maps file names to functions that write them. An earlier result in `folder` is
    replaced; anything else there is not touched.

    Raises: FileExistsError if `folder` holds something that is not a result.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / "account.json").exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} exists and is not a result: name another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        np.savez_compressed(beside / "data.npz", **dict(arrays))
        digests = {name: _sha256(x) for name, x in arrays.items()}
        text = json.dumps({**account, "sha256": digests}, indent=1, default=_plain)
        (beside / "account.json").write_text(text + "\n")
        for name, write in (figures or {}).items():
            write(beside / name)
        for file in beside.iterdir():
            with open(file, "rb") as f:
                os.fsync(f.fileno())
        beside.chmod(0o755)
        if folder.exists():
            # The old result is moved away first, and deleted only once the new one is in place.
            folder.rename(beside.with_name(beside.name + "-old"))
        beside.rename(folder)
        shutil.rmtree(beside.with_name(beside.name + "-old"), ignore_errors=True)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return folder


def load(folder: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the account of a result.

    Raises: ValueError if an array is not what was written.
    """
    folder = Path(folder)
    account = json.loads((folder / "account.json").read_text())
    with np.load(folder / "data.npz") as data:
        arrays = {name: data[name] for name in data.files}
    for name, digest in account["sha256"].items():
        if name not in arrays or _sha256(arrays[name]) != digest:
            raise ValueError(f"{folder}: array {name!r} is damaged; make the result again.")
    return arrays, account


def _sha256(x: np.ndarray) -> str:
    x = np.asarray(x)
    head = f"{x.dtype.str} {x.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(x).tobytes()).hexdigest()


def _described(value: Any) -> Any:
    x = np.asarray(value)
    if x.size <= LARGEST:
        return x.tolist()
    numbers = {"mean": x.mean(), "sd": x.std(), "min": x.min(), "max": x.max()}
    return {"shape": list(x.shape), **{k: float(v) for k, v in numbers.items()}, "sha256": _sha256(x)}


def _plain(x: Any) -> Any:
    if isinstance(x, np.generic | np.ndarray | jax.Array):
        return np.asarray(x).tolist()
    raise TypeError(f"{type(x).__name__} cannot be written as JSON.")
