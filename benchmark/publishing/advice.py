"""Which method to use on each task, as far as the runs of a profile tell."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.analysis.contenders import contenders, return_differences
from benchmark.analysis.leaderboard import Leaderboard
from benchmark.analysis.statistics import Estimate
from benchmark.analysis.summaries import make_cell
from benchmark.publishing.tables.rendering import cells_by_row, digits_of_interval, format_cell
from benchmark.records.runs import IDLE_METHOD
from benchmark.records.selection import Selection
from envs.registry import make_task

TOLERANCE = 1e-6
FLOWS = ("flowpg", "flowpg-gauge")
WITHOUT_FLOW = "ddpg-gauge"
ALL_OPEN = "All intervals include 0, which does not show that returns are equal: see how wide they are."
# A method whose outputs are valid this often hardly depends on repair.
MOSTLY_VALID = 0.95
LEAD = (
    f"Of the methods at least {MOSTLY_VALID:.0%} valid at tolerance 1e-6, before rounding: the one with the highest "
    "mean return, then those not significantly worse."
)
RULE = (
    "Validity is that of a method's own outputs, before any correction. A method is not significantly worse if the 95% "
    "interval of the difference (Welch's t) includes 0. Few seeds rule out little: the first may not be the best, and "
    "a listed method may be worse than one that is not listed."
)


def which_method(board: Leaderboard) -> list[str]:
    """A heading, one line per task, the rule, and where doing nothing is first; nothing of a profile without ranks."""
    found = board.found
    if not found.ranked:
        return []
    blocks = ["### Which method to use", LEAD, "\n".join(advice(board, task) for task in found.begun()), RULE]
    first = [task for task in found.begun() if contenders(found, task)[:1] == [IDLE_METHOD]]
    if first:
        blocks.append(f"**Doing nothing (`{IDLE_METHOD}`) has the highest mean return on {' and '.join(first)}.**")
    return blocks


def advice(board: Leaderboard, task: str) -> str:
    """The line of a task."""
    found = board.found
    returns, cells = cells_by_row(board.returns, ["task", "method"]), cells_by_row(board.frame, ["task", "method"])
    valid = [
        method
        for method in found.methods
        if (cells[task, method]["final valid share", TOLERANCE]["mean"] or 0) >= MOSTLY_VALID
    ]
    best = contenders(found, task, [*valid, IDLE_METHOD])
    trained = (found.steps(task) or 0) / make_task(task).steps
    parts = []
    finals = {method: returns[task, method]["final", None] for method in best}
    shown = {method: format_cell(cell, cell["n"], digits_of_interval) for method, cell in finals.items()}
    if best:
        parts = [f"**`{best[0]}`**, return {shown[best[0]]}, {finals[best[0]]['n']} seeds"]
        if best[0] != IDLE_METHOD:
            share = cells[task, best[0]]["final valid share", TOLERANCE]
            parts[0] += f", {format_cell(share, share['n'], digits_of_interval)}% valid"
    if best[1:]:
        parts.append("or " + ", ".join(f"`{method}` {shown[method]}" for method in best[1:]))
    if single := [method for method in (*valid, IDLE_METHOD) if len(found.runs(task, method)) == 1]:
        parts.append(f"with one seed, too few to compare: {names(single)}")
    if lacking := found.lacking(task):
        parts.append(f"no run yet: {names(lacking)}")
    return f"- {task} ({trained:.0%} of the published steps): {'; '.join(parts) or 'none'}."


def does_the_flow_help(found: Selection) -> list[str]:
    """What flows return more than ``ddpg-gauge``, on tasks where both have two seeds; nothing if there are none."""
    compared = {flow: return_differences(found, flow, WITHOUT_FLOW) for flow in FLOWS}
    lists = [f"`{flow}` {list_differences(differences)}" for flow, differences in compared.items() if differences]
    if not lists:
        return []
    verdicts = []
    for flow, differences in compared.items():
        better = [task for task, one in differences.items() if one.low is not None and one.low > 0]
        worse = [task for task, one in differences.items() if one.high is not None and one.high < 0]
        verdicts += [f"On {', '.join(better)} `{flow}` returns more."] if better else []
        verdicts += [f"On {', '.join(worse)} `{flow}` returns less."] if worse else []
    return [
        "**Does the flow help?** `ddpg-gauge` maps a box onto C(s) along rays, and `flowpg-gauge` puts a trained flow "
        f"before that map. Mean return minus that of `ddpg-gauge`: {'; '.join(lists)}. {' '.join(verdicts) or ALL_OPEN}"
    ]


def list_differences(differences: Mapping[str, Estimate]) -> str:
    """Differences with intervals, each with its task."""
    return ", ".join(f"{difference_cell(one)} on {task}" for task, one in differences.items())


def difference_cell(difference: Estimate) -> str:
    """A difference with its interval."""
    return format_cell(make_cell("", "", difference), difference.n, digits_of_interval)


def names(methods: list[str]) -> str:
    """Ids as code."""
    return ", ".join(f"`{method}`" for method in methods)
