"""Results of a whole profile with known effects, for the tests of the claims: a world in which every claim holds.

Tests change what one method did on some tasks (:meth:`World.change`), leave runs out, or let them fail, and write it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis.claims.rule import Claim, Reading
from benchmark.publishing.claims import judge
from benchmark.records.reports import FlowReport, TimedRound, TimingReport, VisitedReport, report_path, timing_path
from benchmark.records.results import (
    TOLERANCES,
    Evaluation,
    FinalPolicy,
    Provenance,
    Returns,
    RunResult,
    Seconds,
    ViolationCount,
    Violations,
)
from benchmark.records.selection import read_selection
from envs.registry import make_task

TASKS = ("R+L2", "HC+O", "H+M", "W+M", "BSS-3", "BSS-5")
FLOW, QP = "flowpg", "ddpg-projection-qp"
BASELINES = ("ddpg-projection", "nfw", "ddpg-penalty")
METHODS = (FLOW, "flowpg-spline", *BASELINES, QP)
SEEDS = (0, 1, 2)
JUDGED, FINAL_JUDGED, DRAWS = 90_000, 300_000, 1_000_000
# How seeds differ, as factors.
SPREAD = (0.98, 1.0, 1.03)

Shares = Mapping[float, float] | float


@dataclass(frozen=True)
class Arm:
    """What one method did on one task; tuples have one entry a seed, mappings one a tolerance.

    Attributes:
        missed: Policy outputs that violate in training, of ``JUDGED``.
        seconds: Of the published number of training steps, a round of timing each.
        prepare: Samples and training of its flow.
        returns: Of the final policy.
        best: Of the best policy; as the final one if None.
        first: Return at the first evaluation.
        valid: Share of the last policy's outputs that is valid, of ``FINAL_JUDGED``.
        machine: Processor that the flow was trained on.
    """

    missed: tuple[int, ...] | Mapping[float, tuple[int, ...]]
    seconds: tuple[float, ...]
    prepare: float = 0.0
    returns: tuple[float, ...] = (100.0, 100.4, 99.8)
    best: tuple[float, ...] | None = None
    first: float = -100.0
    valid: Shares = 0.4
    machine: str = "Example CPU 3000"


GOOD_FLOW = Arm((100, 104, 97), (100.0, 101.0, 99.5), prepare=10.0, returns=(101.0, 101.3, 100.8), valid=0.99999)
ARMS = {
    FLOW: GOOD_FLOW,
    "flowpg-spline": GOOD_FLOW,
    QP: Arm((3000, 3080, 2950), (300.0, 302.0, 299.0)),
    **dict.fromkeys(BASELINES, Arm((3000, 3080, 2950), (250.0, 251.0, 249.0))),
}


@dataclass
class World:
    """Results of one profile.

    Attributes:
        budget: Share of the published steps that the runs have.
        updates: Of the flow.
        validity: Of the flow with uniform latents at sampled states, by task; a share or one by tolerance.
        missing: Runs left out, as (task, method, seed).
        failed: Runs that failed, likewise.
        untimed: Tasks that were not timed.
        busy_cores: What else the machine did during the timing.
    """

    tasks: tuple[str, ...] = TASKS
    seeds: tuple[int, ...] = SEEDS
    profile: str = "paper"
    budget: float = 1.0
    updates: int = 195_300
    arms: dict[tuple[str, str], Arm] = field(default_factory=lambda: {(t, m): ARMS[m] for t in TASKS for m in METHODS})
    validity: dict[str, Shares] = field(default_factory=lambda: dict.fromkeys(TASKS, 0.99995))
    missing: set[tuple[str, str, int]] = field(default_factory=set)
    failed: set[tuple[str, str, int]] = field(default_factory=set)
    untimed: set[str] = field(default_factory=set)
    busy_cores: float = 0.01

    def change(self, methods: Iterable[str], tasks: Iterable[str] = TASKS, **changes: Any) -> World:
        """Let these methods have done otherwise on these tasks."""
        for key in ((task, method) for task in tasks for method in methods):
            self.arms[key] = dataclasses.replace(self.arms[key], **changes)
        return self

    def write(self, results: Path) -> Path:
        """Write everything below ``results / profile``, whose path is returned."""
        folder = results / self.profile
        folder.mkdir(parents=True)
        for task in self.tasks:
            if task not in self.untimed:
                self.timing(task).write(timing_path(folder, task))
            for flow in (FLOW, "flowpg-spline"):
                for states in ("sampled", "visited"):
                    path = report_path(folder, flow, task, states)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(self.report(task, flow, states).model_dump_json())
            for method in METHODS:
                for place, seed in enumerate(self.seeds):
                    if (task, method, seed) not in self.missing:
                        path = folder / "runs" / task / method / f"seed-{seed}.json"
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_text(self.run(task, method, seed, place).model_dump_json())
        return folder

    def report(self, task: str, flow: str, states: str) -> FlowReport | VisitedReport:
        """A flow's report; boundary latents are always bad."""
        validity = {"uniform": shares(self.validity[task]), "boundary": shares(0.5)}
        shared: dict[str, Any] = {"task": task, "flow": flow, "profile": self.profile, "draws": DRAWS}
        if states == "visited":
            return VisitedReport(**shared, seeds=list(self.seeds), states=100, validity=validity)
        curve = {"update": [float(self.updates)], "test_nll": [1.0]}
        arm = self.arms[task, flow]
        shared |= {"recall": 0.99, "seconds": arm.prepare, "provenance": provenance(arm.machine)}
        return FlowReport(**shared, validity=validity, curve=curve)

    def timing(self, task: str) -> TimingReport:
        """What a training step of each method costs; it is all update."""
        rest = {"act": 0.0, "project": 0.0, "env": 0.0, "other": 0.0, "busy_cores": self.busy_cores}
        steps = make_task(task).steps
        rounds = {
            method: [TimedRound(update=seconds / steps, **rest) for seconds in self.arms[task, method].seconds]
            for method in METHODS
        }
        return TimingReport(
            task=task,
            profile=self.profile,
            steps=100,
            rounds=rounds,
            solvers={method: "cvxpy" if method == QP else "exact" for method in METHODS},
            flows=[method for method in METHODS if method.startswith("flowpg")],
            keys=dict.fromkeys(METHODS, "0"),
            provenance=provenance("Example CPU 3000"),
        )

    def run(self, task: str, method: str, seed: int, place: int) -> RunResult:
        """One run."""
        arm, steps = self.arms[task, method], int(self.budget * make_task(task).steps)
        config: dict[str, Any] = {"steps": steps, "method": {}}
        if method.startswith("flowpg"):
            config["method"]["flow"] = {"updates": self.updates}
        if method == QP:
            config["method"]["solver"] = "cvxpy"
        fields: dict[str, Any] = {"task": task, "method": method, "seed": seed, "profile": self.profile}
        fields |= {"config": config, "run_key": f"{task} {method} {seed}", "versions": {}}
        fields["provenance"] = provenance(arm.machine)
        if (task, method, seed) in self.failed:
            return RunResult(**fields, status="failed", error="RuntimeError: diverged")
        missed = arm.missed if isinstance(arm.missed, Mapping) else dict.fromkeys(TOLERANCES, arm.missed)
        policy = count(JUDGED, {tol: 1 - seeds[place] / JUDGED for tol, seeds in missed.items()})
        total = arm.prepare + arm.seconds[place % len(arm.seconds)]
        final = evaluation(steps, arm.returns[place])
        return RunResult(
            **fields,
            status="complete",
            returns=Returns(
                final=final,
                best=evaluation(steps, (arm.best or arm.returns)[place]),
                evaluations=[evaluation(steps // 10, arm.first), final],
            ),
            violations=Violations(policy=policy, behaviour=policy, executed=policy),
            final_policy=FinalPolicy(violations=count(FINAL_JUDGED, arm.valid), contexts=[]),
            seconds=Seconds(prepare=arm.prepare, update=arm.seconds[place % len(arm.seconds)], total=total),
        )

    def judge(self, folder: Path) -> dict[str, Claim]:
        """Every claim by its id, judged by what was written to ``folder``."""
        found = read_selection(folder, self.profile, self.tasks, METHODS, self.seeds)
        return {claim.id: claim for claim in judge(found, folder)}


def reading(claim: Claim, name: str) -> Reading:
    """A reading of a claim by its name; the first, which is of the paper's flow, where flows have the same."""
    return next(reading for reading in claim.readings if reading.name == name)


def shares(valid: Shares) -> dict[str, float]:
    """A share for every tolerance."""
    by_tolerance = valid if isinstance(valid, Mapping) else dict.fromkeys(TOLERANCES, valid)
    return {f"{tol:g}": share for tol, share in by_tolerance.items()}


def count(n: int, valid: Shares) -> ViolationCount:
    by_tolerance = shares(valid)
    missed = round(n * (1 - by_tolerance["0"]))
    return ViolationCount(n=n, count=missed, mean=0.1 if missed else 0.0, max=0.2, valid_share=by_tolerance)


def evaluation(step: int, value: float) -> Evaluation:
    return Evaluation(step=step, mean=value, episodes=[value])


def provenance(processor: str) -> Provenance:
    return Provenance(
        commit="0123456789abcdef",
        dirty=False,
        diff_sha256=None,
        lock_sha256=None,
        versions={},
        processor=processor,
        accelerator=None,
        threads=1,
        started="2026-01-02T03:04:05+00:00",
    )


# --- what the experiments leave ---------------------------------------------------------------------------------------


def write_experiment(folder: Path, name: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Rows as ``experiments/<name>.csv`` below a profile's folder."""
    path = folder / "experiments" / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame(list(rows)).to_csv(path, index=False)


def rates(key: Mapping[str, object], sampler: str, rate: float, width: float = 0.05, **more: float) -> list[Any]:
    """Rows of one sampler: its effective samples a second within so much, and ``more`` quantities."""
    ends = {} if width == 0 else {"low": rate * (1 - width), "high": rate * (1 + width)}
    row = {**key, "sampler": sampler, "n": 5 if width else 1}
    main = row | {"quantity": "effective_per_second", "value": rate} | ends
    return [main, *(row | {"quantity": quantity, "value": value} for quantity, value in more.items())]


def circle_rows(hmc: float, ring: float | None = None, rhat: float = 1.001) -> list[Any]:
    """``e2``: rejection at 1,000, HMC at these rates on R+2D and, if given another, on R+Ring; as good on R+L2."""
    by_task = {"R+L2": hmc, "R+2D": hmc, "R+Ring": hmc if ring is None else ring}
    rows: list[Any] = []
    for task, rate in by_task.items():
        rows += [*rates({"task": task}, "hmc", rate, rhat=rhat), *rates({"task": task}, "rejection", 1000.0)]
    return rows


def growth_rows(psdd: float, width: float = 0.0, naive: float = 100.0) -> list[Any]:
    """``n2``: rejection at 100, a PSDD at this rate on allocations of 3 and 5 zones, HMC at 500 on another set."""
    rows: list[Any] = []
    for zones in (3, 5):
        key = {"family": "allocation", "dimension": zones, "share": 1e-2 / zones, "constraints": 1}
        for sampler, rate in (("psdd", psdd), ("rejection", 100.0), ("rejection-naive", naive)):
            rows += rates(key, sampler, rate, width)
    key = {"family": "weighted-l1", "dimension": 8, "share": 1e-3, "constraints": 1}
    return rows + rates(key, "hmc", 500.0, width) + rates(key, "rejection", 100.0, width)


def gradient_rows(
    flow: tuple[float, ...], layer: tuple[float, ...], tasks: Iterable[str] = ("R+L2", "HC+O")
) -> list[Any]:
    """``c6``: vanishing shares as (value, low, high), or (value,) where all seeds are equal."""
    rows = []
    for task in tasks:
        for method, number in ((FLOW, flow), ("ddpg-projection-layer", layer), ("nfw", (0.3, 0.2, 0.4))):
            ends = dict(zip(("low", "high"), number[1:], strict=False))
            row = {"task": task, "method": method, "quantity": "vanishing share", "value": number[0], "n": 3}
            rows.append({**row, **ends})
    return rows


def write_experiments(folder: Path) -> None:
    """All three, such that C5 and C6 hold."""
    write_experiment(folder, "e2", circle_rows(50_000.0))
    write_experiment(folder, "n2", growth_rows(50_000.0))
    write_experiment(folder, "c6", gradient_rows((0.0,), (0.4, 0.3, 0.5)))
