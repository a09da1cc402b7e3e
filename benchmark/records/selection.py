"""The results from which tables and figures are made: all of one profile, with failed and unused runs listed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from benchmark.records.config import Profile, recorded_config
from benchmark.records.provenance import machine_of
from benchmark.records.reports import (
    CoverageReport,
    FlowReport,
    TimingReport,
    VisitedReport,
    coverage_path,
    report_path,
    timing_path,
)
from benchmark.records.results import TOLERANCE_KEYS, Provenance, Returns, RunResult, Violations, read_record, read_run
from benchmark.records.runs import (
    HIGH_METHOD,
    IDLE_METHOD,
    LOW_METHOD,
    NoRunsError,
    reference_pairs,
    unconstrained_task,
)
from benchmark.records.submissions import Submission, read_submissions
from envs.errors import UserError
from envs.registry import make_task

ERROR_WIDTH = 200
TOO_SHORT = "too short to rank methods by"
Report = TypeVar("Report", FlowReport, VisitedReport)


@dataclass(frozen=True)
class CompleteRun:
    """A complete run, whose returns and violations are known to exist."""

    record: RunResult
    returns: Returns
    violations: Violations
    steps: int

    @property
    def machine(self) -> str:
        """What its times depend on besides the program."""
        return machine_of(self.record.provenance)


@dataclass(frozen=True)
class Selection:
    """Results of one profile for the given tasks, methods and seeds.

    Attributes:
        profile: Profile of all results.
        tasks: Ids of the tasks.
        methods: The given methods, then other submitted ones.
        seeds: The given seeds.
        complete: Complete runs by task and method, reference runs included.
        failures: Runs that are not complete, reference runs included; they count as missing.
        flows: Reports on flows by task and method, at sampled states.
        visited: Reports on flows by task and method, at the states that trained policies visit.
        timing: Timing of training steps, by task.
        coverage: Coverage of visited states by the flow's training states, by task.
        submitted: Description of each submitted method.
        unused: Paths, in the profile's folder, of runs of other tasks, methods or seeds.
        ranked: Whether the budget is long enough to rank methods by return.
        only_timed: Tasks on which a method is timed and not run.
        stale: Methods with complete runs of other versions or settings than today's, and their number of such runs.
    """

    profile: str
    tasks: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    complete: dict[tuple[str, str], list[CompleteRun]] = field(default_factory=dict)
    failures: list[RunResult] = field(default_factory=list)
    flows: dict[tuple[str, str], FlowReport] = field(default_factory=dict)
    visited: dict[tuple[str, str], VisitedReport] = field(default_factory=dict)
    timing: dict[str, TimingReport] = field(default_factory=dict)
    coverage: dict[str, CoverageReport] = field(default_factory=dict)
    submitted: dict[str, Submission] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    ranked: bool = True
    only_timed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stale: Mapping[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """As :func:`labelled`."""
        return labelled(self.profile, self.ranked)

    def runs(self, task: str, method: str) -> list[CompleteRun]:
        """The complete runs of a task and method, by seed."""
        return self.complete.get((task, method), [])

    def wanted(self, task: str, method: str) -> int:
        """The number of runs of a task and method that make it complete."""
        return 0 if task in self.only_timed.get(method, ()) else len(self.seeds)

    def lacking(self, task: str) -> list[str]:
        """The methods without a complete run of a task, of which some are wanted."""
        return [method for method in self.methods if self.wanted(task, method) and not self.runs(task, method)]

    def anchors(self, task: str) -> tuple[list[CompleteRun], list[CompleteRun]]:
        """The complete runs of a task's reference returns, score 0 and score 1."""
        free = unconstrained_task(make_task(task))
        return self.runs(task, LOW_METHOD), self.runs(free, HIGH_METHOD) if free else []

    def idle(self, task: str) -> list[CompleteRun]:
        """The complete runs of doing nothing on a task."""
        return self.runs(task, IDLE_METHOD)

    def of_task(self, task: str) -> list[CompleteRun]:
        """The complete runs of a task, by method and seed."""
        return [run for method in self.methods for run in self.runs(task, method)]

    def begun(self) -> tuple[str, ...]:
        """The tasks with a complete run of any method."""
        return tuple(task for task in self.tasks if self.of_task(task))

    def everything(self) -> list[CompleteRun]:
        """All complete runs, by task, method and seed."""
        return [run for task in self.tasks for run in self.of_task(task)]

    def steps(self, task: str) -> int | None:
        """Training budget of a task in environment steps; None without a complete run."""
        return next((run.steps for run in self.of_task(task)), None)


