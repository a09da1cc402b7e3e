"""What a checkpoint of an unfinished run costs once the replay buffer is full: size, seconds, share of the time.

Run ``python -m benchmarks.checkpoints [--folder F]``; F lies on the disk that is asked about. The buffer is filled with
ones. The next write waits a minute, or as long as holds writing to the share ``SHARE`` of ``records/store.py``.
The exit code is 1 if the share is larger all the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import tabulate
import torch

from benchmark.records.config import load_params, run_config
from benchmark.records.store import SHARE, RunCheckpoint
from envs import make_task
from methods.base import Transition, make_method
from methods.ddpg import DDPG

CASES = (("small", "BSS-5"), ("small", "R+L2"), ("paper", "R+L2"), ("paper", "W+M"))
METHOD = "ddpg-projection"


def filled(profile: str, task_id: str) -> DDPG[Any]:
    """A learner whose replay buffer is full."""
    task = make_task(task_id)
    settings = run_config(load_params(), profile, task_id, METHOD).method
    method = make_method(METHOD, task, settings)
    assert isinstance(method, DDPG)
    obs, action = torch.ones(1, len(method.obs_middle)), torch.ones(1, task.constraint.dim)
    step = Transition(obs, action, action, 0.0, obs, terminated=False, truncated=False)
    for _ in range(method.config.replay_size):
        method.replay.add(step)
    return method


def main() -> int:
    """Print one row a profile and task."""
    parser = argparse.ArgumentParser(description="Size and seconds of a run's checkpoint.")
    parser.add_argument("--folder", type=Path, help="where to write  [default: the system's temporary folder]")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    rows = []
    for profile, task_id in CASES:
        method, seconds = filled(profile, task_id), []
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            checkpoint = RunCheckpoint(Path(name) / "run.safetensors", "key")
            for _ in range(given.repeats):
                started = time.perf_counter()
                checkpoint.save(method.checkpoint_dict())
                seconds.append(time.perf_counter() - started)
            megabytes = checkpoint.path.stat().st_size / 1e6
        once = statistics.median(seconds)
        wait = checkpoint.wait
        rows.append([profile, task_id, method.config.replay_size, megabytes, once, wait, once / (once + wait)])
    head = ["profile", "task", "transitions", "file [MB]", "a write [s]", "next one after [s]", "share"]
    print(tabulate.tabulate(rows, head, tablefmt="github", floatfmt=("", "", ",.0f", ".0f", ".2f", ".0f", ".2%")))
    return 1 if max(row[-1] for row in rows) > SHARE else 0


if __name__ == "__main__":
    sys.exit(main())
