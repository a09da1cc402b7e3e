"""A portfolio: shift wealth between assets to make it grow, and pay for every trade."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from envs.bars import RENDER_MODES, BarChart, Frame, check_render_mode
from envs.constraints import Allocation
from envs.errors import UserError

Floats = NDArray[np.float64]

HORIZON = 100
STEPS_PER_YEAR = 52
# Cost per unit of wealth bought or sold.
COST = 0.002
# Share of the signal that remains after a step.
PERSISTENCE = 0.9
# For each asset (three equities, two bonds, two commodities, cash), by year: mean and standard deviation of the
# log-return, and the change of the mean at a signal of 1.
DRIFT = np.array([0.060, 0.060, 0.055, 0.025, 0.030, 0.040, 0.040, 0.020])
VOLATILITY = np.array([0.10, 0.12, 0.16, 0.03, 0.05, 0.12, 0.15, 0.0])
TILT = np.array([0.15, 0.20, 0.30, -0.03, -0.06, 0.10, 0.20, 0.0])
KINDS = np.array([0, 0, 0, 1, 1, 2, 2, 3])
# Correlations between assets of two kinds, and between different assets of the same kind.
CORRELATION = np.array([[0.6, -0.1, 0.3, 0.0], [-0.1, 0.7, 0.0, 0.0], [0.3, 0.0, 0.4, 0.0], [0.0, 0.0, 0.0, 0.0]])
ASSETS = len(DRIFT)
MARKS = {"wanted": {"color": "black", "marker": "_", "markersize": 8}}


def covariance() -> Floats:
    """Covariance of the log-returns of one step at a given signal: (n, n)."""
    correlation = CORRELATION[np.ix_(KINDS, KINDS)]
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation * np.outer(VOLATILITY, VOLATILITY) / STEPS_PER_YEAR)


class PortfolioEnv(gymnasium.Env[Floats, NDArray[np.float32]]):
    """An investor who redistributes wealth between eight assets every week.

    ## Description

    The assets are three equities (1, 2, 3), two bonds (4, 5), two commodities (6, 7) and cash (8). One step is one
    week, in this order:

    1. **Trade.** Wealth is shifted to the chosen weights. The cost is 0.2% of the sum of absolute changes of weights,
       and is taken from all assets in proportion.
    2. **Returns.** The log-returns of the week are drawn from a normal distribution, correlated between assets, whose
       mean is drift + tilt x signal. The agent has seen the signal when it acts, not the returns.
    3. **Drift.** Weights change with the returns of their assets.
    4. **Signal.** It becomes 0.9 signal + sqrt(1 - 0.9^2) x a standard normal number, independent of the returns.

    All numbers are our choice. Drift, volatility and tilt of each asset by year, as logarithms:

    | asset      | 1    | 2    | 3     | 4     | 5     | 6    | 7    | 8    |
    |------------|------|------|-------|-------|-------|------|------|------|
    | drift      | 0.06 | 0.06 | 0.055 | 0.025 | 0.03  | 0.04 | 0.04 | 0.02 |
    | volatility | 0.10 | 0.12 | 0.16  | 0.03  | 0.05  | 0.12 | 0.15 | 0    |
    | tilt       | 0.15 | 0.20 | 0.30  | -0.03 | -0.06 | 0.10 | 0.20 | 0    |

    Correlations are 0.6 among equities, 0.7 among bonds, 0.4 among commodities, -0.1 between equities and bonds, 0.3
    between equities and commodities, and 0 elsewhere.

    ## Action Space

    `Box(0, 1, (8,), float32)`: the share of wealth in each asset. Shares that do not add up to 1, or are outside the
    box, are replaced by the nearest shares in the box that do. Limits on groups of assets belong to the task, not to
    the environment.

    ## Observation Space

    `Box(float64)` of shape (9,):

    | index | observation                       | min  | max |
    |-------|-----------------------------------|------|-----|
    | 0..7  | current weights                   | 0    | 1   |
    | 8     | signal, with standard deviation 1 | -inf | inf |

    ## Rewards

    100 x the logarithm of the growth of wealth in the step, cost included, so that an episode's return is 100 x the
    logarithm of final over initial wealth. `info` of each step has `cost`, the share of wealth paid, and `log_returns`
    of the assets, (n,). In the environment of `gymnasium.make`, `cost` is that of the constraint.

    ## Starting State

    All wealth is in cash; the signal is drawn from its stationary distribution, the standard normal.

    ## Episode End

    Never terminates. Truncated after 100 steps by the time limit that `gymnasium.make` adds.

    ## Arguments

    `render_mode`: `"rgb_array"` or none; a frame shows the current weights and the chosen ones. `width`: width of a
    frame in pixels, a multiple of 4; the height is three quarters of it.

    ```python
    import envs, gymnasium
    env = gymnasium.make("acrl/Portfolio-v1")
    ```

    ## References

    The task follows Winkel et al., CAOSD, arXiv 2404.10683, which limits sums of groups of assets, with returns of the
    Nasdaq-100; here returns are simulated.

    Raises:
        UserError: If there is no such `render_mode`, or an action has the wrong shape or holds NaN or infinity.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 5}  # noqa: RUF012 - Gymnasium asks the class

    def __init__(self, render_mode: str | None = None, width: int = 448) -> None:
        check_render_mode("the portfolio", render_mode)
        self.render_mode = render_mode
        self._width = width
        self._chart: BarChart | None = None
        self.action_space = spaces.Box(0.0, 1.0, (ASSETS,), np.float32)
        low, high = np.array([0.0] * ASSETS + [-np.inf]), np.array([1.0] * ASSETS + [np.inf])
        self.observation_space = spaces.Box(low, high, dtype=np.float64)
        self._portfolios = Allocation(1.0, np.zeros(ASSETS), np.ones(ASSETS))
        # Cash has no noise, so its row and column would leave the covariance without a Cholesky factor.
        self._spread = np.linalg.cholesky(covariance()[:-1, :-1])
        self._weights = self._wanted = np.eye(ASSETS)[-1]
        self._signal = 0.0
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Start an episode; ``options`` are not used."""
        super().reset(seed=seed, options=options)
        self._weights = self._wanted = np.eye(ASSETS)[-1]
        self._steps = 0
        self._signal = float(self.np_random.standard_normal())
        return self._observation(), {}

    def step(self, action: ArrayLike) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Trade, draw returns, and update weights and signal."""
        wanted = self._wanted = self._portfolio(action)
        cost = COST * float(np.abs(wanted - self._weights).sum())
        log_returns = self.draw_log_returns()
        held = wanted * np.exp(log_returns)
        growth = float(held.sum())
        self._weights = held / growth
        self._steps += 1
        noise = float(self.np_random.standard_normal())
        self._signal = PERSISTENCE * self._signal + (1 - PERSISTENCE**2) ** 0.5 * noise
        reward = 100 * float(np.log(growth) + np.log1p(-cost))
        return self._observation(), reward, False, False, {"cost": cost, "log_returns": log_returns}

    def draw_log_returns(self) -> Floats:
        """Log-returns of one step at the current signal: (n,)."""
        noise = self._spread @ self.np_random.standard_normal(ASSETS - 1)
        return np.asarray((DRIFT + TILT * self._signal) / STEPS_PER_YEAR + np.append(noise, 0.0))

    def render(self) -> Frame | None:
        """The weights as they are now, (3/4 width, width, 3); None without a render mode."""
        if self.render_mode is None:
            return None
        if self._chart is None:
            self._chart = BarChart(self._width, ASSETS, "held", MARKS, 1.05, None, ("asset", "share of wealth"))
        wanted = self._wanted if self._steps else np.full(ASSETS, np.nan)
        return self._chart.draw(f"step {self._steps}, signal {self._signal:.1f}", self._weights, wanted)

    def _observation(self) -> Floats:
        return np.append(self._weights, self._signal)

    def _portfolio(self, action: ArrayLike) -> Floats:
        """The weights nearest to ``action`` that add up to 1."""
        wanted = np.asarray(action, dtype=np.float64)
        if wanted.shape != (ASSETS,):
            raise UserError(f"action has shape {wanted.shape}; expected ({ASSETS},)")
        if not np.isfinite(wanted).all():
            raise UserError(f"action {wanted.tolist()} holds NaN or infinite entries")
        nearest: Floats = self._portfolios.project(torch.from_numpy(wanted)[None], torch.zeros((1, 0)))[0].numpy()
        return nearest
