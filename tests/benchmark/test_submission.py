"""Submissions: packed to the same bytes, refused by name, read without trusting anything in them."""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.config import load_params
from benchmark.results import read_run
from benchmark.runs import Run, execute, record_failure
from benchmark.submission import archive
from benchmark.submission.adapter import find_adapter
from benchmark.submission.archive import BadArchiveError, pack, unpack
from benchmark.submission.manifest import CONFIGS, MANIFEST, Manifest
from tests.benchmark.command import PARAMS, acrl, finish, install, start, workplace
from tests.benchmark.factories import alter
from tests.benchmark.verified import PLUGIN

RUN = "results/smoke/runs/{}/nfw/seed-0.json"


@pytest.fixture
def folder(nfw_runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(nfw_runs, tmp_path / "copy"))


def submit(folder: Path, *more: str) -> tuple[Path, Manifest]:
    done = acrl(folder, "submit", "--method", "nfw", "-p", "smoke", "--out", "nfw.zip", *more, "--json")
    assert done.code == 0, done.err
    return folder / "nfw.zip", Manifest.model_validate_json(done.out)


def test_a_submission_holds_the_files_and_says_what_they_are(folder: Path) -> None:
    path, manifest = submit(folder, "--author", "A. Nonymous <a@example.org>", "--paper", "arXiv 2102.11055")
    files = unpack(path)
    assert sorted(files) == [CONFIGS, MANIFEST, *sorted(f"runs/{task}/nfw/seed-0.json" for task in ("BSS-3", "R+L2"))]
    for task in ("BSS-3", "R+L2"):
        assert files[f"runs/{task}/nfw/seed-0.json"] == (folder / RUN.format(task)).read_bytes()
    run = read_run(folder / RUN.format("R+L2"))
    assert json.loads(files[CONFIGS])["R+L2"]["nfw"] == run.config
    assert Manifest.model_validate_json(files[MANIFEST]) == manifest
    assert (manifest.profile, manifest.tasks, manifest.methods) == ("smoke", ["R+L2", "BSS-3"], ["nfw"])
    assert (manifest.complete, manifest.expected, manifest.incomplete, manifest.missing) == (2, 2, False, [])
    assert (manifest.seeds, manifest.locks) == ([0], [run.provenance.lock_sha256])
    assert run.provenance.processor in manifest.machines[0]
    (adapter,) = manifest.adapters
    assert (adapter.kind, adapter.module, adapter.package) == ("repository", "methods.nfw", "")
    assert (manifest.author, manifest.paper) == ("A. Nonymous <a@example.org>", "arXiv 2102.11055")


def test_the_same_runs_give_the_same_bytes(folder: Path) -> None:
    first = submit(folder)[0].read_bytes()
    for path in folder.glob("results/smoke/runs/*/*/*.json"):
        path.touch()
    (folder / "nfw.zip").unlink()
    assert submit(folder)[0].read_bytes() == first


def test_what_is_said_in_words(folder: Path) -> None:
    done = acrl(folder, "submit", "--method", "nfw", "-p", "smoke", "--out", "nfw.zip")
    assert done.out.splitlines() == ["2 of 2 runs of profile smoke, nfw", "nfw: repository methods.nfw", "nfw.zip"]


@pytest.mark.parametrize("task", [[], ["--task", "R+L2"]])
def test_fewer_runs_than_asked_for_are_packed_only_on_demand(folder: Path, task: list[str]) -> None:
    if not task:
        (folder / RUN.format("BSS-3")).unlink()
    arguments = ["submit", "--method", "nfw", "-p", "smoke", "--out", "nfw.zip", *task]
    done = acrl(folder, *arguments)
    assert done.code == 2
    assert "1 of 2 runs of profile smoke" in done.err
    assert "missing: BSS-3 nfw seed 0;" in done.err
    assert not (folder / "nfw.zip").exists()
    assert "INCOMPLETE" in acrl(folder, *arguments, "--incomplete").out
    manifest = Manifest.model_validate_json(unpack(folder / "nfw.zip")[MANIFEST])
    assert (manifest.complete, manifest.expected, manifest.incomplete) == (1, 2, True)
    assert manifest.missing == ["BSS-3 nfw seed 0"]


