"""C1 and C2: the share of a policy's outputs that is valid, and violations during training."""

from __future__ import annotations

import pandas as pd

from benchmark.analysis.claims import evidence
from benchmark.analysis.claims.evidence import BASELINES, DECIDING_TOLERANCES, FLOW, LEAST_SHARE, PAPER_TASKS, Count
from benchmark.analysis.claims.rule import NOT_RUN, Claim, Finding, Outcome, Reading, decide
from benchmark.analysis.statistics import Estimate, point
from benchmark.records.reports import of_flow, of_runs
from benchmark.records.results import TOLERANCES
from benchmark.records.selection import Selection
from envs.registry import make_task

CLAIMED_VALIDITY = 0.9998
SAMPLED = ("sampled", "uniform")
POLICY = ("visited", "policy")
SOURCES = (SAMPLED, ("sampled", "boundary"), ("visited", "uniform"), ("visited", "boundary"), POLICY)
DECIDING = {SAMPLED: "latents uniform", POLICY: "trained policies"}


def evaluate_validity(found: Selection) -> Claim:
    """The claim, judged by the paper's flow; other flows of the profile are shown."""
    others = [method for method in found.methods if method != FLOW and any(flow == method for _, flow in found.flows)]
    readings = [
        _reading(found, flow, states, latents, tolerance)
        for flow in (FLOW, *others)
        for states, latents in SOURCES
        for tolerance in TOLERANCES
    ]
    notes = [
        "Latents are uniform in the box, uniform on its boundary, or outputs of trained policies at every step of "
        "their last evaluation. There is one flow per task and method: at sampled states its interval is over draws, "
        "not over trainings, and at visited states over the policies that visit them. Policies that are all equal have "
        "an exact interval that takes outputs as independent, although those of an episode are not (docs/claims.md).",
        "For sampled states the budget is the updates that the flow's settings allow (it may stop earlier) or, without "
        "runs, those it made; otherwise it is the policies' steps. A contradiction needs enough updates as well.",
        "If C(s) does not depend on the state (R+L2, bike sharing), a flow is the same at every state, and its rows of "
        "sampled and visited states differ by their draws alone.",
        "The flow is a RealNVP like the paper's, but half as wide (128 instead of 256), with other layers and another "
        "training (docs/deviations.md). Together these changes favour the claim on W+M, where they were measured; the "
        "width alone changes little (docs/performance.md, Flows).",
    ]
    if others:
        notes.append(f"Other flows than the paper's do not count: {', '.join(others)}.")
    return Claim(
        id="C1",
        title="Valid actions",
        said="Up to 99.98% of the generated actions are valid.",
        source="summary",
        readings=tuple(readings),
        notes=tuple(notes),
    )


def _reading(found: Selection, flow: str, states: str, latents: str, tolerance: float) -> Reading:
    source = (states, latents)
    return Reading(
        name=f"{DECIDING.get(source, ' '.join(source))} at tolerance {tolerance:g}",
        keys={"flow": flow, "states": states, "latents": latents},
        column=f"valid at {tolerance:g} [%]",
        findings=tuple(_validity_finding(found, task, flow, source, f"{tolerance:g}") for task in PAPER_TASKS),
        up_to=True,
        decides=flow == FLOW and source in DECIDING and tolerance in DECIDING_TOLERANCES,
        tolerance=tolerance,
        aside="" if flow == FLOW else "Other flows",
    )


def _validity_finding(found: Selection, task: str, flow: str, source: tuple[str, str], tolerance: str) -> Finding:
    effect = _effect(found, task, flow, source, tolerance)
    updates = evidence.updates_of(found, task, flow)
    if source[0] == "sampled":
        budget, wanted = updates, 1
        no_support = "" if effect.n else NOT_RUN
    else:
        budget, wanted = evidence.steps_of(found, task), len(found.seeds)
        no_support = evidence.gap(found, task, flow) or evidence.short_of(budget, LEAST_SHARE)
    no_contradiction = no_support or evidence.short_of(updates, LEAST_SHARE)
    outcome, why = decide(effect, CLAIMED_VALIDITY, no_support, no_contradiction)
    sources = (of_runs(task, flow) if source == POLICY else of_flow(task, flow, source[0]),)
    return Finding(task, effect, CLAIMED_VALIDITY, outcome, why, wanted, "share", budget, sources=sources)


