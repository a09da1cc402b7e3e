"""Accepting a submission whose code is not installed: everything in its place, or nothing changed."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark import files as written
from benchmark.results import digest
from benchmark.submission.archive import unpack
from benchmark.submission.manifest import MANIFEST
from envs.errors import UserError
from tests.benchmark.command import Done, acrl, files, finish, install, start, workplace
from tests.benchmark.factories import alter
from tests.benchmark.verified import PLUGIN, Data, repack

AUTHOR, SOURCE, PAPER = "A. <b>Nonymous</b> <a@example.org>", "https://example.org/theirs", "arXiv 2102.11055"
RECORD = "results/smoke/submissions/theirs.json"
RUNS = [f"results/smoke/runs/{task}/theirs/seed-0.json" for task in ("BSS-3", "R+L2")]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where a plug-in is installed and its method was run and packed. To be read only."""
    folder = workplace(tmp_path_factory.mktemp("elsewhere"))
    install(folder, "acrl.methods", "theirs", PLUGIN)
    about = ("--author", AUTHOR, "--source", SOURCE, "--paper", PAPER)
    for command in (
        ("run", "R+L2", "theirs", "-p", "smoke"),
        ("run", "BSS-3", "theirs", "-p", "smoke"),
        ("submit", "--method", "theirs", "-p", "smoke", "--out", "theirs.zip", *about),
    ):
        done = finish(start(folder, *command))
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def archive(elsewhere: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(elsewhere / "theirs.zip", tmp_path))


@pytest.fixture
def folder(nfw_runs: Path, tmp_path: Path) -> Path:
    """A folder with runs of one method, where the plug-in is not installed."""
    return Path(shutil.copytree(nfw_runs, tmp_path / "copy"))


def refused(done: Done) -> str:
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    return done.err


def test_runs_and_their_record_are_in_place(folder: Path, archive: Path) -> None:
    before = files(folder)
    done = acrl(folder, "accept", archive, "--json")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert (document["verdict"], document["paths"]) == ("verified", [*RUNS, RECORD])
    after = files(folder)
    assert set(after) - set(before) == {*RUNS, RECORD}
    packed = unpack(archive)
    assert {name: after[name] for name in RUNS} == {name: packed[name.split("smoke/")[1]] for name in RUNS}
    record = json.loads(after[RECORD])
    assert record["archive"] == "theirs.zip"
    assert record["manifest"] == json.loads(packed[MANIFEST])
    warnings = [one for one in record["findings"] if one["level"] == "warning"]
    assert [one["check"] for one in warnings] == ["adapter", "rerun"]
    assert "'theirs' of package theirs 1.0 is not installed here" in warnings[0]["message"]


def test_tables_and_report_show_it_with_its_author_and_source(folder: Path, archive: Path) -> None:
    assert acrl(folder, "accept", archive).code == 0
    assert "theirs" not in acrl(folder, "list").out
    for command in ("tables", "report", "claims"):
        done = acrl(folder, command, "-p", "smoke")
        assert (done.code, done.err) == (0, ""), done.err
    tables = folder / "results/smoke/tables"
    for name in ("returns", "violations", "wallclock"):
        rows = [
            line for line in (tables / f"{name}.md").read_text().splitlines() if line.startswith("| R+L2   | theirs")
        ]
        assert rows, name
    for name in ("README.md", "leaderboard.md", "leaderboard.tex"):
        text = (tables / name).read_text()
        assert SOURCE in text
        assert "Nonymous" in text
        assert "<b>" not in text.replace("\\<b\\>", "")
    page = (folder / "results/smoke/site/methods/theirs.html").read_text()
    assert "A. &lt;b&gt;Nonymous&lt;/b&gt; &lt;a@example.org&gt;" in page
    assert f'<a href="{SOURCE}" rel="nofollow">{SOURCE}</a>' in page
    assert '<a href="https://arxiv.org/abs/2102.11055">arXiv 2102.11055</a>' in page
    assert "theirs 1.0, theirs = theirs" in page
    assert "not installed here" in page
    assert "theirs was submitted" in (folder / "results/smoke/site/index.html").read_text()


def test_nothing_calls_its_runs_stale_or_missing(folder: Path, archive: Path) -> None:
    before = json.loads(acrl(folder, "status", "-p", "smoke", "--json").out)
    plan = acrl(folder, "plan", "-p", "smoke").out
    assert acrl(folder, "accept", archive).code == 0
    after = json.loads(acrl(folder, "status", "-p", "smoke", "--json").out)
    assert after["counts"] == before["counts"] | {"accepted": 2}
    assert acrl(folder, "plan", "-p", "smoke").out == plan
    only = acrl(folder, "status", "-p", "smoke", "--method", "theirs", "--task", "R+L2")
    assert only.out.splitlines() == [
        "R+L2     theirs               seed 0  accepted: theirs.zip",
        "profile smoke: 1 accepted",
    ]
    assert "unknown task 'R+L'" in refused(acrl(folder, "status", "-p", "smoke", "--method", "theirs", "--task", "R+L"))
    (folder / RUNS[0]).unlink()
    assert "profile smoke: 1 accepted, 1 missing" in acrl(folder, "status", "-p", "smoke", "--method", "theirs").out