def test_failed_stale_and_damaged_runs_are_refused_by_name(folder: Path) -> None:
    params = load_params(PARAMS)
    record_failure(Run("smoke", "BSS-3", "nfw", 0), params, folder / "results", "went wrong")
    done = acrl(folder, "submit", "--method", "nfw", "-p", "smoke", "--out", "nfw.zip", "--incomplete")
    assert done.code == 2
    assert "BSS-3 nfw seed 0 failed (went wrong); `acrl sweep -p smoke --method nfw` makes" in done.err
    alter(folder / RUN.format("R+L2"), lambda data: data.update(run_key="0" * 64))
    (folder / RUN.format("BSS-3")).write_text("{")
    done = acrl(folder, "submit", "--method", "nfw", "-p", "smoke", "--out", "nfw.zip", "--incomplete")
    assert done.code == 2
    assert (
        "R+L2 nfw seed 0 is stale, of other versions or settings than today's, BSS-3 nfw seed 0 is damaged" in done.err
    )
    assert not (folder / "nfw.zip").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "nfww"], "unknown method 'nfww': did you mean 'nfw'"),
        (["--method", "n|fw"], "'n|fw' cannot be submitted: give the method an id of letters, digits"),
        (["--method", "nfw", "--task", "HC+O"], "task 'HC+O' is not of profile 'smoke': its tasks are R+L2, BSS-3"),
        (["--method", "nfw", "--source", "javascript:alert(1)"], "--source: 'javascript:alert(1)' is no address"),
        (["--method", "nfw", "--author", "A\x1b[31m"], "--author: not one line of at most 300 readable characters"),
        (["--method", "ddpg-penalty", "--incomplete"], "no complete run to submit: make them with `acrl sweep"),
        (["--method", "nfw", "--out", "nfw.tar"], "nfw.tar is no name of an archive"),
        ([], "Missing option '--method'"),
    ],
)
def test_bad_input_is_one_line(folder: Path, arguments: list[str], message: str) -> None:
    done = acrl(folder, "submit", "-p", "smoke", "--out", "nfw.zip", *arguments)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not (folder / "nfw.zip").exists()


@pytest.mark.slow
def test_the_adapter_of_another_package_is_named(tmp_path: Path) -> None:
    folder = workplace(tmp_path)
    install(folder, "acrl.methods", "theirs", PLUGIN)
    assert finish(start(folder, "run", "R+L2", "theirs", "-p", "smoke")).code == 0
    arguments = ["submit", "--method", "theirs", "-p", "smoke", "--incomplete", "--out", "theirs.zip", "--json"]
    done = finish(start(folder, *arguments, "--source", "https://example.org/theirs"))
    assert done.code == 0, done.err
    (adapter,) = Manifest.model_validate_json(done.out).adapters
    assert (adapter.kind, adapter.package, adapter.version) == ("package", "theirs", "1.0")
    assert (adapter.entry_point, adapter.source) == ("theirs = theirs", "https://example.org/theirs")
    verified = finish(start(folder, "verify", "theirs.zip"))
    assert verified.code == 0, verified.out
    assert "rerun: agrees" in verified.out
    # Where the package is not installed, that is what is said.
    unknown = acrl(folder, "verify", "theirs.zip")
    assert unknown.code == 0
    assert "warning adapter: 'theirs' of package theirs 1.0 is not installed here" in unknown.out
    assert "warning rerun: nothing was made again: no run whose code is here passed" in unknown.out
    assert acrl(folder, "verify", "theirs.zip", "--strict").code == 1


def test_methods_of_this_repository_are_referred_to_by_module_and_code() -> None:
    nfw, penalty = find_adapter("nfw"), find_adapter("ddpg-penalty", "git@example.org:a/b")
    assert nfw.code_sha256 != penalty.code_sha256
    assert (penalty.kind, penalty.source) == ("repository", "git@example.org:a/b")


