"""Compiled programs kept between runs of the command line, where only their user can write.

What is in such a folder is run as code, and code made for one processor may not run on another, so
there is one folder for each kind of processor, with all rights for its owner and none for others.
"""

import hashlib
import os
import platform
import stat
from pathlib import Path

import jax

from cortexmg.hardware import of_processor

SWITCH = "CORTEXMG_CACHE"  # environment variable; "off" keeps nothing
LARGEST = 2**30  # bytes; the programs that are oldest go first
SHORTEST = 0.1  # s of compilation, below which a program is not kept


def keep_compiled() -> Path | None:
    """Let JAX keep what it compiles from here on; the folder, or None where it does not.

    A folder that the user has given to JAX stays. Without a safe place nothing is kept.
    """
    off = os.environ.get(SWITCH, "").strip().lower() in ("off", "0", "no", "false")
    if off or os.environ.get("JAX_COMPILATION_CACHE_DIR") or jax.config.jax_compilation_cache_dir:
        return None
    try:
        folder = _private(_place())
        _shrink(folder)
    except (OSError, RuntimeError):  # no home, a full disk, somebody else's folder
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST)
    return folder


def _place() -> Path:
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    root = given if given.is_absolute() else Path.home() / ".cache"
    return root / "cortexmg" / f"compiled-{_processor()}"


def _processor() -> str:
    """A name for what the processor here can do."""
    able = of_processor("flags|Features")
    text = able[0] if able else platform.processor()
    return hashlib.sha256(f"{platform.machine()} {text}".encode()).hexdigest()[:12]


def _private(folder: Path) -> Path:
    """The folder, made if need be; raises OSError unless it and its parent are the user's."""
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    for path in (folder.parent, folder):
        path.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "getuid"):
            about = path.lstat()
            if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode):
                raise PermissionError(f"{path} is not a folder of this user.")
            path.chmod(0o700)
    return folder


def _shrink(folder: Path) -> None:
    """Delete the oldest files, as long as all are larger than is allowed."""
    files = sorted(((p.stat(), p) for p in folder.iterdir()), key=lambda x: x[0].st_mtime)
    total = sum(about.st_size for about, _ in files)
    for about, path in files:
        if total <= LARGEST:
            return
        path.unlink(missing_ok=True)
        total -= about.st_size
