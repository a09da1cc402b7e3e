"""What MLflow shows of a run and of a method on a task: names, tags, parameters, metrics and files.

Curves are on environment steps. A single number is logged at step 0, which MLflow shows as a bar.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmark.analysis.statistics import mean_of_common
from benchmark.publishing.mlflow.rows import Entry, Samples
from benchmark.records.reports import FlowReport
from benchmark.records.results import Evaluation, Provenance, RunResult, ViolationCount, Violations
from benchmark.records.runs import Run
from benchmark.records.selection import one_line
from benchmark.records.yaml import flatten
from envs.errors import UnknownIdError, UserError
from envs.registry import make_task
from methods.base import describe_method

STATUS = {"complete": "FINISHED", "failed": "FAILED", "timeout": "KILLED"}
# Violations of policy and behaviour over training.
COUNTED = {"violations/policy": "policy", "violations/behaviour": "behaviour"}
MADE = ("commit", "dirty", "diff_sha256", "lock_sha256", "processor", "accelerator", "threads", "started")
# By name and step.
Points = dict[tuple[str, int], float]


@dataclass(frozen=True)
class Found:
    """One run as it is on disk, and what other files add to it.

    Attributes:
        path: Its JSON.
        policy: Its last policy, if it is on this machine.
        score: Its score, if its task has reference returns.
        flow: The report on its flow, if there is one.
    """

    path: Path
    result: RunResult
    policy: Path | None = None
    score: float | None = None
    flow: FlowReport | None = None


def begun_entry(run: Run, key: str, config: Mapping[str, Any], origin: Provenance) -> Entry:
    """The entry of a run that has not measured anything yet."""
    command = f"acrl run {run.task} {run.method} --seed {run.seed} -p {run.profile}"
    command += "".join(f" {one.replace('=', ' ', 1)}" for one in run.given)
    names = {"task": run.task, "method": run.method, "seed": str(run.seed), "profile": run.profile}
    made = {name: getattr(origin, name) for name in MADE}
    made |= {f"version.{name}": version for name, version in origin.versions.items()}
    tags = {"kind": "run", "run_key": key, **names}
    tags |= {name: str(value) for name, value in made.items() if value is not None}
    tags |= {"mlflow.source.name": command, "mlflow.source.type": "LOCAL"}
    if origin.commit:
        tags["mlflow.source.git.commit"] = origin.commit
    return Entry(
        name=" ".join([run.task, run.method, "seed", str(run.seed), *run.given]),
        tags=tags | {"mlflow.note.content": f"{about(run.task, run.method)}\n\nMade by `{command}`."},
        params=[*names.items(), *flatten(config)],
        metrics=[],
        started_ms=milliseconds(origin.started),
    )


def run_entry(found: Found) -> Entry:
    """The entry of a run that has ended.

    Raises:
        UserError: If the file does not say when it was made.
    """
    run, seconds = found.result, found.result.seconds
    try:
        begun = begun_entry(
            Run(run.profile, run.task, run.method, run.seed, tuple(run.provenance.given or ())),
            run.run_key,
            run.config,
            run.provenance,
        )
    except ValueError as error:
        raise UserError(f"{found.path} is damaged at 'provenance.started': not a time; run it again") from error
    text = found.path.read_text("utf-8")
    ended = {"status": run.status, "json_sha256": hashlib.sha256(text.encode()).hexdigest()}
    ended |= {"error": one_line(run.error)} if run.error else {}
    return Entry(
        name=begun.name,
        tags=begun.tags | ended,
        params=begun.params,
        metrics=listed(points_of(found)),
        files={found.path.name: text},
        samples=samples_of(run),
        policy=found.policy,
        started_ms=begun.started_ms,
        ended_ms=begun.started_ms + int(1000 * (seconds.total + seconds.evaluate)),
        status=STATUS[run.status],
    )


def method_entry(seeds: Sequence[tuple[Found, Entry]]) -> Entry:
    """The entry of a method on a task: means over its complete seeds, for metrics that all of them have."""
    first = seeds[0][0].result
    complete = [(found, entry) for found, entry in seeds if found.result.status == "complete"]
    means = mean_of_common([{(name, step): value for name, value, step in entry.metrics} for _, entry in complete])
    listing = ", ".join(str(found.result.seed) for found, _ in complete)
    names = {"task": first.task, "method": first.method, "profile": first.profile}
    done = f"Means over seeds; {len(complete)} of {len(seeds)} runs are complete."
    tags = {"kind": "method", "group": f"{first.task} {first.method}", **names}
    return Entry(
        name=f"{first.task} {first.method}",
        tags=tags | {"mlflow.note.content": f"{about(first.task, first.method)}\n\n{done}"},
        params=[
            *names.items(),
            ("seed", listing or "none"),
            *(flatten(complete[0][0].result.config) if complete else ()),
        ],
        metrics=listed(means),
        started_ms=min(entry.started_ms for _, entry in seeds),
        ended_ms=max(entry.ended_ms or 0 for _, entry in seeds),
        status="FINISHED" if complete else "FAILED",
    )


def about(task: str, method: str) -> str:
    """One line on the method and one on the task, which say so if a plugin is not installed."""
    lines = []
    try:
        lines.append(f"**{method}**: {describe_method(method)}")
    except UnknownIdError:
        lines.append(f"**{method}**, which is not installed here.")
    try:
        spec = make_task(task)
        lines.append(f"**{task}**: {type(spec.constraint).__name__} on {spec.env_id}. Source: {spec.source}.")
    except UnknownIdError:
        lines.append(f"**{task}**, which is not installed here.")
    return "\n\n".join(lines)


def samples_of(run: RunResult) -> Samples | None:
    """The feasible actions that a run's flow was trained on; None for a run without a flow."""
    settings = run.config.get("method", {}).get("samples")
    if not isinstance(settings, dict) or "samples" not in run.versions:
        return None
    asked = f"{run.task} {run.versions.get(run.task)} {run.versions['samples']} {sorted(settings.items())}"
    return Samples(
        name=f"{run.task} samples",
        digest=hashlib.sha256(asked.encode()).hexdigest()[:12],
        source=f"results/{run.profile}/samples/{run.task}.safetensors",
        profile={name: value for name, value in settings.items() if isinstance(value, int)},
    )


