"""Generators for all randomness, each from a seed and a name for its purpose."""

from __future__ import annotations

import hashlib

import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Derive a seed below 2**31 for one purpose, independent of other purposes."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def make_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Make a torch CPU generator for one purpose."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))
