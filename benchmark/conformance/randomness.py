"""Whether code leaves the global random generators alone: torch's, numpy's and Python's."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed the three global generators inside, and put them back afterwards."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])


@contextmanager
def disturbed() -> Iterator[list[str]]:
    """Watch the global generators.

    Yields:
        A list that afterwards names the generators whose state is another one.
    """
    used: list[str] = []
    with global_seed(0):
        before = _states()
        yield used
        after = _states()
    used += [name for name, state in before.items() if after[name] != state]


def _states() -> dict[str, bytes]:
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": pickle.dumps(np.random.get_state()),  # noqa: NPY002
        "random": pickle.dumps(random.getstate()),
    }
