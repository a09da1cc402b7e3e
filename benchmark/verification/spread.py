"""How far apart two makings of the same run may lie: last digits on another machine, and another seed's chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

# On another machine last digits differ; before they had time to grow, that is all that may.
CLOSE = 1e-6
# A check that one honest submission in a hundred would fail, for each of its numbers.
CONFIDENCE = 0.99


def is_close(recorded: float | None, again: float | None) -> bool:
    """Whether two numbers are equal but for last digits."""
    if recorded is None or again is None:
        return recorded is again
    return math.isclose(recorded, again, rel_tol=CLOSE, abs_tol=CLOSE)


def another_seed(values: Sequence[float]) -> tuple[float, float]:
    """Where another seed's value lies in 99% of cases: the prediction interval of Student's t.

    Args:
        values: Two values or more, one a seed.
    """
    n = len(values)
    mean = math.fsum(values) / n
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (n - 1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation * math.sqrt(1 + 1 / n)
    return mean - half, mean + half
