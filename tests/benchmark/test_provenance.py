"""Where a result comes from."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmark.records import provenance
from benchmark.records.provenance import LIBRARIES, code_hash, collect_provenance, task_modules
from envs import make_task

ROOT = Path(__file__).parents[2]
Edit = Callable[[str, str], None]


# --- code -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edit]:
    """Writes a file of a little package ``plug`` and forgets what was read of it before."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> None:
        path = tmp_path / "plug" / name
        path.parent.mkdir(exist_ok=True)
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
def test_code_that_is_imported_counts(edit: Edit, line: str) -> None:
    edit("a.py", line)
    edit("b.py", "from . import c\nx = 1")
    edit("c.py", "")
    before = code_hash(["plug.a"])
    edit("c.py", "y = 2")
    assert code_hash(["plug.a"]) != before


def test_code_that_is_not_imported_does_not_count(edit: Edit) -> None:
    edit("a.py", "import numpy")
    edit("b.py", "x = 1")
    before = code_hash(["plug.a"])
    edit("b.py", "x = 2")
    assert code_hash(["plug.a"]) == before


def test_a_plug_in_may_be_one_package(edit: Edit) -> None:
    edit("__init__.py", "from .a import x")
    edit("a.py", "x = 1")
    before = code_hash(["plug"])
    edit("a.py", "x = 2")
    middle = code_hash(["plug"])
    edit("__init__.py", "from .a import x  # changed")
    assert len({before, middle, code_hash(["plug"])}) == 3


def test_modules_that_import_each_other(edit: Edit) -> None:
    edit("a.py", "import plug.b")
    edit("b.py", "import plug.a")
    assert code_hash(["plug.a"]) == code_hash(["plug.a", "plug.b"])


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], set[str]]:
    """Says which of the project's files the key of a run was made from."""

    def files(task: str, method: str) -> set[str]:
        seen: set[str] = set()
        real = Path.read_bytes

        def note(path: Path) -> bytes:
            seen.add(path.relative_to(ROOT).as_posix())
            return real(path)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", note)
            code_hash((f"methods.{method}", "benchmark.training.harness", *task_modules(make_task(task))))
        return seen

    return files


def test_a_run_depends_on_its_own_method_task_and_harness(read: Callable[[str, str], set[str]]) -> None:
    files = read("BSS-3", "flowpg")
    assert {
        *("methods/flowpg.py", "methods/ddpg.py", "methods/flows/realnvp.py", "envs/sampling/dataset.py"),
        *("envs/bike_sharing.py", "envs/constraints/allocation.py", "envs/constraints/base.py"),
        *(
            "benchmark/training/harness.py",
            "benchmark/training/evaluation.py",
            "benchmark/training/violations.py",
            "envs/seeding.py",
        ),
    } <= files


def test_other_methods_tasks_and_what_only_shows_results_do_not_count(read: Callable[[str, str], set[str]]) -> None:
    files = read("HC+O", "nfw")
    assert not files & {
        *("methods/flowpg.py", "methods/ddpg_penalty.py", "methods/flows/training.py", "envs/tasks.py"),
        *("envs/bike_sharing.py", "envs/constraints/ball.py", "envs/constraints/__init__.py"),
        *(
            "benchmark/cli.py",
            "benchmark/training/processes.py",
            "benchmark/publishing/tables/writing.py",
            "benchmark/publishing/mlflow/importing.py",
        ),
    }


def test_provenance_names_versions_and_the_machine() -> None:
    found = collect_provenance()
    assert found.versions["torch"].startswith("2.")
    assert set(found.versions) == {"python", *LIBRARIES}
    assert found.processor
    assert found.started.endswith("+00:00")
    assert found.dirty is None or (found.commit is not None and len(found.commit) == 40)


def test_line_ends_do_not_count(edit: Edit, tmp_path: Path) -> None:
    edit("a.py", "x = 1\ny = 2\n")
    before = code_hash(["plug.a"])
    (tmp_path / "plug" / "a.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    assert code_hash(["plug.a"]) == before


@pytest.mark.parametrize("source", ["\ufeffimport plug.b\n".encode(), "# coding: latin-1\nx = 'é'\n".encode("latin-1")])
def test_any_source_that_python_reads_is_hashed(edit: Edit, tmp_path: Path, source: bytes) -> None:
    edit("a.py", "")
    (tmp_path / "plug" / "a.py").write_bytes(source)
    assert code_hash(["plug.a"])
