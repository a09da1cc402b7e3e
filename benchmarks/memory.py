"""Peak memory of each sampler and of flow training, each in a process of its own; what a full replay buffer takes.

Run ``python -m benchmarks.memory [--only commands|replay]``. The buffer is filled with 1,000,000 transitions of W+M,
without an episode that ends; a bar of 200 MB. Samplers draw 1,000,000 actions. Flows are trained on profile small's
500,000 samples and as many held out, for 300 updates: what is held does not depend on how many there are.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import psutil
import torch
import yaml

from benchmarks.repro import measure
from envs import make_task
from methods.base import Transition
from methods.off_policy import observation_scale
from methods.replay import ReplayBuffer

ROOT = Path(__file__).resolve().parent.parent
COUNT = "1000000"
SAMPLERS = (("HC+O", "rejection"), ("HC+O", "hmc"), ("H+M", "hmc"), ("W+M", "hmc"), ("BSS-5", "psdd"))
FLOWS = ("flowpg", "flowpg-spline", "flowpg-gauge")
REPLAY_TASK = "W+M"
TASKS = ("R+L2", "HC+O", "W+M", "BSS-5")


def settings(folder: Path) -> None:
    """Profile small with few updates, in a params.yaml of its own."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for method in FLOWS:
        params["profiles"]["small"]["methods_config"][method]["flow"]["updates"] = 300
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def replay_megabytes(task_id: str, transitions: int) -> float:
    """By how much this process grows as a replay buffer fills, in MB."""
    task = make_task(task_id)
    obs, action = torch.ones(1, len(observation_scale(task)[0])), torch.ones(1, task.constraint.dim)
    step, process = Transition(obs, action, action, 0.0, obs, terminated=False, truncated=False), psutil.Process()
    buffer = ReplayBuffer(transitions, obs.shape[1], action.shape[1])
    buffer.add(step)
    before = process.memory_info().rss
    for _ in range(transitions - 1):
        buffer.add(step)
    assert len(buffer) == transitions
    return (process.memory_info().rss - before) / 1e6


def main() -> int:
    """Print one line a command, then the buffer's."""
    parser = argparse.ArgumentParser(description="Memory of samplers, flow training and the replay buffer.")
    parser.add_argument("--only", choices=("commands", "replay"))
    only = parser.parse_args().only
    if only != "replay":
        measure_commands()
    if only != "commands":
        megabytes = replay_megabytes(REPLAY_TASK, int(COUNT))
        print(f"replay buffer of {int(COUNT):,} transitions of {REPLAY_TASK}: {megabytes:.0f} MB")
    return 0


def measure_commands() -> None:
    """Print one line a command."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    acrl = str(Path(sys.executable).with_name("acrl"))
    print("| command | exit code | seconds | peak memory [GiB] |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings(folder)
        commands = [["sample", task, "--sampler", sampler, "--n", COUNT] for task, sampler in SAMPLERS]
        commands += [["flows", task, "-p", "small", "--method", flow] for task in TASKS for flow in FLOWS]
        for command in commands:
            code, seconds, peak = measure([acrl, *command], folder, quiet=True)
            print(f"| `acrl {' '.join(command)}` | {code} | {seconds:.0f} | {peak / 2**30:.2f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
