"""Flipped bits and full disks: refused in one line, or without effect; nothing lost, nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.records.results import read_run
from benchmark.records.store import load_tensors, save_tensors
from envs.errors import UserError
from tests.benchmark.command import MAIN, ROOT, acrl, files, finish, start, workplace
from tests.benchmark.synthetic_results import make_run

SMOKE = ("-p", "smoke")
TOO_SMALL, ENOUGH = "16k", "200m"
FLIPS = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@FLIPS
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_without_effect(tmp_path: Path, place: float, bit: int) -> None:
    record, tensors = tmp_path / "record.json", tmp_path / "a.safetensors"
    make_run("R+L2", "flowpg", 0).write(record)
    whole = read_run(record)
    flip(record, place, bit)
    assert read_unless_refused(record, read_run) in (None, whole)

    kept = {"weights": torch.arange(6.0).reshape(2, 3), "count": torch.arange(4)}
    save_tensors(tensors, kept, {"key": "k", "seconds": "1.5"})
    flip(tensors, place, bit)
    found, facts = read_unless_refused(tensors, load_tensors) or (kept, {"key": "k", "seconds": "1.5"})
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[name], value) for name, value in kept.items())
    assert facts == {"key": "k", "seconds": "1.5"}


def test_a_digest_whose_name_is_damaged_is_no_file_without_one(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    make_run("R+L2", "flowpg", 0).write(path)
    path.write_text(path.read_text().replace('"sha256":', '"sha257":'))
    with pytest.raises(UserError, match=r"damaged at 'provenance\.sha257'"):
        read_run(path)


def read_unless_refused(path: Path, read: Callable[[Path], Any]) -> Any:
    """What is read; None where one line that names the file refuses it."""
    try:
        return read(path)
    except UserError as error:
        line = str(error)
    assert str(path) in line
    assert "\n" not in line
    return None


def flip(path: Path, place: float, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A place whose results lie on a disk that holds next to nothing."""
    folder = workplace(tmp_path)
    disk = folder / "results"
    disk.mkdir()
    if mount("-t", "tmpfs", "-o", f"size={TOO_SMALL}", "tmpfs", str(disk)) != 0:
        pytest.skip("needs the right to mount a file system")
    yield folder
    # Lazily: a test that failed may have left a file open.
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("flows", "R+L2", *SMOKE, "--method", "flowpg"),
        ("run", "R+L2", "nfw", *SMOKE, "--checkpoint-every", "0"),
        ("sample", "R+L2", "--sampler", "rejection", "--n", "20000", "--out", "results/a.npy"),
    ],
)
def test_a_full_disk_is_said_and_mended_by_space(small_disk: Path, arguments: tuple[str, ...]) -> None:
    done = acrl(small_disk, *arguments)
    assert done.code == 2
    assert done.err.startswith("error: cannot write ")
    assert "No space left on device" in done.err
    assert done.err.count("\n") == 1
    # What is there is whole: nothing but what was finished before the disk was full.
    assert [name for name in files(small_disk / "results") if Path(name).name.startswith(".")] == []
    assert mount("-o", f"remount,size={ENOUGH}", str(small_disk / "results")) == 0
    again = acrl(small_disk, *arguments)
    assert (again.code, again.err) == (0, "")


@pytest.mark.slow
def test_a_read_only_folder_is_said_and_nothing_changes(small_disk: Path) -> None:
    results = small_disk / "results"
    assert mount("-o", f"remount,size={ENOUGH}", str(results)) == 0
    assert acrl(small_disk, "run", "R+L2", "nfw", *SMOKE).code == 0
    before = files(results)
    commands = [
        ("run", "R+L2", "ddpg-penalty", *SMOKE),
        ("flows", "R+L2", *SMOKE, "--method", "flowpg"),
        ("sweep", *SMOKE, "--task", "R+L2", "--method", "ddpg-penalty", "-j", "1"),
        ("sample", "R+L2", "--sampler", "rejection", "--n", "100", "--out", "results/a.npy"),
        *((command, *SMOKE) for command in ("timing", "tables", "report", "track")),
    ]
    # Root may write where permissions forbid it, but not to a file system that is read-only.
    assert mount("-o", "remount,ro", str(results)) == 0
    # MLflow holds a database open that it has once seen.
    said = {command: acrl(small_disk, *command) for command in commands[:-1]}
    said[commands[-1]] = finish(start(small_disk, *commands[-1]))
    assert files(results) == before
    for command, done in said.items():
        assert (done.code, done.err.count("\n")) == (2, 1), (command, done)
        assert done.err.startswith("error: cannot write "), command
        assert "Read-only file system" in done.err, command


@pytest.mark.slow
@pytest.mark.parametrize("command", ["report", "track", "repro"])
def test_a_user_without_a_name_and_a_home_has_all_that_others_have(tmp_path: Path, command: str) -> None:
    folder = workplace(tmp_path)
    make_run("R+L2", "flowpg", 0, profile="smoke").write(folder / "results/smoke/runs/R+L2/flowpg/seed-0.json")
    unset = [f"--unset={name}" for name in ("HOME", "USER", "LOGNAME")]
    nobody = ["unshare", "--user", "--map-user=12345", "env", *unset]
    if subprocess.run([*nobody, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("needs the right to make a namespace of users")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = os.environ | {"PYTHONPATH": str(ROOT), "PATH": path}
    (folder / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc")
    (folder / "dvc.yaml").write_text("stages: {look: {cmd: acrl status -p smoke, meta: {seconds: 1}}}")
    program = [*nobody, sys.executable, "-c", MAIN, command, *(SMOKE if command != "repro" else ())]
    done = subprocess.run(program, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
