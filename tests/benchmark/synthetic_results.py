"""Results that nobody ran: valid, varied and decided by a seed; what is derived from them is read back here too."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis.leaderboard import Leaderboard
from benchmark.publishing.tables import write_tables
from benchmark.records import reports, results
from benchmark.records.results import TOLERANCE_KEYS, TOLERANCES, Provenance, RunResult, Seconds, Violations
from benchmark.records.selection import read_selection

PROFILE = "quick"
STEPS = 20_000
PROCESSOR = "Example CPU 3000"
PROVENANCE = Provenance(
    commit="0123456789abcdef0123456789abcdef01234567",
    dirty=False,
    diff_sha256=None,
    lock_sha256="f" * 64,
    versions={"python": "3.11.13", "torch": "2.13.0"},
    processor=PROCESSOR,
    accelerator=None,
    threads=1,
    started="2026-01-02T03:04:05+00:00",
    machine="0" * 12,
)
TASKS = ("R+L2", "HC+O", "H+M", "W+M", "BSS-3", "BSS-5")
# What most tests fill a folder with.
TWO_TASKS = TASKS[:2]
METHODS = ("flowpg", "ddpg-projection", "nfw", "ddpg-penalty", "ddpg-projection-qp")
SEEDS = (0, 1)
# Tasks with their unconstrained ones, and returns near which those that count as 0 and as 1 lie.
ENDS = {"R+L2": ("R+N", -60.0, -5.0), "HC+O": ("HC+N", -300.0, 4500.0)}
Record = RunResult | reports.FlowReport | reports.VisitedReport | reports.TimingReport | reports.CoverageReport


def generator(*key: object) -> np.random.Generator:
    """A generator that the key alone decides (``hash`` would differ from process to process)."""
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def make_provenance(**changes: Any) -> Provenance:
    """Where everything here is said to come from, with ``changes``."""
    return PROVENANCE.model_copy(update=changes)


def make_count(rng: np.random.Generator, n: int, share: float, size: float) -> results.ViolationCount:
    sizes = rng.exponential(size, int(n * share))
    valid = {key: 1 - float((sizes > tol).sum()) / n for key, tol in zip(TOLERANCE_KEYS, TOLERANCES, strict=True)}
    found = {"mean": float(sizes.mean()), "max": float(sizes.max())} if sizes.size else {"mean": 0.0, "max": 0.0}
    return results.ViolationCount(n=n, count=sizes.size, valid_share=valid, **found)


def make_violations(rng: np.random.Generator, method: str, steps: int) -> Violations:
    share = {"flowpg": 0.003, "nfw": 0.4}.get(method, 0.25) * rng.uniform(0.8, 1.2)
    return Violations(
        policy=make_count(rng, steps, share, 0.05),
        behaviour=make_count(rng, steps, min(2 * share, 1.0), 0.1),
        executed=make_count(rng, steps, 0.0, 1.0),
    )


def make_evaluation(step: int, *episodes: float) -> results.Evaluation:
    return results.Evaluation(step=step, mean=float(np.mean(episodes)), episodes=list(episodes))


def make_returns(rng: np.random.Generator, task: str, steps: int) -> results.Returns:
    low, high = {"R+L2": (-50.0, -6.0), "HC+O": (-200.0, 4000.0)}.get(task, (-2000.0, -700.0))
    speed, top = rng.uniform(3, 6), high - (high - low) * rng.uniform(0.0, 0.3)
    evaluations = []
    for step in np.linspace(0, steps, 21, dtype=int):
        level = low + (top - low) * (1 - np.exp(-speed * step / steps))
        evaluations.append(make_evaluation(int(step), *rng.normal(level, abs(top - low) / 20, 5).round(6).tolist()))
    best = max(evaluations, key=lambda evaluation: evaluation.mean)
    return results.Returns(final=evaluations[-1], best=best, evaluations=evaluations)


def make_seconds(rng: np.random.Generator, method: str) -> Seconds:
    factor = rng.uniform(0.97, 1.03)
    parts = {
        "prepare": 95.0 if method == "flowpg" else 0.0,
        "act": 30.0 if method == "flowpg" else 12.0,
        "project": 150.0 if method == "ddpg-projection-qp" else 8.0,
        "env": 9.0,
        "update": 190.0 if method == "flowpg" else 110.0,
    }
    scaled = {name: seconds * factor for name, seconds in parts.items()}
    return Seconds(**scaled, evaluate=14.0 * factor, total=sum(scaled.values()) + 2.5)


def make_curves(rng: np.random.Generator, steps: int, violations: Violations) -> dict[str, list[float]]:
    grown = np.linspace(0, 1, 50) ** rng.uniform(0.3, 0.8)
    found = {"step": np.linspace(steps / 50, steps, 50).round().tolist()}
    for actions in ("policy", "behaviour"):
        found[f"violations/{actions}"] = (grown * getattr(violations, actions).count).round().tolist()
    return found | {"critic_loss": rng.exponential(1.0, 50).tolist()}


def make_validity(rng: np.random.Generator) -> dict[str, dict[str, float]]:
    validity = {}
    for kind, share in (("uniform", 0.03), ("boundary", 0.4)):
        misses = share * rng.uniform(0.5, 1.0) * np.exp(-np.asarray(TOLERANCES) / 0.002)
        validity[kind] = dict(zip(TOLERANCE_KEYS, (1 - misses).round(5).tolist(), strict=True))
    return validity


def make_key(task: str, method: str, seed: int) -> str:
    """The key of a run that :func:`make_run` makes."""
    return f"{zlib.crc32(repr((task, method, seed)).encode()):064x}"


def make_run(task: str = "R+L2", method: str = "flowpg", seed: int = 0, **changes: Any) -> RunResult:
    """A complete run."""
    rng = generator(task, method, seed)
    violations = make_violations(rng, method, STEPS)
    fields: dict[str, Any] = {
        "run_key": make_key(task, method, seed),
        "versions": {"protocol": 1, task: 0, method: 1},
        "status": "complete",
        "task": task,
        "method": method,
        "seed": seed,
        "profile": PROFILE,
        "config": {"steps": STEPS, "gamma": 0.98, "network": {"hidden": [400, 300], "rate": 1e-3}},
        "returns": make_returns(rng, task, STEPS),
        "violations": violations,
        "final_policy": results.FinalPolicy(violations=make_count(rng, 500, 0.1, 0.05), contexts=[]),
        "curves": make_curves(rng, STEPS, violations),
        "visited": rng.normal(size=(4, 2)).tolist(),
        "calls": results.Calls(project=STEPS, project_rows=STEPS),
        "seconds": make_seconds(rng, method),
        "provenance": PROVENANCE,
    }
    return RunResult(**(fields | changes))


def make_run_with_return(task: str, method: str, seed: int, value: float, **changes: Any) -> RunResult:
    """A complete run whose last policy has this return."""
    run = make_run(task, method, seed, **changes)
    assert run.returns is not None
    returns = run.returns.model_copy(update={"final": make_evaluation(STEPS, value)})
    return run.model_copy(update={"returns": returns})


def make_failure(task: str, method: str, seed: int, **changes: Any) -> RunResult:
    """A run that stopped with an error."""
    error = "Traceback (most recent call last):\n  ...\nRuntimeError: loss is not | finite"
    failed: dict[str, Any] = {"status": "failed", "error": error, "returns": None, "curves": {}}
    failed |= {"violations": None, "final_policy": None}
    return make_run(task, method, seed, **(failed | changes))


def make_flow(task: str = "R+L2", method: str = "flowpg", **changes: Any) -> reports.FlowReport:
    """A report on the flow of a task."""
    rng = generator(task, method, "flow")
    fields: dict[str, Any] = {
        "task": task,
        "flow": method,
        "profile": PROFILE,
        "draws": 100_000,
        "validity": make_validity(rng),
        "recall": round(float(rng.uniform(0.9, 1.0)), 5),
        "curve": {"step": [0.0, 100.0], "nll": [2.0, 1.0]},
        "seconds": float(rng.uniform(80, 120)),
        "provenance": PROVENANCE,
    }
    return reports.FlowReport(**(fields | changes))


def make_visited(task: str = "R+L2", method: str = "flowpg", **changes: Any) -> reports.VisitedReport:
    """A report on the flow of a task at visited states."""
    validity = {str(seed): make_validity(generator(task, method, "visited", seed)) for seed in SEEDS}
    fields: dict[str, Any] = {"task": task, "flow": method, "profile": PROFILE, "draws": 100_000}
    fields |= {"validity": validity, "run_keys": {str(seed): make_key(task, method, seed) for seed in SEEDS}}
    return reports.VisitedReport(**(fields | {"provenance": PROVENANCE} | changes))


def make_timing(task: str = "R+L2", methods: tuple[str, ...] = METHODS, **changes: Any) -> reports.TimingReport:
    """What a training step of these methods costs."""
    rounds = {}
    for method in methods:
        seconds = [make_seconds(generator(task, method, "round", number), method) for number in range(3)]
        parts = [{name: getattr(one, name) / STEPS for name in ("act", "project", "env", "update")} for one in seconds]
        rounds[method] = [reports.TimedRound(**one, other=0.0001, busy_cores=0.01) for one in parts]
    fields: dict[str, Any] = {"task": task, "profile": PROFILE, "steps": 200, "rounds": rounds, "flows": ["flowpg"]}
    fields |= {"solvers": dict.fromkeys(methods, "exact"), "keys": dict.fromkeys(methods, "0")}
    return reports.TimingReport(**(fields | {"provenance": PROVENANCE} | changes))


def path_of(folder: Path, record: Record) -> Path:
    """Where a record lies below ``folder`` (``results/<profile>``)."""
    match record:
        case RunResult():
            return folder / "runs" / record.task / record.method / f"seed-{record.seed}.json"
        case reports.FlowReport() | reports.VisitedReport():
            states = "sampled" if isinstance(record, reports.FlowReport) else "visited"
            return reports.report_path(folder, record.flow, record.task, states)
        case reports.TimingReport():
            return reports.timing_path(folder, record.task)
        case reports.CoverageReport():
            return reports.coverage_path(folder, record.task)


def save(folder: Path, *records: Record) -> Path:
    """Write records to their places below ``folder``; the last one's path."""
    for record in records:
        path = path_of(folder, record)
        record.write(path)
    return path


