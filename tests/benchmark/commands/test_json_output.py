"""``--json`` of every command: one document on stdout, with the keys that the command's help states."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import click
import pytest

from benchmark.cli import cli
from benchmark.records.results import read_run
from benchmark.records.runs import Run
from tests.benchmark.command import acrl, refused

SMOKE = ("--profile", "smoke")
RUN = "results/smoke/runs/R+L2/nfw/seed-0.json"
# What to call each command with, in a folder that holds every method's run of R+L2 at profile smoke.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "check": ("BSS-3",),
    "compare": ("flowpg", "nfw", *SMOKE),
    "completion": ("bash",),
    "evaluate": (RUN, "--episodes", "1"),
    "experiment": ("e3", *SMOKE),
    "export": (*SMOKE, "--method", "nfw"),
    "flows": ("R+L2", *SMOKE, "--method", "flowpg-gauge"),
    "leaderboard": SMOKE,
    "list": (),
    "new method": ("json-output",),
    "new task": ("Printed+Output",),
    "plan": SMOKE,
    "report": SMOKE,
    "reproduced": SMOKE,
    "run": ("R+L2", "nfw", *SMOKE),
    "sample": ("R+L2", "--sampler", "rejection", "--n", "10"),
    "status": SMOKE,
    "sweep": (*SMOKE, "--task", "R+L2", "--method", "nfw"),
    "tables": SMOKE,
    "timing": ("R+L2", *SMOKE),
    "track": SMOKE,
    "verify": (RUN, "--no-rerun"),
    "visited": ("R+L2", *SMOKE, "--method", "flowpg-gauge"),
}
GROUPS = {name: one for name, one in cli.commands.items() if isinstance(one, click.Group)}
COMMANDS = sorted(
    [
        *(name for name in cli.commands if name not in GROUPS),
        *(f"{g} {name}" for g in GROUPS for name in GROUPS[g].commands),
    ]
)
# One serves until it is stopped (mlflow/test_server.py has its document), the other runs a pipeline (test_pipeline.py).
NOT_RUN = {"ui", "repro"}


@pytest.fixture(scope="module")
def place(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the results that commands may add to, with a reference of one method."""
    folder = Path(shutil.copytree(smoke, tmp_path_factory.mktemp("json") / "place"))
    run = read_run(folder / RUN)
    for seed in range(3):
        path = Run("smoke", run.task, run.method, seed).path(folder / "results" / "reference")
        run.model_copy(update={"seed": seed}).write(path)
    return folder


def documented_keys(command: str) -> set[str]:
    """The keys of a command's document, from its help, which docs/command-line.md renders."""
    group, _, name = command.rpartition(" ")
    text = (GROUPS[group] if group else cli).commands[name].help or ""
    found = re.search(r"^ *JSON keys: ([a-z_,\s]+)\.", text, re.MULTILINE)
    assert found, f"add a paragraph 'JSON keys: first, second.' to the docstring of `acrl {command}`"
    return set(re.split(r",\s+", found[1]))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(place: Path, command: str) -> None:
    done = acrl(place, *command.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: acrl {command} ")
    assert "--json" in done.out
    assert documented_keys(command)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in NOT_RUN])
def test_every_command_prints_one_document_with_the_keys_documented(place: Path, command: str) -> None:
    assert command in ARGUMENTS, f"`acrl {command}` is new: add cheap arguments to ARGUMENTS"
    done = acrl(place, *command.split(), *ARGUMENTS[command], "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert isinstance(document, dict)
    assert set(document) == documented_keys(command)
    assert all(Path(place / path).exists() for path in document.get("paths", []))


@pytest.mark.parametrize(
    "command", sorted(name for name, one in cli.commands.items() if any(p.name == "profile" for p in one.params))
)
def test_an_error_leaves_stdout_empty(place: Path, command: str) -> None:
    arguments = [*ARGUMENTS[command]]
    arguments[arguments.index("smoke")] = "smoek"
    assert "profile 'smoek'" in refused(place, command, *arguments, "--json")


def test_a_sweep_whose_runs_fail_says_which(place: Path) -> None:
    arguments = ("sweep", *SMOKE, "--task", "R+Ring", "--method", "nfw", "--results", "other")
    done = acrl(place, *arguments, "--json")
    assert done.code == 1
    document = json.loads(done.out)
    (failure,) = document["failures"]
    assert (document["runs"], document["complete"], document["done"]) == (1, 0, 0)
    assert (failure["task"], failure["method"], failure["seed"]) == ("R+Ring", "nfw", 0)
    assert failure["reason"] in done.err
