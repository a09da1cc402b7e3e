"""Evidence on claims: which results count, effects with their intervals, and why an effect decides nothing."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from scipy import stats

from benchmark.analysis import statistics
from benchmark.analysis.claims.rule import NOT_RUN, Budget
from benchmark.analysis.statistics import Estimate, mean_interval, point, ratio_interval
from benchmark.records.selection import Selection
from envs.errors import UserError
from envs.registry import make_task

# FlowPG's six tasks, in its order of simulators (arXiv 2402.05149).
PAPER_TASKS = ("R+L2", "HC+O", "H+M", "W+M", "BSS-3", "BSS-5")
# The paper's flow is a RealNVP.
FLOW = "flowpg"
# As released, which is what the paper compares with, then the first two with projected targets (docs/claims.md).
BASELINES = ("ddpg-projection", "nfw", "ddpg-penalty", "ddpg-projection-target", "nfw-target")
LEAST_SEEDS = 2
# FlowPG's released configuration: 100 epochs of 500,000 samples in batches of 256.
PUBLISHED_UPDATES = 100 * (500_000 // 256)
# The share of the published budget that suffices for some claims (docs/claims.md, "Budget").
LEAST_SHARE = 0.1
# The paper counts an action as valid up to the first of these; the second is the constraint itself.
DECIDING_TOLERANCES = (0.1, 0.0)


def gap(found: Selection, task: str, *methods: str) -> str:
    """Why the runs of these methods on a task decide nothing; empty if they can decide."""
    fewest = min(len(found.runs(task, method)) for method in methods)
    if any(run.task == task and run.method in methods for run in found.failures):
        return "a run failed"
    if fewest == 0:
        return NOT_RUN
    return "fewer than two seeds" if fewest < LEAST_SEEDS else ""


def steps_of(found: Selection, task: str) -> Budget | None:
    """Steps of a task's runs and the published steps; None without a complete run."""
    steps = found.steps(task)
    return None if steps is None else Budget(steps, make_task(task).steps)


def updates_of(found: Selection, task: str, flow: str) -> Budget | None:
    """The flow's largest number of updates by the runs' settings; without runs, the number that it made."""
    for run in found.runs(task, flow):
        updates = run.record.config.get("method", {}).get("flow", {}).get("updates")
        if updates is not None:
            return Budget(int(updates), PUBLISHED_UPDATES, "updates")
    report = found.flows.get((task, flow))
    if report is None or not report.curve.get("update"):
        return None
    return Budget(int(report.curve["update"][-1]), PUBLISHED_UPDATES, "updates")


def short_of(budget: Budget | None, share: float) -> str:
    """Why a budget is too small; empty if it suffices, or if nothing was run, which is a gap of its own."""
    return budget.below(share) if budget else ""


def solver_of(found: Selection, task: str, method: str) -> str:
    """How the runs of a method project: "exact", or a solver's name; empty without a complete run."""
    settings = [run.record.config.get("method", {}) for run in found.runs(task, method)]
    return str(settings[0].get("solver", "exact")) if settings else ""


def read_experiment(folder: Path, name: str, keys: Sequence[str], sizes: Sequence[str] = ()) -> pd.DataFrame | None:
    """The numbers of an experiment below ``folder`` (``results/<profile>``); None if it was not run.

    Required columns are ``keys``, ``sizes``, ``quantity`` and ``value``; those of ``sizes`` hold numbers.

    Raises:
        UserError: If the file is damaged or lacks a column.
    """
    path = folder / "experiments" / f"{name}.csv"
    again = f"delete it and run `acrl experiment {name} -p {folder.name}`"
    if not path.exists():
        return None
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a table: {error}; {again}") from error
    lacking = [column for column in (*keys, *sizes, "quantity", "value") if column not in frame.columns]
    if lacking:
        raise UserError(f"{path} has no column {', '.join(lacking)}; {again}")
    for column in sizes:
        try:
            frame[column] = pd.to_numeric(frame[column])
        except (TypeError, ValueError) as error:
            raise UserError(f"{path} has a value in column {column} that is not a number; {again}") from error
    for column in ("value", "low", "high", "n"):
        known = frame[column] if column in frame.columns else pd.Series(float("nan"), index=frame.index)
        frame[column] = pd.to_numeric(known, errors="coerce")
    return frame


def not_made(name: str, profile: str) -> str:
    """What to do if :func:`read_experiment` returned None."""
    return f"no {name}.csv: run `acrl experiment {name} -p {profile}`"


