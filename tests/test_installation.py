"""Which indexes the libraries come from, by pip itself and two stand-ins: for pip's configured index and PyTorch's."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pip
import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "install_libraries.sh"
TORCH, OTHER = "torch==2.13.0+cpu", "other==1.0"
HERE = f"Python {sys.version_info.major}.{sys.version_info.minor} on {platform.system()} {platform.machine()}"
ELSEWHERE = "Python 3.1 on Multics"


class Indexes(ThreadingHTTPServer):
    """A server of two package indexes, ``configured`` and ``pytorch``: folders with a folder of wheels a project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))

    def url(self, index: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{index}/"

    def add(self, index: str, requirement: str, content: str = "") -> str:
        """Put a wheel with one module into an index; returns the wheel's sha256."""
        name, version = requirement.split("==")
        folder = self.folder / index / name
        folder.mkdir(parents=True)
        wheel = folder / f"{name}-{version}-py3-none-any.whl"
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{name}.py", content)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        return hashlib.sha256(wheel.read_bytes()).hexdigest()

    def indexes_asked(self) -> set[str]:
        return {path.split("/")[1] for path in self.asked}


class Handler(SimpleHTTPRequestHandler):
    """Serves files, lists folders, and notes what is asked for."""

    server: Indexes

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def indexes(tmp_path: Path) -> Iterator[Indexes]:
    server = Indexes(tmp_path / "indexes")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment with nothing in it but this one's pip."""
    folder = tmp_path / "environment"
    venv.EnvBuilder(symlinks=True).create(folder)
    (packages(folder) / "pip").symlink_to(Path(pip.__file__).parent)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "project"\ndependencies = ["torch==2.13.0"]\noptional-dependencies.dev = ["other>=1"]\n'
    )
    return folder


def lock(project: Path, torch: str, other: str, machine: str = HERE) -> None:
    """Write the lock of a project from the hashes of its two libraries."""
    lines = (
        f"{requirement} \\\n    --hash=sha256:{digest}\n" for requirement, digest in ((OTHER, other), (TORCH, torch))
    )
    (project / "requirements.lock").write_text(f"# For {machine}\n{''.join(lines)}    # via project\n")


def install(project: Path, environment: Path, indexes: Indexes) -> subprocess.CompletedProcess[str]:
    """Install the libraries of a project into an environment, without this machine's settings of pip."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    variables |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_INDEX_URL": indexes.url("configured")}
    variables["TORCH_INDEX"] = indexes.url("pytorch")
    command = ["sh", SCRIPT, environment / "bin" / "python"]
    return subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)


def packages(environment: Path) -> Path:
    (found,) = (environment / "lib").glob("*/site-packages")
    return found


def installed(environment: Path) -> set[str]:
    return {path.stem for path in packages(environment).glob("*.dist-info")}


def test_pytorchs_index_is_not_asked_for_what_the_configured_one_has(
    project: Path, environment: Path, indexes: Indexes
) -> None:
    lock(project, torch=indexes.add("configured", TORCH), other=indexes.add("configured", OTHER))
    indexes.add("pytorch", TORCH)
    done = install(project, environment, indexes)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert installed(environment) == {"torch-2.13.0+cpu", "other-1.0"}
    assert indexes.indexes_asked() == {"configured"}


def test_pytorchs_index_is_asked_second_and_for_torch_alone(project: Path, environment: Path, indexes: Indexes) -> None:
    lock(project, torch=indexes.add("pytorch", TORCH), other=indexes.add("configured", OTHER))
    done = install(project, environment, indexes)
    assert (done.returncode, done.stderr) == (0, "")
    said = f"pip's configured indexes did not give {TORCH}; trying {indexes.url('pytorch')} in addition"
    assert done.stdout.splitlines()[1:] == [said]
    assert installed(environment) == {"torch-2.13.0+cpu", "other-1.0"}
    assert indexes.asked[0] == "/configured/torch/"
    assert [path for path in indexes.asked if path.startswith("/pytorch/other")] == []


@pytest.mark.parametrize("index", ["configured", "pytorch"])
def test_a_wheel_of_another_hash_is_refused(project: Path, environment: Path, indexes: Indexes, index: str) -> None:
    other = indexes.add("configured", OTHER)
    indexes.add(index, TORCH, content="import os  # not what was locked")
    lock(project, torch="0" * 64, other=other)
    done = install(project, environment, indexes)
    assert done.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
    assert installed(environment) == set()


def test_a_torch_that_no_index_has_ends_with_what_pip_says(project: Path, environment: Path, indexes: Indexes) -> None:
    lock(project, torch="0" * 64, other=indexes.add("configured", OTHER))
    done = install(project, environment, indexes)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: Could not find a version that satisfies the requirement torch==2.13.0+cpu")
    assert installed(environment) == set()


def test_where_the_lock_is_not_for_the_ranges_are_installed_with_the_same_torch(
    project: Path, environment: Path, indexes: Indexes
) -> None:
    lock(project, torch="0" * 64, other="0" * 64, machine=ELSEWHERE)
    indexes.add("configured", OTHER)
    indexes.add("pytorch", TORCH)
    done = install(project, environment, indexes)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"requirements.lock is not for {HERE}: installing the ranges of pyproject.toml")
    assert len(done.stdout.splitlines()) == 2
    assert installed(environment) == {"torch-2.13.0+cpu", "other-1.0"}
