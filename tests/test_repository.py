"""The repository's everyday files agree with each other."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
LOCKED = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
CFF_REQUIRED = {"cff-version", "message", "title", "authors"}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def hooks() -> list[dict[str, Any]]:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    return local["hooks"]


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert set(citation) >= CFF_REQUIRED
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["version"] == project()["version"]
    assert citation["license"] == project()["license"]
    for cited in (citation, *citation["references"]):
        assert cited["title"]
        assert cited["authors"]
        for author in cited["authors"]:
            assert set(author) in ({"name"}, {"family-names", "given-names"})
    assert "https://arxiv.org/abs/2402.05149" in [reference["url"] for reference in citation["references"]]


def test_the_changelog_is_of_this_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1].startswith(project()["version"])


def test_hooks_are_tools_that_the_lock_pins() -> None:
    programs = [hook["entry"].split()[0] for hook in hooks()]
    assert len(programs) == 4
    for program in programs:
        assert Path(program).parent == Path(".venv/bin")
        assert {"lint-imports": "import-linter"}.get(Path(program).name, Path(program).name) in LOCKED


def test_hooks_are_what_make_lint_runs() -> None:
    lint = re.search(r"^lint: setup\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert lint is not None
    wanted = {" ".join(line.split()[:2]).removesuffix(" .") for line in lint[1].splitlines()}
    entries = {" ".join(hook["entry"].removeprefix(".venv/bin/").split()[:2]) for hook in hooks()}
    assert {entry.removesuffix(" --force-exclude") for entry in entries} == wanted


def test_the_container_has_the_lock_and_the_python_of_the_project() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (base,) = [line.split()[1] for line in lines if line.startswith("FROM ")]
    version = base.removeprefix("python:").removesuffix("-slim")
    assert project()["requires-python"] == f">={version}"
    assert (ROOT / "requirements.lock").read_text().startswith(f"# For Python {version} on Linux x86_64;")
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert user != "root"
    (command,) = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
    assert command[0] == "make"
    for target in (command[1], *re.findall(r"^RUN make (\w+)$", "\n".join(lines), re.MULTILINE)):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_development_container_is_the_same_image() -> None:
    folder = ROOT / ".devcontainer"
    settings = json.loads((folder / "devcontainer.json").read_text())
    assert (folder / settings["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert f"USER {settings['remoteUser']}\n" in (ROOT / "Dockerfile").read_text()
