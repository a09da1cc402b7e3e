"""The pipeline's keys."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.benchmark.command import acrl, files, workplace

TASKS = ("R+L2", "BSS-3")
TRAINED = {f"train/{task}.key" for task in TASKS}
RUNS = TRAINED | {"train/R+N.key", "train/BSS-3+N.key"}


def plan(folder: Path, change: dict[str, Any]) -> dict[str, bytes]:
    """The keys with ``change`` on top of profile smoke."""
    assert acrl(workplace(folder, **change), "plan", "--profile", "smoke").code == 0
    return files(folder / "results" / "smoke" / "plan")


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    keys = plan(tmp_path_factory.mktemp("before"), {})
    assert set(keys) == RUNS | {"flows.key", "timing.key", "experiments.key", "samplers.key"}
    return keys


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"tasks": [*TASKS, "R+M"]}, {"flows.key", "timing.key"}),
        ({"steps": 151}, RUNS | {"experiments.key"}),
        ({"flow_draws": 3}, {"flows.key"}),
        ({"timing": {"steps": 21, "rounds": 2}}, {"timing.key"}),
        ({"methods_config": {"nfw": {"alpha": 0.5}}}, TRAINED | {"timing.key"}),
        ({"methods_config": {"drad": {"actor_lr": 0.5}}}, TRAINED | {"timing.key", "experiments.key"}),
    ],
)
def test_a_change_changes_the_keys_of_what_it_bears_on(
    before: dict[str, bytes], tmp_path: Path, change: dict[str, Any], expected: set[str]
) -> None:
    after = plan(tmp_path, change)
    assert {name for name in before if before[name] != after[name]} == expected
    for method, name in itertools.product(change.get("methods_config", {}), expected):
        lines = zip(before[name].splitlines(), after[name].splitlines(), strict=True)
        assert all(method.encode() in here for here, there in lines if here != there)
