"""Where a result comes from, and the key that says what it depends on."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmark.results import Provenance
from envs.registry import TaskSpec

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
OWN_PACKAGES = ("benchmark", "envs", "methods")
# Modules that carry settings and results about, and bear on no number: settings are in the key as data, and results
# have a schema version.
CARRIERS = (
    "benchmark.checkpoint",
    "benchmark.config",
    "benchmark.files",
    "benchmark.provenance",
    "benchmark.results",
    "benchmark.store",
)
LIBRARIES = ("torch", "mujoco", "gymnasium", "numpy", "cvxpy", "clarabel", "zuko", "scipy")


def key_of(facts: Mapping[str, Any]) -> str:
    """sha256 of plain data."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def run_key(task: TaskSpec, method: str, method_module: str, config: Mapping[str, Any], seed: int) -> str:
    """The key of a run: task, method, config, seed and all code that bears on it; nothing else makes it stale."""
    code = code_hash((method_module, "benchmark.harness", *task_modules(task)))
    return key_of({"task": task.fingerprint(), "method": method, "config": dict(config), "seed": seed, "code": code})


def task_modules(task: TaskSpec) -> list[str]:
    """Modules of the task's constraint and environment, without the table that lists all tasks."""
    modules = [cls.__module__ for cls in type(task.constraint).__mro__]
    return [*modules, task.entry_point.split(":")[0]]


def code_hash(modules: Iterable[str]) -> str:
    """sha256 over the files of these modules and of all that they import of this project or of one plug-in."""
    seen: dict[str, Path] = {}
    waiting = list(modules)
    roots = {module.split(".")[0] for module in waiting} - {"gymnasium", "abc", "builtins", "typing"}
    packages = set(OWN_PACKAGES) | roots
    while waiting:
        name = waiting.pop()
        if name in seen or name in CARRIERS or name.split(".")[0] not in packages:
            continue
        path = _source(name)
        if path is not None:
            seen[name] = path
            waiting += _imports(name, path)
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + seen[name].read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def _source(module: str) -> Path | None:
    """A module's file; None for what is no module, and for this project's packages, whose own files only list names."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    only_names = spec.submodule_search_locations and module.partition(".")[0] in OWN_PACKAGES
    return None if only_names else Path(spec.origin)


@functools.cache
def _imports(module: str, path: Path) -> tuple[str, ...]:
    """Modules named by the import statements of a module's file, those inside functions too."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return tuple(names)


def method_module(cls: type) -> str:
    """The module that a method's class is defined in."""
    module = inspect.getmodule(cls)
    assert module is not None
    return module.__name__


def collect_provenance() -> Provenance:
    """Provenance of a run that starts now."""
    # What the pipeline itself writes says nothing about the code that made a result.
    code = ("--", ".", ":(exclude)results", ":(exclude)dvc.lock")
    diff = _git("diff", "HEAD", *code)
    untracked = _git("status", "--porcelain", "--untracked-files=normal", *code)
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    machine = describe_machine()
    return Provenance(
        commit=_git("rev-parse", "HEAD"),
        dirty=None if diff is None else bool(diff or untracked),
        diff_sha256=hashlib.sha256(diff.encode()).hexdigest() if diff else None,
        lock_sha256=hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.exists() else None,
        versions={"python": platform.python_version(), **versions},
        **machine,
        machine=key_of(machine)[:12],
        threads=torch.get_num_threads(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def describe_machine() -> dict[str, Any]:
    """What wall-clock depends on besides program and threads; nothing that tells whose machine it is."""
    library = " ".join(platform.libc_ver())
    return {
        "processor": processor(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cores": psutil.cpu_count(logical=False),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "platform": " ".join(f"{platform.system()} {platform.machine()} {library}".split()),
    }


def processor() -> str:
    """The processor's model name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str | None:
    """What git prints about the project's folder, None where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
