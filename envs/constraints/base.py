"""The base class of action constraints, with slow, general defaults.

A constraint describes ``C(s) = {a : g_j(a, s) <= 0}`` inside an action box. Subclass :class:`Constraint` and implement
``violation`` and ``cvxpy_constraints``. Projection, linear oracle, interior point and sampling then work through cvxpy.
The shipped families subclass ``ExactConstraint`` (``exact.py``), which replaces these by exact, batched formulas.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from envs.constraints.arrays import as_slice
from envs.constraints.gauge import gauge_by_bisection
from envs.constraints.inputs import accept_arrays
from envs.constraints.notation import box
from envs.errors import NoSampleError, UserError

if TYPE_CHECKING:
    import cvxpy as cp

    from envs.constraints.solver import Objective, ParametrisedProgram

REJECTION_ROUNDS = 10_000
# Room about an interior point, relative to the box's sides: far more than rounding, far less than an action.
ROOM = 1e-3
# How far out of the plane of an equality a direction may be, relative to itself, and to the box's largest end: more
# than a difference of two actions in single precision is.
OFF_PLANE, ROUNDING = 1e-2, 1e-6
PRECISIONS = frozenset({torch.float32, torch.float64})


class Constraint(ABC):
    """A state-dependent set C(s) of feasible actions.

    Every method takes torch tensors or NumPy arrays in float32 or float64: a batch of actions (B, n) at observations
    (B, o), or one action (n,) at one observation (o,). It returns the same kind, in the same precision: for example,
    ``constraint.project(np.ones(6), np.zeros(17))`` is a NumPy array (6,). Each row is answered for its own
    observation.

    A subclass implements :meth:`violation` and :meth:`cvxpy_constraints` for batches of torch tensors. Everything else
    has a default, most of them through cvxpy. Arrays and single actions need no further code (``inputs.py``).

    Args:
        lower: Lower end of the action box, shape (n,), in the environment's units.
        upper: Upper end of the action box, shape (n,).
        context_indices: Entries of the observation that the constraint reads, in the order in which it uses them.

    Raises:
        UserError: If the box is empty, not finite, or its ends differ in shape.

    Attributes:
        convex: Whether C(s) is convex at every s, as a solver and a gauge need.
    """

    convex: ClassVar[bool] = True

    def __init__(self, lower: ArrayLike, upper: ArrayLike, context_indices: Sequence[int] = ()) -> None:
        self.lower: NDArray[np.float64] = np.array(lower, dtype=np.float64).reshape(-1)
        self.upper: NDArray[np.float64] = np.array(upper, dtype=np.float64).reshape(-1)
        self.context_indices = tuple(context_indices)
        if self.lower.shape != self.upper.shape:
            raise UserError(f"action box: ends of shape {self.lower.shape} and {self.upper.shape}; give both the same")
        if not (np.isfinite(self.lower).all() and np.isfinite(self.upper).all()):
            raise UserError("action box: its ends must be finite")
        if not (self.lower < self.upper).all():
            raise UserError("action box without interior: every lower end must be below its upper end")
        if any(index < 0 for index in self.context_indices):
            raise UserError("context indices count from 0; negative ones would depend on the observation's length")
        self._context_end = max(self.context_indices, default=-1) + 1
        self._columns = as_slice(self.context_indices)
        self._programs: dict[str, ParametrisedProgram] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        accept_arrays(cls)

    def __getstate__(self) -> dict[str, Any]:
        # Compiled programs cannot be copied, and are made anew.
        return {**vars(self), "_programs": {}}

    # --- the set -----------------------------------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """Number of action coordinates, n."""
        return int(self.lower.shape[0])

    @abstractmethod
    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        """Signed constraint values, positive where violated, in the constraint's own units; with gradients.

        Args:
            action: Actions (B, n).
            obs: Observations (B, o).

        Returns:
            Values (B, m), the constraint's own columns first, then one for each of the n coordinates of the action box.
        """

    @abstractmethod
    def cvxpy_constraints(self, x: cp.Variable, obs_row: Any) -> list[Any]:
        """The same set for cvxpy, action box included: the independent reference.

        Args:
            x: Variable of shape (n,).
            obs_row: One observation (o,), as an array or a ``cvxpy.Parameter``.
        """

    def contains(self, action: Tensor, obs: Tensor, tol: float = 0.0) -> Tensor:
        """Whether the summed positive violation, action box included, is at most ``tol``: (B,) bool."""
        return self.violation(action, obs).clamp(min=0).sum(dim=-1) <= tol

    def scaled_violation(self, action: Tensor, obs: Tensor) -> Tensor:
        """How far actions lie outside C(s), in the action's units: (B,), with gradients in the action.

        The default is the distance to C(s), whose gradient is the unit vector away from the projection.
        """
        given, state = action.detach(), obs.detach()
        # A solver returns a feasible action up to rounding only, which must not have a slope.
        near = torch.where(self.contains(given, state)[:, None], given, self.project(given, state))
        distance: Tensor = torch.linalg.vector_norm(action - near, dim=1)
        return distance

    def context(self, obs: Tensor) -> Tensor:
        """The observation entries that the constraint reads: (B, k); k may be 0."""
        return obs[..., self._columns]

    def formula(self) -> str:
        """The inequalities that define C(s), the observation entries in them, and the action box.

        The default is the first line of the class's docstring.

        Returns:
            One line of Unicode text, such as ``"|w₁a₁| + |w₂a₂| ≤ 0.3, w = obs[6..7], a ∈ [-1, 1]²"``.
        """
        described = inspect.getdoc(type(self)) or type(self).__name__
        return described.partition("\n")[0].replace("``", "")

    def box_text(self) -> str:
        """The action box as text, such as ``"a ∈ [-1, 1]²"``."""
        return box(self.lower, self.upper)

    # --- what methods need --------------------------------------------------------------------------------------

    def project(self, action: Tensor, obs: Tensor) -> Tensor:
        """The nearest feasible action in Euclidean distance: (B, n).

        The default, by cvxpy, has no gradients; the shipped families have them.
        """
        return self.project_by_solver(action, obs)

    def project_by_solver(self, action: Tensor, obs: Tensor) -> Tensor:
        """As :meth:`project`, by cvxpy with CLARABEL, one row at a time: the papers' "QP at every step"."""
        import cvxpy as cp

        return self._solve_rows("project", lambda x, target: cp.sum_squares(x - target), action, obs)

    def linear_oracle(self, gradient: Tensor, obs: Tensor) -> Tensor:
        """A feasible action furthest along ``gradient``, argmax over C(s) of ``<gradient, a>``: (B, n)."""
        return self._solve_rows("oracle", lambda x, gradient: -gradient @ x, gradient, obs)

    def repair(self, action: Tensor, obs: Tensor) -> Tensor:
        """The feasible action executed instead of ``action``: its projection, unless actions are discrete."""
        return self.project(action, obs)

    def repair_by_solver(self, action: Tensor, obs: Tensor) -> Tensor:
        """As :meth:`repair`, with the projection by cvxpy."""
        return self.project_by_solver(action, obs)

    def executable(self, action: Tensor, obs: Tensor) -> Tensor:
        """Whether an action can be executed without repair: (B,) bool."""
        return self.contains(action, obs)

    def interior(self, obs: Tensor) -> Tensor:
        """A strictly feasible action, the centre of :meth:`gauge`: (B, n).

        The default is the middle of the action box if C(s) has room around it, which takes no solver, else the mean of
        the linear oracle's answers in all coordinate directions.

        Raises:
            UserError: If C(s) has no interior: it is empty, or lies in a plane.
        """
        lower, upper = (torch.as_tensor(end).to(obs) for end in (self.lower, self.upper))
        unit = torch.eye(self.dim, dtype=obs.dtype, device=obs.device)
        directions = torch.cat([unit, -unit])
        centre = ((lower + upper) / 2).repeat(len(obs), 1)
        steps = ROOM * (upper - lower) * torch.cat([directions, 0 * unit[:1]])
        roomy = torch.stack([(self.violation(centre + step, obs) < 0).all(dim=1) for step in steps]).all(dim=0)
        if not bool(roomy.all()):
            others = obs[~roomy]
            corners = [self.linear_oracle(d.expand(len(others), -1), others) for d in directions]
            centre[~roomy] = torch.stack(corners).mean(dim=0)
            if not bool((self.violation(centre, obs) < 0).all()):
                raise UserError("no strictly feasible action: the constraint set has no interior at some observation")
        return centre

    def gauge(self, direction: Tensor, obs: Tensor) -> Tensor:
        """Minkowski gauge of C(s) around c = :meth:`interior`: ``inf {t > 0 : c + direction / t in C(s)}``.

        c + direction is feasible if and only if the gauge is at most 1, and the boundary in a direction is at
        ``c + direction / gauge(direction, obs)[:, None]``. The gauge is positively homogeneous, 0 at 0, and
        differentiable in direction and obs almost everywhere, with finite gradients everywhere. The default is
        bisection on :meth:`violation`, to about 1e-12 (``gauge.py``); most shipped families have closed forms.

        Args:
            direction: Directions (B, n). Under an equality they must lie in its plane, as a difference of two feasible
                actions does.
            obs: Observations (B, o).

        Returns:
            (B,), in the precision of ``direction``.

        Raises:
            UserError: If the set is not convex, a direction leaves its plane, or :meth:`check` refuses the input.
        """
        if not self.convex:
            name = type(self).__name__
            raise UserError(f"{name}: not star-shaped, so that it has no gauge; choose a task whose set is convex")
        self.check(direction, obs)
        self.check_plane(direction)
        centre = self.interior(obs).to(direction.dtype)
        lower, upper = (torch.as_tensor(end).to(direction) for end in (self.lower, self.upper))
        return gauge_by_bisection(self.violation, centre, direction, obs, lower, upper)

    def sample(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        """One feasible action per row, uniform on C(s), by rejection from a larger set: (B, n).

        Raises:
            NoSampleError: If rejection finds nothing, as C(s) is empty or very small; it names the rows.
        """
        action = torch.empty((obs.shape[0], self.dim), dtype=obs.dtype, device=obs.device)
        missing = torch.arange(obs.shape[0], device=obs.device)
        for _ in range(REJECTION_ROUNDS):
            if not len(missing):
                return action
            draw = self._proposal(obs[missing], generator)
            accepted = self.contains(draw, obs[missing])
            action[missing[accepted]] = draw[accepted]
            missing = missing[~accepted]
        raise NoSampleError(REJECTION_ROUNDS, missing)

    def _proposal(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        """One draw per row, uniform on :meth:`bounding_box` or, in a plane, on :attr:`free_box`: (B, n)."""
        plane = self.free_dim < self.dim
        lower, upper = map(torch.as_tensor, self.free_box) if plane else self.bounding_box(obs)
        u = torch.rand((len(obs), self.free_dim), generator=generator, dtype=obs.dtype, device=generator.device)
        return self.from_free((lower + u.to(obs.device) * (upper - lower)).to(obs.dtype))

    def bounding_box(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """A box around C(s), the tighter the better: lower and upper ends, (B, n) each."""
        ends = self.free_box if self.free_dim == self.dim else (self.lower, self.upper)
        lower, upper = (torch.as_tensor(end, dtype=obs.dtype, device=obs.device) for end in ends)
        return lower.expand(len(obs), -1), upper.expand(len(obs), -1)

    # --- free coordinates, in the plane of an equality ----------------------------------------------------------

    @property
    def free_dim(self) -> int:
        """Dimension d of C(s): n, or n - 1 under one equality."""
        return self.dim

    @property
    def free_box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A state-independent box around C(s) in free coordinates: lower and upper ends, (d,) each."""
        return self.lower, self.upper

    def to_free(self, action: Tensor) -> Tensor:
        """Free coordinates (B, d) of feasible actions (B, n)."""
        return action

    def from_free(self, free: Tensor) -> Tensor:
        """Actions (B, n) of free coordinates (B, d). They satisfy the equalities by construction."""
        return free

    # --- helpers ----------------------------------------------------------------------------------------------

    def check(self, action: Tensor, obs: Tensor) -> None:
        """Refuse wrong shapes and entries that are not finite.

        Raises:
            UserError: If a shape is wrong or an entry is NaN or infinite.
        """
        self.check_shapes(action, obs)
        # The sum is NaN or infinite whenever an entry is; this takes one pass instead of two.
        if not np.isfinite(float(action.detach().sum()) + float(obs.detach().sum())):
            raise UserError("action or obs holds NaN or infinite entries; look at the step that produced them")

    def check_plane(self, direction: Tensor) -> None:
        """Refuse directions (B, n) that leave the plane of an equality: no step along them is feasible.

        Raises:
            UserError: If one does, by more than rounding.
        """
        if self.free_dim == self.dim:
            return
        start = self.from_free((torch.as_tensor(self.free_box[0]) + torch.as_tensor(self.free_box[1]))[None] / 2)
        given = direction.detach().double()
        off = (self.from_free(self.to_free(start + given)) - start - given).abs().amax(dim=1)
        rounding = ROUNDING * float(np.abs([self.lower, self.upper]).max())
        if bool((off > OFF_PLANE * given.abs().amax(dim=1) + rounding).any()):
            raise UserError(
                "a direction leaves the plane of the equality, where no action is feasible; take differences of "
                "feasible actions, or of their projections"
            )

    def check_shapes(self, action: Tensor, obs: Tensor) -> None:
        """The part of :meth:`check` that ignores the values.

        Raises:
            UserError: If a shape or a type is wrong.
        """
        if not (isinstance(action, Tensor) and isinstance(obs, Tensor)):
            raise UserError(
                "action and obs must be torch tensors or NumPy arrays, "
                f"not {type(action).__name__} and {type(obs).__name__}"
            )
        if action.dtype not in PRECISIONS or not obs.dtype.is_floating_point:
            raise UserError(f"action and obs must be float32 or float64, not {action.dtype} and {obs.dtype}")
        shape, given = action.shape, obs.shape
        if len(shape) != 2 or shape[1] != self.dim:
            raise UserError(f"action has shape {tuple(shape)}; expected ({self.dim},) or (batch, {self.dim})")
        if len(given) != 2 or given[0] != shape[0] or given[1] < self._context_end:
            raise UserError(f"obs has shape {tuple(given)}; expected ({shape[0]}, {self._context_end} or more)")

    def box_violation(self, action: Tensor) -> Tensor:
        """Signed distance to the action box, one column per coordinate: (B, n)."""
        lower, upper = (torch.as_tensor(end).to(action) for end in (self.lower, self.upper))
        return torch.maximum(lower - action, action - upper)

    def _solve_rows(self, name: str, objective: Objective, parameter: Tensor, obs: Tensor) -> Tensor:
        # cvxpy takes seconds to import, and only this route needs it.
        from envs.constraints.solver import ParametrisedProgram

        self.check(parameter, obs)
        if name not in self._programs:
            self._programs[name] = ParametrisedProgram(self.dim, objective, self.cvxpy_constraints)
        program = self._programs[name]
        if not len(parameter):
            return parameter.new_empty(parameter.shape)
        pairs = zip(parameter.detach().double().numpy(), obs.detach().double().numpy(), strict=True)
        return torch.as_tensor(np.stack([program.solve(p, o) for p, o in pairs]), dtype=parameter.dtype)


accept_arrays(Constraint)
