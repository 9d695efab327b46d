"""Compiled programs that the command line keeps."""

import json
import os
import stat
import time

import jax
import numpy as np
import pytest

from cortexmg import cache, results

COUNTED = """
import json, sys
from jax import monitoring
seconds, hits = [], []
monitoring.register_event_duration_secs_listener(
    lambda name, s, **_: seconds.append(s) if name.endswith("backend_compile_duration") else None
)
monitoring.register_event_listener(
    lambda name, **_: hits.append(name) if name.endswith("cache_hits") else None
)
from cortexmg.cli import main
sys.argv = ["cortexmg", "run", "cortex", "--n", "60", "--duration", "150", "--out", sys.argv[1]]
try:
    main()
except SystemExit as end:
    assert not end.code
print(json.dumps([sum(seconds), len(hits)]))
"""


@pytest.fixture
def home(monkeypatch, tmp_path):
    """An empty home, in which the cache is on; JAX has its settings back afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(cache.SWITCH, raising=False)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    yield tmp_path
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def counted_run(home, in_a_fresh_process):
    """Seconds of compilation, programs found, and the arrays of a run in a process of its own."""

    def run(name):
        printed = in_a_fresh_process(COUNTED, str(home / name))
        return *json.loads(printed.splitlines()[-1]), results.load(home / name)[0]

    return run


def entries(home):
    return [p for p in (home / "cache").rglob("*-cache") if p.is_file()]


@pytest.mark.slow
def test_a_second_run_compiles_less_and_damage_does_no_harm(home, counted_run):
    first, hits, arrays = counted_run("first")
    kept = entries(home)
    assert kept and hits == 0
    second, hits, again = counted_run("second")
    assert hits >= 1 and second < 0.5 * first
    assert entries(home) == kept
    for i, path in enumerate(kept):
        path.write_bytes(path.read_bytes()[:100] if i % 2 else b"nonsense")
    _, _, third = counted_run("third")
    for other in (again, third):
        assert all(np.array_equal(arrays[k], other[k], equal_nan=True) for k in arrays)


def test_only_the_user_can_write_where_programs_are_kept(home):
    outer = home / "cache" / "cortexmg"
    outer.mkdir(parents=True)
    outer.chmod(0o777)
    folder = cache.keep_compiled()
    assert folder is not None and jax.config.jax_compilation_cache_dir == str(folder)
    for path in (folder, outer):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize("value", ["off", "0", "No"])
def test_it_can_be_turned_off(home, monkeypatch, value):
    monkeypatch.setenv(cache.SWITCH, value)
    assert cache.keep_compiled() is None
    assert jax.config.jax_compilation_cache_dir is None
    assert not (home / "cache").exists()


def test_a_folder_that_jax_was_given_stays(home, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(home / "mine"))
    assert cache.keep_compiled() is None
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    jax.config.update("jax_compilation_cache_dir", str(home / "mine"))
    assert cache.keep_compiled() is None
    assert jax.config.jax_compilation_cache_dir == str(home / "mine")


def test_without_a_safe_place_nothing_is_kept(home, monkeypatch):
    (home / "elsewhere").mkdir()
    (home / "cache").mkdir()
    (home / "cache" / "cortexmg").symlink_to(home / "elsewhere")
    assert cache.keep_compiled() is None
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    assert cache.keep_compiled() is None
    assert jax.config.jax_compilation_cache_dir is None


def test_a_relative_place_is_not_one(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(home))
    folder = cache.keep_compiled()
    assert folder is not None and folder.is_relative_to(home / ".cache" / "cortexmg")


def test_the_oldest_go_when_there_are_too_many(home, monkeypatch):
    folder = cache.keep_compiled()
    assert folder is not None
    for i in range(4):
        (folder / str(i)).write_bytes(bytes(100))
        os.utime(folder / str(i), (time.time() - i, time.time() - i))
    monkeypatch.setattr(cache, "LARGEST", 250)
    jax.config.update("jax_compilation_cache_dir", None)
    assert cache.keep_compiled() == folder
    assert sorted(p.name for p in folder.iterdir()) == ["0", "1"]
