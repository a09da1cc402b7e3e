"""The steps of the submission workflow, run on a repository as the workflow runs them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.benchmark.command import ROOT, git

WORKFLOW = ROOT / ".github" / "workflows" / "submission.yml"
CHECK = "A submission changes nothing that it is measured by"
TOML = "results/small/submissions/mine.toml"
RUN = "results/small/runs/R+L2/mine/seed-0.json"
OTHERS_RUN = "results/small/runs/R+L2/nfw/seed-0.json"
RIVAL, RIVALS_RUN = "results/small/submissions/rival.toml", "results/small/runs/R+L2/rival/seed-0.json"
SUBMITTED = {TOML: 'author = "A"\nsource = "https://example.org"\ncommit = "0123456"\n', RUN: "{}"}


def script(name: str) -> str:
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["verify"]["steps"]
    (found,) = (step["run"] for step in steps if step.get("name") == name)
    return str(found)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a file of every kind, on a branch of its own."""
    before = ["benchmark/cli.py", "methods/nfw.py", OTHERS_RUN, RIVAL, RIVALS_RUN, "setup.py", ".gitignore"]
    write(tmp_path, dict.fromkeys(before, "here before\n"))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    git(tmp_path, "init", "--initial-branch", "main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--message", "before")
    git(tmp_path, "checkout", "-b", "submission")
    return tmp_path


def run_step(repository: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Commit what is changed, and run a step on it."""
    git(repository, "add", "--all")
    git(repository, "commit", "--message", "a submission")
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script(name)]
    environment = {"BASE": "main", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)


def write(repository: Path, changes: Mapping[str, str | Path | None]) -> None:
    """Write files and links to paths, and delete those without content."""
    for name, content in changes.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        else:
            path.unlink()
            if content:
                path.symlink_to(content)


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"methods/mine.py": "a method"}, []),
        ({"methods/nfw.py": "better"}, ["methods/nfw.py"]),
        ({"methods/nfw.py": None}, ["methods/nfw.py"]),
        ({"methods/nfw.py": None, "methods/mine.py": "here before\n"}, ["methods/nfw.py"]),
        ({"benchmark/new.py": "a file"}, ["benchmark/new.py"]),
        ({"results/small/tables/leaderboard.md": "first"}, ["results/small/tables/leaderboard.md"]),
        ({OTHERS_RUN: "worse"}, [OTHERS_RUN]),
        ({OTHERS_RUN: None}, [OTHERS_RUN]),
        ({RIVAL: None}, [RIVAL]),
        ({RIVAL: "by me"}, [RIVAL]),
        ({RIVALS_RUN.replace("seed-0", "seed-1"): "{}"}, ["rival/seed-1.json"]),
        ({"tests/methods/test_mine.py": "a test"}, []),
        ({"setup.py": "anything"}, ["setup.py"]),
        ({"sitecustomize.py": "anything", "README.md": "first"}, ["sitecustomize.py", "README.md"]),
        ({"params.yaml": "easier", "benchmark/cli.py": "kinder"}, ["params.yaml", "benchmark/cli.py"]),
        ({"methods/mine.py": "better", "methods/nfw.py": Path("mine.py")}, ["methods/nfw.py"]),
    ],
)
def test_what_a_submission_is_measured_by_stays(
    repository: Path, changes: dict[str, str | Path | None], refused: list[str]
) -> None:
    write(repository, SUBMITTED | changes)
    done = run_step(repository, CHECK)
    assert done.returncode == bool(refused)
    assert all(name in done.stdout for name in refused)


def test_every_submission_with_a_new_run_is_verified(repository: Path) -> None:
    write(repository, {".gitignore": ".venv\n", "results/small/runs/R+L2/nfw/seed-1.json": "{}"} | SUBMITTED)
    (repository / ".venv" / "bin").mkdir(parents=True)
    (repository / ".venv" / "bin" / "acrl").symlink_to(Path(sys.executable).with_name("acrl"))
    done = run_step(repository, "acrl verify")
    assert done.returncode == 1
    first, damaged, _, second = done.stdout.splitlines()
    assert (first, second) == (f"== {TOML}", "== results/small/submissions/nfw.toml")
    assert damaged.startswith(f"failed  files: {RUN} has schema version None")
    assert done.stderr == "error: no such file: results/small/submissions/nfw.toml\n"
