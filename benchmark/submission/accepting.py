"""From a submission that was verified to runs on the leaderboard: everything in its place, or nothing."""

from __future__ import annotations

from pathlib import Path

from benchmark.anchors import anchor_pairs
from benchmark.config import Params
from benchmark.files import read_bytes, write_all
from benchmark.submission.accepted import Acceptance, acceptance_path, read_acceptance
from benchmark.submission.manifest import Manifest
from benchmark.submission.packing import listed
from benchmark.verification.checks import Options, judge
from benchmark.verification.report import Findings, Verification
from benchmark.verification.sources import Source, read_source
from envs.errors import UserError


def accept(path: Path, params: Params, options: Options) -> tuple[Verification, list[Path]]:
    """Verify a submission, and put its runs and a record of it below ``options.results``.

    The record of each method, which is what shows it, is written last. What is there already with the same bytes stays
    as it is, so that the same command finishes what was cut off.

    Returns:
        What was found, and the files of the submission in their places; none if a check failed.

    Raises:
        UserError: If it is no submission, another file is in the place of one of its runs, it would replace a
            submission with other runs, or returns are measured by one of its runs; nothing is changed then.
    """
    found = Findings(options.strict)
    source = read_source(path, found)
    if not path.name.isprintable():
        raise UserError(f"{path.name!r} is no name to record: rename the archive")
    if source.kind != "submission":
        raise UserError(f"{path} is no submission: give an archive that `acrl submit` made")
    verification = judge(path, source, params, options, found)
    if verification.verdict == "failed" or source.manifest is None:
        return verification, []
    folder = options.results / source.manifest.profile
    check_anchors(source, source.manifest, params)
    files = {folder / name: content for name, content in sorted(source.files.items())}
    check_free(files)
    acceptance = Acceptance(archive=path.name, manifest=source.manifest, findings=verification.findings)
    record = (acceptance.model_dump_json(indent=1) + "\n").encode()
    for method in source.manifest.methods:
        check_replaced(acceptance_path(folder, method), acceptance, method)
        files[acceptance_path(folder, method)] = record
    write_all({target: content for target, content in files.items() if not _is(target, content)})
    return verification, list(files)


def check_anchors(source: Source, manifest: Manifest, params: Params) -> None:
    """Refuse runs that returns are measured by: they would move everybody's score.

    Raises:
        UserError: If there are any.
    """
    profile = params.profile(manifest.profile)
    anchors = anchor_pairs(profile.tasks, profile.unconstrained)
    among = [f"{run.task} {run.method}" for run in source.runs.values() if (run.task, run.method) in anchors]
    if among:
        raise UserError(f"all returns are measured by runs of {listed(among)}, which are made here and not accepted")


def check_free(files: dict[Path, bytes]) -> None:
    """Refuse to replace a run.

    Raises:
        UserError: If other bytes are in the place of one.
    """
    taken = [str(target) for target, content in files.items() if target.exists() and not _is(target, content)]
    if taken:
        raise UserError(
            f"{len(taken)} of {len(files)} runs are there already with other bytes: {listed(taken)}; nothing was "
            "changed: delete those that the submission replaces, with the record of their method in submissions/"
        )


def check_replaced(path: Path, acceptance: Acceptance, method: str) -> None:
    """Refuse to replace a submission by one that lacks some of its runs.

    Raises:
        UserError: If it would.
    """
    if not path.exists():
        return
    before = read_acceptance(path, acceptance.manifest.profile)
    lost = sorted(before.hashes(method).items() - acceptance.hashes(method).items())
    if lost:
        raise UserError(
            f"{path} is of {before.archive}, which has runs that this one lacks: {listed([name for name, _ in lost])}; "
            "nothing was changed: delete it to replace that submission"
        )


def _is(path: Path, content: bytes) -> bool:
    return path.exists() and read_bytes(path) == content
