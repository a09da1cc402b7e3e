"""Training steps per second of each method, where the time goes, what the harness adds, and an older commit beside it.

Run ``python benchmarks/training.py [--against COMMIT] [--task T ...] [--method M ...]`` on a machine that does nothing
else. Every measurement is a process of its own with one thread; those of a row follow each other, so that a change of
the machine's speed falls on all, and medians over the rounds are shown. Learning starts with the first step; the
preparation of flows (few updates, since a frozen flow costs the same however good it is) and evaluation are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TASKS = ("R+L2", "HC+O", "BSS-3")
METHODS = ("ddpg-penalty", "ddpg-projection", "nfw-target", "flowpg", "flowpg-spline", "flowpg-gauge")
FLOW: dict[str, dict[str, Any]] = {
    "samples": {"train": 2000, "test": 500, "rollout_steps": 500},
    "flow": {"updates": 50},
}
PARTS = ("act", "project", "env", "update")
Times = dict[str, float]


def settings(method: str) -> dict[str, Any]:
    """Published networks and batches, flows as in profile small, learning from the first step on."""
    if not method.startswith("flowpg"):
        return {"warmup": 1, "replay_size": 20_000}
    # As wide as the tree's own profile has it.
    profile = yaml.safe_load(Path("params.yaml").read_text())["profiles"]["small"]
    own = profile["methods_config"].get(method, {}).get("flow", {})
    flow = FLOW["flow"] | {name: value for name, value in own.items() if name == "hidden"}
    return {"warmup": 1, "replay_size": 20_000, **FLOW, "flow": flow}


def by_harness(task_id: str, method: str, steps: int) -> Times:
    """Seconds a step of a run by the harness, by part."""
    from benchmark.records.config import EvaluationSettings, RunConfig
    from benchmark.training.harness import train
    from envs import make_task

    once = EvaluationSettings(every=steps, episodes=1, final_episodes=1)
    config = RunConfig(steps=steps, evaluation=once, update_at="episode", timeout_seconds=None, method=settings(method))
    with tempfile.TemporaryDirectory() as folder:
        seconds = train(make_task(task_id), method, config, 0, Path(folder), lambda _: None).seconds
    parts = {name: getattr(seconds, name) / steps for name in PARTS}
    return parts | {"total": (seconds.total - seconds.prepare) / steps}


def bare(task_id: str, method: str, steps: int) -> Times:
    """Seconds a step of the learner alone: act, repair, environment, observe and update, nothing judged or timed."""
    import torch

    from envs import make_task
    from methods import make_method
    from methods.base import Transition

    task = make_task(task_id)
    learner = make_method(method, task, settings(method), 0)
    learner.prepare()
    with closing(task.make_env(disable_env_checker=True)) as env:
        obs = torch.as_tensor(env.reset(seed=0)[0], dtype=torch.float64)[None]
        pending, started = 0, time.perf_counter()
        for step in range(1, steps + 1):
            _, behaviour = learner.act_pair(obs)
            executed = task.constraint.repair(behaviour.double(), obs)
            observation, reward, terminated, truncated, _ = env.step(executed[0].numpy())
            following = torch.as_tensor(observation, dtype=torch.float64)[None]
            learner.observe(Transition(obs, behaviour, executed, float(reward), following, terminated, truncated))
            obs, pending = following, pending + 1
            if terminated or truncated or step == steps:
                for _ in range(pending):
                    learner.update()
                pending = 0
                obs = torch.as_tensor(env.reset()[0], dtype=torch.float64)[None]
        return {"total": (time.perf_counter() - started) / steps}


def measured(tree: Path, kind: str, task: str, method: str, steps: int) -> Times:
    """One measurement in a process that imports this project from ``tree``."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--worker", kind, "--task", task, "--method", method, "--steps", str(steps)]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{kind} of {method} on {task} failed in {tree}: {done.stderr.splitlines()[-1]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def table(trees: dict[str, Path], tasks: list[str], methods: list[str], steps: int, rounds: int) -> None:
    """Print one row a task and method."""
    older = list(trees)[1:]
    heads = ["task", "method", "steps/s", *(f"{part} [ms]" for part in PARTS), "harness adds"]
    print("| " + " | ".join([*heads, *(f"against {name}" for name in older)]) + " |")
    print("|" + "---|" * (len(heads) + len(older)))
    for task in tasks:
        for method in methods:
            kinds = [(ROOT, "harness"), (ROOT, "bare"), *((trees[name], "harness") for name in older)]
            found: list[list[Times]] = [[] for _ in kinds]
            for _ in range(rounds):
                for place, (tree, kind) in enumerate(kinds):
                    found[place].append(measured(tree, kind, task, method, steps))
            medians = [{k: statistics.median(t[k] for t in times) for k in times[0]} for times in found]
            own, alone, before = medians[0], medians[1], medians[2:]
            cells = [task, method, f"{1 / own['total']:.0f}", *(f"{1000 * own[part]:.2f}" for part in PARTS)]
            cells += [f"{own['total'] / alone['total'] - 1:+.1%}"]
            cells += [f"{times['total'] / own['total']:.2f}x" for times in before]
            print("| " + " | ".join(cells) + " |", flush=True)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="Training steps per second.")
    parser.add_argument("--against", help="also measure this commit, in a worktree that is removed afterwards")
    parser.add_argument("--task", action="append", choices=TASKS)
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", choices=("harness", "bare"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    tasks, methods = given.task or list(TASKS), given.method or list(METHODS)
    if given.worker:
        import torch

        torch.set_num_threads(1)
        times = {"harness": by_harness, "bare": bare}[given.worker](tasks[0], methods[0], given.steps)
        print(json.dumps(times))
        return 0
    trees = {"today": ROOT}
    with tempfile.TemporaryDirectory() as folder:
        if given.against:
            trees[given.against] = Path(folder) / "tree"
            worktree = ["git", "-C", str(ROOT), "worktree"]
            subprocess.run([*worktree, "add", "--quiet", "--detach", folder + "/tree", given.against], check=True)
        try:
            table(trees, tasks, methods, given.steps, given.rounds)
        finally:
            if given.against:
                subprocess.run([*worktree, "remove", "--force", folder + "/tree"], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
