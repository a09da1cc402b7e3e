"""Separate random streams for code that draws from the global generators of torch, numpy and Python."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envs.seeding import derive_seed, make_generator
from methods.base import Tensors

# Entries of the state of a Mersenne twister that draws normal numbers in pairs: words, position, whether the second of
# a pair is kept, and that number.
ENTRIES = 624 + 3
PYTHON_VERSION = 3


# States of the three generators, in their own formats.
States = tuple[Tensor, dict[str, Any], tuple[Any, ...]]


class Streams:
    """Lends its own states, made from a seed, to the global generators for the duration of a call."""

    def __init__(self, seed: int) -> None:
        self._own: States = (
            make_generator(seed, "torch").get_state(),
            np.random.RandomState(derive_seed(seed, "numpy")).get_state(legacy=False),
            random.Random(derive_seed(seed, "python")).getstate(),
        )

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Draw from these streams inside the context; the global generators are restored afterwards."""
        outside = _read()
        _write(self._own)
        try:
            yield
        finally:
            self._own = _read()
            _write(outside)

    def state_dict(self) -> Tensors:
        """The states as tensors; a word of 32 bits is exact in float64."""
        torch_state, own, (_, words, normal) = self._own
        numpy_state = [*own["state"]["key"].tolist(), own["state"]["pos"], own["has_gauss"], own["gauss"]]
        python_state = [*words, normal is not None, normal or 0.0]
        return {
            "torch": torch_state.clone(),
            "numpy": torch.tensor(numpy_state, dtype=torch.float64),
            "python": torch.tensor(python_state, dtype=torch.float64),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the state of :meth:`state_dict`; raises as :func:`methods.networks.unpack`."""
        torch_state = torch.Generator().set_state(state["torch"]).get_state()
        if any(state[name].shape != (ENTRIES,) for name in ("numpy", "python")):
            raise ValueError(f"the state of a generator does not have {ENTRIES} entries")
        *words, position, has_normal, normal = state["numpy"].tolist()
        twister = {"key": np.array(words, dtype=np.uint32), "pos": int(position)}
        numpy_state = {"bit_generator": "MT19937", "state": twister, "has_gauss": int(has_normal), "gauss": normal}
        *words, has_normal, normal = state["python"].tolist()
        python_state = (PYTHON_VERSION, tuple(map(int, words)), normal if has_normal else None)
        self._own = torch_state, numpy_state, python_state


def _read() -> States:
    return torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002


def _write(states: States) -> None:
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])
