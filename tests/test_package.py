"""The package as it is installed without a clone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmark.command import ROOT, finish, start

PACKAGES = ("benchmark", "envs", "methods")
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "params.yaml")
INSTALL = ("install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation")


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside of any clone, with the package installed in ``site``; profile smoke is called packaged there."""
    copy, folder = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("outside")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(ROOT / name, copy)
    params = (copy / "params.yaml").read_text()
    (copy / "params.yaml").write_text(params.replace("\n  smoke:\n", "\n  packaged:\n"))
    subprocess.run([sys.executable, "-m", "pip", *INSTALL, "--target", folder / "site", "."], cwd=copy, check=True)
    return folder


def test_it_has_every_file_of_its_packages(outside: Path) -> None:
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()]
    wanted = {path.relative_to(ROOT) for path in files if "__pycache__" not in path.parts}
    assert {Path(name, "py.typed") for name in PACKAGES} <= wanted
    assert [path for path in sorted(wanted) if not (outside / "site" / path).exists()] == []


def test_it_brings_its_profiles(outside: Path) -> None:
    done = finish(start(outside, "list", "--json"))
    assert done.code == 0, done.err
    assert "packaged" in [profile["name"] for profile in json.loads(done.out)["profiles"]]
