"""Where a result comes from: code, libraries and machine, and which results are of one machine."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmark.records import provenance
from benchmark.records.provenance import LIBRARIES, code_hash, collect_provenance, machine_of, one_machine
from benchmark.records.results import read_run
from tests.benchmark.synthetic_results import PROVENANCE, make_run, save

# As from before the machine was noted, and as from today.
OLD = PROVENANCE
NEW = OLD.model_copy(update={"cores": 8, "memory_gib": 31, "platform": "Linux x86_64 glibc 2.36", "machine": "0" * 12})
Edit = Callable[[str, str], None]


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
def test_code_that_is_imported_counts_and_no_other(edit: Edit, line: str) -> None:
    edit("a.py", line)
    # Modules may import each other.
    edit("b.py", "import plug.a\nfrom . import c\nx = 1")
    edit("c.py", "")
    edit("d.py", "")
    before = code_hash(["plug.a"])
    edit("d.py", "y = 2")
    assert code_hash(["plug.a"]) == before
    edit("c.py", "y = 2")
    assert code_hash(["plug.a"]) != before


def test_provenance_names_versions_and_the_machine() -> None:
    found = collect_provenance()
    assert set(found.versions) == {"python", *LIBRARIES}
    assert found.started.endswith("+00:00")
    assert found.dirty is None or (found.commit is not None and len(found.commit) == 40)
    assert found.machine == collect_provenance().machine
    assert machine_of(found).endswith(f"machine {found.machine}")


@pytest.mark.parametrize(
    ("change", "same_as_old"),
    [({"cores": 4}, True), ({"platform": "Linux x86_64 musl"}, True), ({"processor": "Another"}, False)],
)
def test_what_both_results_state_is_compared(change: dict[str, object], same_as_old: bool) -> None:
    other = NEW.model_copy(update=change)
    assert one_machine([OLD, NEW])
    assert not one_machine([NEW, other])
    assert one_machine([OLD, other]) is same_as_old
    # A result that states less makes no bridge between two that differ.
    assert not one_machine([NEW, OLD, other])


def test_a_file_from_before_the_machine_was_noted_is_written_again_to_the_same_bytes(tmp_path: Path) -> None:
    path = save(tmp_path, make_run("R+L2", "nfw", 0, provenance=OLD))
    assert "memory_gib" not in json.loads(path.read_text())["provenance"]
    read_run(path).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
