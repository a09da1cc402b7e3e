"""From the runs of a method on disk to a submission."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.config import Params
from benchmark.files import check_writable, read_bytes, write_bytes
from benchmark.machine import machine_of
from benchmark.missing import or_choose
from benchmark.results import DamagedFileError, RunResult, parse_record
from benchmark.runs import Run, select
from benchmark.selection import check_complete, check_place, one_line
from benchmark.submission.adapter import find_adapter
from benchmark.submission.archive import pack
from benchmark.submission.manifest import CONFIGS, MANIFEST, METHOD_ID, Configs, Manifest, PackedFile
from envs.errors import UserError

# An error is one line: what does not fit on it is in `acrl status`.
NAMED = 4


@dataclass(frozen=True)
class About:
    """What only the submitter knows: address of the method's repository, who submits, what describes it."""

    source: str = ""
    author: str = ""
    paper: str = ""


@dataclass
class Found:
    """Complete runs with the bytes of their files, and names of those that are missing."""

    runs: dict[Run, tuple[RunResult, bytes]] = field(default_factory=dict)
    missing: list[Run] = field(default_factory=list)


def submit(
    params: Params,
    profile: str,
    methods: Sequence[str],
    tasks: Sequence[str],
    results: Path,
    out: Path,
    about: About,
    incomplete: bool = False,
) -> Manifest:
    """Pack the complete runs of methods at a profile into one archive.

    Args:
        params: Settings.
        profile: Name of the profile.
        methods: Methods submitted.
        tasks: Only these tasks of the profile, if any.
        results: Folder of all results.
        out: The archive; the same runs give the same bytes.
        about: What the submitter says.
        incomplete: Pack fewer runs than the profile asks for, and say so.

    Returns:
        What the archive says of itself.

    Raises:
        UserError: If a run is failed, stale or damaged, or runs are missing and that is not allowed, or ``out`` cannot
            be written; nothing is written then.
    """
    asked, methods = params.profile(profile).tasks, list(dict.fromkeys(methods))
    for task in tasks:
        if task not in asked:
            raise UserError(f"task '{task}' is not of profile '{profile}': its tasks are {', '.join(asked)}")
    for method in methods:
        if not METHOD_ID.fullmatch(method):
            raise UserError(
                f"'{method}' cannot be submitted: give the method an id of letters, digits, '.', '_', '+', '-'"
            )
    if out.suffix != ".zip":
        raise UserError(f"{out} is no name of an archive: give one that ends in .zip")
    check_writable(out)
    chosen = [task for task in asked if task in tasks or not tasks]
    found = find_runs(params, profile, methods, chosen, results)
    if not found.runs:
        others = or_choose(profile, results, methods[0])
        raise UserError(f"no complete run to submit: make them with `acrl sweep {options(profile, methods)}`{others}")
    everything = list(select(params, profile, asked, methods))
    missing = [run for run in everything if run not in found.runs]
    if missing and not incomplete:
        raise UserError(
            f"{len(found.runs)} of {len(everything)} runs of profile {profile} are chosen and complete; missing: "
            f"{listed([name(run) for run in missing])}; make them with `acrl sweep {options(profile, methods)}`, or "
            "add --incomplete to submit what there is, which is then said of it"
        )
    files = {inside(run): content for run, (_, content) in found.runs.items()}
    files[CONFIGS] = json_bytes(configurations(params, found))
    manifest = describe(profile, methods, found, missing, files, about)
    write_bytes(out, pack({**files, MANIFEST: json_bytes(manifest.model_dump(mode="json"))}))
    return manifest


def find_runs(params: Params, profile: str, methods: Sequence[str], tasks: Sequence[str], results: Path) -> Found:
    """The complete runs among those of the given tasks and methods.

    Raises:
        UserError: If one is there that is no result of today's versions and settings.
    """
    found, refused = Found(), []
    for run in select(params, profile, tasks, methods):
        path = run.path(results)
        if not path.exists():
            found.missing.append(run)
            continue
        content = read_bytes(path)
        try:
            result = parse_record(content, path, RunResult)
        except DamagedFileError:
            refused.append(f"{name(run)} is damaged")
            continue
        check_place(path, result, profile)
        if result.status != "complete":
            ended = "failed" if result.status == "failed" else "timed out"
            refused.append(f"{name(run)} {ended} ({one_line(result.error)})")
        elif result.run_key != run.key(params):
            refused.append(f"{name(run)} is stale, of other versions or settings than today's")
        else:
            check_complete(path, result)
            found.runs[run] = (result, content)
    if refused:
        again = f"`acrl sweep {options(profile, methods)}` makes such runs anew"
        raise UserError(f"{len(refused)} runs cannot be submitted: {listed(refused)}; {again}")
    return found


def configurations(params: Params, found: Found) -> Configs:
    """The configuration of every task and method."""
    configs: Configs = {}
    for run in found.runs:
        configs.setdefault(run.task, {})[run.method] = run.config(params).model_dump(mode="json")
    return configs


def describe(
    profile: str,
    methods: Sequence[str],
    found: Found,
    missing: Sequence[Run],
    files: dict[str, bytes],
    about: About,
) -> Manifest:
    """The manifest of these files.

    Raises:
        UserError: If what the submitter says cannot be said.
    """
    origins = [result.provenance for result, _ in found.runs.values()]
    facts = about_runs([result for result, _ in found.runs.values()])
    try:
        return Manifest(
            profile=profile,
            complete=len(found.runs),
            expected=len(found.runs) + len(missing),
            incomplete=bool(missing),
            missing=[name(run) for run in missing],
            commits=sorted({origin.commit or "unknown" for origin in origins}),
            adapters=[find_adapter(method, about.source) for method in methods],
            author=about.author,
            paper=about.paper,
            files=[
                PackedFile(path=path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
                for path, content in sorted(files.items())
            ],
            **facts,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"--{first['loc'][-1]}: {first['msg'].removeprefix('Value error, ')}") from error


def about_runs(runs: Sequence[RunResult]) -> dict[str, Any]:
    """What a manifest says of its runs, and what is compared with that when a submission is verified."""
    origins = [run.provenance for run in runs]
    return {
        "tasks": list(dict.fromkeys(run.task for run in runs)),
        "methods": list(dict.fromkeys(run.method for run in runs)),
        "seeds": sorted({run.seed for run in runs}),
        "locks": sorted({origin.lock_sha256 or "unknown" for origin in origins}),
        "machines": sorted({machine_of(origin) for origin in origins}),
    }


def inside(run: Run | RunResult) -> str:
    """Where a run lies in the archive."""
    return f"runs/{run.task}/{run.method}/seed-{run.seed}.json"


def name(run: Run | RunResult) -> str:
    """A run in words."""
    return f"{run.task} {run.method} seed {run.seed}"


def listed(names: Sequence[str]) -> str:
    """The first of many names."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def options(profile: str, methods: Sequence[str]) -> str:
    """Options of a command that makes runs of these methods."""
    return " ".join([f"-p {profile}", *(f"--method {method}" for method in methods)])


def json_bytes(data: object) -> bytes:
    """Plain data as JSON, always the same bytes."""
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()
