"""Results on disk: whole or not at all, and never read when damaged."""

import json
import pickle
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import cortexmg as cx
from cortexmg import recorders, results

ARRAYS = {
    "rate": np.linspace(0.0, 9.0, 50),
    "run 0/E/ids": np.arange(7, dtype=np.int32),
    "empty": np.zeros((0, 3), np.float32),
    "one": np.asarray(2.5),
}
ACCOUNT = {"settings": {"dt": 0.05, "name": "µ", "missing": float("nan")}, "list": [1, 2]}


def save(folder, arrays=None, account=None, **figures):
    return results.save(folder, arrays or ARRAYS, account or ACCOUNT, figures)


def write_text(path):
    Path(path).write_text("a figure")


def contents(folder):
    return {p.name: p.read_bytes() for p in sorted(Path(folder).rglob("*"))}


def test_what_is_saved_comes_back(tmp_path):
    folder = save(tmp_path / "deep" / "result", figure=write_text)
    arrays, account = results.load(folder)
    assert arrays.keys() == ARRAYS.keys()
    for name, x in ARRAYS.items():
        assert arrays[name].dtype == x.dtype
        np.testing.assert_array_equal(arrays[name], x)
    assert account["settings"]["dt"] == 0.05 and account["settings"]["name"] == "µ"
    assert account["settings"]["missing"] == "nan" and account["list"] == [1, 2]
    assert set(contents(folder)) == {"account.json", "data.npz", "figure"}
    assert [p.name for p in folder.parent.iterdir()] == ["result"]


def test_numbers_are_written_after_what_they_were_made_with(tmp_path):
    file = tmp_path / "deep" / "rows.json"
    results.write(file, n=3, rows=[{"rate": np.arange(2.0)}])
    found = json.loads(file.read_text())
    assert found == results.origin() | {"n": 3, "rows": [{"rate": [0.0, 1.0]}]}
    assert list(found)[:2] == ["versions", "commit"]


def test_a_run_is_saved_by_the_names_of_what_it_recorded(few_cells, tmp_path, without_type_checks):
    record = {"E": recorders.Spikes("E"), "v": recorders.Probe("E", "v", [0])}
    run = cx.simulate(few_cells, 10.0, 0.1, record=record)
    results.save(tmp_path / "run", run, results.account(few_cells))
    arrays, _ = results.load(tmp_path / "run")
    assert sorted(arrays) == ["E/ids", "E/n", "E/start", "E/stop", "E/times", "v/t", "v/values"]
    np.testing.assert_array_equal(arrays["E/times"], run["E"].times)
    np.testing.assert_array_equal(arrays["v/values"], run["v"].values)
    state = pickle.loads(pickle.dumps(run.state))
    np.testing.assert_array_equal(state.populations["E"].v, run.state.populations["E"].v)
    assert cx.simulate(few_cells, 5.0, 0.1, record=record, state=state).start == 10.0


def test_numbers_of_numpy_and_jax_can_be_in_the_account(tmp_path):
    account = {"a": np.float32(0.5), "b": np.arange(3), "c": jnp.ones(2)}
    _, got = results.load(save(tmp_path / "result", account=account))
    assert (got["a"], got["b"], got["c"]) == (0.5, [0, 1, 2], [1.0, 1.0])


@pytest.mark.parametrize("file", ["data.npz", "account.json"])
def test_any_flipped_bit_is_detected(tmp_path, file):
    folder = save(tmp_path / "result")
    whole = (folder / file).read_bytes()
    rng = np.random.default_rng(0)
    silent = []
    for place in rng.choice(8 * len(whole), 400, replace=False):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << (place % 8)
        (folder / file).write_bytes(damaged)
        try:
            arrays, account = results.load(folder)
        except ValueError as error:
            assert "damaged" in str(error) and str(folder) in str(error)
            continue
        # Some bits carry nothing, such as times in the archive: then all must be as it was.
        silent.append(place)
        assert account["settings"] == ACCOUNT["settings"] | {"missing": "nan"}
        for name, x in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], x)
    assert len(silent) < 200