def milliseconds(started: str) -> int:
    """A time in milliseconds since 1970.

    Raises:
        ValueError: If ``started`` is not a time.
    """
    return int(1000 * datetime.fromisoformat(started).timestamp())


# --- metrics ----------------------------------------------------------------------------------------------------------


def points_of(found: Found) -> Points:
    """Every metric of a run."""
    run, points = found.result, Points()
    if run.returns is not None:
        points |= curve_points(run.returns.evaluations, {}, None)
        points |= {("final/return", 0): run.returns.final.mean, ("return/best", 0): run.returns.best.mean}
    if run.violations is not None:
        for kind, count in run.violations:
            points |= count_points(f"violations/{kind}/", count)
    points |= curve_points([], run.curves, run.violations)
    if run.final_policy is not None:
        points |= valid_points("final/", run.final_policy.violations.valid_share)
    for prefix, record in (("seconds", run.seconds), ("calls", run.calls)):
        points |= {(f"{prefix}/{name}", 0): float(value) for name, value in record}
    if found.score is not None:
        points["final/score", 0] = found.score
    if found.flow is not None:
        points["flow/recall", 0] = found.flow.recall
        for latent, shares in found.flow.validity.items():
            points |= valid_points(f"flow/{latent}/", shares)
    return points


def curve_points(
    evaluations: Sequence[Evaluation], curves: Mapping[str, Sequence[float | None]], violations: Violations | None
) -> Points:
    """Metrics over training.

    Args:
        evaluations: Evaluations of the policy.
        curves: See :class:`benchmark.records.results.RunResult`.
        violations: Violations so far, which tell how many of the first steps were not judged.
    """
    points: Points = {("return/eval", one.step): one.mean for one in evaluations}
    for name, values in curves.items():
        for step, value in zip(curves["step"], values, strict=True) if name != "step" else ():
            if step is None or value is None:
                continue
            points[curve_name(name), int(step)] = value
            if name in COUNTED and violations is not None:
                judged = step - violations.behaviour.n + getattr(violations, COUNTED[name]).n
                points |= {(f"{name}/share", int(step)): value / judged} if judged > 0 else {}
    return points


def curve_name(name: str) -> str:
    """The metric's name of a curve, such as ``loss/critic`` for ``update/critic_loss`` or ``update/critics_loss``."""
    if name in COUNTED:
        return f"{name}/count"
    if name.startswith("update/"):
        # SAC names its losses by what they train, other learners in the singular.
        stem = name.removeprefix("update/").replace("critics_loss", "critic_loss")
        return f"loss/{stem.removesuffix('_loss')}" if stem.endswith("_loss") and stem != "_loss" else name
    return f"training/{name}"


def count_points(prefix: str, count: ViolationCount) -> Points:
    """Number and size of the violations of one kind of action over training."""
    numbers = {(prefix + name, 0): float(getattr(count, name)) for name in ("n", "mean", "max")}
    return numbers | valid_points(prefix, count.valid_share)


def valid_points(prefix: str, shares: Mapping[str, float | None]) -> Points:
    """Valid shares by tolerance, such as ``valid_1e-6`` for 1e-06."""
    named = {f"{prefix}valid_{tolerance.replace('e-0', 'e-')}": share for tolerance, share in shares.items()}
    return {(name, 0): share for name, share in named.items() if share is not None}


def listed(points: Points) -> list[tuple[str, float, int]]:
    """Name, value and step of each point."""
    return [(name, value, step) for (name, step), value in points.items()]
