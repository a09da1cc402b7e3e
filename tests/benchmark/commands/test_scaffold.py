"""What ``acrl new`` writes works as it stands."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.conformance import environments
from benchmark.conformance.suite import CONSTRAINT_CHECKS, METHOD_CHECKS
from benchmark.conformance.verdicts import name_of
from tests.benchmark.command import ROOT, acrl, files, finish, start, workplace


def test_a_method_is_written_with_its_test(tmp_path: Path) -> None:
    done = acrl(tmp_path, "new", "method", "my-method")
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
    source = (tmp_path / "my_method.py").read_text()
    assert '@register_method("my-method", version=1)\nclass MyMethod(Method[MyMethodConfig]):' in source
    assert len(source.splitlines()) < 60


def test_json_says_the_same(tmp_path: Path) -> None:
    done = acrl(tmp_path, "new", "task", "My+Task", "--json")
    assert json.loads(done.out) == {
        "paths": ["my_task.py", "test_my_task.py"],
        "entry_point": '[project.entry-points."acrl.tasks"]\nmy_task = "my_task"',
        "next": ["acrl check my_task.py", "pytest test_my_task.py"],
    }
    assert files(tmp_path).keys() == {"my_task.py", "test_my_task.py"}


def test_what_is_written_is_clean(tmp_path: Path) -> None:
    acrl(tmp_path, "new", "method", "my-method")
    acrl(tmp_path, "new", "task", "My+Task")
    ruff = Path(sys.executable).with_name("ruff")
    ours = 'lint.isort.known-first-party = ["benchmark", "envs", "methods"]'
    options = ["--config", str(ROOT / "pyproject.toml"), "--config", ours, "--no-cache", "."]
    for command in (["check", "--ignore", "D103"], ["format", "--check"]):
        done = subprocess.run([ruff, *command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("kind", "name", "module"), [("method", "my-method", "my_method"), ("task", "My+Task", "my_task")]
)
def test_the_documentation_shows_what_is_written(kind: str, name: str, module: str, tmp_path: Path) -> None:
    acrl(tmp_path, "new", kind, name)
    source = (tmp_path / f"{module}.py").read_text()
    page = (ROOT / f"docs/add-a-{kind}.md").read_text()
    assert f"```python\n{source}```" in page
    assert f"one of {len(source.splitlines())} lines" in page
    checks = METHOD_CHECKS if kind == "method" else (*CONSTRAINT_CHECKS, *environments.CHECKS)
    assert [name for name in map(name_of, checks) if f"\n| `{name}` | " not in page] == []


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("method", "My-Method", "is no name for a method: use lower-case"),
        ("method", "my_method", "is no name for a method"),
        ("method", "../up", "is no name for a method"),
        ("method", "nfw", "there is a method 'nfw' already"),
        ("method", "json", "'json' is the name of a Python module or keyword"),
        ("method", "class", "'class' is the name of a Python module or keyword"),
        ("task", "R+L2", "there is a task 'R+L2' already"),
        ("task", "R L2", "is no name for a task"),
        ("task", "Mine-v1", "is no name for a task"),
        ("task", "JSON", "'json' is the name of a Python module"),
    ],
)
def test_bad_names_are_refused(kind: str, name: str, message: str, tmp_path: Path) -> None:
    done = acrl(tmp_path, "new", kind, name)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert files(tmp_path) == {}


@pytest.mark.parametrize("taken", ["my_method.py", "test_my_method.py"])
def test_no_file_is_overwritten(taken: str, tmp_path: Path) -> None:
    (tmp_path / taken).write_text("mine")
    done = acrl(tmp_path, "new", "method", "my-method")
    assert done.code == 2
    assert f"{taken} is there already" in done.err
    assert files(tmp_path) == {taken: b"mine"}


@pytest.mark.slow
def test_in_a_checkout_all_of_it_works(tmp_path: Path) -> None:
    workplace(tmp_path)
    for package in ("benchmark", "envs", "methods"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    written = finish(start(tmp_path, "new", "method", "my-method"))
    assert written.code == 0, written.err
    assert written.out.splitlines() == [
        "methods/my_method.py",
        "tests/methods/test_my_method.py",
        "Next:",
        "  acrl check my-method",
        "  acrl run R+L2 my-method -p smoke",
    ]
    for arguments in (["check", "my-method"], ["run", "R+L2", "my-method", "-p", "smoke"]):
        done = finish(start(tmp_path, *arguments))
        assert done.code == 0, done.out + done.err
    done = finish(start(tmp_path, "check", "methods/my_method.py", "--task", "R+L2"))
    assert done.out.splitlines()[-1] == "19 pass, 0 fail, 1 not applicable"
