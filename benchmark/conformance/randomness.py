"""Whether code leaves the global random generators alone: torch's, numpy's and Python's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from benchmark.conformance.verdicts import CheckFailedError


def states() -> dict[str, bytes]:
    """States of the three global generators."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": np.asarray(keys).tobytes() + repr((name, rest)).encode(),
        "random": repr(random.getstate()).encode(),
    }


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
def undisturbed(what: str) -> Iterator[None]:
    """Fail the check if a global generator is used inside.

    Raises:
        CheckFailedError: If a state is another one afterwards.
    """
    with global_seed(0):
        before = states()
        yield
        after = states()
    used = [name for name, state in before.items() if after[name] != state]
    if used:
        raise CheckFailedError(
            f"{what} used the global generator of {', '.join(used)}; draw from a torch.Generator of the seed"
        )
