"""Tables of one profile, as CSV (every number), Markdown and LaTeX (the same, to be read), and a page of them all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.analysis import summaries
from benchmark.analysis.leaderboard import Leaderboard
from benchmark.publishing.tables import rendering
from benchmark.publishing.tables.leaderboard import anchor_table, leaderboard_table, timing_tables
from benchmark.publishing.tables.rendering import Column, Table, View, make_view, valid_columns
from benchmark.records.files import write_text
from benchmark.records.provenance import mixed_libraries
from benchmark.records.results import PARTS
from benchmark.records.runs import anchor_pairs, unconstrained_task
from benchmark.records.selection import Selection, commits, one_line
from benchmark.records.submissions import describe_submissions
from envs.registry import make_task

INTERVALS = (
    "Each cell is the mean over seeds with its 95% interval [low, high] by Student's t; those of shares, counts and "
    "seconds are cut at what is possible. There is no interval for a single seed or seeds that are all equal. A dash "
    "means no complete run."
)
VALIDITY = valid_columns("valid share")
SIZES = [
    Column("count", "count", 0.0),
    Column("share [%]", "share", 0.0),
    Column("mean size", "mean size", 0.0),
    Column("largest size", "largest size", 0.0),
]
FLOW_COSTS = [
    Column("recall [%]", "recall"),
    Column("F1 [%]", "F1"),
    Column("draws", "draws"),
    Column("samples and training [s]", "seconds"),
]


def write_tables(board: Leaderboard, folder: Path) -> list[Path]:
    """Write tables of a profile and a page of them all below ``folder`` (``results/<profile>``); return their paths.

    The same results give the same bytes.

    Raises:
        UserError: If a file cannot be written.
    """
    found = board.found
    tables = [
        leaderboard_table(board, describe(found)),
        anchor_table(board),
        flow_table(board),
        violation_table(board),
        wallclock_table(board),
        return_table(board),
    ]
    tables += [*timing_tables(board), *coverage_tables(board)]
    failures = describe_failures(found) + describe_libraries(found)
    texts: dict[str, str] = {}
    for table in tables:
        notes = table.notes if table.name in ("anchors", "flows", "timing") else table.notes + failures
        texts[f"{table.name}.csv"] = table.frame.to_csv(index=False, float_format=rendering.DIGITS, lineterminator="\n")
        texts[f"{table.name}.md"] = rendering.markdown(table, notes, "#")
        texts[f"{table.name}.tex"] = rendering.latex(table, notes)
    texts["README.md"] = page(found, tables, failures)
    for name, text in texts.items():
        write_text(folder / "tables" / name, text)
    return [folder / "tables" / name for name in texts]


def describe_libraries(found: Selection) -> list[str]:
    """A line where runs of one table were made with different versions of libraries."""
    mixed = mixed_libraries(run.record.provenance for run in found.everything())
    return [f"Runs were made with different versions of libraries: {'; '.join(mixed)}."] if mixed else []


def flow_table(board: Leaderboard) -> Table:
    """Quality of the flows."""
    found, frame = board.found, board.flows
    caption = (
        f"Profile {found.label}; one flow a task and method, trained before the runs, so that there is no interval. "
        "Validity is the share of f(z; s) that lies in C(s) within each tolerance (summed violation, action box "
        "included). Latents: uniform in the box, uniform on its boundary, and those that trained policies put out "
        "(mean over seeds with its 95% interval). States: sampled ones, held out from training, and those that the "
        "trained policies visit. Recall is the share of held-out feasible actions whose latent lies in the box; F1 is "
        "that of recall and of validity (uniform, sampled, tolerance 0)."
    )
    valid = frame[frame["latent"] != ""]
    views = [
        View("Validity", make_view(valid, ["task", "flow", "states", "latent"], valid_columns("validity"), "n of N")),
        View("Recall and cost", make_view(frame[frame["latent"] == ""], ["task", "flow"], FLOW_COSTS, "n of N")),
    ]
    return Table("flows", "Flows", caption, frame, views, [])


def violation_table(board: Leaderboard) -> Table:
    """Constraint violations during training."""
    found, frame = board.found, board.violations
    caption = (
        f"{describe(found)} Actions that missed C(s) during training, cumulative over the budget: count, share and "
        "size at tolerance 0 (size: summed violation in the constraint's units; the mean over violating actions, the "
        "largest over all seeds), and the share that is valid within each tolerance. "
        f"The CSV has the policy's output with exploration noise (behaviour) too. {INTERVALS}"
    )
    policy, executed = (frame[frame["actions"] == kind] for kind in ("policy", "executed"))
    views = [
        View("The policy's own output, before noise and repair", make_view(policy, ["task", "method"], SIZES)),
        View("The policy's own output: valid share", make_view(policy, ["task", "method"], VALIDITY)),
        View("Executed actions, after repair", make_view(executed, ["task", "method"], [*VALIDITY, SIZES[-1]])),
    ]
    return Table("violations", "Constraint violations", caption, frame, views, infeasible_executions(executed))


def infeasible_executions(executed: pd.DataFrame) -> list[str]:
    """A note for every row whose executed actions were not all feasible: a repair that does not repair."""
    shares = executed[(executed["quantity"] == "valid share") & (executed["mean"] < 1)]
    notes = []
    for (task, method), rows in shares.groupby(["task", "method"], sort=False):
        widest = rows["tolerance"].max()
        notes.append(f"{task}, {method}: not every executed action was feasible, up to tolerance {widest:g}.")
    return notes


def wallclock_table(board: Leaderboard) -> Table:
    """Where the time went."""
    found, frame = board.found, board.wallclock
    parts = [Column(f"{part} [s]", part) for part in PARTS]
    ratios = [Column("total [s]", "total"), Column("ratio", "total ratio")]
    ratios += [Column("total without prepare [s]", "training"), Column("ratio without prepare", "training ratio")]
    machines = sorted({run.machine for run in found.everything()})
    caption = (
        f"{describe(found)} Wall-clock of training without evaluation, as the runs were made: side by side, a process "
        "each, so that it says what they took and not which method is faster (see Time of a training step), on: "
        f"{'; '.join(machines) or 'no machine yet'}. Prepare is the work before training, such as a flow's: a dash "
        "where there is none, no interval where all seeds share one flow; other is the harness itself. Ratios are of "
        "geometric means to those of "
        f"{summaries.REFERENCE} on the same task and machine, with Welch's interval for the difference of logarithms. "
        f"{INTERVALS}"
    )
    views = [
        View("Total, and ratio to projection with a solver", make_view(frame, ["task", "method"], ratios)),
        View("Parts", make_view(frame, ["task", "method"], parts)),
    ]
    marked = frame[frame["note"] != ""].drop_duplicates(["task", "method", "unit"])
    notes = [
        f"{'†' if row['unit'] == 'seconds' else 'No ratio:'} {row['task']}, {row['method']}: {row['note']}."
        for _, row in marked.iterrows()
    ]
    return Table("wallclock", "Wall-clock", caption, frame, views, notes)


def return_table(board: Leaderboard) -> Table:
    """Returns of the learned policies."""
    found, frame = board.found, board.returns
    episodes = sorted({len(run.returns.final.episodes) for run in found.everything()})
    counted = " or ".join(str(number) for number in episodes) or "no"
    caption = (
        f"{describe(found)} Undiscounted return of the policy without noise, infeasible actions repaired (projected, "
        f"tolerance 0), {counted} episodes a seed. Final: the last policy. Best: the best policy among the "
        f"evaluations, run anew. {INTERVALS}"
    )
    columns = [Column("final return", "final"), Column("best return", "best")]
    return Table("returns", "Returns", caption, frame, [View("", make_view(frame, ["task", "method"], columns))], [])


def coverage_tables(board: Leaderboard) -> list[Table]:
    """Whether flows were trained on states like those visited; no table where nothing was measured of it."""
    found, frame = board.found, board.coverage
    if frame.empty:
        return []
    caption = (
        f"{describe(found)} States visited in training against those that the task's flow was trained on, in the "
        "variables that enter the constraint. Within range: in every coordinate. Near: as near to a training state as "
        "99% of the held-out states are. Valid: share of f(z; s) in C(s) at the visited states, z uniform in the "
        f"latent box, whichever method visited them. {INTERVALS}"
    )
    columns = [Column("within range [%]", "within range"), Column("near [%]", "near")]
    view = make_view(frame, ["task", "method"], [*columns, *valid_columns("valid there")])
    return [Table("coverage", "States visited and states trained on", caption, frame, [View("", view)], [])]


def describe(found: Selection) -> str:
    """Profile, budget and seeds, in one sentence, and in another which tasks have no run yet."""
    steps = {task: found.steps(task) for task in found.tasks}
    known = {task: number for task, number in steps.items() if number is not None}
    if len(set(known.values())) == 1:
        budget = f"{next(iter(known.values())):,} steps"
    else:
        budget = ", ".join(f"{task} {number:,} steps" for task, number in known.items()) or "unknown, no complete run"
    seeds = ", ".join(str(seed) for seed in found.seeds)
    first = f"Profile {found.label}; budget: {budget}; seeds: {seeds} (N = {len(found.seeds)})."
    return " ".join([first, *describe_unbegun(found)])


def describe_unbegun(found: Selection) -> list[str]:
    """Which tasks have no complete run, and what there is of them nevertheless."""
    kinds: dict[str, list[str]] = {}
    for task in found.tasks:
        if task not in found.begun():
            flow, timed = any(of == task for of, _ in found.flows), task in found.timing
            kept = " and ".join(name for name, there in (("flows", flow), ("timing", timed)) if there)
            kinds.setdefault(f"only {kept}" if kept else "left out", []).append(task)
    return [f"No run yet, {kind}: {', '.join(tasks)}." for kind, tasks in kinds.items()]


def describe_anchors(found: Selection) -> str:
    """How many of the runs that returns are measured by are there, and where they were made."""
    free = filter(None, (unconstrained_task(make_task(task)) for task in found.tasks))
    pairs = list(dict.fromkeys(anchor_pairs(found.tasks, free)))
    runs = [run for pair in pairs for run in found.runs(*pair)]
    made = f", made at commit {commits([run.record.provenance for run in runs])}" if runs else ""
    return f"{len(runs)} of {len(pairs) * len(found.seeds)} runs that returns are measured by{made}."


def describe_failures(found: Selection) -> list[str]:
    """A note for every run that ended otherwise than complete, and one on runs that were left out."""
    notes = [
        f"{run.task}, {run.method}, seed {run.seed} {'timed out' if run.status == 'timeout' else 'failed'} "
        f"and counts as missing: {one_line(run.error)}"
        for run in found.failures
    ]
    if found.unused:
        notes.append(f"Not part of this selection, so not shown: {', '.join(found.unused)}.")
    return notes


def page(found: Selection, tables: list[Table], failures: list[str]) -> str:
    """One Markdown page with every table and figure."""
    # Drawing takes a second to import, which those who print a table should not wait for.
    from benchmark.publishing.figures import FIGURES

    runs = found.everything()
    wanted = len(found.tasks) * len(found.methods) * len(found.seeds)
    flows = [report.provenance for report in found.flows.values() if report.provenance]
    facts = [
        f"{len(runs)} of {wanted} runs are complete.",
        describe_anchors(found),
        f"Made at commit {commits([run.record.provenance for run in runs])}.",
        *([f"Flows were trained at commit {commits(flows)}."] if flows else []),
        f"Machines: {'; '.join(sorted({run.machine for run in runs})) or 'none yet'}.",
    ]
    blocks = [
        f"# Results of profile {found.profile}",
        describe(found),
        "Generated from the run files by `acrl tables`: change nothing here by hand.",
        rendering.bullets([*facts, *describe_submissions(found.submitted), *failures]),
        *(rendering.markdown(table, table.notes, "##").rstrip() for table in tables),
        "## Figures",
        *(f"![{name}](../figures/{name}.png)\n\n{caption}" for name, caption in FIGURES.items()),
    ]
    return "\n\n".join(blocks) + "\n"