@given(st.dictionaries(st.sampled_from([f"runs/T/m/seed-{k}.json" for k in range(5)]), st.binary(max_size=200)))
def test_what_is_packed_comes_out_again(tmp_path_factory: pytest.TempPathFactory, runs: dict[str, bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "packed.zip"
    files = {**runs, MANIFEST: b"{}", CONFIGS: b"{}"}
    path.write_bytes(pack(files))
    assert unpack(path) == files
    assert pack(dict(reversed(files.items()))) == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil.json", "unsafe name"),
        ("/etc/evil.json", "unsafe name"),
        ("runs/../../seed-0.json", "unsafe name"),
        ("runs\\T\\m\\seed-0.json", "unsafe name"),
        ("C:/evil.json", "unsafe name"),
        ("runs/T/m/seed-0.json\x00.py", "no file of a submission"),
        ("runs/T/m/checkpoint.safetensors", "no file of a submission"),
        ("runs/T/m/", "no file of a submission"),
        ("setup.py", "no file of a submission"),
    ],
)
def test_a_name_that_no_submission_has_is_refused(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as bad:
        info = zipfile.ZipInfo("placeholder")
        # As an attacker's program would write it: Python's own cleans names.
        info.filename = info.orig_filename = name
        bad.writestr(info, b"{}")
    with pytest.raises(BadArchiveError, match=message):
        unpack(path)


def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as bad, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for content in (b"{}", b"[]"):
            bad.writestr(MANIFEST, content)
    with pytest.raises(BadArchiveError, match=r"'manifest\.json' twice"):
        unpack(path)


def test_a_file_larger_than_any_result_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 1000)
    path = tmp_path / "bad.zip"
    path.write_bytes(pack({MANIFEST: b"0" * 1001, CONFIGS: b"{}"}))
    with pytest.raises(BadArchiveError, match=r"'manifest\.json', which is larger than any result"):
        unpack(path)
    path.write_bytes(pack({MANIFEST: b"0" * 1000, CONFIGS: b"{}"}))
    assert len(unpack(path)[MANIFEST]) == 1000


def test_all_files_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES_IN_ALL", 1500)
    path = tmp_path / "bad.zip"
    path.write_bytes(pack({MANIFEST: b"0" * 1000, CONFIGS: b"0" * 1000}))
    with pytest.raises(BadArchiveError, match="larger"):
        unpack(path)


def test_an_archive_without_a_manifest_is_none(tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    path.write_bytes(pack({CONFIGS: b"{}"}))
    with pytest.raises(BadArchiveError, match=r"no manifest\.json"):
        unpack(path)


def test_damage_anywhere_is_an_error_and_never_a_crash(folder: Path) -> None:
    path, _ = submit(folder)
    whole, files = path.read_bytes(), unpack(path)
    refused = 0
    contents = whole.index(b"PK\x01\x02")
    # All of the table of contents, where a flipped bit may hide a whole file.
    for place in (*range(0, contents, max(1, contents // 150)), *range(contents, len(whole))):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            # What a flipped bit may change unseen is what nothing reads: times and attributes.
            assert unpack(path) == files
        except BadArchiveError:
            refused += 1
    assert refused > 100
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadArchiveError, match="the archive is damaged"):
        unpack(path)


def test_runs_of_another_budget_cannot_be_passed_off(folder: Path) -> None:
    params = load_params(PARAMS)
    profile = params.profile("smoke").model_copy(update={"steps": 100})
    shorter = params.model_copy(update={"profiles": {"smoke": profile}})
    execute(Run("smoke", "R+L2", "nfw", 0), shorter, folder / "results", lambda _: None)
    done = acrl(folder, "submit", "--method", "nfw", "-p", "smoke", "--out", "nfw.zip")
    assert done.code == 2
    assert "R+L2 nfw seed 0 is stale" in done.err