def estimate_of(frame: pd.DataFrame, quantity: str) -> Estimate:
    """The number of this name in an experiment's rows of one kind; an estimate without a value if there is none."""
    rows = frame[(frame["quantity"] == quantity) & frame["value"].notna()]
    if rows.empty:
        return point(None, 0)
    row = rows.iloc[0]
    n = 1 if pd.isna(row["n"]) else int(row["n"])
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return point(float(row["value"]), n, "none: measured without an interval")
    return Estimate(float(row["value"]), float(row["low"]), float(row["high"]), n, "of the experiment")


EXACT_SHARE = "exact binomial"
FEW_COUNTS = "wider of Welch's on logarithms and exact Poisson of the extreme seeds"
QUOTIENT = "quotient of both intervals"
NO_EVENTS = "none: no violation on either side"
# From this many violations on, the spread of a count is small next to that of seeds.
MANY = 10


@dataclass(frozen=True)
class Count:
    """The number of infeasible actions among those judged, in one seed."""

    missed: int
    judged: int

    @property
    def share(self) -> float:
        """Their quotient."""
        return self.missed / self.judged


def exact_share(share: float, draws: int, n: int) -> Estimate:
    """A share of independent draws, from ``n`` seeds or flows, with its Clopper-Pearson interval."""
    low, high = _clopper_pearson(round(share * draws), draws)
    return Estimate(share, low, high, n, EXACT_SHARE)


def share_over_seeds(shares: Sequence[float], judged: Sequence[int]) -> Estimate:
    """Mean share over seeds by Student's t, or with the exact interval of all actions if all seeds are equal."""
    estimate = mean_interval(shares, (0.0, 1.0))
    if estimate.method != statistics.ALL_EQUAL:
        return estimate
    return exact_share(shares[0], sum(judged), len(shares))


def count_ratio(above: Sequence[Count], below: Sequence[Count]) -> Estimate:
    """Ratio of the shares of infeasible actions in two samples of seeds, with one count per seed.

    If every seed has many violations, this is the ratio of geometric means of the shares by
    :func:`~benchmark.analysis.statistics.ratio_interval`, whose interval reflects the spread of seeds. If a seed has
    few, its count is uncertain too, and a count of 0 has no logarithm. The ratio is then that of all counts, infinite
    if only the lower ones are 0, and its interval is the wider of two. One is the former, with half a count added
    everywhere. The other reaches from the lower end of the least favourable pair of seeds to the upper end of the most
    favourable pair, each exact for two Poisson counts.
    """
    n = min(len(above), len(below))
    if n == 0:
        return point(None, 0)
    if min(count.missed for count in (*above, *below)) >= MANY:
        return ratio_interval([count.share for count in above], [count.share for count in below])
    top, bottom = _pool(above), _pool(below)
    if top.missed == bottom.missed == 0:
        return Estimate(None, None, None, n, NO_EVENTS)
    ratio = top.share / bottom.share if bottom.missed else math.inf
    if n == 1:
        return point(ratio, n, statistics.ONE_SEED)
    up, down = sorted(above, key=lambda count: count.share), sorted(below, key=lambda count: count.share)
    low, _ = poisson_ratio(up[0], down[-1])
    _, high = poisson_ratio(up[-1], down[0])
    more, less = ([(count.missed + 0.5) / count.judged for count in side] for side in (above, below))
    spread = ratio_interval(more, less)
    if spread.low is not None and spread.high is not None:
        low, high = min(low, spread.low), max(high, spread.high)
    return Estimate(ratio, low, high, n, FEW_COUNTS)


def poisson_ratio(above: Count, below: Count) -> tuple[float, float]:
    """Exact interval for the ratio of two Poisson rates, from the binomial of one count given their sum."""
    total = above.missed + below.missed
    if total == 0:
        return 0.0, math.inf
    low, high = (p / (1 - p) if p < 1 else math.inf for p in _clopper_pearson(above.missed, total))
    return low * below.judged / above.judged, high * below.judged / above.judged


def quotient(above: Estimate, below: Estimate) -> Estimate:
    """Quotient of two positive estimates, with an interval from the ends of both, which covers at least 95%."""
    n = min(above.n, below.n)
    if not above.mean or not below.mean:
        return point(None, n)
    ratio = above.mean / below.mean
    if above.low is None or above.high is None or below.low is None or below.high is None:
        return point(ratio, n, "none: no interval of one side")
    high = above.high / below.low if below.low > 0 else math.inf
    return Estimate(ratio, max(above.low, 0.0) / below.high, high, n, QUOTIENT)


@functools.cache
def _clopper_pearson(hits: int, trials: int) -> tuple[float, float]:
    interval = stats.binomtest(hits, trials).proportion_ci(statistics.CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def _pool(counts: Sequence[Count]) -> Count:
    return Count(sum(count.missed for count in counts), sum(count.judged for count in counts))
