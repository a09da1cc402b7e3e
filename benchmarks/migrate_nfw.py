"""Gives the committed results of `nfw` the name `nfw-target`: run once, at the commit that adds this file.

    python -m benchmarks.migrate_nfw

Their method projected its target action, which is what `nfw-target` does, and `nfw` no longer. Every key must be that
of version 1 of `nfw`, else nothing is written. The method's id, its keys and the digests are rewritten; every other
byte stays.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmark.records.config import RunConfig, load_params
from benchmark.records.keys import run_key
from benchmark.records.results import digest
from benchmark.training.timing import step_keys
from envs import make_task
from methods.base import method_class
from methods.nfw import NFW

OLD, NEW = "nfw", "nfw-target"
RESULTS = Path("results")


def main() -> None:
    """Rewrite runs, reports and the numbers of experiments, then move the runs."""
    texts: dict[Path, str] = {}
    folders = sorted([*RESULTS.glob(f"*/runs/*/{OLD}"), *RESULTS.glob(f"reference/*/runs/*/{OLD}")])
    for folder in folders:
        for path in sorted(folder.glob("seed-*.json")):
            texts[path] = migrate_run(path)
    for path in sorted(RESULTS.glob("*/timing/*.json")):
        texts[path] = migrate_timing(path)
    for path in sorted(RESULTS.glob("*/visited/*.json")):
        texts[path] = signed(put(path.read_text(), f'  "{OLD}": {{', f'  "{NEW}": {{'))
    for path in sorted(RESULTS.glob("*/experiments/*")):
        if path.suffix in (".csv", ".md") and re.search(rf"\b{OLD}\b", path.read_text()):
            texts[path] = migrate_numbers(path)
    for path, text in texts.items():
        path.write_text(text)
    for folder in folders:
        subprocess.run(["git", "mv", folder, folder.with_name(NEW)], check=True)
    print(f"{len(texts)} files rewritten, {len(folders)} folders moved")


def migrate_run(path: Path) -> str:
    """The text of a run under its new name."""
    text = path.read_text()
    data = json.loads(text)
    config = RunConfig.model_validate(data["config"])
    task = make_task(data["task"])
    with patch.object(NFW, "version", 1):
        check(path, data["run_key"], run_key(task, NFW, config, data["seed"]))
    text = put(text, data["run_key"], run_key(task, method_class(NEW), config, data["seed"]))
    text = put(text, f'  "{OLD}": 1\n', f'  "{NEW}": 1\n')
    return signed(put(text, f' "method": "{OLD}",\n', f' "method": "{NEW}",\n'))


def migrate_timing(path: Path) -> str:
    """The text of a task's timing with the method's new name and key."""
    text, profile = path.read_text(), path.parts[1]
    data = json.loads(text)
    keys = step_keys(load_params(), profile, data["task"])
    with patch.object(NFW, "version", 1):
        check(path, data["keys"][OLD], step_keys(load_params(), profile, data["task"])[OLD])
    text = put(text, f'  "{OLD}": [\n', f'  "{NEW}": [\n')
    text = put(text, f'  "{OLD}": "exact"', f'  "{NEW}": "exact"')
    return signed(put(text, f'  "{OLD}": "{data["keys"][OLD]}"', f'  "{NEW}": "{keys[NEW]}"'))


def migrate_numbers(path: Path) -> str:
    """A table of an experiment with the new name; columns of a page keep their width."""
    text = path.read_text()
    if path.suffix == ".csv":
        return re.sub(rf"(^|,){OLD}(?=,)", rf"\1{NEW}", text, flags=re.MULTILINE)
    room = " " * (len(NEW) - len(OLD))
    text = text.replace(f"| {OLD} {room}", f"| {NEW} ")
    text = text.replace(f"{OLD} learns", f"{NEW} learns")
    if path.stem == "c6":
        return f"{text}\nIn the figure, which is older than that name, `{NEW}` is called `{OLD}`.\n"
    return text


def signed(text: str) -> str:
    """The text with the digest of what it says now, where it has one."""
    data: dict[str, Any] = json.loads(text)
    noted = data["provenance"].get("sha256")
    return put(text, noted, digest(data)) if noted else text


def check(path: Path, found: str, expected: str) -> None:
    """Refuse a key of another method, version or settings."""
    if found != expected:
        sys.exit(f"{path} has the key {found}, expected {expected}")


def put(text: str, old: str, new: str) -> str:
    """Replace what has to be there exactly once."""
    if text.count(old) != 1:
        sys.exit(f"{old} is there {text.count(old)} times, not once")
    return text.replace(old, new)


if __name__ == "__main__":
    main()
