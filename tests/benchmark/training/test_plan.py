"""The pipeline's keys."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.benchmark.command import acrl, files, workplace

TASKS = ("R+L2", "BSS-3")
RUNS = {f"train/{task}.key" for task in (*TASKS, "R+N", "BSS-3+N")}


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
    assert set(plan(folder)) == RUNS | {"flows.key", "timing.key"}


def test_planning_again_changes_nothing(folder: Path) -> None:
    assert plan(folder) == plan(folder)


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tasks": [*TASKS, "R+M"]}, {"flows.key", "timing.key"}),
        ({"steps": 151}, RUNS),
        ({"flow_draws": 3}, {"flows.key"}),
        ({"timing": {"steps": 21, "rounds": 2}}, {"timing.key"}),
    ],
)
def test_a_change_changes_the_keys_of_what_it_bears_on(
    folder: Path, change: dict[str, object], expected: set[str]
) -> None:
    before = plan(folder)
    edit(folder, change)
    assert changed(before, plan(folder)) == expected


def test_settings_of_one_method_change_its_runs_alone(folder: Path) -> None:
    before = plan(folder)
    edit(folder, {"methods_config": {"nfw": {"alpha": 0.5}, **flow_settings(folder)}})
    after = plan(folder)
    files_changed = changed(before, after)
    assert files_changed == {"timing.key", *(f"train/{task}.key" for task in TASKS)}
    for name in files_changed:
        lines = zip(before[name].splitlines(), after[name].splitlines(), strict=True)
        assert all(b"nfw" in there for here, there in lines if here != there)


def flow_settings(folder: Path) -> dict[str, object]:
    settings: dict[str, object] = yaml.safe_load((folder / "params.yaml").read_text())["profiles"]["smoke"]
    config = settings["methods_config"]
    assert isinstance(config, dict)
    return config
