"""How often the leaderboard's 95% intervals hold the truth, against a bootstrap without widening.

    python -m benchmarks.intervals [--repeats 1000]

Simulated scores: tasks at 0 to 1, seeds spread by a normal, a Laplace or a skew (negative exponential) distribution of
standard deviation 0.2, or by a normal one whose standard deviation differs between tasks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmark.analysis.aggregate import TRIMMED, interquartile_mean

Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
SPREADS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(0, 0.2, shape),
    "Laplace": lambda rng, shape: rng.laplace(0, 0.2 / np.sqrt(2), shape),
    "skew": lambda rng, shape: 0.2 - rng.exponential(0.2, shape),
    # Tasks whose seeds differ by a sixteenth of that to all of it, as in profile small.
    "uneven": lambda rng, shape: rng.normal(0, np.geomspace(0.0125, 0.2, shape[0])[:, None], shape),
}
SIZES = ((1, 3), (3, 2), (3, 3), (6, 3), (6, 10))


def plain(tasks: list[list[float]], rng: np.random.Generator) -> tuple[float, float]:
    """The stratified percentile bootstrap as it is."""

    def middle_mean(*strata: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return np.asarray(stats.trim_mean(np.concatenate(strata, axis=axis), TRIMMED, axis=axis))

    data = [np.asarray(task) for task in tasks]
    found = stats.bootstrap(data, middle_mean, vectorized=True, method="percentile", rng=rng).confidence_interval
    return float(found.low), float(found.high)


def coverage(spread: str, tasks: int, seeds: int, repeats: int) -> tuple[float, float]:
    """Shares of intervals that hold the truth: ours, and the plain bootstrap's."""
    rng, centres = np.random.default_rng(0), np.linspace(0, 1, tasks)
    many = centres[:, None] + SPREADS[spread](rng, (tasks, 400_000))
    truth = float(stats.trim_mean(many.ravel(), TRIMMED))
    ours = theirs = 0
    for _ in range(repeats):
        table = (centres[:, None] + SPREADS[spread](rng, (tasks, seeds))).tolist()
        found = interquartile_mean(table, rng)
        assert found.low is not None
        assert found.high is not None
        ours += found.low <= truth <= found.high
        low, high = plain(table, rng)
        theirs += low <= truth <= high
    return ours / repeats, theirs / repeats


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    repeats = parser.parse_args().repeats
    print("| spread | tasks x seeds | these intervals [%] | plain bootstrap [%] |\n|---|---|---|---|")
    for spread in SPREADS:
        for tasks, seeds in SIZES:
            ours, theirs = coverage(spread, tasks, seeds, repeats)
            print(f"| {spread} | {tasks} x {seeds} | {100 * ours:.1f} | {100 * theirs:.1f} |", flush=True)


if __name__ == "__main__":
    main()
