"""What the global generators hold."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def global_states() -> tuple[Any, ...]:
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    assert isinstance(numpy_state, dict)
    words, own = numpy_state["state"], (numpy_state["has_gauss"], numpy_state["gauss"])
    return torch.get_rng_state().tolist(), words["key"].tolist(), words["pos"], own, random.getstate()
