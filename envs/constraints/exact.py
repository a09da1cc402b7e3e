"""Exact batched results, from formulas written once for NumPy and torch.

A family provides the formulas of its own constraint. This class adds the action box, checks input, keeps results
feasible to the last bit, and chooses the library. For a single action, torch calls cost many times the arithmetic, so
small batches without gradients use NumPy views of the same memory, and a family may project a single action with plain
Python numbers.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import array_api_compat.numpy as numpy_namespace
import array_api_compat.torch as torch_namespace
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from envs.constraints.arrays import any_column, as_tensor, in_memory, some, sum_of_squares, view
from envs.constraints.base import Constraint
from envs.constraints.knapsack import Array, Namespace, constant

# A variable of cvxpy, which is only imported for solving and has no static types.
Variable = Any

SMALL_BATCH = 16
# The same for families with iterative searches, where many small calls add up.
SEARCHED_BATCH = 512
SETTLE_ROUNDS = 20


class Limits(NamedTuple):
    """The action box in the precision and on the device of some action.

    Attributes:
        lower: (1, n).
        upper: (1, n).
        lower_row: ``lower`` as plain numbers.
        upper_row: ``upper`` as plain numbers.
        zeros: (1, n).
        ones: (n, 1), to sum over coordinates by a product.
        eps: Distance from 1 to the next number.
        reach: Distance from 0 beyond which rounding loses the differences between coordinates.
    """

    lower: Array
    upper: Array
    lower_row: list[float]
    upper_row: list[float]
    zeros: Array
    ones: Array
    eps: float
    reach: float


class ExactConstraint(Constraint):
    """A constraint whose projection and linear oracle have a closed form or a finite algorithm.

    Subclasses implement ``_violation``, ``_project``, ``_linear_oracle``, and ``_interior`` or ``_inside``. These take
    the array namespace, then arrays (B, n) and the state variables (B, k) in the action's precision. They must be valid
    and free of NaN for every row, even if its result is not used, because gradients would spread NaN to other rows.
    """

    # The margin, in eps of the constraint's units, by which results stay inside: sums in another order (another batch
    # size, another device) must find them feasible as well.
    _margin = 0.0
    # A strictly feasible point (n,), if the same one serves every state.
    _inside: NDArray[np.float64]
    # Whether the interior point is 0 and the box is symmetric around it.
    _centred = False
    # The most rows to compute with NumPy.
    _small_batch = SMALL_BATCH

    def __init__(self, lower: ArrayLike, upper: ArrayLike, context_indices: Sequence[int] = ()) -> None:
        super().__init__(lower, upper, context_indices)
        self._cached_limits: dict[Any, Limits] = {}

    # --- what a family provides --------------------------------------------------------------------------------

    @abstractmethod
    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:
        """The family's own columns (B, j); none if there is only the box."""

    @abstractmethod
    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:
        """Nearest point of C(s), up to rounding, where the nearest point of the box is infeasible: (B, n)."""

    @abstractmethod
    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:
        """Support point within the box, for gradients whose largest magnitude is 1, or all 0: (B, n)."""

    def _interior(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        """A strictly feasible point in the precision of ``action``: (B, n) or (1, n); here ``_inside``."""
        return xp.asarray(self._inside, dtype=action.dtype, device=action.device)[None, :]

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:  # noqa: ARG002
        """The projection of one action in plain numbers, or None to use the formulas for arrays.

        A feasible action must be returned unchanged, and every other result must stay inside by the margin. If rounding
        makes either doubtful, the result is None. Families without such a formula keep this default.
        """
        return None

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array | None:  # noqa: ARG002
        """The gauge of the set without the box, around the interior point ``centre`` (None for 0): columns (B, j).

        The largest column counts. None if there is no closed form, as in this default.
        """
        return None

    def _tolerance(self, xp: Namespace, context: Array) -> Array | float:  # noqa: ARG002
        """The margin, if it depends on the state or the column: a number, (1, j) or (B, j)."""
        return self._margin

    def draws_without_box(self, obs: Tensor, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:  # noqa: ARG002
        """Uniform draws (B, n) from supersets of C(s) without the action box, and log volumes (B, 1); here none."""
        return []

    def _proposal(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform on the bounding box or on one of the sets without the action box, whichever is smallest."""
        draw = super()._proposal(obs, generator)
        others = self.draws_without_box(obs, generator)
        if not others:
            return draw
        lower, upper = self.bounding_box(obs)
        log_volume = (upper - lower).log().sum(dim=1, keepdim=True)
        for other, log_other_volume in others:
            draw = torch.where(log_other_volume < log_volume, other, draw)
            log_volume = log_volume.minimum(log_other_volume)
        return draw

    def _pull_in(self, xp: Namespace, point: Array, context: Array, ulps: float) -> Array:
        """Points moved towards the interior, as far as a convex constraint needs and ``ulps`` more: (B, n)."""
        centre = self._interior(xp, point, context)
        over = xp.maximum(self._violation(xp, point, context), 0.0)
        slack = -self._violation(xp, centre, context)
        step = constant(xp.max(over / (over + slack), axis=1, keepdims=True)) + ulps * self._limits(point).eps
        return point + xp.minimum(step, 1.0) * (centre - point)

    # --- public methods ----------------------------------------------------------------------------------------

    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.violation`; raises as :meth:`Constraint.check`."""
        xp, a, context, _ = self._arrays(action, obs)
        limits = self._limits(a)
        sides = xp.maximum(limits.lower - a, a - limits.upper)
        return as_tensor(xp.concat([self._violation(xp, a, context), sides], axis=1))

    def project(self, action: Tensor, obs: Tensor) -> Tensor:
        """Nearest feasible point in Euclidean distance, differentiable almost everywhere: (B, n).

        The result is feasible at tolerance 0, and a feasible action is returned unchanged.

        Raises:
            UserError: If a shape is wrong or an entry is NaN or infinite.
        """
        single = self._project_single(action, obs)
        if single is not None:
            return single
        xp, a, context, size = self._arrays(action, obs)
        # If the nearest point of the box satisfies the constraint, it is the nearest feasible point.
        near = self._clip(xp, a)
        outside = any_column(xp, self._violation(xp, near, context) > 0)
        if not some(outside):
            return as_tensor(near)
        limits = self._limits(a)
        if size > limits.reach:
            farthest = xp.max(xp.abs(a), axis=1, keepdims=True)
            a = a * (limits.reach / xp.maximum(farthest, limits.reach))
        if xp is torch_namespace:
            # The formulas need not have a finite gradient in the other rows, and 0 times infinity is NaN.
            a, context = (xp.where(outside, array, constant(array)) for array in (a, context))
        moved = self._settle(xp, self._project(xp, a, context), context, outside)
        return as_tensor(xp.where(outside, moved, near))

    def linear_oracle(self, gradient: Tensor, obs: Tensor) -> Tensor:
        """Support point argmax over C(s) of <gradient, a>, feasible at tolerance 0; any of them if tied."""
        xp, g, context, _ = self._arrays(gradient, obs)
        largest = xp.max(xp.abs(g), axis=1, keepdims=True)
        g = g / (largest + (largest == 0))
        return as_tensor(self._settle(xp, self._linear_oracle(xp, g, context), context, True))

    def interior(self, obs: Tensor) -> Tensor:
        """A strictly feasible point: (B, n), in the precision of ``obs``."""
        like = torch.zeros((obs.shape[0], self.dim), dtype=obs.dtype, device=obs.device)
        xp, a, context, _ = self._arrays(like, obs)
        return as_tensor(self._interior(xp, a, context) + a)

    def gauge(self, direction: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.gauge`.

        Exact to rounding if the family has a closed form, else by bisection: ``RateLimitedL1``, and in a box not
        centred on 0 also ``WeightedL1``, ``Power`` and ``Intersection``.
        """
        xp, d, context, _ = self._arrays(direction, obs)
        self.check_plane(direction)
        centre = None if self._centred else self._interior(xp, d, context)
        own = self._gauge(xp, d, centre, context)
        if own is None:
            return super().gauge(direction, obs)
        limits = self._limits(d)
        if centre is None:
            sides = xp.abs(d) / limits.upper
        else:
            sides = xp.maximum(d / (limits.upper - centre), d / (limits.lower - centre))
        return as_tensor(xp.max(xp.concat([own, sides], axis=1), axis=1))

    # --- helpers -----------------------------------------------------------------------------------------------

    def _project_single(self, action: Tensor, obs: Tensor) -> Tensor | None:
        """The projection of a batch of one in plain numbers; None without a formula, or if rounding is an issue."""
        self.check_shapes(action, obs)
        if action.shape[0] != 1 or not in_memory(action, obs):
            return None
        row, state = action.tolist()[0], obs.tolist()[0]
        limits = self._limits(action)
        # NaN fails both comparisons.
        if not (sum(map(abs, row)) < limits.reach and sum(map(abs, state)) < math.inf):
            return None
        answer = self._project_row(row, [state[i] for i in self.context_indices], limits)
        if answer is None:
            return None
        precision = np.float64 if action.dtype == torch.float64 else np.float32
        return torch.from_numpy(np.array([answer], dtype=precision))

    def _settle(self, xp: Namespace, point: Array, context: Array, rows: Any) -> Array:
        """Move points that rounding left outside into the set, in ``rows`` (B, 1)."""
        margin = self._tolerance(xp, context) * self._limits(point).eps
        ulps = 1.0
        for attempt in range(SETTLE_ROUNDS):
            over = any_column(xp, self._violation(xp, point, context) > -margin) & rows
            if not some(over):
                break
            ulps *= 8
            # Projecting a point that is already near loses far fewer digits than projecting the action.
            if attempt == 0:
                nearer = self._project(xp, point, context)
            else:
                nearer = self._clip(xp, self._pull_in(xp, point, context, ulps))
            point = xp.where(over, nearer, point)
        return point

    def _clip(self, xp: Namespace, action: Array) -> Array:
        limits = self._limits(action)
        return xp.minimum(xp.maximum(action, limits.lower), limits.upper)

    def _limits(self, like: Array) -> Limits:
        key = (like.dtype, like.device)
        if key not in self._cached_limits:
            xp: Namespace = numpy_namespace if isinstance(like, np.ndarray) else torch_namespace
            kind = {"dtype": like.dtype, "device": like.device}
            lower, upper = (xp.asarray(end, **kind)[None, :] for end in (self.lower, self.upper))
            eps = float(xp.finfo(like.dtype).eps)
            largest = float(np.maximum(np.abs(self.lower), np.abs(self.upper)).max())
            # A compromise: larger loses digits in the arithmetic (near 1 / eps), smaller in scaling far actions down.
            reach = largest * eps**-0.6
            rows, ones = (lower[0].tolist(), upper[0].tolist()), xp.ones((self.dim, 1), **kind)
            self._cached_limits[key] = Limits(lower, upper, *rows, 0 * lower, ones, eps, reach)
        return self._cached_limits[key]

    def _arrays(self, action: Tensor, obs: Tensor) -> tuple[Namespace, Array, Array, float]:
        """Namespace, action (B, n), state variables (B, k) and Euclidean norm of the whole ``action``."""
        self.check_shapes(action, obs)
        xp: Namespace = torch_namespace
        a, o = action, obs
        if action.shape[0] <= self._small_batch and in_memory(action, obs):
            xp, a, o = numpy_namespace, view(action), view(obs)
        context = o[:, self._columns]
        if context.dtype != a.dtype:
            context = xp.astype(context, a.dtype)
        squared = sum_of_squares(a)
        # NaN and infinite entries show in the sum of squares, as do squares that overflow, hence the full check.
        if not squared + sum_of_squares(o) < math.inf:
            self.check(action, obs)
        return xp, a, context, math.sqrt(squared)
