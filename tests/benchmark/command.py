"""The command line, called in this process or in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from benchmark.cli import main
from benchmark.records.yaml import merge

ROOT = Path(__file__).parents[2]
PARAMS = ROOT / "params.yaml"
# A command of its own takes seconds to start: bounds what a hang may cost.
SECONDS = 240
# As the installed program, which imports nothing from the folder it is called in. Tests that were started in the
# background by a shell would hand on that Ctrl-C is ignored.
MAIN = """
import sys
sys.path.remove("")
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from benchmark.cli import main
main()
"""


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def acrl(folder: Path, *arguments: str | Path) -> Done:
    """``acrl`` with these arguments, run in ``folder`` by this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["acrl", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
    code = left.value.code
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


def refused(folder: Path, *arguments: str | Path) -> str:
    """The one line that these arguments give, after checking that it is one, and that nothing else was written."""
    before = files(folder)
    done = acrl(folder, *arguments)
    assert (done.code, done.out) == (2, ""), done.err
    assert re.fullmatch("error: .*\n", done.err)
    assert files(folder) == before
    return done.err.removeprefix("error: ").rstrip("\n")


def start(folder: Path, *arguments: str, program: Path | None = None, **environment: str) -> subprocess.Popen[str]:
    """``acrl`` in a process and a process group of its own, with the packages in ``folder / "site"`` installed.

    The fixture ``program`` starts sooner, and is not reached by signals to the group.
    """
    path = os.pathsep.join([str(folder / "site"), str(ROOT)])
    variables = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment}
    command = [*([program] if program else [sys.executable, "-c", MAIN]), *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=SECONDS)
    return Done(process.returncode, out, err)


def git(folder: Path, *arguments: str) -> str:
    """What git prints in a folder, as somebody whom it knows."""
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def install(folder: Path, group: str, name: str, source: str) -> None:
    """What a package manager leaves behind for a package with one module and one entry point."""
    info = folder / "site" / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "site" / f"{name}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}\n")


def shadow(folder: Path) -> None:
    """Put files of the user's own there, which bear the names of our packages and of Python's, and fail."""
    for name in ("benchmark", "envs", "methods"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise RuntimeError('not ours')\n")
    for name in ("random", "signal", "socket", "torch"):
        (folder / f"{name}.py").write_text("raise RuntimeError('not ours')\n")


def workplace(folder: Path, **smoke: Any) -> Path:
    """A folder to run ``acrl`` in, with these settings on top of profile smoke."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PARAMS, folder)
    if smoke:
        data = yaml.safe_load(PARAMS.read_text())
        data["profiles"]["smoke"] = merge(data["profiles"]["smoke"], smoke)
        (folder / "params.yaml").write_text(yaml.safe_dump(data))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for locks and Python's own."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".lock", ".pyc"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
