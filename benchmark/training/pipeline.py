"""Runs the pipeline of ``dvc.yaml`` as ``dvc repro --keep-going`` does, and says of each stage that it has begun."""

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

# How DVC tells that a command was stopped by Ctrl-C: as `acrl` ends then, or Python before it had begun.
INTERRUPTED = ("exited with 130", "exited with -2")
MINUTE = 60


class Pipeline:
    """The pipeline at work. Stages say in ``meta`` of ``dvc.yaml`` what they take, and whether to be made anyway.

    Args:
        tell: Called with one line for each stage that begins.

    Attributes:
        made: Names of the stages that had something to do and did it.
        failed: Stages that failed; their commands have said why.
        partial: Stages made from what there is, since one before them failed.
        skipped: Stages not made, since one before them failed.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.made: list[str] = []
        self.failed: list[str] = []
        self.partial: list[str] = []
        self.skipped: list[str] = []
        self._tell = tell
        self._total = 0
        # Stages that are still to be looked at, in order.
        self._waiting: dict[str, Stage] = {}
        # Of the stages that were made: what they take on two idle cores, and took here.
        self._expected = self._spent = 0.0

    def run(self) -> None:
        """Make all stages that changed; a stage that fails stops those alone that depend on it.

        Raises:
            UserError: If there is no pipeline here, or another process is running it.
            KeyboardInterrupt: If a stage was interrupted.
        """
        # DVC's own words on failures are left out: the commands have said why, and the end says which.
        logging.getLogger("dvc").setLevel(logging.CRITICAL)
        try:
            # A copy of the project need not have git, which DVC needs for experiments alone.
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
        """Make one stage if it changed, for DVC."""
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
        """Make those of the skipped stages that are worth it without what failed; DVC makes them again next time."""
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
        """Say that a stage begins, and how long all that is left may take, by what the stages before it took."""
        left = sum(stage.meta["seconds"] for stage in self._waiting.values())
        # A minute as expected is put before what was seen, so that one short stage alone does not decide.
        left *= (MINUTE + self._spent) / (MINUTE + self._expected)
        stage = self._waiting.pop(name)
        number, started = self._total - len(self._waiting), time.perf_counter()
        minutes = f"{round(left / MINUTE)} min" if left >= MINUTE else "a minute"
        self._tell(f"stage {number} of {self._total}: {title(name)}, up to about {minutes} left")
        yield
        self._expected += stage.meta["seconds"]
        self._spent += time.perf_counter() - started


def title(name: str) -> str:
    """A stage's name as a person reads it: ``train HC+O`` for ``train@HC+O``."""
    return name.replace("@", " ")


@contextmanager
def alone() -> Iterator[None]:
    """Keep other processes from running the pipeline. DVC locks single stages, so that two runs at once lose some.

    Raises:
        UserError: If another one is running it.
    """
    try:
        with FileLock("results/.repro.lock", timeout=0):
            yield
    except Timeout:
        raise UserError("another `acrl repro` is running here: wait for it or stop it") from None


@contextmanager
def output_to(path: Path) -> Iterator[TextIO]:
    """Write what this process and all that it starts print on stdout to a file; yields stdout as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    with path.open("w") as log, os.fdopen(os.dup(1), "w", buffering=1) as console:
        os.dup2(log.fileno(), 1)
        try:
            yield console
        finally:
            sys.stdout.flush()
            os.dup2(console.fileno(), 1)
