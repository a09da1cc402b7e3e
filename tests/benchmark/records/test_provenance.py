"""Where a result comes from: code, libraries and machine, and which results are of one machine."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmark.records import provenance
from benchmark.records.provenance import LIBRARIES, code_hash, collect_provenance, machine_of, one_machine
from benchmark.records.results import read_run
from tests.benchmark.command import git
from tests.benchmark.synthetic_results import PROVENANCE, make_run, save

# As from before the machine was noted, and as from today.
OLD = PROVENANCE.model_copy(update={"machine": None})
NEW = PROVENANCE.model_copy(update={"cores": 8, "memory_gib": 31, "platform": "Linux", "code_path": "AVX2 0"})
Edit = Callable[[str, str], None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edit]:
    """Writes a file of a little package ``plug`` and forgets what was read of it before."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> None:
        path = tmp_path / "plug" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        provenance._source.cache_clear()
        provenance._imports.cache_clear()
        importlib.invalidate_caches()

    write("__init__.py", "")
    yield write
    for name in [name for name in sys.modules if name.split(".")[0] == "plug"]:
        del sys.modules[name]
    provenance._source.cache_clear()
    provenance._imports.cache_clear()


@pytest.mark.parametrize("line", ["from plug.b import x", "import plug.b", "from plug import b", "from .b import x"])
def test_code_that_is_imported_counts_and_no_other(edit: Edit, line: str) -> None:
    edit("a.py", line)
    # Modules may import each other, and what cannot be imported here.
    edit("b.py", "import plug.a\nfrom . import c\ntry:\n    import plug.gpu.cuda\nexcept OSError:\n    pass\nx = 1")
    edit("gpu/__init__.py", "raise OSError('no such library')")
    edit("c.py", "")
    edit("d.py", "")
    before = code_hash(["plug.a"])
    edit("d.py", "y = 2")
    assert code_hash(["plug.a"]) == before
    edit("c.py", "y = 2")
    assert code_hash(["plug.a"]) != before


@pytest.mark.parametrize(
    "source",
    [
        b"import plug.c\n",
        b"\xef\xbb\xbfimport plug.c\r\n",
        b"# -*- coding: latin-1 -*-\n# \xe9\nimport plug.c\n",
        b"print 1",
    ],
)
def test_code_of_any_bytes_is_hashed(edit: Edit, source: bytes, tmp_path: Path) -> None:
    edit("c.py", "")
    (tmp_path / "plug/a.py").write_bytes(source)
    before = code_hash(["plug.a"])
    edit("c.py", "x = 1")
    assert (code_hash(["plug.a"]) == before) is (b"plug.c" not in source)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that stands for this project's."""
    root = tmp_path / "project"
    (root / "methods").mkdir(parents=True)
    (root / "methods/a.py").write_text("x = 1\n")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    monkeypatch.setattr(provenance, "ROOT", root)
    assert (collect_provenance().dirty, collect_provenance().diff_sha256) == (False, None)
    return root


def test_code_that_differs_from_the_commit_counts_whatever_its_bytes(project: Path) -> None:
    hashes = set()
    for name, content in (
        ("methods/a.py", b"# caf\xe9\n"),
        ("methods/new.py", b"\xff\xfe\0"),
        ("methods/new.py", b"y = 2\n"),
        (os.fsdecode(b"caf\xe9 \n.py"), b""),
    ):
        (project / name).write_bytes(content)
        hashes.add(collect_provenance().diff_sha256)
    (project / "methods/a.py").unlink()
    (project / "gone.py").symlink_to("nowhere")
    hashes.add(collect_provenance().diff_sha256)
    assert len(hashes - {None}) == 5
    assert collect_provenance().dirty is True
    before = collect_provenance()
    (project / "results").mkdir()
    (project / "results/a.json").write_text("{}")
    # Neither code nor settings.
    (project / "figure.png").write_bytes(b"")
    (project / "methods/new.py").write_bytes(b"y = 2\r\n")
    assert collect_provenance().diff_sha256 == before.diff_sha256


@pytest.mark.parametrize(
    "setting",
    [
        ("diff.renames", "copies"),
        ("color.ui", "always"),
        ("core.quotePath", "false"),
        ("core.autocrlf", "true"),
        ("status.showUntrackedFiles", "no"),
        ("status.short", "true"),
        ("status.branch", "true"),
    ],
)
def test_no_setting_of_git_bears_on_the_hash(project: Path, setting: tuple[str, str]) -> None:
    (project / "methods/a.py").rename(project / "methods/b.py")
    (project / "é.py").write_text("x = 1\n")
    before = collect_provenance()
    git(project, "config", *setting)
    assert collect_provenance().diff_sha256 == before.diff_sha256 is not None


def test_no_hash_depends_on_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = save(tmp_path / "first", make_run("R+L2", "nfw", 0))
    (run.parent / "plug").mkdir()
    (run.parent / "plug/a.py").write_text("x = 1\n")
    git(run.parent, "init", "-q")
    git(run.parent, "add", "-A")
    git(run.parent, "commit", "-qm", "first")
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", str(run.parent), "second")
    assert b"\r\n" in (tmp_path / "second" / run.name).read_bytes()
    assert read_run(tmp_path / "second" / run.name) == read_run(run)
    found = set()
    for root in (run.parent, tmp_path / "second"):
        monkeypatch.setattr(provenance, "ROOT", root)
        monkeypatch.setattr(provenance, "LOCK", root / "plug/a.py")
        origin = collect_provenance()
        assert origin.dirty is False
        (root / "plug/a.py").write_bytes((root / "plug/a.py").read_bytes() * 2)
        found.add((origin.lock_sha256, collect_provenance().diff_sha256))
    assert len(found) == 1


def test_the_repository_asked_is_the_projects_own(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git(project, "rev-parse", "HEAD")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "commit", "-qm", "other", "--allow-empty")
    for name, value in (("GIT_DIR", other / ".git"), ("GIT_WORK_TREE", other), ("GIT_INDEX_FILE", other / "index")):
        monkeypatch.setenv(name, str(value))
    assert (collect_provenance().commit, collect_provenance().dirty) == (commit, False)
    # Copied into a folder of another repository, it is in none.
    (other / "copy").mkdir()
    monkeypatch.setattr(provenance, "ROOT", other / "copy")
    assert (collect_provenance().commit, collect_provenance().dirty) == (None, None)


def test_provenance_names_versions_and_the_machine() -> None:
    found = collect_provenance()
    assert set(found.versions) == {"python", *LIBRARIES}
    assert found.started.endswith("+00:00")
    assert found.dirty is None or (found.commit is not None and len(found.commit) == 40)
    assert found.machine == collect_provenance().machine
    assert machine_of(found).endswith(f"machine {found.machine}")


@pytest.mark.parametrize("change", [{"machine": "1" * 12}, {"threads": 4}])
def test_one_machine_has_one_name_and_equally_many_threads(change: dict[str, object]) -> None:
    assert one_machine([NEW, NEW.model_copy(update={"started": "later"})])
    assert not one_machine([NEW, NEW.model_copy(update=change)])


def test_a_result_that_does_not_name_its_machine_may_be_from_any() -> None:
    assert not one_machine([OLD, NEW])
    assert not one_machine([OLD, OLD])


def test_a_file_from_before_the_machine_was_noted_is_written_again_to_the_same_bytes(tmp_path: Path) -> None:
    path = save(tmp_path, make_run("R+L2", "nfw", 0, provenance=OLD))
    assert "memory_gib" not in json.loads(path.read_text())["provenance"]
    read_run(path).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
