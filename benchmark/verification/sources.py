"""What is verified, read whole: one run's JSON, a folder of them, or a submission with its manifest."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from benchmark.files import read_bytes
from benchmark.results import RunResult, parse_record
from benchmark.submission.accepted import read_acceptances
from benchmark.submission.archive import BadArchiveError, unpack
from benchmark.submission.manifest import CONFIGS, MANIFEST, Adapter, Configs, Manifest
from benchmark.submission.packing import about_runs, inside, listed
from benchmark.verification.report import Findings
from envs.errors import UserError


@dataclass
class Source:
    """Runs by the name of their file, and what a submission says of them.

    Attributes:
        files: Bytes of every run's file.
        runs: What could be read of them.
        adapters: Where the code of its methods is: of a submission all, of a profile's folder those accepted to it.
    """

    kind: Literal["run", "folder", "submission"]
    files: dict[str, bytes] = field(default_factory=dict)
    runs: dict[str, RunResult] = field(default_factory=dict)
    manifest: Manifest | None = None
    configs: Configs = field(default_factory=dict)
    adapters: list[Adapter] = field(default_factory=list)


def read_source(path: Path, found: Findings) -> Source:
    """Read what is at ``path``, and note what is wrong with the files themselves.

    Raises:
        UserError: If there is nothing, or nothing that could be verified, or a record of what was accepted is damaged.
    """
    if path.is_dir():
        accepted = read_acceptances(path, path.resolve().name)
        source = Source(
            "folder", dict(_folder(path)), adapters=[one.adapter(method) for method, one in accepted.items()]
        )
        if not source.files:
            raise UserError(f"{path} has no .json in it: give a run's JSON, a folder of them, or a submission")
    elif path.suffix == ".zip" or zipfile.is_zipfile(path):
        source = _submission(path, found)
    else:
        source = Source("run", {str(path): read_bytes(path)})
    if source.files:
        _read_runs(source, found)
    if source.manifest is not None:
        _check_description(source, source.manifest, found)
    return source


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    # A profile's folder of results has reports on flows and timings beside its runs.
    root = path / "runs" if (path / "runs").is_dir() else path
    for file in sorted(root.rglob("*.json")):
        if file.is_file() and not file.name.startswith("."):
            yield str(file), read_bytes(file)


def _submission(path: Path, found: Findings) -> Source:
    source = Source("submission")
    try:
        files = unpack(path)
        source.manifest = _parse(MANIFEST, files.pop(MANIFEST), TypeAdapter(Manifest))
        source.adapters = source.manifest.adapters
        source.configs = _parse(CONFIGS, files[CONFIGS], TypeAdapter(Configs))
        if files.keys() == {CONFIGS}:
            raise BadArchiveError("the archive has no run in it")
    except BadArchiveError as error:
        found.add("failed", "archive", f"{error}; ask for it anew")
        return source
    packed = len(files)
    found.conclude("archive", _hash_problems(source.manifest, files), f"{packed} files have the hashes of the manifest")
    source.files = {name: content for name, content in files.items() if name != CONFIGS}
    return source


def _parse(name: str, content: bytes, adapter: TypeAdapter[Any]) -> Any:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadArchiveError(f"its {name} cannot be read: '{where}': {first['msg']}") from error


def _hash_problems(manifest: Manifest, files: dict[str, bytes]) -> list[str]:
    said = {entry.path: entry for entry in manifest.files}
    problems = [f"{name} is in the archive and not in its manifest" for name in sorted(files.keys() - said.keys())]
    problems += [f"{name} is in the manifest and not in the archive" for name in sorted(said.keys() - files.keys())]
    if len(said) < len(manifest.files):
        problems.append("the manifest names a file twice")
    for name in sorted(files.keys() & said.keys()):
        content, entry = files[name], said[name]
        if (len(content), hashlib.sha256(content).hexdigest()) != (entry.size, entry.sha256):
            problems.append(f"{name} is not what the manifest has the hash of")
    return problems


def _read_runs(source: Source, found: Findings) -> None:
    """Schema and digest of every run, and that none is there twice."""
    problems, undigested = [], []
    seen: dict[tuple[str, str, str, int], str] = {}
    for name, content in source.files.items():
        try:
            run = parse_record(content, name, RunResult)
        except UserError as error:
            problems.append(str(error))
            continue
        identity = (run.profile, run.task, run.method, run.seed)
        if identity in seen:
            problems.append(f"{name} and {seen[identity]} are the same run")
            continue
        seen[identity] = name
        source.runs[name] = run
        if not run.provenance.sha256:
            undigested.append(name)
    count = len(source.runs)
    if problems:
        found.conclude("files", problems, "")
    if undigested:
        few = f"{len(undigested)} of {count} have no digest in them, so that damage to them could not be told"
        found.add("warning", "files", f"{few}: {listed(undigested)}")
    if not problems and not undigested:
        found.add("ok", "files", f"{count} of {count} have the schema of a run, and the digest in them")


def _check_description(source: Source, manifest: Manifest, found: Findings) -> None:
    """That the manifest and the configurations beside it say of the runs what they say themselves."""
    problems = []
    for name, run in source.runs.items():
        if name != inside(run):
            problems.append(f"{name} holds the run {inside(run)}")
        if run.profile != manifest.profile:
            problems.append(f"{name} is of profile '{run.profile}', the manifest of '{manifest.profile}'")
        noted = source.configs.get(run.task, {}).get(run.method)
        if json.dumps(noted, sort_keys=True) != json.dumps(run.config, sort_keys=True):
            problems.append(f"{name} has another configuration than {CONFIGS} has for it")
    for what, actual in about_runs(list(source.runs.values())).items():
        said = getattr(manifest, what)
        if sorted(map(str, said)) != sorted(map(str, actual)):
            problems.append(f"its {what} are {', '.join(map(str, actual))}, not {', '.join(map(str, said))}")
    if manifest.complete != len(source.runs):
        problems.append(f"it says {manifest.complete} runs, and has {len(source.runs)}")
    if sorted(adapter.method for adapter in manifest.adapters) != sorted(manifest.methods):
        problems.append("it does not name the adapter of each of its methods, once")
    found.conclude("manifest", problems, "says of the runs what they say themselves")
