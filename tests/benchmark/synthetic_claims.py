"""Results of a whole profile with known effects: a world in which every claim holds, until a test changes it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis.claims import Claims, evaluate_claims
from benchmark.analysis.claims.rule import Claim, Reading
from benchmark.records.reports import FlowReport, TimedRound, TimingReport, VisitedReport
from benchmark.records.results import TOLERANCES, FinalPolicy, Returns, RunResult, Seconds, ViolationCount, Violations
from benchmark.records.selection import Selection, check_complete
from envs.registry import make_task
from tests.benchmark import synthetic_results as synthetic
from tests.benchmark.synthetic_results import PROVENANCE, TASKS, make_evaluation, make_provenance

FLOW, QP = "flowpg", "ddpg-projection-qp"
BASELINES = ("ddpg-projection", "nfw", "ddpg-penalty", "ddpg-projection-target", "nfw-target")
FLOWS = (FLOW, "flowpg-spline")
METHODS = (*FLOWS, *BASELINES, QP)
TEMPLATE = synthetic.make_run()
SEEDS = (0, 1, 2)
JUDGED, FINAL_JUDGED, DRAWS = 90_000, 300_000, 1_000_000

UNTESTABLE = "not testable at this budget"
Shares = Mapping[float, float] | float


@dataclass(frozen=True)
class Arm:
    """What one method did on one task; tuples have one entry a seed, mappings one a tolerance.

    Policy outputs that missed are of ``JUDGED`` in training, and those that are valid at its end of ``FINAL_JUDGED``;
    seconds are of the published number of steps, a round of timing each; the flow was trained on ``machine``.
    """

    missed: tuple[int, ...] | Mapping[float, tuple[int, ...]]
    seconds: tuple[float, ...]
    prepare: float = 0.0
    returns: tuple[float, ...] = (100.0, 100.4, 99.8)
    best: tuple[float, ...] | None = None
    first: float = -100.0
    valid: Shares = 0.4
    machine: str | None = PROVENANCE.machine


GOOD_FLOW = Arm((100, 104, 97), (100.0, 101.0, 99.5), prepare=10.0, returns=(101.0, 101.3, 100.8), valid=0.99999)
ARMS = {
    FLOW: GOOD_FLOW,
    "flowpg-spline": GOOD_FLOW,
    QP: Arm((3000, 3080, 2950), (300.0, 302.0, 299.0)),
    **dict.fromkeys(BASELINES, Arm((3000, 3080, 2950), (250.0, 251.0, 249.0))),
}


@dataclass
class World:
    """Results of one profile, with a share ``budget`` of the published steps and so many ``updates`` of the flow.

    ``validity`` is of uniform latents at sampled states, by task; missing and failed runs are (task, method, seed).
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
        for key in itertools.product(tasks, methods):
            self.arms[key] = dataclasses.replace(self.arms[key], **changes)
        return self

    def found(self) -> Selection:
        """All of it, as it would be read from files."""
        found = Selection(self.profile, self.tasks, METHODS, self.seeds)
        for task in self.tasks:
            if task not in self.untimed:
                found.timing[task] = self.timing(task)
            for flow in FLOWS:
                found.flows[task, flow], found.visited[task, flow] = self.reports(task, flow)
            for method in METHODS:
                for place, seed in enumerate(self.seeds):
                    if (task, method, seed) in self.missing:
                        continue
                    run = self.run(task, method, seed, place)
                    if run.status == "failed":
                        found.failures.append(run)
                    else:
                        found.complete.setdefault((task, method), []).append(check_complete(Path(), run))
        return found

    def evaluate(self, folder: Path = Path("no-experiments")) -> Claims:
        """Every claim, by these results and by the experiments below ``folder``."""
        return evaluate_claims(self.found(), folder)

    def claims(self, folder: Path = Path("no-experiments")) -> dict[str, Claim]:
        """The same by their ids."""
        return {claim.id: claim for claim in self.evaluate(folder).all}

    def reports(self, task: str, flow: str) -> tuple[FlowReport, VisitedReport]:
        """A flow's reports; boundary latents are always bad."""
        validity = {"uniform": shares(self.validity[task]), "boundary": shares(0.5)}
        arm, shared = self.arms[task, flow], {"profile": self.profile, "draws": DRAWS}
        curve = {"update": [float(self.updates)], "test_nll": [1.0]}
        own = {"curve": curve, "seconds": arm.prepare, "provenance": make_provenance(machine=arm.machine)}
        visited = synthetic.make_visited(task, flow, **shared, validity=dict.fromkeys(map(str, self.seeds), validity))
        return synthetic.make_flow(task, flow, **shared, **own, validity=validity, recall=0.99), visited

    def timing(self, task: str) -> TimingReport:
        """What a training step of each method costs; it is all update."""
        rest = dict.fromkeys(("act", "project", "env", "other"), 0.0) | {"busy_cores": self.busy_cores}
        steps = make_task(task).steps
        rounds = {
            method: [TimedRound(update=seconds / steps, **rest) for seconds in self.arms[task, method].seconds]
            for method in METHODS
        }
        solvers = {method: "cvxpy" if method == QP else "exact" for method in METHODS}
        return synthetic.make_timing(
            task, METHODS, profile=self.profile, rounds=rounds, solvers=solvers, flows=list(FLOWS)
        )

    def run(self, task: str, method: str, seed: int, place: int) -> RunResult:
        """One run."""
        arm, steps = self.arms[task, method], int(self.budget * make_task(task).steps)
        config: dict[str, Any] = {"steps": steps, "method": {}}
        if method in FLOWS:
            config["method"]["flow"] = {"updates": self.updates}
        if method == QP:
            config["method"]["solver"] = "cvxpy"
        missed = arm.missed if isinstance(arm.missed, Mapping) else dict.fromkeys(TOLERANCES, arm.missed)
        policy = count(JUDGED, {tol: 1 - seeds[place] / JUDGED for tol, seeds in missed.items()})
        update, final = arm.seconds[place % len(arm.seconds)], make_evaluation(steps, arm.returns[place])
        best = make_evaluation(steps, (arm.best or arm.returns)[place])
        first = make_evaluation(steps // 10, arm.first)
        made = TEMPLATE.model_copy(
            update={
                **{"task": task, "method": method, "seed": seed, "profile": self.profile, "config": config},
                "returns": Returns(final=final, best=best, evaluations=[first, final]),
                "violations": Violations(policy=policy, behaviour=policy, executed=policy),
                "final_policy": FinalPolicy(violations=count(FINAL_JUDGED, arm.valid), contexts=[]),
                "seconds": Seconds(prepare=arm.prepare, update=update, total=arm.prepare + update),
                "provenance": make_provenance(machine=arm.machine),
            }
        )
        if (task, method, seed) in self.failed:
            nothing = dict.fromkeys(("returns", "violations", "final_policy"))
            return made.model_copy(update={**nothing, "status": "failed", "error": "RuntimeError: diverged"})
        return made


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


def write_experiment(folder: Path, name: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Rows as ``experiments/<name>.csv`` below a profile's folder."""
    path = folder / "experiments" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
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
    return rows + rates(key, "hmc", 500.0, width, rhat=1.001) + rates(key, "rejection", 100.0, width)


def gradient_rows(
    flow: tuple[float, ...], layer: tuple[float, ...], tasks: Iterable[str] = ("R+L2", "HC+O")
) -> list[Any]:
    """``c6``: shares of states where the gradient is lost as (value, low, high), or (value,) where seeds are equal."""
    rows = []
    layers = dict.fromkeys(("ddpg-projection-layer", "dopt"), layer)
    for task in tasks:
        for method, number in ({FLOW: flow, "drad": (0.3, 0.2, 0.4)} | layers).items():
            ends = dict(zip(("low", "high"), number[1:], strict=False))
            row = {"task": task, "method": method, "quantity": "lost share, along training", "value": number[0], "n": 3}
            rows.append({**row, **ends})
    return rows


def write_experiments(folder: Path) -> None:
    """All three, such that C5 and C6 hold."""
    write_experiment(folder, "e2", circle_rows(50_000.0))
    write_experiment(folder, "n2", growth_rows(50_000.0))
    write_experiment(folder, "c6", gradient_rows((0.0,), (0.4, 0.3, 0.5)))
