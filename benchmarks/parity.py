"""Our learners against stable-baselines3's: DDPG, TD3 and SAC on R+N, with the same settings, steps and evaluations.

Run ``python benchmarks/parity.py``, with names of learners for some of them. Seeds of both run in turn, on one thread.
Speed is in steps per second of its processor time, which other programs disturb less than the clock on the wall; ours
includes judging and evaluation, theirs is training alone. Exits with 1 unless, for every learner, each mean return lies
in the other's 95% interval and ours is at least as fast.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import stable_baselines3
import torch
from gymnasium.spaces import Box
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from benchmark.analysis.statistics import Estimate, mean_interval
from benchmark.records.config import EvaluationSettings, RunConfig
from benchmark.training.harness import train
from envs import make_task
from envs.seeding import derive_seed

TASK = "R+N"
GAMMA, TAU, REPLAY = 0.98, 0.005, 200_000


@dataclass(frozen=True)
class Case:
    """One learner.

    Attributes:
        method: Ours, where nothing is to be projected.
        algorithm: Theirs.
        hidden: Of all networks.
        learning_rate: Of all networks.
        batch_size: Of both.
        noise: Standard deviation of what is added to actions; 0 where the policy is sampled.
        arguments: Of their constructor besides; ours has the same by default.
    """

    method: str
    algorithm: type[OffPolicyAlgorithm]
    hidden: tuple[int, ...] = (400, 300)
    learning_rate: float = 1e-3
    batch_size: int = 100
    noise: float = 0.1
    arguments: dict[str, Any] = field(default_factory=dict)


SMOOTHING = {"policy_delay": 2, "target_policy_noise": 0.2, "target_noise_clip": 0.5}
CASES = {
    "ddpg": Case("ddpg-projection", stable_baselines3.DDPG),
    "td3": Case("dpro", stable_baselines3.TD3, arguments=SMOOTHING),
    "sac": Case("sac-projection", stable_baselines3.SAC, (256, 256), 3e-4, 256, noise=0.0),
}
Result = tuple[float, float]


@dataclass(frozen=True)
class Budget:
    """How long both train, and how they are judged."""

    steps: int
    warmup: int
    episodes: int


def run_ours(case: Case, seed: int, budget: Budget) -> Result:
    """Mean return of the last policy and training steps a second."""
    method = {
        "gamma": GAMMA,
        "tau": TAU,
        "replay_size": REPLAY,
        "warmup": budget.warmup,
        "hidden": case.hidden,
        "batch_size": case.batch_size,
        "actor_lr": case.learning_rate,
        "critic_lr": case.learning_rate,
        **({"noise": case.noise} if case.noise else {}),
    }
    config = RunConfig(
        steps=budget.steps,
        evaluation=EvaluationSettings(every=budget.steps, episodes=1, final_episodes=budget.episodes),
        update_at="episode",
        timeout_seconds=None,
        method=method,
    )
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(make_task(TASK), case.method, config, seed, Path(folder), lambda _: None)
    seconds = time.process_time() - started
    assert outcome.returns is not None
    return outcome.returns.final.mean, budget.steps / seconds


def run_stable_baselines(case: Case, seed: int, budget: Budget) -> Result:
    """The same for stable-baselines3."""
    env = make_task(TASK).make_env(disable_env_checker=True)
    assert isinstance(env.action_space, Box)
    shape = env.action_space.shape
    model = case.algorithm(
        "MlpPolicy",
        env,
        learning_rate=case.learning_rate,
        buffer_size=REPLAY,
        learning_starts=budget.warmup,
        batch_size=case.batch_size,
        tau=TAU,
        gamma=GAMMA,
        train_freq=(1, "episode"),
        gradient_steps=-1,
        action_noise=NormalActionNoise(np.zeros(shape), case.noise * np.ones(shape)) if case.noise else None,
        policy_kwargs={"net_arch": list(case.hidden)},
        seed=seed,
        device="cpu",
        **case.arguments,
    )
    started = time.process_time()
    model.learn(budget.steps)
    seconds = time.process_time() - started
    returns = []
    for k in range(budget.episodes):
        obs, _ = env.reset(seed=derive_seed(seed, "final evaluation", k))
        total, done = 0.0, False
        while not done:
            action, _ = model.predict(obs, deterministic=True)
            obs, reward, terminated, truncated, _ = env.step(action)
            total, done = total + float(reward), terminated or truncated
        returns.append(total)
    env.close()
    return float(np.mean(returns)), budget.steps / seconds


def inside(one: Estimate, other: Estimate) -> bool:
    """Whether the mean of one lies in the interval of the other; never where there is none."""
    if one.mean is None or other.low is None or other.high is None:
        return False
    return other.low <= one.mean <= other.high


def compare(learner: str, seeds: int, budget: Budget) -> bool:
    """Run both, seed by seed in turn, print what was found, and say whether ours holds up."""
    runs = {"acrl-bench": run_ours, "stable-baselines3": run_stable_baselines}
    measured: dict[str, list[Result]] = {name: [] for name in runs}
    for seed in range(seeds):
        for name, run in runs.items():
            value, speed = run(CASES[learner], seed, budget)
            measured[name].append((value, speed))
            print(f"{learner}, {name}, seed {seed}: return {value:.3f}, {speed:.1f} steps per CPU second", flush=True)
    ours, theirs = (mean_interval([value for value, _ in pairs]) for pairs in measured.values())
    ratios = [own / other for (_, own), (_, other) in zip(*measured.values(), strict=True)]
    print(json.dumps({"learner": learner, "returns": measured, "speed_ratio_by_seed": ratios}))
    print(f"{learner}, acrl-bench: {ours}\n{learner}, stable-baselines3: {theirs}")
    print(f"{learner}, steps a second, ours / theirs, median over seeds: {np.median(ratios):.2f}")
    return inside(ours, theirs) and inside(theirs, ours) and float(np.median(ratios)) >= 1


def main() -> int:
    """Compare the learners that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("learners", nargs="*", metavar="LEARNER", help=f"{', '.join(CASES)}; all if left out")
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--warmup", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=50)
    arguments = parser.parse_args()
    unknown = set(arguments.learners) - set(CASES)
    if unknown:
        parser.error(f"no such learner: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    torch.set_num_threads(1)
    budget = Budget(arguments.steps, arguments.warmup, arguments.episodes)
    held = [compare(learner, arguments.seeds, budget) for learner in arguments.learners or CASES]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
