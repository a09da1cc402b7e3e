"""The check of the submission workflow that needs git alone, run as the workflow runs it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "submission.yml"
STEP = "A submission changes nothing that it is measured by"
ARCHIVE = "submissions/mine small.zip"


def script() -> str:
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["verify"]["steps"]
    (found,) = (step["run"] for step in steps if step.get("name") == STEP)
    return str(found)


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a file of every kind, on a branch of its own."""
    for name in ("benchmark/judge.py", "methods/nfw.py", "params.yaml", "submissions/README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("here before\n")
    git(tmp_path, "init", "--initial-branch", "main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--message", "before")
    git(tmp_path, "checkout", "-b", "submission")
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({ARCHIVE: "runs"}, []),
        ({ARCHIVE: "runs", "methods/mine.py": "a method"}, []),
        ({ARCHIVE: "runs", "methods/nfw.py": "better"}, ["methods/nfw.py"]),
        ({ARCHIVE: "runs", "methods/nfw.py": None}, ["methods/nfw.py"]),
        ({ARCHIVE: "runs", "methods/nfw.py": None, "methods/mine.py": "here before\n"}, ["methods/nfw.py"]),
        ({ARCHIVE: "runs", "benchmark/new.py": "a file"}, ["benchmark/new.py"]),
        ({ARCHIVE: "runs", "results/small/submissions/mine.json": "{}"}, ["results/small/submissions/mine.json"]),
        ({"params.yaml": "easier", "benchmark/judge.py": "kinder"}, ["params.yaml", "benchmark/judge.py"]),
    ],
)
def test_what_a_submission_is_measured_by_stays(
    repository: Path, changes: dict[str, str | None], refused: list[str]
) -> None:
    for name, content in changes.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
    assert_refused(repository, refused)


def test_a_link_in_place_of_a_method_is_refused(repository: Path) -> None:
    (repository / "methods" / "mine.py").write_text("better")
    (repository / "methods" / "nfw.py").unlink()
    (repository / "methods" / "nfw.py").symlink_to("mine.py")
    assert_refused(repository, ["methods/nfw.py"])


def assert_refused(repository: Path, refused: list[str]) -> None:
    """Commit what is changed, and run the step on it."""
    git(repository, "add", "--all")
    git(repository, "commit", "--message", "a submission")
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script()]
    done = subprocess.run(command, cwd=repository, env={"BASE": "main"}, capture_output=True, text=True, check=False)
    assert done.returncode == bool(refused)
    assert all(name in done.stdout for name in refused)
