"""Tables of one profile as CSV (every number), Markdown and LaTeX (for reading), and one page with all of them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.analysis import summaries
from benchmark.analysis.leaderboard import Leaderboard
from benchmark.publishing.tables import rendering
from benchmark.publishing.tables.leaderboard import anchor_table, leaderboard_table, timing_tables
from benchmark.publishing.tables.notes import caveats, describe, describe_anchors, describe_only_timed, notes_of_cells
from benchmark.publishing.tables.rendering import Column, Table, View, make_view, valid_columns
from benchmark.records.files import write_text
from benchmark.records.results import PARTS
from benchmark.records.selection import Selection, commits
from benchmark.records.submissions import describe_submissions

INTERVALS = "brackets are 95% confidence intervals over seeds"
# Tables that are not made from the profile's runs.
OF_OTHERS = ("anchors", "flows", "timing")
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
    """Write a profile's tables and a page with all of them below ``folder`` (``results/<profile>``); return the paths.

    The same results give the same bytes.

    Raises:
        UserError: If a file cannot be written.
    """
    found = board.found
    tables = [
        leaderboard_table(board),
        anchor_table(board),
        flow_table(board),
        violation_table(board),
        wallclock_table(board),
        return_table(board),
    ]
    tables += [*timing_tables(board), *coverage_tables(board)]
    texts: dict[str, str] = {}
    for table in tables:
        notes = table.notes if table.name in OF_OTHERS else [describe(found), *table.notes, *caveats(found)]
        texts[f"{table.name}.csv"] = table.frame.to_csv(index=False, float_format=rendering.DIGITS, lineterminator="\n")
        texts[f"{table.name}.md"] = rendering.markdown(table, notes, "#")
        texts[f"{table.name}.tex"] = rendering.latex(table, notes)
    texts["README.md"] = page(found, tables)
    for name, text in texts.items():
        write_text(folder / "tables" / name, text)
    return [folder / "tables" / name for name in texts]


def flow_table(board: Leaderboard) -> Table:
    """Quality of the flows."""
    found, frame = board.found, board.flows
    caption = (
        f"Validity, recall and cost of the flows of profile {found.label}, one flow per task and method. "
        "Validity is the share of f(z; s) in C(s), for latents z that are uniform in the box, uniform on its boundary "
        "or put out by trained policies, at states s held out from training or of those policies' last evaluations."
    )
    valid = frame[frame["latent"] != ""]
    views = [
        View("Validity", make_view(valid, ["task", "flow", "states", "latent"], valid_columns("validity"), "n of N")),
        View("Recall and cost", make_view(frame[frame["latent"] == ""], ["task", "flow"], FLOW_COSTS, "n of N")),
    ]
    return Table("flows", "Flows", caption, frame, views, [])


def violation_table(board: Leaderboard) -> Table:
    """Constraint violations during training."""
    frame = board.violations
    caption = (
        "Infeasible actions over the whole training: count, share and size at tolerance 0, and the share that is valid "
        "at each tolerance. Size is the summed violation of an infeasible action in the constraint's units, and "
        f"{INTERVALS}."
    )
    policy, executed = (frame[frame["actions"] == kind] for kind in ("policy", "executed"))
    views = [
        View("The policy's own output, before noise and repair", make_view(policy, ["task", "method"], SIZES)),
        View("The policy's own output: valid share", make_view(policy, ["task", "method"], VALIDITY)),
        View("Executed actions, after repair", make_view(executed, ["task", "method"], [*VALIDITY, SIZES[-1]])),
    ]
    return Table("violations", "Constraint violations", caption, frame, views, infeasible_executions(executed))


def infeasible_executions(executed: pd.DataFrame) -> list[str]:
    """A note for every row with infeasible executed actions: its repair failed."""
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
    solver = f"over {summaries.REFERENCE}"
    ratios = [Column("total [s]", "total"), Column(solver, "total ratio")]
    ratios += [Column("total without prepare [s]", "training"), Column(f"{solver}, without prepare", "training ratio")]
    machines = sorted({run.machine for run in found.everything()})
    caption = (
        "Wall-clock of training without evaluation, for runs that shared a machine: it shows where time goes, not "
        f"which method is faster. Ratios are of geometric means, on the same task and machine, and {INTERVALS}."
    )
    views = [
        View("Total", make_view(frame, ["task", "method"], ratios)),
        View("Parts", make_view(frame, ["task", "method"], parts)),
    ]
    marked, notes = frame[frame["note"] != ""], [f"Machines: {'; '.join(machines) or 'none yet'}."]
    notes += [f"† {line}" for line in notes_of_cells(marked[marked["unit"] == "seconds"])]
    notes += [f"No ratio, {line}" for line in notes_of_cells(marked[marked["unit"] == "ratio"])]
    return Table("wallclock", "Wall-clock", caption, frame, views, notes)


def return_table(board: Leaderboard) -> Table:
    """Returns of the learned policies."""
    found, frame = board.found, board.returns
    episodes = sorted({len(run.returns.final.episodes) for run in found.everything()})
    counted = " or ".join(str(number) for number in episodes) or "no"
    caption = (
        f"Undiscounted return without noise, with infeasible actions projected: the mean of {counted} episodes per "
        "seed. Final is the last policy, best is the policy with the best evaluation, evaluated again, and "
        f"{INTERVALS}."
    )
    columns = [Column("final return", "final"), Column("best return", "best")]
    return Table("returns", "Returns", caption, frame, [View("", make_view(frame, ["task", "method"], columns))], [])


def coverage_tables(board: Leaderboard) -> list[Table]:
    """Whether flows were trained on states like those visited; no table if this was not measured."""
    frame = board.coverage
    if frame.empty:
        return []
    caption = (
        "How well a flow's training states, without widened ones, cover those that runs visit: the share within their "
        "range in every variable of the constraint, and the share as near to one of them as 99% of held-out states. "
        "Valid is the share of "
        f"f(z; s) in C(s) at the visited states, for z uniform in the latent box, and {INTERVALS}."
    )
    columns = [Column("within range [%]", "within range"), Column("near [%]", "near")]
    view = make_view(frame, ["task", "method"], [*columns, *valid_columns("valid there")])
    return [Table("coverage", "States visited and states trained on", caption, frame, [View("", view)], [])]


def page(found: Selection, tables: list[Table]) -> str:
    """One Markdown page with every table and figure."""
    # Drawing takes a second to import, and printing a table does not need it.
    from benchmark.publishing.figures import FIGURES

    runs = found.everything()
    wanted = sum(found.wanted(task, method) for task in found.tasks for method in found.methods)
    flows = [report.provenance for report in found.flows.values() if report.provenance]
    facts = [
        describe(found),
        f"{len(runs)} of {wanted} runs are complete.",
        *(f"{text}." for text in describe_only_timed(found)),
        describe_anchors(found),
        f"Made at commit {commits([run.record.provenance for run in runs])}.",
        *([f"Flows were trained at commit {commits(flows)}."] if flows else []),
        f"Machines: {'; '.join(sorted({run.machine for run in runs})) or 'none yet'}.",
    ]
    blocks = [
        f"# Results of profile {found.profile}",
        "Generated from the run files by `acrl tables`: change nothing here by hand.",
        rendering.bullets([*facts, *describe_submissions(found.submitted), *caveats(found)]),
        *(rendering.markdown(table, table.notes, "##").rstrip() for table in tables),
        "## Figures",
        *(f"![{name}](../figures/{name}.png)\n\n{caption}" for name, caption in FIGURES.items()),
    ]
    return "\n\n".join(blocks) + "\n"
