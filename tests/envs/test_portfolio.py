"""The portfolio: accounting in money, the distribution of returns and signal, and its best constant weights."""

import numpy as np
import pytest

from benchmarks.portfolio import (
    best_constant,
    draw_gross_returns,
    episode_returns,
    expected_return,
    nearest,
    step_rewards,
)
from envs import UserError, make_task
from envs.portfolio import ASSETS, DRIFT, PERSISTENCE, STEPS_PER_YEAR, TILT, VOLATILITY, PortfolioEnv, covariance


def test_an_episode_is_what_an_account_in_money_says() -> None:
    """Every asset's money is bought, sold and grown by itself; weights and rewards are read off it."""
    env = make_task("Portfolio").make_env()
    rng = np.random.default_rng(0)
    money = np.eye(ASSETS)[-1] * 1e6
    env.reset(seed=0)
    total, truncated, steps = 0.0, False, 0
    while not truncated:
        wanted = rng.dirichlet(np.full(ASSETS, 0.5))
        observation, reward, terminated, truncated, info = env.step(wanted)
        traded = np.abs(wanted * money.sum() - money).sum()
        money = wanted * (money.sum() - 0.002 * traded) * np.exp(info["log_returns"])
        np.testing.assert_allclose(observation[:-1], money / money.sum(), atol=1e-12)
        assert observation in env.observation_space
        assert not terminated
        total, steps = total + reward, steps + 1
    assert steps == 100
    assert total == pytest.approx(100 * np.log(money.sum() / 1e6), abs=1e-9)


class Scripted(PortfolioEnv):
    """The environment under returns that the test chooses: only the draw is replaced."""

    def __init__(self, log_returns: np.ndarray) -> None:
        super().__init__()
        self.next_log_returns = log_returns

    def draw_log_returns(self) -> np.ndarray:
        return self.next_log_returns


def test_two_steps_by_hand() -> None:
    """Half of the cash buys asset 0, which doubles; then everything goes back to cash."""
    env = Scripted(np.log([2.0] + [1.0] * 7))
    env.reset(seed=0)
    half, cash = np.zeros(ASSETS), np.zeros(ASSETS)
    half[[0, 7]], cash[7] = 0.5, 1.0
    observation, reward, _, _, info = env.step(half)
    # 0.5 is sold and 0.5 is bought; 1 grows to 1.5, of which two thirds are asset 0.
    assert info["cost"] == pytest.approx(0.002)
    assert reward == pytest.approx(100 * np.log(1.5 * 0.998))
    assert observation[:-1] == pytest.approx([2 / 3, 0, 0, 0, 0, 0, 0, 1 / 3])
    observation, reward, _, _, info = env.step(cash)
    assert info["cost"] == pytest.approx(0.002 * 4 / 3)
    assert reward == pytest.approx(100 * np.log(1 - 0.002 * 4 / 3))
    assert observation[:-1] == pytest.approx(cash)


def test_log_returns_are_normal_with_the_moments_that_the_signal_gives() -> None:
    env = PortfolioEnv()
    observation, _ = env.reset(seed=3)
    draws = np.stack([env.draw_log_returns() for _ in range(40_000)])
    expected = covariance()
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(scale, VOLATILITY / np.sqrt(STEPS_PER_YEAR))
    mean = (DRIFT + TILT * observation[-1]) / STEPS_PER_YEAR
    # Five standard errors.
    assert (np.abs(draws.mean(axis=0) - mean) <= 5 * scale / 200 + 1e-12).all()
    assert (np.abs(np.cov(draws.T) - expected) <= 5 * np.sqrt(2) * np.outer(scale, scale) / 200 + 1e-12).all()
    standard = (draws[:, :-1] - draws[:, :-1].mean(axis=0)) / scale[:-1]
    assert np.abs((standard**3).mean(axis=0)).max() < 0.08
    assert np.abs((standard**4).mean(axis=0) - 3).max() < 0.2


def test_the_signal_is_stationary_and_fades() -> None:
    env = PortfolioEnv()
    middle = nearest(np.full(ASSETS, 1 / ASSETS))
    episodes = []
    for seed in range(1000):
        start, _ = env.reset(seed=seed)
        episodes.append([start[-1], *(env.step(middle)[0][-1] for _ in range(5))])
    signal = np.array(episodes)
    assert np.abs(signal.mean(axis=0)).max() < 0.15
    assert np.abs(signal.std(axis=0) - 1).max() < 0.1
    for lag in range(1, 6):
        assert np.corrcoef(signal[:, 0], signal[:, lag])[0, 1] == pytest.approx(PERSISTENCE**lag, abs=0.06)


def test_other_actions_are_replaced_by_the_nearest_weights() -> None:
    env = Scripted(np.zeros(ASSETS))
    env.reset(seed=0)
    # All a fifth too large, and one below 0: what is left is spread evenly over the others.
    observation, *_ = env.step(np.array([0.5, 0.5, 0.2, 0.0, 0.0, 0.0, 0.0, -3.0]))
    assert observation[:-1] == pytest.approx([0.5 - 0.2 / 3, 0.5 - 0.2 / 3, 0.2 - 0.2 / 3, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("action", "message"), [([0.5, 0.5], r"shape \(2,\); expected \(8,\)"), ([np.nan] * 8, "NaN or infinite")]
)
def test_what_is_no_action_is_refused(action: list[float], message: str) -> None:
    env = PortfolioEnv()
    env.reset(seed=0)
    with pytest.raises(UserError, match=message):
        env.step(action)


def test_a_frame_shows_the_weights_and_nothing_else_moves() -> None:
    env = PortfolioEnv(render_mode="rgb_array", width=224)
    assert PortfolioEnv().render() is None
    env.reset(seed=0)
    start = env.render()
    env.step(np.full(ASSETS, 1 / ASSETS))
    frame = env.render()
    assert start is not None
    assert frame is not None
    assert (frame.shape, frame.dtype) == ((168, 224, 3), np.uint8)
    assert (frame[40:120] != start[40:120]).any()
    assert (frame[120:] == start[120:]).all()
    with pytest.raises(UserError, match="no render mode 'human': use 'rgb_array'"):
        PortfolioEnv(render_mode="human")


# --- the best constant portfolio ------------------------------------------------------------------------------


def test_the_best_constant_portfolio_returns_what_was_computed_without_the_environment() -> None:
    gross = draw_gross_returns(20_000)
    best = best_constant(gross)
    assert best == pytest.approx([0.126, 0.337, 0.036, 0, 0.3, 0, 0.2, 0], abs=0.005)
    expected = expected_return(best, gross)
    assert expected == pytest.approx(9.16, abs=0.01)
    # No feasible portfolio next to it or far from it is better.
    rng = np.random.default_rng(0)
    for scale in (0.02, 0.2, 2.0):
        for other in best + scale * rng.standard_normal((30, ASSETS)):
            assert step_rewards(nearest(other), gross).mean() <= step_rewards(best, gross).mean() + 1e-6
    returns = episode_returns(lambda _: best, 300)
    assert abs(returns.mean() - expected) <= 3 * returns.std() / np.sqrt(len(returns))
