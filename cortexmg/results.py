"""Results on disk: arrays, figures and a full account of how they came about.

A result is a folder that appears whole or not at all: it is written beside its place, flushed,
and renamed.
"""

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cortexmg.evidence import mechanisms
from cortexmg.network import Network
from cortexmg.parameters import parameters
from cortexmg.processes import structure
from cortexmg.states import Run, arrays_of

SEAL = "sha256 of all above"  # in the account
LARGEST = 16  # arrays longer than this are described in the account, not listed


def account(network: Network, **settings: Any) -> dict[str, Any]:
    """How a result came about: settings, versions, commit, machine and every parameter."""
    return {
        "settings": settings,
        **origin(),
        "machine": {"platform": platform.platform(), "device": str(jax.devices()[0])},
        "mechanisms": {path: known._asdict() for path, known in mechanisms(network).items()},
        "parameters": {
            name: {"value": _described(p.value), "unit": p.unit}
            for name, p in parameters(network).items()
        },
    }


def origin() -> dict[str, Any]:
    """What numbers were made with: versions and commit."""
    return {"versions": versions(), "commit": commit()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    packages = ("cortexmg", "jax", "jaxlib", "numpy", "scipy", "equinox")
    return {"python": platform.python_version()} | {name: _version(name) for name in packages}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # this package, run from a checkout


def fingerprint(network: Network) -> str:
    """SHA-256 of all that makes a network: its numbers and wiring, and its structure."""
    whole = hashlib.sha256(structure(network).encode())
    for path, x in jax.tree_util.tree_leaves_with_path(network):
        whole.update(f"{jax.tree_util.keystr(path)} {_sha256(np.asarray(x))}".encode())
    return whole.hexdigest()


def commit() -> str | None:
    """The commit this package runs from, "+changes" if it was edited; None outside a checkout."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def write(file: Path, **numbers: Any) -> None:
    """Write numbers of an experiment as one file of JSON, after what they were made with."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(origin() | numbers, indent=1, default=np.ndarray.tolist))


def check_folder(folder: Path) -> None:
    """Raise FileExistsError if `folder` holds what is not a result, OSError if it cannot be made.

    A result that a crash left beside its place, while it was being replaced, is put back.
    """
    try:
        there = next((x for x in folder.absolute().parents if x.exists()), folder)
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise OSError(f"{folder} cannot be written ({error}): name another folder.") from error
    # As mkdtemp names them: those of `run-2` are not of `run`.
    left = re.compile(rf"\.{re.escape(folder.name)}-[a-z0-9_]{{8}}-old")
    for old in folder.parent.iterdir() if folder.parent.exists() else ():
        if left.fullmatch(old.name) and not folder.exists():
            old.rename(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file: name a folder.")
    if folder.exists() and not (folder / "account.json").exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} exists and is not a result: name another folder.")


def save(
    folder: str | os.PathLike,
    arrays: Mapping[str, np.ndarray] | Run | Sequence[Run],
    account: Mapping[str, Any],
    figures: Mapping[str, Callable[[Path], None]] | None = None,
) -> Path:
    """Write data.npz, account.json (with a SHA-256 of every array and of itself) and figures.

    Of a run these are all that it recorded, such as "E/ids" and "E/times", and of the runs of a
    sweep "0/E/ids", "1/E/ids"...; a state, from which another goes on, is kept by `pickle`.

    `figures` maps file names to functions that write them. An earlier result in `folder` is
    replaced; anything else there is not touched.

    Raises: FileExistsError if `folder` holds something that is not a result; ValueError or
    TypeError for what could not be read again.
    """
    folder = Path(folder)
    check_folder(folder)
    if not isinstance(arrays, Mapping):
        arrays = arrays_of(arrays)
    _check_names(arrays)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        np.savez_compressed(beside / "data.npz", allow_pickle=False, **dict(arrays))
        digests = {name: _sha256(x) for name, x in arrays.items()}
        whole = plain({**account, "sha256": digests})
        whole.pop(SEAL, None)  # of a result that was loaded
        whole[SEAL] = _digest(whole)
        (beside / "account.json").write_text(json.dumps(whole, indent=1) + "\n")
        for name, write in (figures or {}).items():
            write(beside / name)
        for file in beside.iterdir():
            with open(file, "rb") as f:
                os.fsync(f.fileno())
        beside.chmod(0o755)
        _put_in_place(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return folder


def _check_names(arrays: Mapping[str, np.ndarray]) -> None:
    for name, x in arrays.items():
        if name in ("file", "allow_pickle"):
            raise ValueError(f"An array cannot be saved as {name!r}, a word of NumPy: rename it.")
        if isinstance(x, tuple) or not kept(x):
            kind = type(x).__name__ if isinstance(x, tuple) else np.asarray(x).dtype
            raise TypeError(
                f"Array {name!r} of {kind} cannot be saved: give one of float32, or a whole run."
            )


def kept(x: Any) -> bool:
    """Whether an array can be saved and read again."""
    return np.asarray(x).dtype.kind in "biufcmMSU"


def load(folder: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the account of a result.

    Raises: ValueError if they are not what was written, FileNotFoundError if there is no result.
    """
    folder = Path(folder)
    try:
        account = json.loads((folder / "account.json").read_bytes())
        _require("account.json", account.pop(SEAL) == _digest(account))
        # Opened here, because np.load leaves a damaged archive open.
        with open(folder / "data.npz", "rb") as file, np.load(file) as data:
            arrays = {name: data[name] for name in account["sha256"]}
        for name, digest in account["sha256"].items():
            _require(name, _sha256(arrays[name]) == digest)
    except FileNotFoundError:
        raise
    except Exception as error:  # what is damaged fails in many ways
        raise ValueError(f"{folder} is damaged ({error}); make the result again.") from error
    return arrays, account


def _require(what: str, whole: bool) -> None:
    if not whole:
        raise ValueError(f"{what} is not what was written")


def _put_in_place(beside: Path, folder: Path) -> None:
    """Rename `beside` to `folder`; what is there is deleted only once the new one is in place."""
    old = beside.with_name(beside.name + "-old")
    replaced = folder.exists()
    if replaced:
        folder.rename(old)
    try:
        beside.rename(folder)
    except BaseException:
        if replaced:
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _digest(account: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(account, sort_keys=True).encode()).hexdigest()


def _sha256(x: np.ndarray) -> str:
    x = np.asarray(x)
    head = f"{x.dtype.str} {x.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(x).tobytes()).hexdigest()


def _described(value: Any) -> Any:
    x = np.asarray(value)
    if x.size <= LARGEST:
        return x.tolist()
    numbers = {"mean": x.mean(), "sd": x.std(), "min": x.min(), "max": x.max()}
    floats = {k: float(v) for k, v in numbers.items()}
    return {"shape": list(x.shape), **floats, "sha256": _sha256(x)}


def plain(x: Any) -> Any:
    """As what strict JSON has; numbers that are not finite as the words for them."""
    if isinstance(x, Mapping):
        return {str(k): plain(v) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return [plain(v) for v in x]
    if isinstance(x, np.generic | np.ndarray | jax.Array):
        return plain(np.asarray(x).tolist())
    if isinstance(x, float) and not math.isfinite(x):
        return str(x)
    if x is None or isinstance(x, str | int | float):
        return x
    raise TypeError(f"{type(x).__name__} cannot be written as JSON.")
