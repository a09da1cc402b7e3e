"""Verification of submissions: what an archive says of its runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.submission.manifest import MANIFEST
from tests.benchmark.command import acrl
from tests.benchmark.verified import manifest_changed, repack, said, verify

INSIDE = "runs/R+L2/nfw/seed-0.json"


@pytest.fixture
def folder(nfw_runs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(nfw_runs, tmp_path / "copy"))


@pytest.fixture
def packed(folder: Path) -> Path:
    assert acrl(folder, "submit", "--method", "nfw", "-p", "smoke", "--out", "nfw.zip").code == 0
    return folder / "nfw.zip"


def test_an_honest_submission_is_verified(packed: Path) -> None:
    done, verification = verify(packed.parent, packed)
    assert done.code == 0
    assert (verification.kind, verification.runs, verification.verdict) == ("submission", 2, "verified")
    checks = ["archive", "files", "manifest", "adapter"]
    checks += ["completeness", "configuration", "code", "consistency", "rerun"]
    assert [one.check for one in verification.findings] == checks
    assert {one.level for one in verification.findings} == {"ok"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop(INSIDE), f"{INSIDE} is in the manifest and not in the archive"),
        (lambda f: f.update({INSIDE: f[INSIDE] + b" "}), f"{INSIDE} is not what the manifest has the hash of"),
        (lambda f: f.update({"runs/R+L2/nfw/seed-1.json": f[INSIDE]}), "is in the archive and not in its manifest"),
        (lambda f: manifest_changed(f, tasks=["R+L2"]), "its tasks are BSS-3, R+L2, not R+L2"),
        (lambda f: manifest_changed(f, machines=["a faster one"]), "its machines are"),
        (lambda f: manifest_changed(f, complete=3), "it says 3 runs, and has 2"),
        (lambda f: manifest_changed(f, expected=3), "the manifest says that 3 runs are asked for"),
        (lambda f: manifest_changed(f, adapters=[]), "does not name the adapter of each of its methods"),
        (lambda f: manifest_changed(f, schema_version=2), "its manifest.json cannot be read: 'schema_version'"),
        (lambda f: manifest_changed(f, author="a\nb"), "its manifest.json cannot be read: 'author'"),
        (lambda f: f.update({MANIFEST: b"\xff"}), "its manifest.json cannot be read"),
    ],
)
def test_an_archive_that_is_not_as_it_says_fails(
    packed: Path, change: Callable[[dict[str, bytes]], object], message: str
) -> None:
    repack(packed, change)
    done, verification = verify(packed.parent, packed, "--no-rerun")
    assert done.code == 1
    assert any(message in problem for problem in said(verification, "failed")), verification.findings


def test_a_corrupted_archive_fails(packed: Path) -> None:
    packed.write_bytes(packed.read_bytes()[:500])
    done = acrl(packed.parent, "verify", packed)
    assert done.code == 1
    assert done.out.startswith("failed  archive: the archive is damaged:")
    assert done.out.splitlines()[-1] == "failed: 0 ok, 0 warnings, 1 failed, 0 runs read"


def test_a_submission_without_a_run_fails(packed: Path) -> None:
    none = {name: [] for name in ("tasks", "methods", "seeds", "locks", "machines", "adapters")}

    def without_runs(files: dict[str, bytes]) -> None:
        manifest_changed(files, **none, complete=0, expected=0)
        for name in [name for name in files if name.startswith("runs/")]:
            del files[name]

    repack(packed, without_runs)
    for command in ("verify", "accept"):
        done = acrl(packed.parent, command, packed)
        assert done.code == 1
        assert done.out.startswith("failed  archive: the archive has no run in it")


def test_missing_seeds_are_a_failure_unless_they_were_said(folder: Path) -> None:
    (folder / "results/smoke/runs/BSS-3/nfw/seed-0.json").unlink()
    acrl(folder, "submit", "--method", "nfw", "-p", "smoke", "--out", "nfw.zip", "--incomplete")
    path = folder / "nfw.zip"
    done, verification = verify(folder, path, "--no-rerun")
    text = "completeness: 1 of 2 runs that profile smoke asks of nfw"
    assert done.code == 0
    assert said(verification, "warning") == [f"{text}, as its manifest says; missing: BSS-3 nfw seed 0"]
    repack(path, lambda files: manifest_changed(files, incomplete=False))
    done, verification = verify(folder, path, "--no-rerun")
    assert done.code == 1
    assert said(verification, "failed") == [f"{text}, and the manifest says all; missing: BSS-3 nfw seed 0"]
