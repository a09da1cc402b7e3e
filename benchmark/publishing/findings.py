"""What a profile found, as the part of README.md between two markers: claims, tables, the released target, a figure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis.claims import Claims
from benchmark.analysis.claims.evidence import estimate_of, read_experiment
from benchmark.analysis.contenders import contenders, return_differences
from benchmark.analysis.leaderboard import ALL_TASKS, Leaderboard
from benchmark.analysis.statistics import Estimate
from benchmark.analysis.summaries import make_cell
from benchmark.publishing.advice import TOLERANCE, difference_cell, does_the_flow_help, which_method
from benchmark.publishing.extremes import EXTREMES, extremes
from benchmark.publishing.tables.leaderboard import EQUALITY
from benchmark.publishing.tables.notes import describe_only_timed, describe_unbegun
from benchmark.publishing.tables.rendering import DASH, cells_by_row, digits_of_interval, digits_of_score, format_cell
from benchmark.records.files import read_bytes, write_text
from benchmark.records.runs import IDLE_METHOD
from benchmark.records.selection import Selection
from envs.errors import UserError
from envs.registry import make_task

BOLD = (
    "Bold: the highest mean return of a task, and those not significantly lower (Welch's t), valid or not. If a "
    "method's seeds differ widely, few differences from it are significant. A method with one seed is not compared."
)
PAPER, RAW, PROJECTED = "flowpg", "ddpg-projection", "ddpg-projection-target"


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
    write_text(readme, f"{before}{begin}\n\n{findings(board, claims, folder)}\n{end}{rest.partition(end)[2]}")
    return [readme]


def findings(board: Leaderboard, claims: Claims, folder: Path) -> str:
    """All that was found, as Markdown; experiments are read from ``folder`` (``results/<profile>``)."""
    found = board.found
    ahead = {task: contenders(found, task) for task in found.begun()} if found.ranked else {}
    here = f"results/{found.profile}"
    seeds = ", ".join(str(seed) for seed in found.seeds)
    profile = f"Profile {found.label}, seeds {seeds} (N = {len(found.seeds)})."
    brackets = (
        "Brackets are 95% intervals. Where C5 measured a rate only once, they are an assumed error instead. Where all "
        "outputs of all seeds are valid, they take outputs as independent. n is the number of seeds, flows or timing "
        "rounds."
    )
    blocks = [
        " ".join([profile, *describe_unbegun(found), brackets]),
        "### The claims of the paper",
        EXTREMES,
        claim_table(claims, f"{here}/claims.md"),
        "### Tasks and methods",
        "Each cell: score (0: random feasible actions, 1: DDPG without the constraint), share of the last "
        "policy's own outputs that are valid at tolerance 1e-6, time of a training step. "
        f"[All tables]({here}/tables/README.md).",
        method_table(board, ahead),
        "\n".join(f"- {note}" for note in method_notes(board, f"{here}/tables/anchors.md")),
        *which_method(board),
        *(does_the_flow_help(found) if found.ranked else []),
        *released_target(found, folder),
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


def method_table(board: Leaderboard, ahead: Mapping[str, Sequence[str]]) -> str:
    """A row a method, a column a task; the last row does nothing. Scores of the methods ``ahead`` are in bold."""
    scores = cells_by_row(board.frame, ["task", "method"])
    costs = cells_by_row(board.timing, ["task", "method"])
    wanted = len(board.found.seeds)
    rows = []
    for method in [*ordered_methods(board), IDLE_METHOD]:
        row = {"method": f"`{method}`"}
        for task in board.found.tasks:
            if method == IDLE_METHOD:
                lines = idle_cell(board, task)
            else:
                lines = method_cell(scores[task, method], costs.get((task, method), {}))
            if method in ahead.get(task, []):
                lines[0] = f"**{lines[0]}**"
            if 0 < (made := len(board.found.runs(task, method))) < wanted:
                lines.append(f"({made} of {wanted} seeds)")
            row[task] = "<br>".join(lines)
        rows.append(row)
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def idle_cell(board: Leaderboard, task: str) -> list[str]:
    """The score of doing nothing on a task, or its return without one."""
    rows = board.anchors[(board.anchors["method"] == IDLE_METHOD) & (board.anchors["task"] == task)]
    if score := rows["score"].iloc[0]:
        return [score]
    final = cells_by_row(board.returns, ["task", "method"])[task, IDLE_METHOD]["final", None]
    return [f"return {format_cell(final, final['n'], digits_of_interval)}" if final["n"] else DASH]


def ordered_methods(board: Leaderboard) -> list[str]:
    """Methods with a run, sorted by descending score over all tasks if they are ranked."""
    shown = [method for method in board.found.methods if any(board.found.runs(t, method) for t in board.found.tasks)]
    if not board.found.ranked:
        return shown
    whole = board.frame[(board.frame["task"] == ALL_TASKS) & (board.frame["quantity"] == "score")]
    means = dict(zip(whole["method"], whole["mean"].fillna(float("-inf")), strict=True))
    return sorted(shown, key=lambda method: -means.get(method, float("-inf")))


def method_cell(scores: Mapping[Any, Mapping[Any, Any]], costs: Mapping[Any, Mapping[Any, Any]]) -> list[str]:
    """Score, validity and cost of a method on a task, a line each."""
    lines = []
    final, valid = scores["final return", None], scores["final valid share", TOLERANCE]
    if final["n"]:
        score = format_cell(scores["score", None], final["n"], digits_of_score)
        if score == DASH:
            score = f"return {format_cell(final, final['n'], digits_of_interval)}"
        lines = [score, f"{format_cell(valid, valid['n'], digits_of_interval)}%"]
    if ("step", None) in costs and costs["step", None]["n"]:
        cost = costs["step", None]
        number = digits_of_interval(cost["mean"], cost["low"], cost["high"], False)
        lines.append(f"{number(cost['mean'])} ms")
    return lines or [DASH]


def unscored(board: Leaderboard) -> list[str]:
    """Why tasks with runs have no scores."""
    why: dict[str, list[str]] = {}
    for task, reason in board.unscored().items():
        why.setdefault(reason, []).append(task)
    return [f"Returns in place of scores on {', '.join(tasks)}: {reason}." for reason, tasks in why.items()]


def method_notes(board: Leaderboard, anchors_page: str) -> list[str]:
    """What a reader of the table of methods has to know."""
    found = board.found
    notes = [EQUALITY]
    unrun = {method for task in found.tasks for method in found.lacking(task)}
    if lacking := [method for method in found.methods if method in unrun]:
        notes.insert(0, f"A cell without a score or a return: no run yet ({', '.join(lacking)}).")
    if found.ranked:
        notes.insert(0, BOLD)
    if untimed := [method for method in found.methods if _is_untimed(found, method)]:
        notes.append(f"A cell without a time: not timed ({', '.join(untimed)}).")
    widths = board.anchors[board.anchors["quantity"] == "half width"].dropna(subset="mean").sort_values("mean")
    if len(widths):
        worst = widths.iloc[-1]
        notes.append(
            f"Intervals of scores treat [the two references]({anchors_page}) as exact. Their own intervals reach up to "
            f"{worst['mean']:.2g} of a score to either side (on {worst['task']})."
        )
    return [
        *notes,
        *unscored(board),
        *(f"{text} ([why](docs/methods.md))." for text in describe_only_timed(found)),
    ]


def _is_untimed(found: Selection, method: str) -> bool:
    """Whether a method lacks a time on a task where others have one and it has runs."""
    return any(method not in timing.rounds and found.runs(task, method) for task, timing in found.timing.items())


def released_target(found: Selection, folder: Path) -> list[str]:
    """What X1 found of targets that are never executed, at its last step, and the record; nothing without X1."""
    numbers = read_experiment(folder, "x1", ("task", "method"), ("step",))
    if numbers is None:
        return []
    last = numbers[numbers["step"] == numbers["step"].max()]
    texts = [
        "**Bootstrapping from an action that is never executed.** The released code of `ddpg-projection` bootstraps "
        "from the target actor's raw output; `ddpg-projection-target` projects it first. "
        f"[Experiment X1](results/{folder.name}/experiments/x1.md) trained both for {last['step'].max():,} steps "
        f"(n = {last['n'].max():.0f}; [why](docs/findings.md#hco))."
    ]
    for task, rows in last.groupby("task", sort=False):
        by_method = rows.groupby("method")
        raw, projected = (by_method.get_group(method) for method in (RAW, PROJECTED))
        errors, returns = (
            [estimate_of(raw, quantity), estimate_of(projected, quantity)]
            for quantity in ("value above return, projected", "return")
        )
        where = f"On {task}, after {rows['step'].max() / make_task(task).steps:.0%} of the published steps,"
        if overlap(*errors) and overlap(*returns):
            texts.append(f"{where} the intervals of the critics' errors overlap, and so do those of the returns.")
        else:
            texts.append(
                f"{where} the critic of `{RAW}` and that of `{PROJECTED}` err by {beside(*errors)}, as values minus "
                f"the returns that follow. Their policies return {beside(*returns)}."
            )
    return [" ".join(texts), *compare_targets(found)]


def compare_targets(found: Selection) -> list[str]:
    """Mean returns in the record: of both targets against each other, and of the paper's method against each."""
    pairs = [(PROJECTED, RAW), (PAPER, RAW), (PAPER, PROJECTED)]
    compared = {pair: return_differences(found, *pair) for pair in pairs}
    rows = []
    for task in compared[PROJECTED, RAW]:
        row = {"task": task}
        for (first, second), each in compared.items():
            row[f"`{first}` minus `{second}`"] = difference_cell(each[task]) if task in each else DASH
        rows.append(row)
    if not rows:
        return []
    return [
        "In the record, the mean returns differ by:",
        pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True),
    ]


def beside(first: Estimate, second: Estimate) -> str:
    """Two numbers with their intervals, and whether these overlap."""
    texts = [format_cell(make_cell("", "", one), one.n, digits_of_interval) for one in (first, second)]
    return f"{' and '.join(texts)} (the intervals {'' if overlap(first, second) else 'do not '}overlap)"


def overlap(first: Estimate, second: Estimate) -> bool:
    """Whether two intervals overlap; what has no interval may lie anywhere."""
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return True
    return first.low <= second.high and second.low <= first.high
