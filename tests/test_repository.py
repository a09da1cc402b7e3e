"""The repository's everyday files agree with each other."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from tests.benchmark.command import ROOT, git

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK, MAKEFILE, DOCKERFILE = ((ROOT / name).read_text() for name in ("requirements.lock", "Makefile", "Dockerfile"))


def test_citation_and_changelog_are_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert set(citation) >= {"cff-version", "message", "title", "authors"}
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    for cited in (citation, *citation["references"]):
        assert cited["title"]
        assert cited["authors"]
        for author in cited["authors"]:
            assert set(author) in ({"name"}, {"family-names", "given-names"})
    assert "https://arxiv.org/abs/2402.05149" in [reference["url"] for reference in citation["references"]]
    first, second, *_ = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first == "Unreleased"
    assert second.startswith(PROJECT["version"])


def test_a_clone_has_the_same_bytes_whatever_it_does_to_line_ends(tmp_path: Path) -> None:
    results = ("results/small/runs/R+L2/nfw-target/seed-0.json", "results/small/figures/time.png")
    names = (".gitattributes", "requirements.lock", "params.yaml", "methods/nfw.py", "install_libraries.sh", *results)
    for name in names:
        (tmp_path / "first" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "first" / name)
    clone = ["clone", "-q", "-c", "core.autocrlf=true", ".", "../second"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"], clone):
        git(tmp_path / "first", *arguments)
    for name in names:
        assert (tmp_path / "second" / name).read_bytes() == (ROOT / name).read_bytes()


def test_hooks_are_what_make_lint_runs_of_tools_that_the_lock_pins() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    commands = [hook["entry"].split()[:2] for hook in local["hooks"]]
    assert len(commands) == 4
    assert all(program.startswith(".venv/bin/") for program, *_ in commands)
    hooks = {" ".join(command).removeprefix(".venv/bin/") for command in commands}
    lint = re.search(r"^lint: setup\n((?:\t.+\n)+)", MAKEFILE, re.MULTILINE)
    assert lint is not None
    assert hooks == {" ".join(line.split()[:2]).removesuffix(" .") for line in lint[1].splitlines()}
    tools = {hook.split()[0].replace("lint-imports", "import-linter") for hook in hooks}
    assert tools <= set(re.findall(r"^([a-z0-9-]+)==", LOCK, re.MULTILINE))


def test_the_containers_have_the_lock_and_the_python_of_the_project() -> None:
    lines = DOCKERFILE.splitlines()
    (base,) = [line.split()[1] for line in lines if line.startswith("FROM ")]
    version = base.removeprefix("python:").removesuffix("-slim")
    assert PROJECT["requires-python"] == f">={version}"
    assert LOCK.startswith(f"# For Python {version} on Linux x86_64;")
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert user != "root"
    (command,) = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
    assert command[0] == "make"
    for target in (command[1], *re.findall(r"^RUN make (\w+)$", DOCKERFILE, re.MULTILINE)):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
    # The development container is the same image.
    folder = ROOT / ".devcontainer"
    settings = json.loads((folder / "devcontainer.json").read_text())
    assert (folder / settings["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert settings["remoteUser"] == user


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lock is for Python 3.11")
def test_the_lock_is_for_every_release_of_python_3_11() -> None:
    # Debian 12 has 3.11.2, and what runs `make lock` may be newer.
    names = re.findall(r"^([a-z0-9._-]+)==", LOCK, re.MULTILINE)
    ranges = {name: importlib.metadata.metadata(name).get("Requires-Python") or "" for name in names}
    assert [name for name, one in ranges.items() if "3.11.0" not in SpecifierSet(one)] == []