def test_it_is_compared_with_others(folder: Path, archive: Path) -> None:
    assert acrl(folder, "accept", archive).code == 0
    done = acrl(folder, "compare", "theirs", "nfw", "-p", "smoke")
    assert (done.code, done.err) == (0, "")
    assert "A: its code is not installed here, so that nothing says whether it is today's" in done.out


def test_the_folder_that_it_was_accepted_to_is_verified(folder: Path, archive: Path) -> None:
    assert acrl(folder, "accept", archive, "--no-rerun").code == 0
    done = acrl(folder, "verify", "results/smoke", "--no-rerun")
    assert (done.code, done.err) == (0, ""), done.out
    assert "'theirs' of package theirs 1.0 is not installed here" in done.out
    assert acrl(folder, "verify", "results/smoke", "--no-rerun", "--strict").code == 1


def test_accepting_again_changes_nothing(folder: Path, archive: Path) -> None:
    first = acrl(folder, "accept", archive)
    before = files(folder)
    assert acrl(folder, "accept", archive) == first
    assert files(folder) == before


def test_where_the_plug_in_is_installed_a_run_is_made_again(elsewhere: Path, tmp_path: Path) -> None:
    folder = workplace(tmp_path / "installed")
    shutil.copytree(elsewhere / "site", folder / "site")
    done = finish(start(folder, "accept", str(elsewhere / "theirs.zip"), "--json"))
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert {one["level"] for one in document["findings"]} == {"ok"}
    assert document["findings"][-1]["message"].startswith("agrees: ")
    assert (folder / RECORD).exists()


def edit(path: Path, name: str, change: Callable[[Data], object]) -> None:
    """Change a file of an archive as one would who knows of the digest in it, and not of the manifest's hash."""

    def changed(packed: dict[str, bytes]) -> None:
        data = json.loads(packed[name])
        change(data)
        if name != MANIFEST:
            data["provenance"]["sha256"] = digest(data)
        packed[name] = json.dumps(data).encode()

    repack(path, changed)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("runs/R+L2/theirs/seed-0.json", lambda d: d["returns"]["final"].update(mean=1e6), "has the hash of"),
        (MANIFEST, lambda d: d.update(profile="quick"), "manifest"),
        (MANIFEST, lambda d: d["adapters"][0].update(kind="repository"), "unknown method 'theirs'"),
    ],
)
def test_a_tampered_archive_is_refused_and_nothing_changes(
    folder: Path, archive: Path, name: str, change: Callable[[Data], object], message: str
) -> None:
    edit(archive, name, change)
    before = files(folder)
    done = acrl(folder, "accept", archive, "--no-rerun", "--json")
    assert done.code == 1
    document = json.loads(done.out)
    assert (document["verdict"], document["paths"]) == ("failed", [])
    assert any(message in one["message"] for one in document["findings"] if one["level"] == "failed"), document
    assert files(folder) == before


def test_budgets_are_compared_without_the_code(folder: Path, archive: Path) -> None:
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("    steps: 150\n", "    steps: 151\n", 1))
    done = acrl(folder, "accept", archive)
    assert done.code == 1
    assert "configuration: BSS-3 theirs seed 0: config.steps is 150 in the file and 151 in this checkout" in done.out


def test_strict_lets_code_that_is_not_here_be_a_failure(folder: Path, archive: Path) -> None:
    before = files(folder)
    assert acrl(folder, "accept", archive, "--strict").code == 1
    assert files(folder) == before


def test_another_run_in_its_place_is_refused(folder: Path, archive: Path) -> None:
    (folder / RUNS[1]).parent.mkdir(parents=True)
    (folder / RUNS[1]).write_text("{}")
    before = files(folder)
    message = refused(acrl(folder, "accept", archive, "--no-rerun"))
    assert f"1 of 2 runs are there already with other bytes: {RUNS[1]}; nothing was changed" in message
    assert files(folder) == before


@pytest.mark.parametrize("path", ["results/smoke/runs/R+L2/nfw/seed-0.json", "results/smoke"])
def test_only_a_submission_is_accepted(folder: Path, path: str) -> None:
    assert f"{path} is no submission: give an archive that `acrl submit` made" in refused(acrl(folder, "accept", path))


def test_runs_that_returns_are_measured_by_are_not_accepted(folder: Path) -> None:
    for task in ("R+L2", "BSS-3"):
        assert acrl(folder, "run", task, "random-feasible", "-p", "smoke").code == 0
    assert acrl(folder, "submit", "--method", "random-feasible", "-p", "smoke", "--out", "low.zip").code == 0
    before = files(folder)
    message = refused(acrl(folder, "accept", "low.zip", "--no-rerun"))
    assert "all returns are measured by runs of BSS-3 random-feasible, R+L2 random-feasible" in message
    assert files(folder) == before


