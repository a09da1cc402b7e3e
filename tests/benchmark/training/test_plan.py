"""The pipeline's keys."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.benchmark.command import acrl, files, workplace
from tests.methods.learners import ALL_METHODS, FLOW_METHODS

ANCHORS = {
    *("R+L2/random-feasible.key", "BSS-3/random-feasible.key"),
    *("R+N/ddpg-projection.key", "BSS-3+N/ddpg-projection.key"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workplace(tmp_path / "place")


def plan(folder: Path) -> dict[str, bytes]:
    assert acrl(folder, "plan", "--profile", "smoke").code == 0
    return files(folder / "results" / "smoke" / "plan")


def edit(folder: Path, change: dict[str, object]) -> None:
    """Put ``change`` on top of profile smoke."""
    path = folder / "params.yaml"
    data = yaml.safe_load(path.read_text())
    data["profiles"]["smoke"].update(change)
    path.write_text(yaml.safe_dump(data))


def test_there_is_a_key_for_each_stage(folder: Path) -> None:
    stages = [*ALL_METHODS, "samples", *(f"{method}-flow" for method in FLOW_METHODS)]
    expected = {f"{task}/{stage}.key" for task in ("R+L2", "BSS-3") for stage in stages}
    assert set(plan(folder)) == expected | ANCHORS


def test_planning_again_changes_nothing(folder: Path) -> None:
    assert plan(folder) == plan(folder)


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_another_task_changes_no_key(folder: Path) -> None:
    before = plan(folder)
    edit(folder, {"tasks": ["R+L2", "BSS-3", "R+N"]})
    assert changed(before, plan(folder)) == set()


def test_a_method_left_out_changes_no_other_key(folder: Path) -> None:
    before = plan(folder)
    edit(folder, {"plain_methods": ["nfw"]})
    assert changed(before, plan(folder)) == set()


def test_more_steps_change_the_runs_but_not_the_flows(folder: Path) -> None:
    before = plan(folder)
    edit(folder, {"steps": 151})
    runs = {f"{task}/{m}.key" for task in ("R+L2", "BSS-3") for m in ALL_METHODS}
    assert changed(before, plan(folder)) == runs | ANCHORS


def test_more_draws_change_the_flows_reports_alone(folder: Path) -> None:
    before = plan(folder)
    edit(folder, {"flow_draws": 3})
    assert changed(before, plan(folder)) == {
        f"{task}/{method}-flow.key" for task in ("R+L2", "BSS-3") for method in FLOW_METHODS
    }


def test_settings_of_one_method_change_its_runs_alone(folder: Path) -> None:
    before = plan(folder)
    edit(folder, {"methods_config": {"nfw": {"alpha": 0.5}, **flow_settings(folder)}})
    assert changed(before, plan(folder)) == {"R+L2/nfw.key", "BSS-3/nfw.key"}


def flow_settings(folder: Path) -> dict[str, object]:
    settings: dict[str, object] = yaml.safe_load((folder / "params.yaml").read_text())["profiles"]["smoke"]
    config = settings["methods_config"]
    assert isinstance(config, dict)
    return config
