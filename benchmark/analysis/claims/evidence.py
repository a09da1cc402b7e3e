"""What of a profile's results can be evidence on a task, and what keeps it from deciding anything."""

from __future__ import annotations

from benchmark.analysis.claims.rule import NOT_RUN, Budget
from benchmark.records.selection import Selection
from envs.registry import make_task

# FlowPG's six tasks, in its order of simulators (arXiv 2402.05149).
PAPER_TASKS = ("R+L2", "HC+O", "H+M", "W+M", "BSS-3", "BSS-5")
# The paper's flow is a RealNVP.
FLOW = "flowpg"
BASELINES = ("ddpg-projection", "nfw", "ddpg-penalty")
LEAST_SEEDS = 2
# FlowPG's released configuration: 100 epochs of 500,000 samples in batches of 256.
PUBLISHED_UPDATES = 100 * (500_000 // 256)
# Of the published budget, where the whole of it is not needed (docs/claims.md, "Budget").
LEAST_SHARE = 0.1
# The paper counts an action as valid up to the first of these; the second is what the constraint says.
DECIDING_TOLERANCES = (0.1, 0.0)


def gap(found: Selection, task: str, *methods: str) -> str:
    """Why the runs of these methods on a task decide nothing; empty if they can."""
    fewest = min(len(found.runs(task, method)) for method in methods)
    if any(run.task == task and run.method in methods for run in found.failures):
        return "a run failed"
    if fewest == 0:
        return NOT_RUN
    return "fewer than two seeds" if fewest < LEAST_SEEDS else ""


def steps_of(found: Selection, task: str) -> Budget | None:
    """Steps of a task's runs and those published; None without a complete run."""
    steps = found.steps(task)
    return None if steps is None else Budget(steps, make_task(task).steps)


def updates_of(found: Selection, task: str, flow: str) -> Budget | None:
    """Updates that the flow was allowed, by the runs' settings; without runs, those that it made."""
    for run in found.runs(task, flow):
        updates = run.record.config.get("method", {}).get("flow", {}).get("updates")
        if updates is not None:
            return Budget(int(updates), PUBLISHED_UPDATES, "updates")
    report = found.flows.get((task, flow))
    if report is None or not report.curve.get("update"):
        return None
    return Budget(int(report.curve["update"][-1]), PUBLISHED_UPDATES, "updates")


def short_of(budget: Budget | None, share: float) -> str:
    """Why a budget is too small; empty if it is not, or if nothing was spent at all, which is a gap of its own."""
    return budget.below(share) if budget else ""


def solver_of(found: Selection, task: str, method: str) -> str:
    """Who projects in the runs of a method: "exact", or a solver; empty without a complete run."""
    settings = [run.record.config.get("method", {}) for run in found.runs(task, method)]
    return str(settings[0].get("solver", "exact")) if settings else ""


def has_equality(task: str) -> bool:
    """Whether an equality is part of the constraint, which an output that does not know of it misses almost surely."""
    constraint = make_task(task).constraint
    return constraint.free_dim < constraint.dim
