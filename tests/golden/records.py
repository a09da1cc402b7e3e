"""Goldens on disk, and how what is found now compares with them.

A golden is a function that returns named numbers. On the machine that recorded it, with the same versions, it must give
the same bits; elsewhere floating-point numbers may differ by the golden's tolerance, relative to the largest number
under the same name. Whole numbers, such as counts and episode ends, must be equal everywhere.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.records.provenance import SWITCHES
from tests.golden.numbers import Record

FOLDER = Path(__file__).parent / "records"
LIBRARIES = ("torch", "numpy", "mujoco", "gymnasium", "stable-baselines3", "zuko", "scipy", "cvxpy", "clarabel")
# Below this, numbers are compared as if they were this large: rounding has no relative precision.
SMALLEST_SCALE = 1e-3


@dataclass(frozen=True)
class Golden:
    """One recorded behaviour.

    Attributes:
        make: Computes it.
        tolerance: Largest difference on another machine, relative to the largest number under the same name.
        bitwise: Whether the recording machine must give the same bits.
    """

    make: Callable[[], Record]
    tolerance: float
    bitwise: bool = True


@functools.cache
def machine() -> dict[str, str]:
    """What the last bits of a result depend on."""
    cpu = Path("/proc/cpuinfo")
    text = cpu.read_text() if cpu.exists() else platform.processor()
    model, flags = (re.search(rf"^{name}\s*:\s*(.*)$", text, re.MULTILINE) for name in ("model name", "flags"))
    return {
        "processor": model[1] if model else text or platform.machine(),
        "flags": hashlib.sha256(flags[1].encode() if flags else b"").hexdigest()[:16],
        "capability": torch.backends.cpu.get_cpu_capability(),
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
        **{name: os.environ[name] for name in SWITCHES if name in os.environ},
    }


def machine_id() -> str:
    """A short hash of :func:`machine`."""
    return hashlib.sha256(json.dumps(machine(), sort_keys=True).encode()).hexdigest()[:16]


def computed(golden: Golden) -> Record:
    """What the golden gives now, as JSON would hold it."""
    with torch.random.fork_rng(devices=[]):
        found: Record = json.loads(json.dumps(golden.make(), default=_as_list))
    return found


def _as_list(value: Tensor | NDArray[Any]) -> Any:
    return (value.detach() if isinstance(value, Tensor) else value).tolist()


def recorded(name: str) -> tuple[Record, bool]:
    """The record of a golden, and whether this machine made it.

    Raises:
        KeyError: If it was never recorded.
    """
    entry = _read(_path(name))[name.rsplit("/", 1)[1]]
    return entry["numbers"], entry["machine"] == machine_id()


def record(name: str, numbers: Record) -> None:
    """Write a golden anew, beside the others of its file, a line each."""
    _update(FOLDER / "machines.json", machine_id(), machine())
    _update(_path(name), name.rsplit("/", 1)[1], {"machine": machine_id(), "numbers": numbers})


def differences(found: Record, expected: Record, tolerance: float) -> list[str]:
    """What differs by more than the tolerance, a line each; with tolerance 0 what is not the same to the bit."""
    if found.keys() != expected.keys():
        return [f"names differ: {sorted(found.keys() ^ expected.keys())}"]
    lines = []
    for name, value in expected.items():
        size = drift(found[name], value)
        if size > tolerance:
            lines.append(f"{name}: off by {size:.2g}, tolerance {tolerance:.2g}; recorded {str(value)[:80]}")
    return lines


def drift(found: Any, expected: Any) -> float:
    """Largest difference relative to the largest number expected; infinite where whole numbers or shapes differ."""
    pairs = list(_pairs(found, expected))
    real = [(new, old) for new, old in pairs if isinstance(new, float) and isinstance(old, float)]
    if any(new != old for new, old in pairs if not (isinstance(new, float) and isinstance(old, float))):
        return math.inf
    scale = max([SMALLEST_SCALE, *(abs(old) for _, old in real)])
    sizes = [abs(new - old) / scale for new, old in real]
    return max(sizes, default=0.0) if all(map(math.isfinite, sizes)) else math.inf


def _pairs(found: Any, expected: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for new, old in zip(found, expected, strict=True):
            yield from _pairs(new, old)
    else:
        yield found, expected


def _path(name: str) -> Path:
    return FOLDER / f"{name.rsplit('/', 1)[0]}.json"


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _update(path: Path, name: str, entry: Record) -> None:
    entries = _read(path) | {name: entry}
    lines = [f"{json.dumps(key)}: {json.dumps(entries[key], separators=(',', ':'))}" for key in sorted(entries)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