def labelled(profile: str, ranked: bool) -> str:
    """Name of a profile in headings and captions; it says if the budget is too short to rank methods."""
    return profile if ranked else f"{profile} ({TOO_SHORT})"


def read_profile(folder: Path, chosen: Profile) -> Selection:
    """Read the runs and reports that a profile asks for from its folder ``results/<profile>``.

    Raises:
        UserError: As :func:`read_selection`.
    """
    return read_selection(
        folder,
        folder.name,
        chosen.tasks,
        chosen.methods,
        chosen.seeds,
        ranked=chosen.ranked,
        only_timed=chosen.only_timed,
    )


def read_selection(
    folder: Path,
    profile: str,
    tasks: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    ranked: bool = True,
    only_timed: Mapping[str, Sequence[str]] | None = None,
) -> Selection:
    """Read the runs and reports of a profile from its folder ``results/<profile>``.

    Raises:
        UserError: If the folder is missing; a file is damaged, misplaced, or of another schema version or profile; or
            runs that would be averaged or compared had different settings.
    """
    if not folder.is_dir():
        raise NoRunsError(profile, folder.parent)
    submitted = read_submissions(folder)
    others = [method for method in submitted if method not in methods]
    found = Selection(
        profile,
        tuple(tasks),
        (*methods, *others),
        tuple(seeds),
        submitted=submitted,
        ranked=ranked,
        only_timed=only_timed or {},
    )
    _read_runs(found, folder)
    for task, method in itertools.product(tasks, methods):
        if (path := report_path(folder, method, task)).exists():
            found.flows[task, method] = _read_flow(path, FlowReport, profile, task, method)
        if (path := report_path(folder, method, task, "visited")).exists():
            found.visited[task, method] = _read_flow(path, VisitedReport, profile, task, method)
    for task in tasks:
        if (path := timing_path(folder, task)).exists():
            found.timing[task] = _read_timing(path, profile, task)
        if (path := coverage_path(folder, task)).exists():
            found.coverage[task] = read_record(path, CoverageReport)
            _check_report(path, "coverage", found.coverage[task], profile, task)
    arrange(found)
    check_comparable(found)
    return found


def _read_runs(found: Selection, folder: Path) -> None:
    """Sort every run in the profile's folder ``results/<profile>`` into ``found``."""
    wanted = set(itertools.product(found.tasks, found.methods))
    free = filter(None, (unconstrained_task(make_task(task)) for task in found.tasks))
    references = set(reference_pairs(found.tasks, free))
    for path in sorted((folder / "runs").glob("*/*/seed-*.json")):
        run = read_run(path)
        check_place(path, run, found.profile)
        pair = (run.task, run.method)
        if run.seed not in found.seeds or pair not in wanted | references:
            found.unused.append(path.relative_to(folder).as_posix())
        elif run.status == "complete":
            found.complete.setdefault(pair, []).append(check_complete(path, run))
        else:
            found.failures.append(run)


def check_place(path: Path, run: RunResult, profile: str) -> None:
    """Refuse a run whose path names another one, such as a file copied from elsewhere.

    Raises:
        UserError: If profile, task, method or seed differ, or the run had settings of its own.
    """
    if run.provenance.given:
        raise UserError(f"{path} was made with {' '.join(run.provenance.given)} and is no run of the profile: move it")
    if run.profile != profile:
        raise UserError(f"{path} is a run of profile '{run.profile}', not of '{profile}': profiles are never mixed")
    check_name(path, f"{run.task}/{run.method}/seed-{run.seed}.json")


def check_name(path: Path, place: str) -> None:
    """Check that the path of a run's file ends with the run's place.

    Raises:
        UserError: If it does not.
    """
    # Only the folder is resolved: a file may be a link into a cache.
    if not f"{path.parent.resolve().as_posix()}/{path.name}".endswith(f"/{place}"):
        raise UserError(f"{path} holds the run {place}: move it there or delete it")


