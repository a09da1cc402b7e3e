"""Many runs, some of which fail, die or are interrupted."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmark.command import SECONDS, Done, acrl, files, finish, install, start, workplace

METHODS = """
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from methods.base import register_method
from methods.ddpg_projection import DDPGProjection


@register_method("raises")
class Raises(DDPGProjection):
    def update(self):
        raise RuntimeError("two\\nlines")


@register_method("diverges")
class Diverges(DDPGProjection):
    def act_pair(self, obs):
        policy, behaviour = super().act_pair(obs)
        return policy, behaviour * float("nan")


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


@register_method("hangs")
class Hangs(DDPGProjection):
    def update(self):
        Path("hanging").touch()
        time.sleep(600)
"""
CHOSEN = ("raises", "diverges", "dies", "nfw")
REASONS = {
    "raises": "RuntimeError: two lines",
    "diverges": "method 'diverges' gave an action with NaN or infinity; its training diverged",
    "dies": "the process died twice, the last time with exit code -9 (killed, or out of memory)",
}


def with_methods(folder: Path) -> Path:
    """A folder to run ``acrl`` in, with the methods above installed."""
    install(workplace(folder), "acrl.methods", "odd_methods", METHODS)
    return folder


def result(folder: Path, method: str) -> dict[str, object]:
    text = (folder / f"results/smoke/runs/R+L2/{method}/seed-0.json").read_text()
    return dict(json.loads(text))


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A sweep of one good and three bad methods."""
    folder = with_methods(tmp_path_factory.mktemp("swept"))
    chosen = [argument for method in CHOSEN for argument in ("--method", method)]
    return folder, finish(start(folder, "sweep", "-p", "smoke", "--task", "R+L2", "--jobs", "2", *chosen))


def test_failures_are_told_and_the_exit_code_is_1(swept: tuple[Path, Done]) -> None:
    _, done = swept
    assert done.code == 1
    lines = done.err.splitlines()
    assert {f"failed: R+L2 {method} seed 0: {reason}" for method, reason in REASONS.items()} == set(lines[:-1])
    assert lines[-1] == "error: 3 of 4 runs failed; the others are complete"


@pytest.mark.parametrize("method", REASONS)
def test_a_failure_is_recorded_with_its_reason(swept: tuple[Path, Done], method: str) -> None:
    found = result(swept[0], method)
    assert (found["status"], found["error"], found["returns"]) == ("failed", REASONS[method], None)
    assert result(swept[0], "nfw")["status"] == "complete"


def test_a_sweep_again_leaves_the_complete_ones_alone(swept: tuple[Path, Done]) -> None:
    folder, _ = swept
    before = files(folder)
    done = finish(start(folder, "sweep", "-p", "smoke", "--task", "R+L2", "--method", "nfw", "--method", "raises"))
    assert done.out == "2 runs of profile smoke: 1 complete, 1 to do\n"
    assert done.code == 1
    changed = {name for name, content in files(folder).items() if before.get(name) != content}
    assert changed <= {"results/smoke/runs/R+L2/raises/seed-0.json"}


def test_the_same_runs_side_by_side_and_alone(swept: tuple[Path, Done], tmp_path: Path) -> None:
    acrl(workplace(tmp_path), "run", "R+L2", "nfw", "-p", "smoke")
    results = [result(folder, "nfw") for folder in (swept[0], tmp_path)]
    for one in results:
        del one["seconds"], one["provenance"]
    assert results[0] == results[1]


def test_a_run_that_is_killed_goes_on_and_ends_as_one_that_is_not(tmp_path: Path) -> None:
    killed, whole = with_methods(tmp_path / "killed"), with_methods(tmp_path / "whole")
    (whole / "died").touch()
    for folder in (killed, whole):
        chosen = ["-p", "smoke", "--task", "R+L2", "--method", "dies-once", "--checkpoint-every", "0"]
        done = finish(start(folder, "sweep", *chosen))
        assert (done.code, done.err) == (0, "")
    results = [result(folder, "dies-once") for folder in (killed, whole)]
    for one in results:
        del one["seconds"], one["provenance"]
    assert (killed / "died").exists()
    assert results[0] == results[1]
    assert list((killed / "results/smoke/unfinished").rglob("*.safetensors")) == []


def test_two_sweeps_at_once_run_everything_once(tmp_path: Path) -> None:
    folder = with_methods(tmp_path)
    chosen = ["-p", "smoke", "--task", "R+L2", "--method", "counts", "--seed", "0", "--seed", "1", "-j", "2"]
    both = [start(folder, "sweep", *chosen) for _ in range(2)]
    assert [(done.code, done.err) for done in map(finish, both)] == [(0, "")] * 2
    assert (folder / "prepared").read_text().splitlines() == ["once", "once"]
    assert {result(folder, "counts")["status"]} == {"complete"}


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_leaves_nothing_half_done(tmp_path: Path, sent: signal.Signals) -> None:
    folder = with_methods(tmp_path)
    process = start(folder, "sweep", "-p", "smoke", "--task", "R+L2", "--method", "hangs", "--method", "nfw", "-j", "1")
    wait_for((folder / "hanging").exists)
    if sent == signal.SIGINT:
        # As Ctrl-C does, to the whole group.
        os.killpg(process.pid, sent)
    else:
        process.send_signal(sent)
    done = finish(process)
    assert done.code == 130
    assert done.err.split("\n")[-2:] == ["error: interrupted; finished runs are kept", ""]
    assert "Traceback" not in done.err
    assert [name for name in files(folder) if name.startswith("results")] == []
    wait_for(lambda: not group_lives(process.pid))


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
