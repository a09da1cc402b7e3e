"""All randomness comes from generators derived from one seed and a name for what it is used for."""

from __future__ import annotations

import hashlib

import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed below 2**31 for one purpose, independent of those for other purposes."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def make_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A torch CPU generator for one purpose."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))
