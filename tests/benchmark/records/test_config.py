"""params.yaml and the configuration of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.records.config import Params, find_params, load_params, merge, run_config
from envs import UserError

SHIPPED = Path(__file__).resolve().parents[3] / "params.yaml"


@pytest.fixture(scope="module")
def shipped() -> Params:
    return load_params(SHIPPED)


def write(tmp_path: Path, change: Any) -> Path:
    """The shipped file after ``change`` was made to its data."""
    data = yaml.safe_load(SHIPPED.read_text())
    change(data)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_every_run_of_every_shipped_profile_has_a_configuration(shipped: Params) -> None:
    for name, profile in shipped.profiles.items():
        for task in profile.tasks:
            for method in profile.methods:
                assert run_config(shipped, name, task, method).steps >= 1


def test_defaults_give_way_to_the_task_and_both_to_the_profile() -> None:
    evaluation = {"every": 1, "episodes": 1, "final_episodes": 1}
    params = Params.model_validate(
        {
            "task_settings": {
                "R+L2": {"learner": {"gamma": 0.5, "tau": 0.25}, "methods_config": {"nfw": {"alpha": 1}}}
            },
            "profiles": {
                "p": {
                    **{"tasks": ["R+L2"], "plain_methods": ["nfw"], "flow_methods": [], "seeds": [0]},
                    "evaluation": evaluation,
                    "learner": {"gamma": 0.75},
                }
            },
        }
    )
    method = run_config(params, "p", "R+L2", "nfw").method
    assert (method["gamma"], method["tau"], method["alpha"], method["noise"]) == (0.75, 0.25, 1.0, 0.1)
    assert run_config(params, "p", "R+L2", "ddpg-projection").method["gamma"] == 0.75


def test_the_published_settings_of_the_tasks(shipped: Params) -> None:
    reacher = run_config(shipped, "paper", "R+L2", "ddpg-penalty")
    assert (reacher.steps, reacher.method["gamma"], reacher.method["replay_size"]) == (300_000, 0.98, 200_000)
    assert reacher.method["penalty"] == pytest.approx(1 / 7, abs=1e-6)
    assert run_config(shipped, "paper", "HC+O", "nfw").method["alpha"] == 0.01
    bikes = run_config(shipped, "paper", "BSS-5", "nfw")
    assert (bikes.method["alpha"], bikes.method["noise"], bikes.method["batch_size"]) == (0.05, 5.0, 64)


def test_merge_goes_into_nested_settings_and_changes_neither() -> None:
    base, over = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}, "d": {"e": 5}}
    assert merge(base, over) == {"a": {"b": 1, "c": 4}, "d": {"e": 5}}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d["profiles"]["smoke"].update(step=5), "profiles.smoke.step"),
        (lambda d: d["profiles"]["smoke"].update(seeds=[-1]), "profiles.smoke.seeds.0"),
        (lambda d: d["profiles"]["smoke"].update(timeout_seconds=float("inf")), "profiles.smoke.timeout_seconds"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, change: Any, named: str) -> None:
    with pytest.raises(UserError, match=f"'{named}'"):
        load_params(write(tmp_path, change))


def test_params_are_those_of_the_folder_or_its_project_or_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    folder = project / "folder"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    (tmp_path / "params.yaml").touch()
    assert find_params() == SHIPPED
    (project / "params.yaml").touch()
    assert find_params() == SHIPPED
    (project / ".dvc").mkdir()
    assert find_params() == project / "params.yaml"
    (project / "params.yaml").unlink()
    assert find_params() == SHIPPED
    (folder / "params.yaml").touch()
    assert find_params() == Path("params.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1", "is not YAML"),
        (b"", "valid dictionary"),
        (b"\xff\xfe\xfa", "is not YAML: 'utf-8' codec"),
        (None, "no such file"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_params(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["profiles"]["smoke"]["learner"].update(warmpu=5), "did you mean 'warmup'"),
        (lambda data: data["profiles"]["smoke"]["methods_config"].update(flowgp={}), "did you mean 'flowpg'"),
        (lambda data: data["profiles"]["smoke"].update(task_steps={"R+L9": 7}), "unknown task 'R\\+L9'"),
        (lambda data: data["task_settings"].update({"R+XX": {}}), "unknown task 'R\\+XX'"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    params = load_params(write(tmp_path, change))
    with pytest.raises(UserError, match=message):
        run_config(params, "smoke", "R+L2", "nfw")