def test_what_is_cut_off_or_swapped_is_detected(tmp_path):
    first = save(tmp_path / "first")
    second = save(tmp_path / "second", arrays={**ARRAYS, "rate": ARRAYS["rate"] + 1})
    whole = (first / "data.npz").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", (second / "data.npz").read_bytes()):
        (first / "data.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            results.load(first)


def test_a_missing_result_is_not_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        results.load(tmp_path / "nothing")


class Failed(Exception):
    pass


def failing(path):
    Path(path).write_text("half")
    raise Failed


@pytest.mark.parametrize("error", [Failed, KeyboardInterrupt])
def test_nothing_half_written_is_left_when_a_figure_fails(tmp_path, error):
    def write(path):
        Path(path).write_text("half")
        raise error

    with pytest.raises(error):
        save(tmp_path / "result", figure=write)
    assert list(tmp_path.iterdir()) == []


def test_an_older_result_survives_a_failure_and_is_replaced_by_a_success(tmp_path):
    folder = save(tmp_path / "result", figure=write_text)
    before = contents(folder)
    with pytest.raises(Failed):
        save(folder, arrays={"rate": np.zeros(3)}, figure=failing)
    assert contents(folder) == before
    save(folder, arrays={"rate": np.zeros(3)})
    arrays, _ = results.load(folder)
    assert list(arrays) == ["rate"] and not (folder / "figure").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["result"]


def test_an_older_result_survives_when_the_new_one_cannot_be_put_in_place(tmp_path, monkeypatch):
    folder = save(tmp_path / "result")
    before, rename = contents(folder), Path.rename

    def refuse(self, target):
        if Path(target) == folder and not self.name.endswith("-old"):
            raise Failed
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(Failed):
        save(folder, arrays={"rate": np.zeros(3)})
    assert contents(folder) == before
    assert [p.name for p in tmp_path.iterdir()] == ["result"]


def test_a_crash_between_the_renames_loses_nothing(tmp_path):
    folder = save(tmp_path / "result")
    folder.rename(tmp_path / ".result-abc_ef01-old")
    results.check_folder(folder)
    results.load(folder)


def test_an_account_is_strict_json(tmp_path):
    account = {"settings": {"high": np.inf, "found": [np.nan, 1.0]}}
    folder = results.save(tmp_path / "result", {}, account)

    def refuse(word):
        raise AssertionError(word)

    text = json.loads((folder / "account.json").read_text(), parse_constant=refuse)
    assert text["settings"] == {"high": "inf", "found": ["nan", 1.0]}


def test_what_is_not_a_result_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="not a result.*another folder"):
        save(tmp_path)
    assert contents(tmp_path) == {"thesis.txt": b"years of work"}
    save(tmp_path / "empty")


def test_an_account_tells_every_parameter_version_commit_and_setting(noisy_network):
    account = results.account(noisy_network, dt=0.05, key=3)
    assert account["settings"] == {"dt": 0.05, "key": 3}
    listed = cx.parameters(noisy_network)
    assert account["parameters"].keys() == listed.keys()
    assert account["parameters"]["environment/ions/mg/outside"] == {"value": 1.0, "unit": "mM"}
    weights = account["parameters"]["projections/E to E/connectivity/weights"]["value"]
    stored = noisy_network.projections["E to E"].connectivity.weights
    assert weights["shape"] == [stored.size]
    np.testing.assert_allclose([weights["mean"], weights["max"]], [stored.mean(), stored.max()])
    assert {"python", "cortexmg", "jax", "jaxlib", "numpy"} <= account["versions"].keys()
    assert account["commit"] is None or len(account["commit"].split("+")[0]) == 40
    assert account["machine"]["device"] and account["machine"]["platform"]
    json.dumps(account)


def test_other_weights_have_another_digest(noisy_network):
    name = "projections/E to E/connectivity/weights"
    weights = noisy_network.projections["E to E"].connectivity.weights.copy()
    weights[[0, 1]] = weights[[1, 0]]  # the same mean, deviation and extremes
    changed = cx.with_parameters(noisy_network, {name: weights})
    digests = [
        results.account(n)["parameters"][name]["value"]["sha256"] for n in (noisy_network, changed)
    ]
    assert digests[0] != digests[1]


def test_what_a_crash_left_of_another_result_is_not_touched(tmp_path):
    save(tmp_path / "run-2").rename(tmp_path / ".run-2-abcd0_ef-old")
    save(tmp_path / "run")
    assert {p.name for p in tmp_path.iterdir()} == {"run", ".run-2-abcd0_ef-old"}
    results.check_folder(tmp_path / "run-2")
    assert {p.name for p in tmp_path.iterdir()} == {"run", "run-2"}


def test_a_result_can_be_saved_again(tmp_path):
    first = results.load(save(tmp_path / "one"))
    again = results.load(results.save(tmp_path / "two", *first))
    assert again[1] == first[1] and again[0].keys() == first[0].keys()


@pytest.mark.parametrize(
    "arrays, account, words",
    [
        ({"file": np.ones(2)}, None, ["'file'", "rename"]),
        ({"x": jnp.ones(2, jnp.bfloat16)}, None, ["'x'", "bfloat16", "float32"]),
    ],
)
def test_what_could_not_be_read_again_is_refused(tmp_path, is_refused, arrays, account, words):
    is_refused(lambda: save(tmp_path / "result", arrays, account), words)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="name another folder"):
        results.check_folder(tmp_path / "file" / "result")


def test_runs_of_a_sweep_are_saved_by_their_numbers(few_cells, tmp_path, without_type_checks):
    record = {"v": recorders.Probe("E")}
    name = "stimuli/noise/mean"
    runs = cx.sweep(few_cells, {name: [100.0, 300.0]}, 5.0, dt=0.1, record=record)
    arrays, _ = results.load(results.save(tmp_path / "runs", runs, ACCOUNT))
    assert set(arrays) == {"0/v/t", "0/v/values", "1/v/t", "1/v/values"}
    np.testing.assert_array_equal(arrays["1/v/values"], runs[1]["v"].values)
    with pytest.raises(TypeError, match="a dict of arrays, a run or runs"):
        results.save(tmp_path / "other", [1, 2], ACCOUNT)
    with pytest.raises(TypeError, match="Trace cannot be saved.*a whole run"):
        results.save(tmp_path / "other", {"v": runs[0]["v"]}, ACCOUNT)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="is a file: name a folder"):
        save(tmp_path / "file")
