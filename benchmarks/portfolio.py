"""What constant portfolios return on the task Portfolio, the best of them first.

    python -m benchmarks.portfolio [--episodes 2000]

The best one is found without the environment: SciPy maximises the mean reward of a step over the feasible weights, on
draws of a week's returns at a signal from its stationary distribution. Its return, and what else there is, is then
measured in the environment.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tabulate
import torch
from numpy.typing import NDArray
from scipy import optimize

from envs import make_task
from envs.constraints import GroupedAllocation
from envs.portfolio import ASSETS, COST, DRIFT, HORIZON, STEPS_PER_YEAR, TILT, covariance

Floats = NDArray[np.float64]
Policy = Callable[[Floats], Floats]

TASK = make_task("Portfolio")
DRAWS = 50_000


def step_rewards(weights: Floats, gross: Floats) -> Floats:
    """Rewards (N,) of restoring these weights (n,) and holding them for one step, by gross returns (N, n)."""
    held = gross * weights
    growth = held.sum(axis=1)
    # What these returns make of the weights is what the next trade undoes.
    traded = np.abs(weights - held / growth[:, None]).sum(axis=1)
    return np.asarray(100 * (np.log(growth) + np.log1p(-COST * traded)))


def draw_gross_returns(count: int, seed: int = 0) -> Floats:
    """Gross returns of one step (2 count, n), the signal drawn as well.

    Draws come in opposite pairs with a sample covariance of exactly 1, without which their error would choose between
    portfolios that are nearly as good.
    """
    half = np.random.default_rng(seed).standard_normal((count, ASSETS))
    half = half @ np.linalg.inv(np.linalg.cholesky(half.T @ half / count)).T
    noise = np.concatenate([half, -half])
    # The last of the numbers is the signal; cash has no noise.
    spread = np.linalg.cholesky(covariance()[:-1, :-1])
    log_returns = np.outer(noise[:, -1], TILT) / STEPS_PER_YEAR + DRIFT / STEPS_PER_YEAR
    log_returns[:, :-1] += noise[:, :-1] @ spread.T
    return np.exp(log_returns)


def best_constant(gross: Floats) -> Floats:
    """The feasible weights (n,) of the largest mean reward."""
    constraint = TASK.constraint
    assert isinstance(constraint, GroupedAllocation)
    member = np.array([np.isin(np.arange(ASSETS), group) for group in constraint.groups], dtype=np.float64)
    limits = [
        optimize.LinearConstraint(np.ones((1, ASSETS)), 1.0, 1.0),
        optimize.LinearConstraint(member, constraint.least, constraint.most),
    ]
    start = constraint.interior(torch.zeros((1, 0), dtype=torch.float64))[0].numpy()
    found: Any = optimize.minimize(  # type: ignore[call-overload]
        lambda weights: -HORIZON * float(step_rewards(weights, gross).mean()),
        start,
        bounds=[(0.0, 1.0)] * ASSETS,
        constraints=limits,
        method="SLSQP",
    )
    assert found.success
    return np.asarray(found.x)


def expected_return(weights: Floats, gross: Floats) -> float:
    """Of an episode that begins in cash."""
    rewards = step_rewards(weights, gross)
    cash = np.eye(ASSETS)[-1]
    # The first trade starts from cash; the last step's returns are followed by none.
    last = 100 * np.log(gross @ weights)
    first_trade = 100 * np.log1p(-COST * np.abs(weights - cash).sum())
    return float((HORIZON - 1) * rewards.mean() + last.mean() + first_trade)


def episode_returns(policy: Policy, episodes: int) -> Floats:
    """Returns of a policy from weights and signal (n + 1,) to wanted weights (n,), over seeds 0, 1, ..."""
    env = TASK.make_env()
    returns = np.zeros(episodes)
    for episode in range(episodes):
        observation, _ = env.reset(seed=episode)
        truncated = False
        while not truncated:
            observation, reward, _, truncated, _ = env.step(policy(observation))
            returns[episode] += reward
    return returns


def nearest(wanted: Floats) -> Floats:
    """The feasible weights nearest to these."""
    row = torch.as_tensor(wanted)[None]
    return np.asarray(TASK.constraint.project(row, row)[0])


def random_weights(observation: Floats, generator: torch.Generator) -> Floats:
    """Uniform feasible weights."""
    return np.asarray(TASK.constraint.sample(torch.as_tensor(observation)[None], generator)[0])


def main() -> None:
    """Print one row a policy."""
    parser = argparse.ArgumentParser(description="Returns of constant portfolios and simple rules.")
    parser.add_argument("--episodes", type=int, default=2000)
    episodes = parser.parse_args().episodes
    gross = draw_gross_returns(DRAWS)
    best = best_constant(gross)
    middle = nearest(np.full(ASSETS, 1 / ASSETS))
    policies: dict[str, tuple[Policy, float | None]] = {
        "best constant portfolio": (lambda _: best, expected_return(best, gross)),
        "nearest to equal weights": (lambda _: middle, expected_return(middle, gross)),
        "present weights": (lambda observation: nearest(observation[:-1]), None),
        "uniform feasible": (partial(random_weights, generator=torch.Generator().manual_seed(0)), None),
    }
    rows = []
    for name, (policy, expected) in policies.items():
        found = episode_returns(policy, episodes)
        rows.append((name, expected, found.mean(), found.std() / np.sqrt(episodes)))
    print("best:", np.round(best, 3).tolist())
    headers = ("weights wanted", "expected", "measured", "standard error")
    print(tabulate.tabulate(rows, headers, tablefmt="github", floatfmt=".2f"))


if __name__ == "__main__":
    main()
