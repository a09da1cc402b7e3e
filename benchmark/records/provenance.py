"""Code, libraries and machine that made a result. For information only: keys depend on versions instead."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmark.records.results import Provenance
from envs.registry import TaskSpec
from methods.base import Method

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
OWN_PACKAGES = ("benchmark", "envs", "methods")
# Every library that affects numbers.
LIBRARIES = (
    *("torch", "mujoco", "gymnasium", "numpy", "scipy", "array-api-compat", "cvxpy", "clarabel"),
    *("pysdd", "stable-baselines3", "zuko"),
)
# Environment variables that change a library's arithmetic.
SWITCHES = (
    *("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE"),
    *("DNNL_DEFAULT_FPMATH_MODE", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "GLIBC_TUNABLES"),
)
# The pipeline writes these, so they are not part of the code.
NOT_CODE = (":(exclude)results", ":(exclude)dvc.lock")
# Endings of files that can affect a run: code and settings.
CODE = (".py", ".so", ".pyd", ".pth", ".toml", ".yaml", ".yml", ".lock")


def collect_provenance(code_sha256: str | None = None) -> Provenance:
    """Provenance of a result that starts now, made by code with this hash; see :func:`code_hash`."""
    changed = changed_files()
    machine = describe_machine()
    return Provenance(
        commit=_git("rev-parse", "HEAD"),
        dirty=None if changed is None else bool(changed),
        diff_sha256=_hash_files(changed) if changed else None,
        code_sha256=code_sha256,
        lock_sha256=hashlib.sha256(_unix_lines(LOCK)).hexdigest() if LOCK.exists() else None,
        versions=library_versions(),
        **machine,
        machine=hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()[:12],
        threads=torch.get_num_threads(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@functools.cache
def library_versions() -> dict[str, str]:
    """Installed versions of Python and of every library that affects numbers."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in LIBRARIES}


def run_code(task: TaskSpec, method: type[Method[Any]]) -> str:
    """SHA-256 of all code that affects a run of this task and method. The table of all tasks is not part of it."""
    of_task = [task.entry_point.split(":")[0], *(cls.__module__ for cls in type(task.constraint).__mro__)]
    return code_hash((method.__module__, "benchmark.training.harness", *of_task))


def code_hash(modules: Iterable[str]) -> str:
    """SHA-256 of the files of these modules and of everything they import from this project or one plug-in."""
    seen: dict[str, Path] = {}
    waiting = list(modules)
    roots = {module.split(".")[0] for module in waiting} - {"gymnasium", "abc", "builtins", "typing"}
    packages = set(OWN_PACKAGES) | roots
    while waiting:
        name = waiting.pop()
        if name in seen or name.split(".")[0] not in packages:
            continue
        path = _source(name)
        if path is not None:
            seen[name] = path
            waiting += _imports(name, path)
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + _unix_lines(seen[name]) + b"\0")
    return digest.hexdigest()


@functools.cache
def _source(module: str) -> Path | None:
    """A module's file; None if there is none, and for this project's packages, whose files only list names."""
    try:
        spec = importlib.util.find_spec(module)
    except Exception:
        # Finding a module imports its parent package; an optional one may raise anything.
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    only_names = spec.submodule_search_locations and module.partition(".")[0] in OWN_PACKAGES
    return None if only_names else Path(spec.origin)


@functools.cache
def _imports(module: str, path: Path) -> tuple[str, ...]:
    """Modules that a module's file imports, inside functions too."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    try:
        parsed = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        # Such as syntax of another Python; nothing that runs can have imported it.
        return ()
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return tuple(names)


def changed_files() -> list[str] | None:
    """Code and settings that differ from the commit, untracked files included; None outside a repository."""
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=all")
    listed = _git("--no-optional-locks", "status", *options, "--", ".", *NOT_CODE)
    return None if listed is None else sorted(entry[3:] for entry in listed.split("\0") if entry.endswith(CODE))


def _git(*arguments: str) -> str | None:
    """Output of git in this project's own repository; None without git or such a repository."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # A project without a repository is not part of one around it.
    environment["GIT_CEILING_DIRECTORIES"] = str(ROOT.parent)
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, env=environment, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return os.fsdecode(done.stdout).removesuffix("\n")


def _hash_files(names: Iterable[str]) -> str:
    """SHA-256 of names and contents, independent of git's settings; unreadable files count by name."""
    digest = hashlib.sha256()
    for name in names:
        try:
            content = _unix_lines(ROOT / name)
        except OSError:
            content = b"none that can be read"
        digest.update(os.fsencode(name) + b"\0" + content + b"\0")
    return digest.hexdigest()


def _unix_lines(path: Path) -> bytes:
    """A text file's bytes as in the repository, whatever its line ends in this checkout."""
    return path.read_bytes().replace(b"\r\n", b"\n")


def describe_machine() -> dict[str, Any]:
    """What times depend on besides program and threads; nothing that identifies the owner of the machine."""
    library = " ".join(platform.libc_ver())
    return {
        "processor": processor(),
        "code_path": code_path(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cores": psutil.cpu_count(logical=False),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "platform": " ".join(f"{platform.system()} {platform.machine()} {library}".split()),
    }


def processor() -> str:
    """The processor's model name."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search("^model name\\s*:(.*)", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return named[1].strip() if named else platform.processor() or platform.machine()


def code_path() -> str:
    """The code paths of torch, MKL, oneDNN and NumPy on this processor, on which last digits depend.

    They depend on the processor's instructions and caches, which the model name of a virtual machine may not tell, and
    on environment variables.

    Returns:
        Instructions that torch uses, the switches that are set, and a short hash of these, the instructions and caches.
    """
    detected = {name: value for name, value in torch.cpu.get_capabilities().items() if not name.startswith("num_")}
    switches = {name: os.environ[name] for name in SWITCHES if os.environ.get(name)}
    capability = torch.backends.cpu.get_cpu_capability()
    facts = json.dumps([capability, detected, switches], sort_keys=True)
    return " ".join([capability, *switches, hashlib.sha256(facts.encode()).hexdigest()[:8]])


def machine_of(provenance: Provenance) -> str:
    """What times depend on besides the program, in words."""
    threads = f"{provenance.threads} thread" + ("" if provenance.threads == 1 else "s")
    cores = f"{provenance.cores} core" + ("" if provenance.cores == 1 else "s") if provenance.cores else ""
    memory = f"{provenance.memory_gib} GiB" if provenance.memory_gib else ""
    machine = f"machine {provenance.machine}" if provenance.machine else ""
    said = (provenance.processor, provenance.code_path, provenance.accelerator, cores, memory, provenance.platform)
    return ", ".join(part for part in (*said, threads, machine) if part)


def one_machine(origins: Iterable[Provenance]) -> bool:
    """Whether results are known to be from one machine, with equally many threads; older ones do not name theirs."""
    named = {(origin.machine, origin.threads) for origin in origins}
    return len(named) <= 1 and all(machine for machine, _ in named)


def mixed_libraries(origins: Iterable[Provenance]) -> list[str]:
    """Libraries whose versions differ between results, such as ``"torch 1.13.1 and 2.13.0"``."""
    stated: dict[str, set[str]] = {}
    for origin in origins:
        for name, version in origin.versions.items():
            stated.setdefault(name, set()).add(version)
    return [f"{name} {' and '.join(sorted(found))}" for name, found in sorted(stated.items()) if len(found) > 1]
