"""Whether the numbers of one run are consistent: counts with shares, means with episodes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from benchmark.records.config import RunConfig
from benchmark.records.results import PARTS, TOLERANCE_KEYS, TOLERANCES, Returns, RunResult, ViolationCount, Violations
from benchmark.records.submissions import is_plain
from benchmark.records.yaml import flatten

# Sums of rounded numbers; everything else is exact.
ROUNDING = 1e-9
# A share is a number of actions over n: n times the share is whole, up to the last digits of a double.
WHOLE = 1e-6
# The tolerance that repair guarantees.
EXECUTED = "1e-06"


def problems(run: RunResult) -> Iterator[str]:
    """The inconsistencies of a complete run."""
    try:
        config = RunConfig.model_validate(run.config)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        yield f"its config is invalid at '{where}'"
        return
    if run.returns is None or run.violations is None or run.final_policy is None:
        yield "its status is complete, but it lacks returns, violations or the last policy"
        return
    for name, text in flatten(run.provenance.model_dump(), "provenance."):
        if not is_plain(f"{name} {text}"):
            yield f"{name} is not one line of text without markup: {text}"
    yield from _returns(run.returns, config)
    for name, count in run.violations:
        yield from (f"violations.{name}: {problem}" for problem in _count(count))
    yield from (f"final_policy.violations: {problem}" for problem in _count(run.final_policy.violations))
    yield from _steps(run.violations, config.steps)
    if run.final_policy.violations.n < max(config.evaluation.judged_steps, config.evaluation.final_episodes):
        yield "final_policy.violations.n is smaller than the configuration asks for"
    yield from _curves(run, run.violations)
    spent = [getattr(run.seconds, part) for part in PARTS if part != "other"]
    if min(*spent, run.seconds.evaluate) < 0:
        yield "seconds: a part is negative"
    if math.fsum(spent) > run.seconds.total * (1 + ROUNDING) + ROUNDING:
        yield f"seconds: the parts sum to {math.fsum(spent)}, more than the total of {run.seconds.total}"
    calls = run.calls
    if min(calls.project, calls.oracle) < 0 or calls.project_rows < calls.project or calls.oracle_rows < calls.oracle:
        yield "calls: fewer actions than calls"


def _returns(returns: Returns, config: RunConfig) -> Iterator[str]:
    settings, steps = config.evaluation, config.steps
    count = -(-steps // settings.every)
    found = [one.step for one in returns.evaluations]
    if len(found) != count or found != [min(steps, settings.every * (index + 1)) for index in range(len(found))]:
        yield f"returns.evaluations are not at every {settings.every:,} of {steps:,} steps"
        return
    for name, one, episodes in (
        *((f"evaluations at step {one.step}", one, settings.episodes) for one in returns.evaluations),
        ("final", returns.final, settings.final_episodes),
        ("best", returns.best, settings.final_episodes),
    ):
        mean = math.fsum(one.episodes) / episodes
        if len(one.episodes) != episodes:
            yield f"returns.{name} has {len(one.episodes)} episodes instead of {episodes}"
        elif not math.isclose(one.mean, mean, rel_tol=ROUNDING, abs_tol=ROUNDING):
            yield f"returns.{name}: the mean is {one.mean}, but its episodes have mean {mean}"
    if returns.final.step != steps:
        yield f"returns.final is of step {returns.final.step:,} instead of the last one"
    best = max(returns.evaluations, key=lambda one: one.mean)
    if returns.best.step != best.step:
        yield f"returns.best is of step {returns.best.step:,}, but the best evaluation is of step {best.step:,}"


def _count(count: ViolationCount) -> Iterator[str]:
    if set(count.valid_share) != set(TOLERANCE_KEYS):
        yield f"shares are not at the tolerances {', '.join(TOLERANCE_KEYS)}"
        return
    if not 0 <= count.count <= count.n:
        yield f"{count.count} of {count.n} actions"
        return
    shares = [count.valid_at(tol) for tol in TOLERANCES] if count.n else []
    if any(not 0 <= share <= 1 for share in shares) or shares != sorted(shares):
        yield "valid_share falls as the tolerance grows, or is not within 0 and 1"
    if any(abs(share * count.n - round(share * count.n)) > WHOLE for share in shares):
        yield f"valid_share is not a whole number of actions over {count.n:,}"
    if count.n and round(shares[0] * count.n) != count.n - count.count:
        yield f"valid_share at 0 is {shares[0]}, but {count.count:,} of {count.n:,} actions violated"
    sizes_fit = 0 < count.mean <= count.max * (1 + ROUNDING) if count.count else count.mean == count.max == 0
    if not sizes_fit:
        yield f"mean {count.mean} and max {count.max} of {count.count:,} violations"
    if any((share == 1) != (count.max <= tol) for share, tol in zip(shares, TOLERANCES, strict=False)):
        yield f"valid_share is 1 at a tolerance below the largest violation, {count.max}, or below 1 at one above it"


def _steps(violations: Violations, steps: int) -> Iterator[str]:
    for name in ("behaviour", "executed"):
        if (judged := getattr(violations, name).n) != steps:
            yield f"violations.{name}.n is {judged:,}, of {steps:,} steps"
    if violations.policy.n > steps:
        yield f"violations.policy.n is {violations.policy.n:,}, of {steps:,} steps"
    if violations.executed.valid_share.get(EXECUTED) != 1:
        yield f"not every executed action was feasible at tolerance {EXECUTED}"


def _curves(run: RunResult, violations: Violations) -> Iterator[str]:
    assert run.returns is not None
    curves, steps = run.curves, [one.step for one in run.returns.evaluations]
    if curves.get("step") != steps:
        yield "curves.step are not the steps of the evaluations"
        return
    for name, values in curves.items():
        if len(values) != len(steps):
            yield f"curves.{name} has {len(values)} points instead of {len(steps)}"
    for name in ("policy", "behaviour"):
        values = curves.get(f"violations/{name}", [])
        if not _grows(values) or values[-1] != getattr(violations, name).count:
            yield f"curves.violations/{name} does not end at violations.{name}.count"


def _grows(values: Sequence[float | None]) -> bool:
    numbers = [value for value in values if value is not None]
    return bool(numbers) and len(numbers) == len(values) and numbers[0] >= 0 and numbers == sorted(numbers)