def check_complete(path: Path, run: RunResult) -> CompleteRun:
    """Check that a run with status complete has all results.

    Raises:
        UserError: If something is missing.
    """
    steps = run.config.get("steps")
    if run.returns is None or run.violations is None or not isinstance(steps, int):
        raise UserError(f"{path} is marked complete but lacks returns, violations or config.steps; run it again")
    if run.seconds.total <= run.seconds.prepare:
        raise UserError(f"{path} is marked complete but its training took no time; run it again")
    counts = (run.violations.policy, run.violations.behaviour, run.violations.executed)
    if any(set(count.valid_share) != set(TOLERANCE_KEYS) for count in counts):
        raise UserError(f"{path} has shares at other tolerances than {', '.join(TOLERANCE_KEYS)}; run it again")
    return CompleteRun(run, run.returns, run.violations, steps)


def _read_flow(path: Path, kind: type[Report], profile: str, task: str, method: str) -> Report:
    """Read a report on a flow."""
    flow = read_record(path, kind)
    if flow.profile != profile:
        raise UserError(f"{path} is a report of profile '{flow.profile}', not of '{profile}': profiles are never mixed")
    if (flow.task, flow.flow) != (task, method):
        raise UserError(f"{path} holds a report on {flow.task}, {flow.flow}: move it there or delete it")
    if any(set(shares) != set(TOLERANCE_KEYS) for shares in flow.shares()):
        raise UserError(f"{path} has shares at other tolerances than {', '.join(TOLERANCE_KEYS)}; make it again")
    return flow


def _read_timing(path: Path, profile: str, task: str) -> TimingReport:
    """Read the timing of a task."""
    timing = read_record(path, TimingReport)
    _check_report(path, "timing", timing, profile, task)
    if not timing.rounds or set(timing.solvers) != set(timing.rounds):
        raise UserError(f"{path} lacks rounds or solvers; run `acrl timing {task} -p {profile}` again")
    if any(one.step <= 0 for rounds in timing.rounds.values() for one in rounds):
        raise UserError(f"{path} has a training step that took no time; run `acrl timing {task} -p {profile}` again")
    return timing


def _check_report(path: Path, what: str, report: TimingReport | CoverageReport, profile: str, task: str) -> None:
    """Refuse a report whose path names another profile or task."""
    if (report.profile, report.task) != (profile, task):
        raise UserError(f"{path} holds the {what} of {report.task}, profile '{report.profile}': move it or delete it")


def arrange(found: Selection) -> None:
    """Sort runs by seed as a number, since 'seed-10' precedes 'seed-2' in paths, and failures as in tables."""
    for runs in found.complete.values():
        runs.sort(key=lambda run: run.record.seed)
    known = [*itertools.product(found.tasks, found.methods)]
    found.failures.sort(key=lambda run: (_position(known, (run.task, run.method)), run.task, run.method, run.seed))


def _position(known: Sequence[tuple[str, str]], pair: tuple[str, str]) -> int:
    """The place of a task and method in tables; reference runs come last."""
    return known.index(pair) if pair in known else len(known)


def check_comparable(found: Selection) -> None:
    """Refuse to compare or average runs with different settings.

    Raises:
        UserError: If a task's runs had different budgets, or the seeds of a method different configurations.
    """
    for task in found.tasks:
        low, high = found.anchors(task)
        budgets = sorted({run.steps for run in [*found.of_task(task), *low, *high, *found.idle(task)]})
        if len(budgets) > 1:
            listed = ", ".join(map(str, budgets))
            raise UserError(f"runs of {task} in profile '{found.profile}' have different budgets: {listed} steps")
    for (task, method), runs in found.complete.items():
        first = runs[0].record
        for run in (run.record for run in runs[1:]):
            if run.config == first.config:
                continue
            one, other = (recorded_config(each.config, method) for each in (first, run))
            if one != other:
                keys = sorted(k for k in one | other if one.get(k) != other.get(k))
                raise UserError(
                    f"{method} on {task}: seeds {first.seed} and {run.seed} were run with different {', '.join(keys)}; "
                    f"run the older of both again"
                )


def commits(origins: Sequence[Provenance]) -> str:
    """The commits that made results."""
    names = sorted({(origin.commit or "unknown")[:12] for origin in origins})
    dirty = any(origin.dirty for origin in origins)
    return (", ".join(names) or "unknown") + (" (with uncommitted changes)" if dirty else "")


def one_line(error: str | None) -> str:
    """The line of an error or traceback that names the cause."""
    lines = [line.strip() for line in (error or "").splitlines() if line.strip()]
    message = lines[-1] if lines else "no message"
    return message if len(message) <= ERROR_WIDTH else message[: ERROR_WIDTH - 3] + "..."