def _effect(found: Selection, task: str, flow: str, source: tuple[str, str], tolerance: str) -> Estimate:
    states, latents = source
    if source == POLICY:
        final = [run.record.final_policy for run in found.runs(task, flow)]
        counts = [policy.violations for policy in final if policy and policy.violations.n]
        shares = [count.valid_at(float(tolerance)) for count in counts]
        return evidence.share_over_seeds(shares, [count.n for count in counts])
    if states == "visited":
        visited = found.visited.get((task, flow))
        if visited is None:
            return point(None, 0)
        shares = visited.at(latents, float(tolerance))
        return evidence.share_over_seeds(shares, [visited.draws] * len(shares))
    report = found.flows.get((task, flow))
    if report is None:
        return point(None, 0)
    return evidence.exact_share(report.validity[latents][tolerance], report.draws, 1)


TIMES_FEWER = 10.0
BY_CONSTRUCTION = "a baseline that does not know of the equality misses it by construction at tolerance 0"


def evaluate_violations(found: Selection) -> Claim:
    """The claim, judged by the policies' outputs during training, before noise and repair."""
    readings = [
        Reading(
            name=f"against {baseline} at tolerance {tolerance:g}",
            keys={"baseline": baseline},
            column=f"ratio at {tolerance:g}",
            findings=tuple(_violation_finding(found, task, baseline, tolerance) for task in PAPER_TASKS),
            up_to=True,
            decides=tolerance in DECIDING_TOLERANCES,
            tolerance=tolerance,
        )
        for baseline in BASELINES
        for tolerance in TOLERANCES
    ]
    notes = (
        f"Ratios are the baseline's share of violating outputs over that of {FLOW}. If the flow had no violations, the "
        "ratio is ∞, and only its lower end is known.",
        f"Tasks with an equality are shown but not counted (·), because {BY_CONSTRUCTION}.",
    )
    return Claim(
        id="C2",
        title="Violations",
        said="Up to 10x fewer constraint violations than the baselines.",
        source="abstract",
        readings=tuple(readings),
        notes=notes,
        extra={"Violating outputs of each seed": _counts_table(found)},
    )


def _violation_finding(found: Selection, task: str, baseline: str, tolerance: float) -> Finding:
    effect = evidence.count_ratio(counts(found, task, baseline, tolerance), counts(found, task, FLOW, tolerance))
    budget, wanted = evidence.steps_of(found, task), len(found.seeds)
    solver, sources = evidence.solver_of(found, task, baseline), (of_runs(task, FLOW), of_runs(task, baseline))
    outcome: Outcome = "not counted"
    why, note, constraint = "", BY_CONSTRUCTION, make_task(task).constraint
    # An equality removes a degree of freedom.
    if constraint.free_dim == constraint.dim:
        no_support = evidence.gap(found, task, FLOW, baseline) or evidence.short_of(budget, LEAST_SHARE)
        no_contradiction = no_support or evidence.short_of(evidence.updates_of(found, task, FLOW), LEAST_SHARE)
        outcome, why = decide(effect, TIMES_FEWER, no_support, no_contradiction)
        note = ""
    return Finding(task, effect, TIMES_FEWER, outcome, why, wanted, "ratio", budget, solver, note, sources)


def counts(found: Selection, task: str, method: str, tolerance: float) -> list[Count]:
    """Outputs of a method's policies that violate beyond a tolerance, one count per seed."""
    judged = [run.violations.policy for run in found.runs(task, method)]
    return [Count(round(one.n * (1 - one.valid_at(tolerance))), one.n) for one in judged if one.n]


def _counts_table(found: Selection) -> pd.DataFrame:
    rows = []
    for task in PAPER_TASKS:
        for method in (FLOW, *BASELINES):
            by_tolerance = {tolerance: counts(found, task, method, tolerance) for tolerance in TOLERANCES}
            if not by_tolerance[0.0]:
                continue
            row = {"task": task, "method": method, "judged": _listed([c.judged for c in by_tolerance[0.0]])}
            rows.append(
                row | {f"at {tol:g}": _listed([c.missed for c in seeds]) for tol, seeds in by_tolerance.items()}
            )
    return pd.DataFrame(rows)


def _listed(numbers: list[int]) -> str:
    return "; ".join(f"{number:,}" for number in numbers)