def fill(folder: Path, tasks: Sequence[str] = TASKS) -> None:
    """Write a complete run of every task, method and seed, and reports on every task's flow."""
    for task in tasks:
        save(folder, make_flow(task), make_visited(task))
        save(folder, *(make_run(task, method, seed) for method in METHODS for seed in SEEDS))


def save_anchors(folder: Path, seeds: Sequence[int] = SEEDS) -> None:
    """Write runs that returns are measured by, and of doing nothing, on ``TWO_TASKS``."""
    for task, (free, low, high) in ENDS.items():
        for seed in seeds:
            save(folder, make_run_with_return(task, "random-feasible", seed, low + seed))
            save(folder, make_run_with_return(free, "ddpg-projection", seed, high + seed))
            save(folder, make_run_with_return(task, "hold", seed, (low + high) / 2 + seed))


def alter(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON as one would who means it, without the digest that tells damage."""
    data = json.loads(path.read_text())
    if isinstance(data.get("provenance"), dict):
        data["provenance"]["sha256"] = ""
    change(data)
    path.write_text(json.dumps(data))


def board_of(
    folder: Path, tasks: Sequence[str] = TWO_TASKS, methods: Sequence[str] = METHODS, seeds: Sequence[int] = SEEDS
) -> Leaderboard:
    """The leaderboard of a folder."""
    return Leaderboard(read_selection(folder, PROFILE, tasks, methods, seeds))


def tables_of(
    folder: Path,
    tasks: Sequence[str] = TWO_TASKS,
    seeds: Sequence[int] = SEEDS,
    only_timed: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, str]:
    """Tables of a folder as they are written."""
    found = read_selection(folder, PROFILE, tasks, METHODS, seeds, only_timed=only_timed)
    return {path.name: path.read_text() for path in write_tables(Leaderboard(found), folder)}


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """A table that was written."""
    return pd.read_csv(folder / "tables" / f"{name}.csv", keep_default_na=True)


def row_of(table: str, *cells: str) -> list[str]:
    """The first row of a Markdown table that begins with the given cells."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return next(row for row in rows if tuple(row[: len(cells)]) == cells)
