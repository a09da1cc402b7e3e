"""``python -m tests.golden.drift [NAME ...]``: how far this machine is from the records, as JSON; all goldens if none.

With ``ATEN_CPU_CAPABILITY=default``, ``MKL_CBWR=COMPATIBLE`` and the like it shows what another processor would find.
"""

from __future__ import annotations

import json
import sys

import torch

from tests.golden.catalogue import GOLDENS
from tests.golden.records import computed, drift, recorded


def largest(name: str) -> float:
    """The largest difference over all numbers of a golden, infinite where whole numbers differ."""
    found, (expected, _) = computed(GOLDENS[name]), recorded(name)
    return max(drift(found.get(key), expected.get(key)) for key in found.keys() | expected.keys())


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump({name: largest(name) for name in sys.argv[1:] or GOLDENS}, sys.stdout, indent=1)
