"""Where a result comes from."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmark.records import provenance
from benchmark.records.provenance import LIBRARIES, code_hash, collect_provenance

ROOT = Path(__file__).parents[3]
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


def test_modules_that_import_each_other(edit: Edit) -> None:
    edit("a.py", "import plug.b")
    edit("b.py", "import plug.a")
    assert code_hash(["plug.a"]) == code_hash(["plug.a", "plug.b"])


def test_provenance_names_versions_and_the_machine() -> None:
    found = collect_provenance()
    assert found.versions["torch"].startswith("2.")
    assert set(found.versions) == {"python", *LIBRARIES}
    assert found.processor
    assert found.started.endswith("+00:00")
    assert found.dirty is None or (found.commit is not None and len(found.commit) == 40)
