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
BOTH = {"torch-2.13.0+cpu", "other-1.0"}
Done = subprocess.CompletedProcess[str]


class Indexes(ThreadingHTTPServer):
    """A server of two package indexes, ``configured`` and ``pytorch``: folders with a folder of wheels a project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))

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
def project(tmp_path: Path) -> Path:
    """A project, with an environment that has nothing in it but this one's pip."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "project"\ndependencies = ["torch==2.13.0"]\noptional-dependencies.dev = ["other>=1"]\n'
    )
    venv.EnvBuilder(symlinks=True).create(tmp_path / "environment")
    (packages(tmp_path) / "pip").symlink_to(Path(pip.__file__).parent)
    return tmp_path


def install(project: Path, indexes: Indexes, torch: str, other: str, machine: str = HERE) -> Done:
    """Install the libraries of a lock with these hashes, without this machine's settings of pip."""
    hashes = {OTHER: other, TORCH: torch}.items()
    lines = "".join(f"{requirement} \\\n    --hash=sha256:{digest}\n" for requirement, digest in hashes)
    (project / "requirements.lock").write_text(f"# For {machine}\n{lines}    # via project\n")
    url = f"http://127.0.0.1:{indexes.server_port}"
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    variables |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_INDEX_URL": f"{url}/configured/"}
    variables["TORCH_INDEX"] = f"{url}/pytorch/"
    command = ["sh", SCRIPT, project / "environment" / "bin" / "python"]
    return subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)


def packages(project: Path) -> Path:
    (found,) = (project / "environment" / "lib").glob("*/site-packages")
    return found


def installed(project: Path) -> set[str]:
    return {path.stem for path in packages(project).glob("*.dist-info")}


@pytest.mark.parametrize("index", ["configured", "pytorch"])
def test_pytorchs_index_is_asked_second_and_for_torch_alone(project: Path, indexes: Indexes, index: str) -> None:
    done = install(project, indexes, torch=indexes.add(index, TORCH), other=indexes.add("configured", OTHER))
    assert (done.returncode, done.stderr) == (0, "")
    assert installed(project) == BOTH
    first, *others = (tuple(path.split("/")[1:3]) for path in indexes.asked)
    assert first == ("configured", "torch")
    assert {name for asked, name in others if asked == "pytorch"} == ({"torch"} if index == "pytorch" else set())
    said = done.stdout.splitlines()[1:]
    assert len(said) == (index == "pytorch")
    assert all(line.startswith(f"pip's configured indexes did not give {TORCH}; trying http") for line in said)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("configured", "THESE PACKAGES DO NOT MATCH THE HASHES"),
        ("pytorch", "THESE PACKAGES DO NOT MATCH THE HASHES"),
        ("", "Could not find a version that satisfies the requirement torch==2.13.0+cpu"),
    ],
)
def test_a_torch_of_another_hash_or_of_no_index_ends_with_what_pip_says(
    project: Path, indexes: Indexes, index: str, said: str
) -> None:
    if index:
        indexes.add(index, TORCH, content="import os  # not what was locked")
    done = install(project, indexes, torch="0" * 64, other=indexes.add("configured", OTHER))
    assert done.returncode == 1
    assert said in done.stderr
    assert installed(project) == set()


def test_where_the_lock_is_not_for_the_ranges_are_installed_with_the_same_torch(
    project: Path, indexes: Indexes
) -> None:
    indexes.add("configured", OTHER)
    indexes.add("pytorch", TORCH)
    done = install(project, indexes, torch="0" * 64, other="0" * 64, machine="Python 3.1 on Multics")
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 2)
    assert done.stdout.startswith(f"requirements.lock is not for {HERE}: installing the ranges of pyproject.toml")
    assert installed(project) == BOTH
