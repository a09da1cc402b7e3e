"""The key that names a result: a hash of ids, versions, settings and seed, not of the code.

A version is a number next to what it names. A commit that changes behaviour raises it, with a line in the changelog;
golden tests (``tests/golden``) detect such changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from benchmark.records.config import RunConfig
from envs.registry import TaskSpec
from methods.base import Method, MethodConfig, changed_settings, parse_config

# Version of the harness, of counting and of evaluation, which all runs share.
PROTOCOL_VERSION = 1

Versions = dict[str, int]


def key_of(facts: Mapping[str, Any]) -> str:
    """SHA-256 of plain data, independent of the order of its entries."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def run_versions(task: TaskSpec, method: type[Method[Any]], settings: MethodConfig) -> Versions:
    """Versions of everything a run depends on, by name: protocol, task, method, and what the method prepares."""
    return {**shared_versions(task), **method.versions(settings)}


def shared_versions(task: TaskSpec) -> Versions:
    """Versions that every run on a task depends on, by name."""
    return {"protocol": PROTOCOL_VERSION, task.id: task.version}


def run_key(task: TaskSpec, method: type[Method[Any]], config: RunConfig, seed: int) -> str:
    """The key of a run: the same task, method, versions, settings and seed give the same key.

    Settings at their defaults are left out, so a new setting does not make earlier runs stale.

    Raises:
        UserError: If the configuration does not fit the method.
    """
    run = changed_settings(config)
    run.pop("method", None)
    return key_of({**training_facts(task, method, config.method), "run": run, "seed": seed})


def training_facts(task: TaskSpec, method: type[Method[Any]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What training depends on besides its length, its evaluation and its seed.

    Raises:
        UserError: If the settings do not fit the method.
    """
    parsed = parse_config(method, settings)
    return {
        "task": task.fingerprint(),
        "method": method.id,
        "settings": changed_settings(parsed),
        "versions": run_versions(task, method, parsed),
    }
