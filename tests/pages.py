"""Runs what a page of the documentation shows, in order, in one folder: its commands by a shell, its Python as one.

``make_folder`` makes the folder, with a program ``page`` that runs one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import types
import venv
from pathlib import Path
from typing import NamedTuple

import yaml
from markdown_it import MarkdownIt

from tests.preloaded import write_program

ROOT = Path(__file__).resolve().parents[1]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))
# Shown, and run by nobody: a file's contents (with a title: a file that is written), what a program prints.
SHOWN = ("json", "text", "toml", "yaml")
LANGUAGES = ("python", "sh", *SHOWN)
FEW = {
    "tasks": ["R+L2"],
    "unconstrained": ["R+N"],
    "flow_methods": ["flowpg", "flowpg-gauge"],
    "plain_methods": ["ddpg-projection", "nfw-target"],
}


class Block(NamedTuple):
    """A block of code on a page; ``line`` is that of its first line, ``title`` the name of the file that it is."""

    language: str
    title: str | None
    text: str
    line: int


PIPELINE = "benchmark/training/test_pipeline.py"
# Commands that are not run here, and which file of tests runs them instead, if one does.
NOT_RUN = {
    # Set up an environment, from the network.
    "make setup": None,
    "make repro": PIPELINE,
    "dvc metrics show": PIPELINE,
    "dvc plots show": None,
    "dvc exp run tables -S profiles.quick.steps=3000": PIPELINE,
    'dvc exp show --only-changed --drop "results.*"': PIPELINE,
    "dvc metrics diff": PIPELINE,
    "dvc plots diff": PIPELINE,
    # What runs these tests, or reads the repository and not this folder.
    "make test": None,
    "make test-fast": None,
    "make lint": None,
    "make docs": "test_site.py",
    "mkdir -p results/quick && cp -r results/reference/quick/runs results/quick/": None,
    # Read all flows and runs of a profile, or a reference of sizes of its own.
    "acrl experiment -p quick": "benchmark/experiments/test_command.py",
    "acrl reproduced -p quick": "benchmark/analysis/test_reproduction.py",
    # Serves until it is stopped.
    "acrl ui": "benchmark/publishing/mlflow/test_server.py",
    # Reads what is in git.
    "acrl track -p small": "benchmark/publishing/mlflow/test_import.py",
    # Starts a Ray, makes 120 runs, or draws 100,000 samples of every sampler on nine tasks, several times.
    "acrl sweep -p small --executor ray": "benchmark/training/test_executors.py",
    "acrl sweep -p quick --results results/reference --seed 0 --seed 1 --seed 2": None,
    "python benchmarks/sampling.py": None,
}


def blocks(page: Path) -> list[Block]:
    """All blocks of code of a page, indented ones too, which have no language."""
    found = []
    for token in MarkdownIt().parse(page.read_text()):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            title = re.search(r'title="([^"]+)"', token.info)
            language = token.info.split()[0] if token.info.strip() else ""
            found.append(Block(language, title and title[1], token.content, token.map[0] + 2))
    return found


def commands(block: Block) -> list[str]:
    """The lines of a block of commands without comments."""
    return [line.split(" #")[0].strip() for line in block.text.splitlines()]


def script(block: Block) -> str:
    """A block of commands without those that are not run here."""
    lines = zip(block.text.splitlines(), commands(block), strict=True)
    return "\n".join(line for line, command in lines if command not in NOT_RUN)


def is_run(block: Block) -> bool:
    """Whether something of a block is run here."""
    return block.language == "python" or (block.language == "sh" and bool(script(block).strip()))


def make_folder(folder: Path, address: str) -> dict[str, str]:
    """Make what a page is read with: settings, a Python environment in ``.venv``; returns the variables to set.

    Every profile has the sizes of profile smoke, and one task and few methods, so that commands can be run as they are
    written. The environment has all that this one has, and what a page installs goes into it, without a network.
    Commands run in forks of the process at this address.
    """
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["profiles"] = dict.fromkeys(params["profiles"], params["profiles"]["smoke"] | FEW)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    venv.EnvBuilder(symlinks=True).create(folder / ".venv")
    programs = folder / ".venv" / "bin"
    (packages,) = (folder / ".venv" / "lib").glob("*/site-packages")
    (packages / "shared.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    write_program(programs / "acrl", "benchmark.cli:main", address)
    write_program(programs / "page", "tests.pages:main", address)
    (programs / "pip").write_text("#!/usr/bin/env python\nfrom pip._internal.cli.main import main\nmain()\n")
    (programs / "pip").chmod(0o755)
    return os.environ | {
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        # What a page writes for its reader's shell stays in the folder.
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def main() -> None:
    """Run the blocks of a page, the one argument, in this folder; the first that fails ends it.

    Raises:
        subprocess.CalledProcessError: If a command fails; what it printed is on stdout and stderr.
    """
    page = Path(sys.argv[1])
    shared = types.ModuleType("page")
    sys.modules[shared.__name__] = shared
    for block in blocks(page):
        if block.title is not None:
            path = Path(block.title)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "python":
            # Blank lines before it: a traceback then has the page's own line numbers.
            exec(compile("\n" * (block.line - 1) + block.text, page, "exec"), vars(shared))
        elif is_run(block):
            sys.stdout.write(f"{page.name}, line {block.line}\n")
            sys.stdout.flush()
            subprocess.run(["bash", "-euxo", "pipefail", "-c", script(block)], check=True)
