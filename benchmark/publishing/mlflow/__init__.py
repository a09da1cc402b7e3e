"""MLflow as a view of the results: runs are imported from their JSON, so the store can be rebuilt at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.analysis.anchors import scale
from benchmark.publishing.mlflow import rows, store
from benchmark.publishing.mlflow.entries import Found, method_entry, run_entry
from benchmark.publishing.mlflow.rows import Entry
from benchmark.records.reports import FlowReport, report_path
from benchmark.records.results import RunResult, read_record, read_run
from benchmark.records.runs import Run, check_runs
from benchmark.records.selection import Selection, check_complete, check_place
from benchmark.records.store import load_tensors
from benchmark.training.progress import progress_bar
from envs.errors import UserError
from envs.registry import list_tasks

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Row

# The entry of a method on a task, and those of its seeds by run key.
Families = list[tuple[Entry, dict[str, Entry]]]


def import_runs(
    folder: Path, profile: str, database: Path, server: str | None = None, counted: Sequence[int] = ()
) -> int:
    """Make the experiment ``acrl/<profile>`` show the runs on disk.

    A method on a task is a parent run with the means over its seeds, which are its children. Importing twice changes
    nothing. A new result of a run replaces the old one. Runs that an interrupted import left incomplete, or that are no
    longer on disk, are deleted. A run in training is left alone until its JSON exists. Two simultaneous imports into a
    server may both add a run; the next import removes the duplicate.

    Args:
        folder: ``results/<profile>``.
        profile: Its name.
        database: SQLite file, created if missing; artifacts are kept next to it.
        server: Address of a store to use instead.
        counted: Seeds of the profile, over which means and scores are taken as in its tables; by default all.

    Returns:
        Number of runs newly imported.

    Raises:
        UserError: If the folder is missing, a run is damaged or of another profile, or the store cannot be used.
    """
    families = read_families(folder, profile, counted)
    with store.open_experiment(profile, database, server) as (client, experiment):
        shown, live = keep_what_is_right(client, experiment, families)
        new = {key: entry for _, seeds in families for key, entry in seeds.items() if key not in shown}
        with progress_bar(len(new), "import", "run") as bar:
            for method, seeds in families:
                parent = shown.get(method.tags["group"])
                parent_id = parent.info.run_id if parent else rows.write_entry(client, experiment, method)
                for key, entry in seeds.items():
                    if key in new:
                        show_run(client, experiment, entry, parent_id, live.get(key))
                        bar.update()
                    elif rows.tag_of(shown[key], rows.PARENT) != parent_id:
                        client.set_tag(shown[key].info.run_id, rows.PARENT, parent_id)
    return len(new)


def show_run(client: MlflowClient, experiment: str, entry: Entry, parent: str, live: Row | None) -> None:
    """Show a run below its method, in place of its live row, if there is one."""
    if live is not None:
        if rows.take_over(client, experiment, live, entry, parent):
            return
        rows.delete_row(client, live)
    rows.write_entry(client, experiment, entry, parent)


def keep_what_is_right(
    client: MlflowClient, experiment: str, families: Families
) -> tuple[dict[str, Row], dict[str, Row]]:
    """Delete rows of runs that are no longer on disk or have changed.

    Returns:
        The rows that match the disk, by run key or by task and method, and the live rows of runs that have ended.
    """
    wanted = {method.tags["group"]: method for method, _ in families}
    wanted |= {key: entry for _, seeds in families for key, entry in seeds.items()}
    shown: dict[str, Row] = {}
    live: dict[str, Row] = {}
    for row in rows.list_runs(client, experiment):
        name = rows.tag_of(row, "run_key") or rows.tag_of(row, "group")
        whole, in_training = rows.is_whole(row), bool(rows.tag_of(row, rows.LIVE)) and not rows.is_whole(row)
        entry = wanted.get(name)
        if not name or rows.tag_of(row, rows.GIVEN) or (in_training and not entry and row.info.status == "RUNNING"):
            continue
        if whole and entry and name not in shown and rows.tag_of(row, rows.SHA256) == entry.sha256:
            shown[name] = row
        elif in_training and entry and name not in live:
            live[name] = row
        else:
            rows.delete_row(client, row)
    return shown, live


def read_families(folder: Path, profile: str, counted: Sequence[int] = ()) -> Families:
    """The entries of every run of the profile; means and scores are over the seeds that are ``counted``.

    Raises:
        UserError: If there is no run, or a file is damaged, misplaced or belongs to another profile.
    """
    check_runs(profile, folder.parent)
    found: dict[tuple[str, str], list[tuple[Path, RunResult]]] = {}
    for path in sorted((folder / "runs").glob("*/*/seed-*.json")):
        run = read_run(path)
        check_place(path, run, profile)
        found.setdefault((run.task, run.method), []).append((path, run))
    behind = {pair: [one for one in runs if not counted or one[1].seed in counted] for pair, runs in found.items()}
    scales = read_scales(behind, profile, counted)
    families = []
    for (task, method), runs in found.items():
        path = report_path(folder, method, task)
        flow = read_record(path, FlowReport) if path.exists() else None
        seeds = []
        for path, run in sorted(runs, key=lambda one: one[1].seed):
            one = Found(path, run, policy_of(run, folder.parent), score_of(run, scales.get(task)), flow)
            seeds.append((one, run_entry(one)))
        paths = [path for path, _ in behind[task, method]]
        shown = [pair for pair in seeds if pair[0].path in paths] or seeds
        families.append((method_entry(shown), {one.result.run_key: entry for one, entry in seeds}))
    return families


def read_scales(
    found: Mapping[tuple[str, str], list[tuple[Path, RunResult]]], profile: str, seeds: Sequence[int]
) -> dict[str, tuple[float, float]]:
    """The reference returns of the tasks that have them."""
    complete = {
        pair: [check_complete(path, run) for path, run in runs if run.status == "complete"]
        for pair, runs in found.items()
    }
    known = [task for task in dict.fromkeys(task for task, _ in found) if task in list_tasks()]
    complete = {pair: runs for pair, runs in complete.items() if runs}
    selection = Selection(profile, tuple(known), (), tuple(seeds), complete)
    scales = {task: scale(selection, task) for task in known}
    return {task: ends for task, ends in scales.items() if not isinstance(ends, str)}


def score_of(run: RunResult, ends: tuple[float, float] | None) -> float | None:
    """A run's score, if its task has reference returns."""
    if ends is None or run.returns is None:
        return None
    return (run.returns.final.mean - ends[0]) / (ends[1] - ends[0])


def policy_of(run: RunResult, results: Path) -> Path | None:
    """The file of a run's last policy, if it is on this machine."""
    path = Run(run.profile, run.task, run.method, run.seed).checkpoint(results)
    try:
        return path if load_tensors(path)[1].get("run_key") == run.run_key else None
    except UserError:
        return None
