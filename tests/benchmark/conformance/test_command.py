"""``acrl check`` at work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.conformance.plugins import Plugins, find_plugins
from envs import list_tasks
from methods import list_methods
from tests.benchmark.command import ROOT, acrl

BROKEN = """
import torch
from envs.seeding import make_generator
from methods.base import Method, MethodConfig, register_method

@register_method("broken")
class Broken(Method):
    Config = MethodConfig

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.generator = make_generator(self.seed, "actions")

    def act(self, obs, explore):
        return self.task.constraint.sample(obs, self.generator) + 0.0 * torch.rand(1)

    def observe(self, transition):
        pass

    def update(self):
        return {}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass
"""


@pytest.mark.usefixtures("registries")
def test_a_file_is_checked_and_what_fails_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    done = acrl(tmp_path, "check", "broken.py", "--task", "R+L2")
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0] == "broken on R+L2, method"
    failed = [line.split()[1] for line in lines if line.startswith("  fail")]
    assert failed == ["global-generators-untouched", "checkpoint-resumes", "state-restores-policy"]
    assert lines[-1] == "14 pass, 3 fail, 3 not applicable"
    assert done.err == "error: 3 of 20 checks failed\n"

    again = acrl(tmp_path, "check", "broken", "--task", "R+L2", "--json")
    assert again.code == 1
    document = json.loads(again.out)
    assert document["counts"] == {"pass": 14, "fail": 3, "not applicable": 3}
    verdicts = document["verdicts"]
    assert len(verdicts) == 20
    (found,) = (one for one in verdicts if one["check"] == "global-generators-untouched")
    assert found["outcome"] == "fail"
    assert found["message"].startswith("act, observe or update used the global generator of torch")
    assert {one["subject"] for one in verdicts} == {"broken"}
    assert {one["task"] for one in verdicts} == {"R+L2"}


def test_a_name_or_a_file_stands_for_what_it_registers() -> None:
    assert find_plugins(None) == Plugins(tuple(list_methods()), tuple(list_tasks()))
    assert find_plugins("nfw") == Plugins(methods=("nfw",))
    assert find_plugins("H+M") == Plugins(tasks=("H+M",))
    assert find_plugins(ROOT / "methods" / "nfw.py") == Plugins(methods=("nfw",))
    assert find_plugins(ROOT / "envs" / "constraints" / "discs.py") == Plugins(tasks=("R+2D",))


def test_a_task_is_checked(tmp_path: Path) -> None:
    done = acrl(tmp_path, "check", "R+N")
    assert done.code == 0
    assert done.err == ""
    headings = [line for line in done.out.splitlines() if not line.startswith(" ")]
    assert headings == ["R+N, constraint", "R+N, environment", "25 pass, 0 fail, 0 not applicable"]


@pytest.mark.usefixtures("registries")
def test_settings_reach_the_method(tmp_path: Path) -> None:
    done = acrl(tmp_path, "check", "ddpg-projection", "--task", "R+N", "--set", "warmup=100000", "--json")
    assert done.code == 0
    messages = {one["check"]: one["message"] for one in json.loads(done.out)["verdicts"]}
    assert messages["losses-finite"] == "update returned no losses in 60 steps"


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nfv"], "unknown method or task 'nfv': did you mean 'nfw'?"),
        (["nfw", "--task", "HC-O"], "unknown task 'HC-O': did you mean 'HC+O'?"),
        (["R+L2", "--task", "HC+O"], "'R+L2' is a task: leave them out"),
        (["R+L2", "--set", "a=1"], "'R+L2' is a task: leave them out"),
        (["nfw", "--set", "alhpa=1"], "setting 'alhpa'"),
        (["nfw", "--set", "alpha"], "write NAME=VALUE"),
        (["nfw", "--set", "alpha=[1"], "is not YAML"),
        (["missing.py"], "no such file"),
        (["empty.py"], "registers no method and no task"),
        (["syntax.py"], "syntax.py cannot be imported: SyntaxError"),
        (["raises.py"], "raises.py cannot be imported: ZeroDivisionError"),
        (["taken.py"], "method 'nfw' is registered twice"),
        (["bare.py"], "method 'bare' has no Config; give it one that inherits from MethodConfig"),
        (["json.py"], "a module 'json' is imported already; rename json.py"),
    ],
)
def test_a_users_error_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "json.py").write_text("")
    (tmp_path / "syntax.py").write_text("def\n")
    (tmp_path / "raises.py").write_text("1 / 0\n")
    taken = "from methods.base import register_method\n@register_method('nfw')\nclass Mine: pass\n"
    (tmp_path / "taken.py").write_text(taken)
    (tmp_path / "bare.py").write_text(taken.replace("nfw", "bare"))
    done = acrl(tmp_path, "check", *arguments)
    assert done.code == 2
    assert done.out == ""
    assert message in done.err
    assert done.err.count("\n") == 1
