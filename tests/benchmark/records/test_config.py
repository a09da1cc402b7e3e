"""params.yaml and the configuration of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.records.config import Params, load_params, run_config
from benchmark.records.yaml import find_params
from envs import UserError
from tests.benchmark.command import PARAMS


def test_every_run_of_every_shipped_profile_has_a_configuration(params: Params) -> None:
    for name, profile in params.profiles.items():
        for task in profile.tasks:
            for method in profile.methods:
                assert run_config(params, name, task, method).steps >= 1


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


def test_the_published_settings_of_the_tasks(params: Params) -> None:
    reacher = run_config(params, "paper", "R+L2", "ddpg-penalty")
    assert (reacher.steps, reacher.method["gamma"], reacher.method["replay_size"]) == (300_000, 0.98, 200_000)
    assert reacher.method["penalty"] == pytest.approx(1 / 7, abs=1e-6)
    for method in ("nfw", "nfw-target"):
        assert run_config(params, "paper", "HC+O", method).method["alpha"] == 0.01
        assert run_config(params, "small", "R+L2", method).method["alpha"] == 0.05
        bikes = run_config(params, "paper", "BSS-5", method)
        assert (bikes.method["alpha"], bikes.method["noise"], bikes.method["batch_size"]) == (0.05, 5.0, 64)


STEPS, LEARNER = "    steps: 150\n", "{warmup: 60, "


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (STEPS, "    steps: 150\n    steps: 160\n", "'steps' is given twice"),
        (LEARNER, "{warmup: 60, warmup: 70, ", "'warmup' is given twice"),
        ("\n  small:\n", "\n  smoke:  # again\n", "'smoke' is given twice"),
        (STEPS, "    steps: on\n", "'profiles.smoke.steps': Input should be a valid integer"),
        (STEPS, "    steps: true\n", "'profiles.smoke.steps': Input should be a valid integer"),
        (STEPS, "    timeout_seconds: .inf\n", "'profiles.smoke.timeout_seconds': Input should be a finite number"),
        (LEARNER, "{tau: on, ", "'tau': Input should be a valid number"),
        (LEARNER, "{tau: true, ", "'tau': Input should be a valid number"),
        (LEARNER, '{tau: "0.1", ', "'tau': Input should be a valid number"),
        (STEPS, "    step: 150\n", "'profiles.smoke.step': no such setting; did you mean 'steps'"),
        (STEPS, "    xyzzy: 150\n", "'profiles.smoke.xyzzy': no such setting; valid: evaluation"),
        ("final_episodes: 2}", "final_episode: 2}", "did you mean 'final_episodes'"),
        (LEARNER, "{warmpu: 60, ", "unknown learner setting 'warmpu': did you mean 'warmup'"),
        ("&smoke_flow\n", "&smoke_flow\n        alpah: 1\n", "'alpah': no such setting"),
        ("      flowpg-spline: *smoke_flow", "      flowgp: {}", "unknown method 'flowgp': did you mean 'flowpg'"),
        (STEPS, "    task_steps: {R+L9: 7}\n", r"unknown task 'R\+L9': did you mean"),
        (STEPS, "    only_timed: {nwf: [R+L2]}\n", "unknown method of the profile 'nwf': did you mean 'nfw'"),
        (STEPS, "    only_timed: {nfw: [R+L]}\n", r"unknown task of the profile 'R\+L': did you mean 'R\+L2'"),
        ("\n  R+N: *reacher", "\n  R+XX: {}", r"unknown task 'R\+XX'"),
        ("tasks: [R+L2, BSS-3]", "tasks: [R+L2, R+L2]", r"'profiles.smoke.tasks': R\+L2 is in it 2 times"),
        ("seeds: [0]", "seeds: [0, 0, 0]", "'profiles.smoke.seeds': 0 is in it 3 times"),
        ("dimensions: [2, 4]", "dimensions: [2, 2]", "'profiles.smoke.experiments.dimensions': 2 is in it 2 times"),
    ],
)
def test_what_is_wrong_in_a_file_is_refused_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    text, path = PARAMS.read_text(), tmp_path / "params.yaml"
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as refused:
        run_config(load_params(path), "smoke", "R+L2", "flowpg")
    until = path.read_text().partition(new)[0] + new.rstrip("\n")
    assert f"{path}, line {until.count(chr(10)) + 1}" in str(refused.value)


def test_numbers_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text().replace("steps: 150", "steps: 0150").replace("{warmup: 60,", "{tau: 1e-4,"))
    config = run_config(load_params(path), "smoke", "R+L2", "nfw")
    assert (config.steps, config.method["tau"]) == (150, 0.0001)


def test_params_are_those_of_the_nearest_folder_or_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    folder = project / "folder"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert find_params() == PARAMS
    (tmp_path / "params.yaml").touch()
    assert find_params() == tmp_path / "params.yaml"
    # Those of the folders around a project are not its own.
    (project / ".dvc").mkdir()
    assert find_params() == PARAMS
    (project / "params.yaml").touch()
    assert find_params() == project / "params.yaml"
    (folder / "params.yaml").touch()
    assert find_params() == Path("params.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1", "is not YAML"),
        (b"", "an object"),
        (b"\xff\xfe\xfa", "is not YAML: 'utf-8' codec"),
        (b"a: &a [*a]", "is not YAML: "),
        (b"? [a]\n: b", "is not YAML: "),
        (b"a: !this b", "line 1 is not YAML: "),
        (None, "no such file"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_params(path)
