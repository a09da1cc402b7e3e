"""Our DDPG against stable-baselines3's: same task (R+N), settings, steps and evaluation episodes, one thread.

Run ``python benchmarks/ddpg_parity.py``. Speed is in steps per second of this thread's processor time, which other
programs disturb less than the clock on the wall; ours includes judging and evaluation, theirs is training alone. Exits
with 1 unless each mean return lies in the other's 95% interval and ours is at least as fast. stable-baselines3 is
needed for this comparison alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import stable_baselines3
import torch
from gymnasium.spaces import Box
from stable_baselines3.common.noise import NormalActionNoise

from benchmark.analysis.statistics import Estimate, mean_interval
from benchmark.records.config import EvaluationSettings, RunConfig
from benchmark.training.harness import train
from envs import make_task
from envs.seeding import derive_seed

TASK = "R+N"
SETTINGS: dict[str, Any] = {"gamma": 0.98, "batch_size": 100, "tau": 0.005, "hidden": (400, 300)}
LEARNING_RATE, NOISE, REPLAY = 1e-3, 0.1, 200_000


def run_ours(seed: int, steps: int, warmup: int, episodes: int) -> tuple[float, float]:
    """Mean return of the last policy and training steps a second."""
    method = {
        **SETTINGS,
        "actor_lr": LEARNING_RATE,
        "critic_lr": LEARNING_RATE,
        "noise": NOISE,
        "replay_size": REPLAY,
        "warmup": warmup,
    }
    config = RunConfig(
        steps=steps,
        evaluation=EvaluationSettings(every=steps, episodes=1, final_episodes=episodes),
        update_at="episode",
        timeout_seconds=None,
        method=method,
    )
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(make_task(TASK), "ddpg-projection", config, seed, Path(folder), lambda _: None)
    seconds = time.process_time() - started
    assert outcome.returns is not None
    return outcome.returns.final.mean, steps / seconds


def run_stable_baselines(seed: int, steps: int, warmup: int, episodes: int) -> tuple[float, float]:
    """The same for stable-baselines3."""
    env = make_task(TASK).make_env(disable_env_checker=True)
    assert isinstance(env.action_space, Box)
    shape = env.action_space.shape
    model = stable_baselines3.DDPG(
        "MlpPolicy",
        env,
        learning_rate=LEARNING_RATE,
        buffer_size=REPLAY,
        learning_starts=warmup,
        batch_size=SETTINGS["batch_size"],
        tau=SETTINGS["tau"],
        gamma=SETTINGS["gamma"],
        train_freq=(1, "episode"),
        gradient_steps=-1,
        action_noise=NormalActionNoise(np.zeros(shape), NOISE * np.ones(shape)),
        policy_kwargs={"net_arch": list(SETTINGS["hidden"])},
        seed=seed,
        device="cpu",
    )
    started = time.process_time()
    model.learn(steps)
    seconds = time.process_time() - started
    returns = []
    for k in range(episodes):
        obs, _ = env.reset(seed=derive_seed(seed, "final evaluation", k))
        total, done = 0.0, False
        while not done:
            action, _ = model.predict(obs, deterministic=True)
            obs, reward, terminated, truncated, _ = env.step(action)
            total, done = total + float(reward), terminated or truncated
        returns.append(total)
    env.close()
    return float(np.mean(returns)), steps / seconds


def inside(one: Estimate, other: Estimate) -> bool:
    """Whether the mean of one lies in the interval of the other; never where there is none."""
    if one.mean is None or other.low is None or other.high is None:
        return False
    return other.low <= one.mean <= other.high


def main() -> int:
    """Run both, seed by seed in turn, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--warmup", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=50)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    measured: dict[str, list[tuple[float, float]]] = {"acrl-bench": [], "stable-baselines3": []}
    for seed in range(arguments.seeds):
        for name, run in (("acrl-bench", run_ours), ("stable-baselines3", run_stable_baselines)):
            measured[name].append(run(seed, arguments.steps, arguments.warmup, arguments.episodes))
            value, speed = measured[name][-1]
            print(f"{name} seed {seed}: return {value:.3f}, {speed:.1f} steps per CPU second", flush=True)
    intervals = {name: mean_interval([value for value, _ in pairs]) for name, pairs in measured.items()}
    ours, theirs = intervals["acrl-bench"], intervals["stable-baselines3"]
    ratios = [a[1] / b[1] for a, b in zip(measured["acrl-bench"], measured["stable-baselines3"], strict=True)]
    print(json.dumps({"returns": measured, "speed_ratio_by_seed": ratios}))
    for name, interval in intervals.items():
        print(f"{name}: {interval}")
    print(f"steps a second, ours / theirs, median over seeds: {np.median(ratios):.2f}")
    agree = inside(ours, theirs) and inside(theirs, ours)
    return 0 if agree and float(np.median(ratios)) >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
