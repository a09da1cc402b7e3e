"""Trained policies as files to share, each with a card in Markdown that describes it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmark.publishing.tables.rendering import percent
from benchmark.records.config import Params
from benchmark.records.files import write_bytes, write_text
from benchmark.records.results import RunResult, read_run
from benchmark.records.runs import NoRunsError, Run, select, state_of
from benchmark.records.store import with_sorted_header
from benchmark.training.policies import TrainedPolicy, from_checkpoint
from envs.errors import UserError
from methods.base import describe_method

MEGABYTE = 1_000_000
TOLERANCE = 1e-6


class Written(NamedTuple):
    """The result of an export.

    Attributes:
        paths: Policies, their cards, and the flows that they act through.
        megabytes: Total size.
        left_out: Complete runs without a last policy, such as ``"HC+O flowpg seed 0: no checkpoint"``.
    """

    paths: list[Path]
    megabytes: float
    left_out: list[str]


def write_policies(
    params: Params,
    profile: str,
    results: Path,
    tasks: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    limit: float,
) -> Written:
    """Write the last policies of a profile's complete runs to ``results/<profile>/policies``.

    Shared files, such as the flow of a task, are written once. The same runs give the same bytes.

    Args:
        params: All settings.
        profile: Profile of the runs.
        results: Folder of all results.
        tasks: Tasks to export; all tasks of the profile if empty.
        methods: Methods to export; all methods of the profile if empty.
        seeds: Seeds to export; all seeds of the profile if empty.
        limit: Largest total size in megabytes.

    Raises:
        UserError: If there is no complete run, no checkpoint, or the files exceed the limit; nothing is written then.
    """
    chosen = params.profile(profile)
    runs = select(params, profile, tasks or chosen.tasks, methods or chosen.methods, seeds)
    complete = [run for run in runs if state_of(run, params, results)[0] == "complete"]
    if not complete:
        raise NoRunsError(profile, results)
    there = [run for run in complete if run.checkpoint(results).exists()]
    if not there:
        raise UserError(f"no checkpoint of profile '{profile}' in {results}: export on the machine that made the runs")
    left_out = [f"{run}: no checkpoint" for run in complete if run not in there]
    folder = results / profile
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        for run in there:
            _write_policy(run, results, made)
        files = [path for path in sorted(made.rglob("*")) if path.is_file()]
        size = sum(path.stat().st_size for path in files) / MEGABYTE
        if size > limit:
            raise UserError(
                f"{len(there)} policies take {size:.1f} MB, more than --limit {limit:g}: "
                "choose some with --task, --method or --seed, or raise the limit"
            )
        paths = [folder / path.relative_to(made) for path in files]
        for path, source in zip(paths, files, strict=True):
            write_bytes(path, source.read_bytes())
    return Written(paths, round(size, 3), left_out)


def _write_policy(run: Run, results: Path, made: Path) -> None:
    """Write one policy, its card and the flow it acts through to ``made``, instead of the profile's folder."""
    folder = results / run.profile
    result = read_run(run.path(results))
    policy = from_checkpoint(run, result, results)
    path = made / run.policy(results).relative_to(folder)
    policy.save(path, result.run_key)
    # A policy in git then stays the same file each time it is exported.
    write_bytes(path, with_sorted_header(path.read_bytes()))
    for artifact in policy.artifacts:
        write_bytes(made / "policies" / artifact.relative_to(folder), artifact.read_bytes())
    write_text(path.with_suffix(".md"), card(policy, result, run.policy(results), results))


def card(policy: TrainedPolicy, result: RunResult, path: Path, results: Path) -> str:
    """A Markdown card that says what a policy is, how good it is, and how to use it.

    Args:
        policy: The policy.
        result: The result of its run.
        path: Where the policy is written.
        results: Folder of all results.
    """
    assert result.returns is not None
    task, final, origin = policy.method.task, result.returns.final, result.provenance
    shared = [artifact.relative_to(results / result.profile) for artifact in policy.artifacts]
    facts = {
        "task": f"`{task.id}`: {task.env_id} with {task.constraint.formula()}",
        "method": f"`{result.method}`: {describe_method(result.method)}",
        "seed": str(result.seed),
        "training": f"{policy.config.steps:,} steps, profile `{result.profile}`",
        "return": f"{final.mean:.2f}, the mean of {len(final.episodes)} episodes with infeasible actions projected",
        "valid": _valid(result),
        "run key": f"`{result.run_key}`",
        "versions": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
        "libraries": ", ".join(f"{name} {version}" for name, version in origin.versions.items()),
        "commit": (origin.commit or "unknown") + (", with uncommitted changes" if origin.dirty else ""),
    }
    if shared:
        facts["acts through"] = ", ".join(f"`{Path('policies') / one}`, shared by all seeds" for one in shared)
    rows = "\n".join(f"| {name} | {_cell(fact)} |" for name, fact in facts.items())
    return f"""# {result.method} on {task.id}, seed {result.seed}

The last policy of one run. It needs no files but those in `policies`.

| | |
|---|---|
{rows}

Evaluate it:

```sh
acrl evaluate {path.as_posix()}
```

Act with it:

```python
import benchmark
import gymnasium

policy = benchmark.load_policy("{path.as_posix()}")
env = gymnasium.make("envs:{task.gym_id}")  # projects infeasible actions
obs, info = env.reset(seed=0)
obs, reward, terminated, truncated, info = env.step(policy(obs))
```
"""


def _valid(result: RunResult) -> str:
    if result.final_policy is None:
        return "not measured"
    violations = result.final_policy.violations
    share = percent(violations.valid_at(TOLERANCE))
    return f"{share}% of {violations.n:,} raw outputs, at tolerance {TOLERANCE:g}"


def _cell(text: str) -> str:
    """Text for the cell of a table, where a bar would begin the next cell."""
    return text.replace("|", "\\|")