def test_a_submission_with_fewer_runs_replaces_none(
    folder: Path, archive: Path, elsewhere: Path, tmp_path: Path
) -> None:
    shorter = tmp_path / "shorter"
    shutil.copytree(elsewhere, shorter)
    submit = ("submit", "--method", "theirs", "-p", "smoke", "--incomplete", "--task", "R+L2", "--out", "part.zip")
    assert finish(start(shorter, *submit)).code == 0
    assert acrl(folder, "accept", shorter / "part.zip").code == 0
    assert acrl(folder, "accept", archive).code == 0
    before = files(folder)
    message = refused(acrl(folder, "accept", shorter / "part.zip"))
    assert "is of theirs.zip, which has runs that this one lacks: runs/BSS-3/theirs/seed-0.json" in message
    assert files(folder) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), UserError("cannot write: disk full")])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_an_interruption_leaves_nothing(
    folder: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, after: int
) -> None:
    write, done = written.write_bytes, []

    def stop(path: Path, data: bytes) -> None:
        if len(done) == after:
            raise error
        done.append(path)
        write(path, data)

    before, folders = files(folder), sorted(path for path in folder.rglob("*") if path.is_dir())
    monkeypatch.setattr(written, "write_bytes", stop)
    assert acrl(folder, "accept", archive, "--no-rerun").code in (2, 130)
    assert files(folder) == before
    assert sorted(path for path in folder.rglob("*") if path.is_dir()) == folders
    monkeypatch.undo()
    assert acrl(folder, "accept", archive, "--no-rerun").code == 0


def test_a_full_disk_leaves_a_record_that_was_to_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, made, sync = tmp_path / "record.json", [], os.fsync
    record.write_text("before")

    def fill_up(handle: int) -> None:
        made.append(handle)
        if len(made) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", fill_up)
    with pytest.raises(UserError, match="No space left on device"):
        written.write_all({tmp_path / "runs/a.json": b"1", tmp_path / "runs/b.json": b"2", record: b"after"})
    assert files(tmp_path) == {"record.json": b"before"}


def test_what_a_killed_process_left_is_not_shown_and_is_finished(folder: Path, archive: Path) -> None:
    assert acrl(folder, "accept", archive, "--no-rerun").code == 0
    whole = files(folder)
    for name in (RECORD, RUNS[1]):
        (folder / name).unlink()
    assert acrl(folder, "tables", "-p", "smoke").code == 0
    text = (folder / "results/smoke/tables/returns.md").read_text()
    assert "not shown: runs/BSS-3/theirs/seed-0.json" in text
    assert "| theirs" not in text
    assert acrl(folder, "accept", archive, "--no-rerun").code == 0
    assert {name: content for name, content in files(folder).items() if name in whole} == whole


def test_a_run_that_was_not_submitted_is_not_shown_and_an_altered_one_refused(folder: Path, archive: Path) -> None:
    assert acrl(folder, "accept", archive).code == 0
    beside = folder / RUNS[1].replace("seed-0", "seed-1")
    shutil.copy(folder / RUNS[1], beside)
    alter(beside, lambda data: data.update(seed=1))
    assert acrl(folder, "tables", "-p", "smoke").code == 0
    assert "not shown: runs/R+L2/theirs/seed-1.json" in (folder / "results/smoke/tables/returns.md").read_text()
    compared = acrl(folder, "compare", "theirs", "nfw", "-p", "smoke")
    assert (compared.code, "2, 1" in compared.out) == (0, False), compared.out
    alter(folder / RUNS[1], lambda data: data["returns"]["final"].update(mean=1e6))
    for command in (("tables",), ("report",), ("status",), ("compare", "theirs", "nfw")):
        assert f"{RUNS[1]} is not as it was submitted" in refused(acrl(folder, *command, "-p", "smoke"))


def test_a_method_of_this_repository_cannot_be_passed_off_by_a_package(folder: Path) -> None:
    assert acrl(folder, "submit", "--method", "nfw", "-p", "smoke", "--out", "nfw.zip").code == 0
    other = {"kind": "package", "package": "x", "version": "1.0"}
    edit(folder / "nfw.zip", MANIFEST, lambda data: data["adapters"][0].update(other))
    done = acrl(folder, "accept", "nfw.zip", "--no-rerun")
    assert done.code == 1
    assert "adapter: 'nfw' is of package x 1.0, and here of this repository: choose another id for it" in done.out


def test_a_name_that_could_not_be_that_of_a_page_is_refused(folder: Path, archive: Path) -> None:
    repack(archive, lambda packed: packed.update({"runs/R+L2/<b>/seed-0.json": b"{}"}))
    done = acrl(folder, "verify", archive)
    assert done.code == 1
    assert "'runs/R+L2/<b>/seed-0.json', which is no file of a submission" in done.out
