"""C1: up to 99.98% of generated actions are valid."""

from __future__ import annotations

from benchmark.analysis.claims.effects import exact_share, share_over_seeds
from benchmark.analysis.claims.evidence import (
    DECIDING_TOLERANCES,
    FLOW,
    LEAST_SHARE,
    PAPER_TASKS,
    gap,
    short_of,
    steps_of,
    updates_of,
)
from benchmark.analysis.claims.rule import NOT_RUN, Claim, Finding, Reading, decide
from benchmark.analysis.statistics import Estimate, point
from benchmark.records.references import of_flow, of_runs
from benchmark.records.results import TOLERANCES
from benchmark.records.selection import Selection

THRESHOLD = 0.9998
SAMPLED = ("sampled", "uniform")
POLICY = ("visited", "policy")
SOURCES = (SAMPLED, ("sampled", "boundary"), ("visited", "uniform"), ("visited", "boundary"), POLICY)
DECIDING = {SAMPLED: "latents uniform", POLICY: "trained policies"}


def evaluate_validity(found: Selection) -> Claim:
    """The claim, by the paper's flow; other flows of the profile are shown."""
    others = [method for method in found.methods if method != FLOW and any(flow == method for _, flow in found.flows)]
    readings = [
        _reading(found, flow, states, latents, tolerance)
        for flow in (FLOW, *others)
        for states, latents in SOURCES
        for tolerance in TOLERANCES
    ]
    notes = [
        "Latents: uniform in the box, on its boundary, or those that trained policies put out (at every step of their "
        "last evaluation). One flow a task and method: its interval is over draws, not over trainings of a flow.",
        "The budget is the flow's updates where states are sampled, else the policies' steps; the updates have to "
        "suffice there too before anything is contradicted.",
        "Where C(s) does not depend on the state (R+L2, bike sharing) a flow is the same at every state, and so are "
        "its rows of sampled and of visited states.",
        "The flow is a RealNVP as the paper's, but wider and trained otherwise (docs/deviations.md), which favours the "
        "claim: the published widths do worse (docs/performance.md, Flows).",
    ]
    if others:
        notes.append(f"Not the paper's, so without a say: {', '.join(others)}.")
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
        findings=tuple(_finding(found, task, flow, source, f"{tolerance:g}") for task in PAPER_TASKS),
        up_to=True,
        decides=flow == FLOW and source in DECIDING and tolerance in DECIDING_TOLERANCES,
        tolerance=tolerance,
        aside="" if flow == FLOW else "Flows that are not the paper's",
    )


def _finding(found: Selection, task: str, flow: str, source: tuple[str, str], tolerance: str) -> Finding:
    effect = _effect(found, task, flow, source, tolerance)
    updates = updates_of(found, task, flow)
    if source[0] == "sampled":
        budget, wanted = updates, 1
        no_support = "" if effect.n else NOT_RUN
    else:
        budget, wanted = steps_of(found, task), len(found.seeds)
        no_support = gap(found, task, flow) or short_of(budget, LEAST_SHARE)
    no_contradiction = no_support or short_of(updates, LEAST_SHARE)
    outcome, why = decide(effect, THRESHOLD, no_support, no_contradiction)
    sources = (of_runs(task, flow) if source == POLICY else of_flow(task, flow, source[0]),)
    return Finding(task, effect, THRESHOLD, outcome, why, wanted, "share", budget, sources=sources)


def _effect(found: Selection, task: str, flow: str, source: tuple[str, str], tolerance: str) -> Estimate:
    states, latents = source
    if source == POLICY:
        final = [run.record.final_policy for run in found.runs(task, flow)]
        counts = [policy.violations for policy in final if policy and policy.violations.n]
        return share_over_seeds([count.valid_share[tolerance] for count in counts], [count.n for count in counts])
    visited = found.visited.get((task, flow))
    report = found.flows.get((task, flow)) if states == "sampled" else visited
    if report is None or latents not in report.validity:
        return point(None, 0)
    flows_or_seeds = len(visited.seeds) if states == "visited" and visited else 1
    return exact_share(report.validity[latents][tolerance], report.draws, flows_or_seeds)
