"""Runs the pipeline of ``dvc.yaml`` like ``dvc repro --keep-going``, and announces each stage."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from dvc.exceptions import DvcException, ReproductionError
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro
from dvc.stage import Stage
from dvc.stage.exceptions import StageCmdFailedError
from filelock import FileLock, Timeout

from envs.errors import UserError

# DVC's messages for a command stopped by Ctrl-C: the exit code of `acrl`, or of Python while it starts.
INTERRUPTED = ("exited with 130", "exited with -2")
MINUTE = 60


class Pipeline:
    """A run of the pipeline. ``meta`` in ``dvc.yaml`` has each stage's duration, and whether to run it after a failure.

    Args:
        tell: Called with one line for each stage that begins.

    Attributes:
        made: Names of the stages that were out of date and succeeded.
        failed: Stages that failed; their commands have printed why.
        partial: Stages run on partial inputs, because an earlier one failed.
        skipped: Stages not run, because an earlier one failed.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.made: list[str] = []
        self.failed: list[str] = []
        self.partial: list[str] = []
        self.skipped: list[str] = []
        self._tell = tell
        self._total = 0
        # Remaining stages, in order.
        self._waiting: dict[str, Stage] = {}
        # For the stages that ran: minutes expected on two idle cores, and minutes taken here.
        self._expected = self._spent = 0.0

    def run(self) -> None:
        """Run all stages that changed; a failed stage only stops those that depend on it.

        Raises:
            UserError: If there is no pipeline here, or another process is running it.
            KeyboardInterrupt: If a stage was interrupted.
        """
        # Without DVC's messages on failures: commands print why, and the summary says which.
        logging.getLogger("dvc").setLevel(logging.CRITICAL)
        try:
            # A copy of the project may lack git, which DVC only needs for experiments.
            with Repo(config={"core": {"no_scm": True}}) as repo:
                stages = plan_repro(repo.index.graph)
                self._total = len(stages)
                self._waiting = {stage.addressing: stage for stage in stages}
                try:
                    repo.reproduce(all_pipelines=True, on_error="keep-going", repro_fn=self._make)
                except ReproductionError:
                    self._make_partially()
        except DvcException as error:
            raise UserError(str(error)) from error

    def _make(self, stage: Stage, **settings: Any) -> Stage | None:
        """Run one stage if it changed, for DVC."""
        name = stage.addressing
        if not stage.changed(upstream=settings.get("upstream")):
            del self._waiting[name]
            return None
        with self._telling(name):
            try:
                made = stage.reproduce(**settings)
            except DvcException as error:
                if not isinstance(error, StageCmdFailedError):
                    self._tell(f"{title(name)} failed: {error}")
                elif str(error).endswith(INTERRUPTED):
                    raise KeyboardInterrupt from error
                self.failed.append(name)
                raise
        stage.dump(update_pipeline=False)
        self.made.append(name)
        return made

    def _make_partially(self) -> None:
        """Run the skipped stages that are useful on partial inputs; DVC runs them again next time."""
        for name, stage in list(self._waiting.items()):
            if not stage.meta.get("anyway"):
                self.skipped.append(name)
                del self._waiting[name]
                continue
            with self._telling(name):
                done = subprocess.run(stage.cmd, shell=True, cwd=stage.wdir, check=False)
            if f"exited with {done.returncode}" in INTERRUPTED:
                raise KeyboardInterrupt
            (self.partial if done.returncode == 0 else self.failed).append(name)

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        """Announce a stage and the time left, estimated from the stages before it."""
        left = sum(stage.meta["seconds"] for stage in self._waiting.values())
        # Start from one minute at the expected speed, so a single short stage does not decide.
        left *= (MINUTE + self._spent) / (MINUTE + self._expected)
        stage = self._waiting.pop(name)
        number, started = self._total - len(self._waiting), time.perf_counter()
        minutes = f"{round(left / MINUTE)} min" if left >= MINUTE else "a minute"
        self._tell(f"stage {number} of {self._total}: {title(name)}, at most about {minutes} left")
        yield
        self._expected += stage.meta["seconds"]
        self._spent += time.perf_counter() - started


def title(name: str) -> str:
    """A stage's name for people, such as ``train HC+O`` for ``train@HC+O``."""
    return name.replace("@", " ")


@contextmanager
def alone() -> Iterator[None]:
    """Keep other processes from running the pipeline: DVC only locks single stages, and two runs would lose some.

    Raises:
        UserError: If another process is running it.
    """
    try:
        with FileLock("results/.repro.lock", timeout=0):
            yield
    except Timeout:
        raise UserError("another `acrl repro` is running here: wait for it or stop it") from None


@contextmanager
def output_to(path: Path) -> Iterator[TextIO]:
    """Redirect stdout of this process and its children to a file, and yield the original stdout."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    with path.open("w") as log, os.fdopen(os.dup(1), "w", buffering=1) as console:
        os.dup2(log.fileno(), 1)
        try:
            yield console
        finally:
            sys.stdout.flush()
            os.dup2(console.fileno(), 1)
