"""Random feasible actions."""

from __future__ import annotations

import pytest
import torch

from envs import make_task
from envs.errors import UserError
from methods import make_method


@pytest.mark.parametrize("state", [{}, {"generator": torch.zeros(3)}, {"generator": torch.zeros(3, dtype=torch.uint8)}])
def test_a_damaged_state_is_refused(state: dict[str, torch.Tensor]) -> None:
    method = make_method("random-feasible", make_task("R+L2"))
    with pytest.raises(UserError, match="this state does not belong to method 'random-feasible'"):
        method.load_state_dict(state)
