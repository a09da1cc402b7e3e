"""Rewrites keys of the committed record, from hashes of code to versions: run once, at the commit that adds this file.

    python -m benchmarks.migrate_keys REVISION

REVISION is the last commit whose keys were hashes of code. Its own code says which key every file must have; a file
with another key is refused. Keys, schema version, versions, hash of the code and digests are written; every other
byte stays.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmark.config import RunConfig, load_params, run_config
from benchmark.flow_report import make_flow_method
from benchmark.keys import run_key, run_versions
from benchmark.results import digest
from benchmark.store import ArtifactStore
from benchmark.timing import step_keys
from envs import make_task
from methods.base import method_class, parse_config

PROFILE = "small"
FOLDER = Path("results") / PROFILE

OLD = """
import json, sys
from pathlib import Path
from benchmark.config import load_params, run_config
from benchmark.flow_report import make_flow_method
from benchmark.provenance import code_hash, method_module, run_key, task_modules
from benchmark.store import ArtifactStore
from benchmark.timing import _keys, _short_config
from envs import make_task
from methods.base import method_class

folder, params, found = Path("results/small"), load_params(), {}
for path in sorted(folder.rglob("*.json")):
    data = json.loads(path.read_text())
    part = path.relative_to(folder).parts[0]
    if part == "runs":
        task, module = make_task(data["task"]), method_module(method_class(data["method"]))
        key = run_key(task, data["method"], module, data["config"], data["seed"])
        found[str(path)] = {"key": key, "code": code_hash((module, "benchmark.harness", *task_modules(task)))}
    elif part == "timing":
        task = make_task(data["task"])
        configs = {name: _short_config(params, "small", task.id, name) for name in data["keys"]}
        found[str(path)] = {"keys": _keys(task, configs, params.profile("small").timing)}
    elif "artifact_key" in data:
        task = make_task(data["task"])
        method = make_flow_method(task, data["flow"], run_config(params, "small", task.id, data["flow"]).method)
        found[str(path)] = {"key": ArtifactStore(folder, task).key(*method.flow_recipe())}
    else:
        found[str(path)] = {}
print(json.dumps(found))
"""


def main(revision: str) -> None:
    """Check every file against the old code, then rewrite it."""
    old = old_keys(revision)
    texts: dict[Path, str] = {}
    for name, expected in old.items():
        path = Path(name)
        texts[path] = migrate(path, expected)
    for path, text in texts.items():
        path.write_text(text)
    print(f"{len(texts)} files checked against {revision} and rewritten")


def old_keys(revision: str) -> dict[str, dict[str, Any]]:
    """What the keys of every file have to be, by the code of the revision."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", name, revision], check=True)
        try:
            printed = subprocess.run([sys.executable, "-c", OLD], cwd=name, check=True, capture_output=True, text=True)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", name], check=True)
    return dict(json.loads(printed.stdout))


def migrate(path: Path, expected: dict[str, Any]) -> str:
    """The text of a file with its new keys."""
    text = path.read_text()
    data = json.loads(text)
    text = put(text, '"schema_version": 1', '"schema_version": 2')
    if "run_key" in data:
        text = migrate_run(path, text, data, expected)
    elif "keys" in data:
        check(path, data["keys"], expected["keys"])
        new = step_keys(load_params(), PROFILE, data["task"])
        for method, key in data["keys"].items():
            text = put(text, f'"{method}": "{key}"', f'"{method}": "{new[method]}"')
    elif "artifact_key" in data:
        check(path, data["artifact_key"], expected["key"])
        task = make_task(data["task"])
        settings = run_config(load_params(), PROFILE, task.id, data["flow"]).method
        key = ArtifactStore(FOLDER, task).key(*make_flow_method(task, data["flow"], settings).flow_recipe())
        text = put(text, data["artifact_key"], key)
    noted = data["provenance"].get("sha256")
    return put(text, noted, digest(json.loads(text))) if noted else text


def migrate_run(path: Path, text: str, data: dict[str, Any], expected: dict[str, Any]) -> str:
    """The text of a run with its new key, its versions and the hash of its code."""
    check(path, data["run_key"], expected["key"])
    task, method = make_task(data["task"]), method_class(data["method"])
    config = RunConfig.model_validate(data["config"])
    versions = run_versions(task, method, parse_config(method, config.method))
    entry = "".join(line + "\n" for line in json.dumps({"versions": versions}, indent=1).splitlines()[1:-1])
    text = put(text, data["run_key"], run_key(task, method, config, data["seed"]))
    text = re.sub(
        r'^( "run_key": "\w+",\n)', lambda found: found[1] + entry.rstrip() + ",\n", text, count=1, flags=re.M
    )
    return re.sub(
        r'^(  "diff_sha256": .*\n)',
        lambda found: f'{found[1]}  "code_sha256": "{expected["code"]}",\n',
        text,
        count=1,
        flags=re.M,
    )


def check(path: Path, found: Any, expected: Any) -> None:
    """Refuse a key that the old code would not give."""
    if found != expected:
        sys.exit(f"{path} is stale by the code of that revision: {found}, expected {expected}")


def put(text: str, old: str, new: str) -> str:
    """Replace what has to be there exactly once."""
    if text.count(old) != 1:
        sys.exit(f"{old} is there {text.count(old)} times, not once")
    return text.replace(old, new)


if __name__ == "__main__":
    main(sys.argv[1])
