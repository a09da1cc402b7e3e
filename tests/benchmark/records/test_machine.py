"""Which results are of one machine: by all that both state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.analysis.comparison import compare
from benchmark.analysis.comparison_inputs import Side
from benchmark.analysis.summaries import different_machines
from benchmark.records.provenance import collect_provenance, machine_of, one_machine
from benchmark.records.results import Provenance, RunResult, read_run
from benchmark.records.selection import check_complete
from tests.benchmark.synthetic_results import PROVENANCE, make_run, save

# As from before the machine was noted, and as from today.
OLD = PROVENANCE
NEW = OLD.model_copy(update={"cores": 8, "memory_gib": 31, "platform": "Linux x86_64 glibc 2.36", "machine": "0" * 12})


def on(origin: Provenance, **changes: object) -> RunResult:
    return make_run("R+L2", "nfw", 0, provenance=origin.model_copy(update=changes))


def test_todays_runs_state_their_machine() -> None:
    origin = collect_provenance()
    assert origin.cores is None or origin.cores >= 1
    assert origin.memory_gib
    assert origin.platform
    assert origin.machine is not None
    assert len(origin.machine) == 12
    assert origin.machine == collect_provenance().machine
    assert machine_of(origin).endswith(f"machine {origin.machine}")


def test_in_words() -> None:
    assert machine_of(OLD) == "Example CPU 3000, 1 thread"
    words = "Example CPU 3000, 8 cores, 31 GiB, Linux x86_64 glibc 2.36, 1 thread, machine 000000000000"
    assert machine_of(NEW) == words


@pytest.mark.parametrize(
    ("change", "same_as_old"),
    [
        ({"cores": 4}, True),
        ({"memory_gib": 15}, True),
        ({"platform": "Linux x86_64 musl"}, True),
        ({"processor": "Another CPU"}, False),
        ({"accelerator": "Example GPU"}, False),
        ({"threads": 2}, False),
    ],
)
def test_what_both_state_is_compared(change: dict[str, object], same_as_old: bool) -> None:
    other = NEW.model_copy(update=change)
    assert one_machine([])
    assert one_machine([OLD, NEW])
    assert not one_machine([NEW, other])
    assert one_machine([OLD, other]) is same_as_old
    # A result that states less makes no bridge between two that differ.
    assert not one_machine([NEW, OLD, other])


def test_seconds_compare_within_one_fingerprint_alone(tmp_path: Path) -> None:
    def side(run: RunResult) -> Side:
        return Side("a side", run.profile, {("R+L2", "nfw"): [check_complete(tmp_path, run)]})

    runs = [check_complete(tmp_path, on(NEW)), check_complete(tmp_path, on(NEW, memory_gib=15))]
    assert different_machines(runs).startswith("times of different machines: Example CPU 3000, 8 cores, 15 GiB")
    assert different_machines([runs[0], check_complete(tmp_path, on(OLD))]) == ""
    for other, compared in ((on(OLD), True), (on(NEW, cores=4), False)):
        found = compare(side(on(NEW)), side(other))
        (seconds,) = (one for one in found.differences if one.quantity == "total")
        assert (seconds.difference is not None) is compared
        assert any("different machines" in note for note in found.notes) is not compared


def test_a_file_from_before_is_read_and_written_again_to_the_same_bytes(tmp_path: Path) -> None:
    path = save(tmp_path, on(OLD))
    assert "memory_gib" not in json.loads(path.read_text())["provenance"]
    assert read_run(path).provenance.memory_gib is None
    read_run(path).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
