"""What a profile found, as the part of README.md between two markers: claims, a table and a figure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis.claims import Claims
from benchmark.analysis.leaderboard import ALL_TASKS, Leaderboard
from benchmark.publishing.extremes import EXTREMES, extremes
from benchmark.publishing.tables import describe
from benchmark.publishing.tables.rendering import DASH, cells_by_row, digits_of_interval, format_cell
from benchmark.records.files import read_bytes, write_text
from benchmark.records.runs import IDLE_METHOD
from envs.errors import UserError

TOLERANCE = 1e-6


def markers(profile: str) -> tuple[str, str]:
    """The lines that enclose the findings of a profile."""
    said = f"findings of {profile}, written by `acrl tables -p {profile}`"
    return f"<!-- begin: {said} -->", f"<!-- end: {said} -->"


def update_readme(board: Leaderboard, claims: Claims, folder: Path) -> list[Path]:
    """Write the findings between the profile's markers in the README.md next to ``results``, if it has them.

    Returns its path, or nothing without markers; ``folder`` is ``results/<profile>``.

    Raises:
        UserError: If the end is missing, or the file cannot be written.
    """
    readme = folder.resolve().parent.parent / "README.md"
    begin, end = markers(board.found.profile)
    text = read_bytes(readme).decode() if readme.exists() else ""
    if begin not in text:
        return []
    before, _, rest = text.partition(begin)
    if end not in rest:
        raise UserError(f"{readme} has the line {begin!r} without {end!r} after it: put it back")
    write_text(readme, f"{before}{begin}\n\n{findings(board, claims)}\n{end}{rest.partition(end)[2]}")
    return [readme]


def findings(board: Leaderboard, claims: Claims) -> str:
    """Claims, the table of tasks and methods, the return of doing nothing, and the figure, as Markdown."""
    found = board.found
    here = f"results/{found.profile}"
    blocks = [
        f"{describe(found)} Brackets are 95% intervals; n counts seeds, flows, or rounds of a timing.",
        "### The claims of the paper",
        EXTREMES,
        claim_table(claims, f"{here}/claims.md"),
        "### Tasks and methods",
        "Each cell: score (0 is random feasible actions, 1 the same learner without the constraint), share of the last "
        "policy's own outputs that are valid at tolerance 1e-6, milliseconds of a training step. "
        f"[More tables and all intervals]({here}/tables/README.md).",
        method_table(board),
        *unscored(board),
        *doing_nothing(board),
        f"![Scores, validity by tolerance and performance profiles of profile {found.profile}]"
        f"({here}/figures/leaderboard.png)",
    ]
    return "\n\n".join(blocks) + "\n"


def claim_table(claims: Claims, page: str) -> str:
    """One row per claim: the paper's sentence, the verdict, and the strongest evidence for and against it."""
    rows = []
    for claim in claims.all:
        heading = re.sub(r"[^a-z0-9 -]", "", f"{claim.id} {claim.title}: {claim.verdict}".lower()).replace(" ", "-")
        verdict = f"[**{claim.verdict}**]({page}#{heading})"
        if all(reading.up_to for reading in claim.deciding):
            verdict += " (“up to”: one task is enough)"
        best, worst = extremes(claim)
        row = {"": claim.id, "the paper says": claim.said, "verdict": verdict}
        rows.append(row | {"best case": best, "worst case": worst})
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def method_table(board: Leaderboard) -> str:
    """One row per method and one column per task; the last row is doing nothing."""
    scores = cells_by_row(board.frame, ["task", "method"])
    costs = cells_by_row(board.timing, ["task", "method"])
    rows = []
    for method in ordered_methods(board):
        cells = {
            task: method_cell(len(board.found.seeds), scores[task, method], costs.get((task, method), {}))
            for task in board.found.tasks
        }
        rows.append({"method": f"`{method}`", **cells})
    idle = board.anchors[board.anchors["method"] == IDLE_METHOD].drop_duplicates("task").set_index("task")
    rows.append({"method": f"`{IDLE_METHOD}`"} | {task: idle["score"][task] or DASH for task in board.found.tasks})
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def ordered_methods(board: Leaderboard) -> list[str]:
    """Methods with a run, sorted by descending score over all tasks if they are ranked."""
    shown = [method for method in board.found.methods if any(board.found.runs(t, method) for t in board.found.tasks)]
    if not board.found.ranked:
        return shown
    whole = board.frame[(board.frame["task"] == ALL_TASKS) & (board.frame["quantity"] == "score")]
    means = dict(zip(whole["method"], whole["mean"].fillna(float("-inf")), strict=True))
    return sorted(shown, key=lambda method: -means.get(method, float("-inf")))


def method_cell(wanted: int, scores: Mapping[Any, Mapping[Any, Any]], costs: Mapping[Any, Mapping[Any, Any]]) -> str:
    """Score, validity and cost of a method on a task, one per line, and the number of seeds if some are missing."""
    lines = []
    final, valid = scores["final return", None], scores["final valid share", TOLERANCE]
    if final["n"]:
        score = format_cell(scores["score", None], final["n"], digits_of_interval)
        if score == DASH:
            score = f"return {format_cell(final, final['n'], digits_of_interval)}"
        lines = [score, f"{format_cell(valid, valid['n'], digits_of_interval)} %"]
    if ("step", None) in costs and costs["step", None]["n"]:
        cost = costs["step", None]
        number = digits_of_interval(cost["mean"], cost["low"], cost["high"], False)
        lines.append(f"{number(cost['mean'])} ms")
    if 0 < final["n"] < wanted:
        lines.append(f"({final['n']} of {wanted} seeds)")
    return "<br>".join(lines) or DASH


def unscored(board: Leaderboard) -> list[str]:
    """Why tasks with runs have no scores."""
    why: dict[str, list[str]] = {}
    for task in board.found.begun():
        ends = board.scales[task]
        if isinstance(ends, str):
            why.setdefault(ends, []).append(task)
    return [f"No score on {', '.join(tasks)}, so returns: {reason}." for reason, tasks in why.items()]


def doing_nothing(board: Leaderboard) -> list[str]:
    """The tasks where no method's mean return exceeds that of doing nothing, with both returns."""
    texts = []
    returns = cells_by_row(board.returns, ["task", "method"])
    for task in board.found.begun():
        finals = {method: returns[task, method]["final", None] for method in (*board.found.methods, IDLE_METHOD)}
        idle = finals.pop(IDLE_METHOD)
        learned = {method: cell for method, cell in finals.items() if cell["n"]}
        best = max(learned, key=lambda method: learned[method]["mean"])
        if not idle["n"] or learned[best]["mean"] >= idle["mean"]:
            continue
        mine, theirs = (
            f"{format_cell(cell, cell['n'], digits_of_interval)}, n = {cell['n']}" for cell in (idle, learned[best])
        )
        lower, upper = idle["low"], learned[best]["high"]
        if pd.isna(lower) or pd.isna(upper):
            surely = "a single seed has no interval"
        else:
            surely = "the intervals do not overlap" if lower > upper else "the intervals overlap"
        texts.append(f"{task} {mine} (the best method, `{best}`: {theirs}; {surely})")
    if not texts:
        return []
    return [
        f"**Doing nothing is ahead of every method** in mean return on {len(texts)} of {len(board.found.begun())} "
        f"tasks with runs. `{IDLE_METHOD}` takes the feasible action nearest to doing nothing, which at bike sharing "
        f"keeps the present allocation: {'; '.join(texts)}."
    ]
