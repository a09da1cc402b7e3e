"""All goldens by name, ``subject/file/golden``; as a command how far this machine is from the records, as JSON.

``python -m tests.golden.catalogue [NAME ...]``: with ``ATEN_CPU_CAPABILITY=default``, ``MKL_CBWR=COMPATIBLE`` and the
like it shows what another processor would find.
"""

from __future__ import annotations

import json
import sys

import torch

from tests.golden import environments, families, flows, samplers, trajectories
from tests.golden.records import computed, drift, recorded

SUBJECTS = (environments, families, flows, samplers, trajectories)
GOLDENS = {name: golden for subject in SUBJECTS for name, golden in subject.goldens().items()}


def largest(name: str) -> float:
    """The largest difference over all numbers of a golden, infinite where whole numbers differ."""
    found, (expected, _) = computed(GOLDENS[name]), recorded(name)
    return max(drift(found.get(key), expected.get(key)) for key in found.keys() | expected.keys())


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump({name: largest(name) for name in sys.argv[1:] or GOLDENS}, sys.stdout, indent=1)
