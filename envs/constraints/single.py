"""The support point of a single action in plain numbers.

At batch size one the fixed cost of array calls is many times the arithmetic: ``exact.py`` answers projections of one
action in plain numbers for that reason, and this class does the same for the linear oracle.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from envs.constraints.arrays import in_memory
from envs.constraints.exact import ExactConstraint, Limits


class SingleOracle(ExactConstraint):
    """An exact constraint whose family also gives ``_support_row``."""

    @abstractmethod
    def _support_row(self, gradient: list[float], context: list[float], limits: Limits) -> list[float] | None:
        """The support point of one gradient of any length, or None where the formulas for arrays are to decide.

        The answer must stay inside by the margin: where that is in doubt because of rounding, it is None.
        """

    def linear_oracle(self, gradient: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`ExactConstraint.linear_oracle`; a single row that needs no gradient is answered in plain numbers.

        Raises:
            UserError: If a shape is wrong or an entry is NaN or infinite.
        """
        single = self._support_single(gradient, obs)
        return super().linear_oracle(gradient, obs) if single is None else single

    def _support_single(self, gradient: Tensor, obs: Tensor) -> Tensor | None:
        """The support point of a batch of one, if nothing is in doubt."""
        self.check_shapes(gradient, obs)
        if gradient.shape[0] != 1 or not in_memory(gradient, obs):
            return None
        row, state = gradient.tolist()[0], obs.tolist()[0]
        # False for NaN as well.
        if not sum(map(abs, row)) + sum(map(abs, state)) < math.inf:
            return None
        answer = self._support_row(row, [state[i] for i in self.context_indices], self._limits(gradient))
        if answer is None:
            return None
        precision = np.float64 if gradient.dtype == torch.float64 else np.float32
        return torch.from_numpy(np.array([answer], dtype=precision))
