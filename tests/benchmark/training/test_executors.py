"""Many runs, some of which fail, die or are interrupted, by processes of this machine and by a real Ray."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmark.training.processes import side_by_side
from envs import UserError
from tests.benchmark.command import SECONDS, Done, acrl, files, finish, install, shadow, start, workplace

METHODS = """
import os
import signal
import time
from pathlib import Path

from methods.base import register_method
from methods.ddpg_projection import DDPGProjection


@register_method("raises")
class Raises(DDPGProjection):
    def update(self):
        raise RuntimeError("two\\nlines")


@register_method("dies")
class Dies(DDPGProjection):
    def update(self):
        os.kill(os.getpid(), signal.SIGKILL)


@register_method("dies-once")
class DiesOnce(DDPGProjection):
    def update(self):
        if self.steps > 120 and not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().update()


@register_method("counts")
class Counts(DDPGProjection):
    def prepare(self, artifacts=None):
        with Path("prepared").open("a") as file:
            file.write("once\\n")


@register_method("slow")
class Slow(DDPGProjection):
    def update(self):
        Path("begun").touch()
        time.sleep(0.05)
        return super().update()


@register_method("hangs")
class Hangs(DDPGProjection):
    def update(self):
        Path("hanging").touch()
        time.sleep(600)
"""
CIRCLE = ("-p", "smoke", "--task", "R+L2")
COMPLETE = ("flowpg-gauge", "nfw", "dies-once")
REASONS = {
    "raises": "RuntimeError: two lines",
    "dies": "the process died twice, the last time with exit code -9 (killed, or out of memory)",
}
# What a process is sent must be importable there, which tests are not.
WHO_AM_I = "/proc/self"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def with_methods(folder: Path) -> Path:
    """A folder to run ``acrl`` in, with the methods above installed, and files that no worker is to import."""
    install(workplace(folder), "acrl.methods", "odd_methods", METHODS)
    shadow(folder)
    return folder


def choose(*methods: str) -> list[str]:
    return [argument for method in methods for argument in ("--method", method)]


def result(folder: Path, method: str) -> dict[str, Any]:
    text = (folder / f"results/smoke/runs/R+L2/{method}/seed-0.json").read_text()
    return dict(json.loads(text))


@pytest.fixture(scope="module", params=["local", "ray"])
def swept(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, program: Path
) -> tuple[Path, Done, str]:
    """A sweep of good methods, with and without preparation, and of bad ones."""
    folder = with_methods(tmp_path_factory.mktemp("swept"))
    options = ["-j", "2", "--checkpoint-every", "0", "--executor", request.param, *choose(*COMPLETE, *REASONS)]
    return folder, finish(start(folder, "sweep", *CIRCLE, *options, program=program)), request.param


def test_failures_are_told_and_recorded_and_the_others_are_complete(swept: tuple[Path, Done, str]) -> None:
    folder, done, executor = swept
    assert done.code == 1
    assert done.err.splitlines()[-1] == "error: 2 of 5 runs failed; the others are complete"
    for method, reason in (REASONS | ({"dies": "the worker died: "} if executor == "ray" else {})).items():
        found = result(folder, method)
        assert (found["status"], found["returns"]) == ("failed", None)
        assert found["error"].startswith(reason)
        assert f"failed: R+L2 {method} seed 0: {reason}" in done.err
    assert {result(folder, method)["status"] for method in COMPLETE} == {"complete"}
    assert {path.name for path in (folder / "results/smoke/flows").glob("*")} == {"flowpg-gauge"}
    unfinished = {path.parent.name for path in (folder / "results/smoke/unfinished").rglob("*.safetensors")}
    assert unfinished.isdisjoint(COMPLETE)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, program: Path) -> Path:
    """Runs one by one, of which nothing is killed."""
    folder = with_methods(tmp_path_factory.mktemp("alone"))
    (folder / "died").touch()
    acrl(folder, "run", "R+L2", "flowpg-gauge", "-p", "smoke")
    assert finish(start(folder, "sweep", *CIRCLE, *choose("dies-once"), program=program)).err == ""
    return folder


@pytest.mark.parametrize("method", ["flowpg-gauge", "dies-once"])
def test_results_are_those_of_runs_alone(swept: tuple[Path, Done, str], alone: Path, method: str) -> None:
    found, expected = (result(folder, method) for folder in (swept[0], alone))
    for one in (found, expected):
        del one["seconds"], one["provenance"]
    assert found == expected


def test_a_sweep_again_leaves_the_complete_ones_alone(swept: tuple[Path, Done, str], program: Path) -> None:
    folder, *_ = swept
    before = files(folder)
    done = finish(start(folder, "sweep", *CIRCLE, *choose("nfw", "raises"), program=program))
    assert (done.code, done.out) == (1, "2 runs of profile smoke: 1 complete, 1 to do\n0 of 1 made\n")
    changed = {name for name, content in files(folder).items() if before.get(name) != content}
    assert changed <= {"results/smoke/runs/R+L2/raises/seed-0.json"}


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_flow_of_other_settings_is_replaced(tmp_path: Path, alone: Path, executor: str, program: Path) -> None:
    folder = workplace(tmp_path, methods_config={"flowpg-gauge": {"flow": {"updates": 1}}})
    acrl(folder, "flows", "R+L2", "-p", "smoke", "--method", "flowpg-gauge")
    workplace(folder)
    options = ["--executor", executor, *choose("flowpg-gauge")]
    assert finish(start(folder, "sweep", *CIRCLE, *options, program=program)).code == 0
    made, expected = ((place / "results/smoke/flows/flowpg-gauge/R+L2.safetensors") for place in (folder, alone))
    assert load_file(made).keys() == load_file(expected).keys()
    assert all(map(torch.equal, load_file(made).values(), load_file(expected).values()))


def test_two_sweeps_at_once_run_everything_once(tmp_path: Path, program: Path) -> None:
    folder = with_methods(tmp_path)
    command = ["sweep", *CIRCLE, *choose("counts"), "--seed", "0", "--seed", "1", "-j", "2"]
    both = [start(folder, *command, program=program) for _ in range(2)]
    assert [(done.code, done.err) for done in map(finish, both)] == [(0, "")] * 2
    assert (folder / "prepared").read_text().splitlines() == ["once", "once"]
    assert {result(folder, "counts")["status"]} == {"complete"}


KEPT = "others and flows resume from their last checkpoint, if they had one"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_leaves_nothing_half_done(tmp_path: Path, sent: signal.Signals) -> None:
    folder = with_methods(tmp_path)
    process = start(folder, "sweep", *CIRCLE, *choose("hangs", "nfw"), "-j", "1")
    wait_for((folder / "hanging").exists)
    if sent == signal.SIGINT:
        # As Ctrl-C does, to the whole group.
        os.killpg(process.pid, sent)
    else:
        process.send_signal(sent)
    done = finish(process)
    assert done.code == 130
    again = f"acrl sweep {' '.join(CIRCLE)} --method hangs --method nfw -j 1"
    assert done.err.endswith(f"error: interrupted: finished runs are kept; {KEPT}. Resume with: {again}\n")
    assert "Traceback" not in done.err
    assert [name for name in files(folder) if name.startswith("results")] == []
    wait_for(lambda: not group_lives(process.pid))


def test_a_killed_sweep_leaves_no_worker_and_no_traceback(tmp_path: Path) -> None:
    folder = with_methods(tmp_path)
    process = start(folder, "sweep", *CIRCLE, *choose("slow"), "-j", "1")
    wait_for((folder / "begun").exists)
    process.kill()
    assert "Traceback" not in finish(process).err
    wait_for(lambda: not group_lives(process.pid))
    assert not (folder / "results/smoke/runs/R+L2/slow/seed-0.json").exists()


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_made_comes_in_the_order_of_the_items(jobs: int) -> None:
    assert list(side_by_side(str.upper, ["c", "a", "b"], jobs)) == ["C", "A", "B"]
    here = {name == str(os.getpid()) for name in side_by_side(os.readlink, [WHO_AM_I] * 3, jobs)}
    assert here == {jobs == 1}


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_others_are_made_though_one_fails(tmp_path: Path, jobs: int) -> None:
    paths = [tmp_path / name for name in ("missing", "a", "b")]
    for path in paths[1:]:
        path.touch()
    with pytest.raises(FileNotFoundError, match="missing"):
        list(side_by_side(os.remove, paths, jobs))
    assert not any(path.exists() for path in paths)


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(UserError, match="a process died"):
        list(side_by_side(os._exit, [1, 1], 2))
