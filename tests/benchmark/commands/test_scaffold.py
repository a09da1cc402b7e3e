"""What ``acrl new`` writes works as it stands."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from benchmark.conformance import test_constraints, test_environments, test_methods
from tests.benchmark.command import ROOT, acrl, finish, refused, start, workplace

METHOD, TASK = ("new", "method", "my-method"), ("new", "task", "My+Task")


def test_what_is_written_and_what_to_do_next_is_said(tmp_path: Path) -> None:
    done = acrl(tmp_path, *METHOD)
    assert done.code == 0
    assert done.out.splitlines() == [
        "my_method.py",
        "test_my_method.py",
        "Next:",
        "  acrl check my_method.py",
        "  pytest test_my_method.py",
        "For acrl to find it by its id, add this to your package's pyproject.toml and install it:",
        '  [project.entry-points."acrl.methods"]',
        '  my_method = "my_method"',
    ]
    assert json.loads(acrl(tmp_path, *TASK, "--json").out) == {
        "paths": ["my_task.py", "test_my_task.py"],
        "entry_point": '[project.entry-points."acrl.tasks"]\nmy_task = "my_task"',
        "next": ["acrl check my_task.py", "pytest test_my_task.py"],
    }
    ruff = Path(sys.executable).with_name("ruff")
    ours = 'lint.isort.known-first-party = ["benchmark", "envs", "methods"]'
    options = ["--config", str(ROOT / "pyproject.toml"), "--config", ours, "--no-cache", "."]
    for command in (["check", "--ignore", "D103"], ["format", "--check"]):
        clean = subprocess.run([ruff, *command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert clean.returncode == 0, clean.stdout


@pytest.mark.parametrize("arguments", [METHOD, TASK])
def test_the_documentation_shows_what_is_written(arguments: tuple[str, ...], tmp_path: Path) -> None:
    acrl(tmp_path, *arguments)
    kind = arguments[1]
    source = (tmp_path / f"my_{kind}.py").read_text()
    page = (ROOT / f"docs/add-a-{kind}.md").read_text()
    assert f"```python\n{source}```" in page
    assert f"has {len(source.splitlines())} lines" in page


@pytest.mark.parametrize(
    ("heading", "modules"),
    [("method", (test_methods,)), ("task", (test_constraints, test_environments))],
    ids=["method", "task"],
)
def test_the_documentation_renders_every_check(heading: str, modules: tuple[ModuleType, ...]) -> None:
    page = (ROOT / "docs/interfaces.md").read_text()
    section = page.split(f"\n## Checks of a {heading}\n")[1].split("\n## ")[0]
    assert re.findall(r"^::: (\S+)$", section, re.MULTILINE) == [module.__name__ for module in modules]
    checks = [check for module in modules for name, check in vars(module).items() if name.startswith("test_")]
    texts = [inspect.getdoc(check) or "" for check in checks]
    assert [text for text in texts if not re.fullmatch(r".+\.", text)] == []


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("method", "my_method", "is not a valid method name: use up to 60 lower-case"),
        ("method", "a" * 300, "is not a valid method name"),
        ("method", "../up", "is not a valid method name"),
        ("method", "nfw", "a method 'nfw' already exists"),
        ("method", "class", "'class' is the name of a Python module or keyword"),
        ("task", "R+L2", "a task 'R+L2' already exists"),
        ("task", "Mine-v1", "is not a valid task name"),
        ("task", "A" * 300, "is not a valid task name"),
        ("task", "JSON", "'json' is the name of a Python module"),
        ("task", "Mine", "test_mine.py already exists"),
    ],
)
def test_bad_names_are_refused_and_no_file_is_overwritten(kind: str, name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("mine")
    assert message in refused(tmp_path, "new", kind, name)


@pytest.mark.slow
def test_outside_a_checkout_its_test_passes(tmp_path: Path) -> None:
    acrl(workplace(tmp_path), *TASK)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_my_task.py"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_in_a_checkout_all_of_it_works(tmp_path: Path, program: Path) -> None:
    workplace(tmp_path)
    for package in ("benchmark", "envs", "methods"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    in_checkout = partial(start, tmp_path, program=program, PYTHONPATH=str(tmp_path))
    written = finish(in_checkout(*METHOD))
    assert written.out.splitlines() == [
        "methods/my_method.py",
        "tests/methods/test_my_method.py",
        "Next:",
        "  acrl check my-method",
        "  acrl run R+L2 my-method -p smoke",
    ]
    done = finish(in_checkout("run", "R+L2", "my-method", "-p", "smoke"))
    assert done.code == 0, done.out + done.err
