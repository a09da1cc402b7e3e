"""What a terminal shows that nothing else is shown: colours, and how long work still takes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmark.training import progress
from tests.benchmark.command import MAIN, ROOT, acrl, workplace

GREEN = "\x1b[32m"
LEFT = re.compile(r"(\d+)/(\d+) \[\d\d:\d\d<\d\d:\d\d")


def in_terminal(folder: Path, arguments: Sequence[str], **variables: str) -> str:
    """What ``acrl`` writes to a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"} | variables
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen([sys.executable, "-c", MAIN, *arguments], cwd=folder, env=environment, **streams) as process:
        os.close(theirs)
        written = b""
        # Where the other end is closed, reading fails on Linux.
        with contextlib.suppress(OSError):
            while some := os.read(ours, 4096):
                written += some
        assert process.wait() == 0, written
    os.close(ours)
    return written.decode()


def test_colours_are_for_a_terminal_whose_user_wants_them(smoke: Path) -> None:
    arguments = ("status", "-p", "smoke")
    assert f"{GREEN}1/1" in in_terminal(smoke, arguments, NO_COLOR="")
    assert "\x1b" not in in_terminal(smoke, arguments, NO_COLOR="1")
    assert "\x1b" not in acrl(smoke, *arguments).out


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("sweep", "--task", "R+L2", "--method", "ddpg-penalty", "-j", "2"),
        ("flows", "R+L2", "--method", "flowpg", "--method", "flowpg-gauge", "-j", "2"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_work_side_by_side_tells_the_time_left(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    folder = workplace(tmp_path, seeds=[0, 1])
    told = LEFT.findall(in_terminal(folder, [*arguments, "-p", "smoke"]))
    assert told
    assert told[-1][0] == told[-1][1]


def test_a_log_is_told_progress_in_lines(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    with progress.progress_bar(40, "R+L2 nfw 0") as bar:
        bar.update(10)
        bar.set_description("R+L2 nfw 1")
        bar.update(30)
    lines = capfd.readouterr().err.splitlines()
    assert re.fullmatch(r"R\+L2 nfw 0: 25% of 40 steps, \d\d:\d\d left", lines[1])
    assert re.fullmatch(r"R\+L2 nfw 1: 100% of 40 steps, 00:00 left", lines[-1])
    monkeypatch.setattr(progress, "LINE_SECONDS", 60)
    with progress.progress_bar(40) as bar:
        bar.update(40)
    assert capfd.readouterr().err == ""


def test_the_time_left_leaves_out_what_precedes_first_steps(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    with progress.progress_bar(1000) as bar:
        move = progress.move_to(bar)
        # As if a flow had trained for an hour.
        bar.start_t -= 3600
        bar.last_print_t -= 3600
        for step in (400, 500):
            move(step)
    assert re.search("50% of 1000 steps, 00:00 left", capfd.readouterr().err)
