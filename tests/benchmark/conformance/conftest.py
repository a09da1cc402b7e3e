"""What tests of deliberate faults share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gymnasium.envs import registration

from envs import list_tasks, registry
from methods import base, list_methods
from methods.base import method_class


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Registries and modules that are as before once the test has ended."""
    # Modules are imported once: what they register has to be there before the copy is made.
    for method in list_methods():
        method_class(method)
    list_tasks()
    monkeypatch.setattr(base, "_METHODS", dict(base._METHODS))
    monkeypatch.setattr(registry, "_TASKS", dict(registry._TASKS))
    monkeypatch.setattr(registration, "registry", dict(registration.registry))
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
