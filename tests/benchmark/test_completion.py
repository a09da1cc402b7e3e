"""Completion by the shell: the script, and what is offered where."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from benchmark.cli import cli
from benchmark.commands.options import PROGRAM, VARIABLE
from envs import list_tasks
from methods import list_methods
from tests.benchmark.command import Done, acrl, finish, start, workplace

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml to stand in."""
    monkeypatch.chdir(workplace(tmp_path))
    return tmp_path


def offered(*words: str) -> list[str]:
    """What is offered for the last of the words after ``acrl``."""
    completer = BashComplete(cli, {}, PROGRAM, VARIABLE)
    return [item.value for item in completer.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.usefixtures("folder")
def test_ids_are_offered() -> None:
    assert offered("run", "") == list_tasks()
    assert offered("run", "HC") == ["HC+O", "HC+MA", "HC+N"]
    assert offered("run", "HC+O", "") == list_methods()
    assert offered("sweep", "--task", "BSS") == ["BSS-3", "BSS-5", "BSS-3+N", "BSS-5+N"]
    assert offered("status", "--method", "flow") == ["flowpg", "flowpg-gauge", "flowpg-spline"]
    assert offered("flows", "R+L2", "W+") == ["W+M", "W+O+S", "W+N"]
    assert offered("tables", "-p", "s") == ["smoke", "small"]
    assert offered("experiment", "n") == ["n1", "n2", "n3"]
    assert offered("sample", "R+L2", "--sampler", "h") == ["hmc"]


@pytest.mark.parametrize("command", sorted(cli.commands))
@pytest.mark.usefixtures("folder")
def test_every_command_and_its_profile_is_offered(command: str) -> None:
    assert command in offered(command)
    if any(parameter.name == "profile" for parameter in cli.commands[command].params):
        assert offered(command, "--profile", "q") == ["quick"]


def test_with_unreadable_settings_nothing_is_offered_and_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("profiles: [")
    assert offered("tables", "-p", "") == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_click_s(folder: Path, shell: str) -> None:
    done = acrl(folder, "completion", shell)
    assert (done.code, done.err) == (0, "")
    assert done.out.strip() == SHELLS[shell](cli, {}, PROGRAM, VARIABLE).source().strip()


def test_bash_takes_the_script_and_the_program_answers_it(folder: Path) -> None:
    script = acrl(folder, "completion", "bash").out + "\ncomplete -p acrl\n"
    shell = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True)
    assert "-F _acrl_completion acrl" in shell.stdout
    # What that function asks when "acrl run BSS-3" is completed.
    question = {VARIABLE: "bash_complete", "COMP_WORDS": "acrl run BSS-3", "COMP_CWORD": "2"}
    assert finish(start(folder, **question)) == Done(0, "plain,BSS-3\nplain,BSS-3+N\n", "")
