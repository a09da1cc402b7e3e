"""A task's constraint with another threshold."""

from __future__ import annotations

from envs.constraints import Allocation, Ball, Constraint
from envs.constraints.budget import Budget


def threshold_of(constraint: Constraint) -> str | None:
    """Name of the threshold that :func:`with_threshold` changes; None where there is none."""
    if isinstance(constraint, Ball):
        return "radius²"
    if isinstance(constraint, Budget):
        return "bound"
    return "capacity" if isinstance(constraint, Allocation) else None


def with_threshold(constraint: Constraint, factor: float) -> Constraint | None:
    """The same constraint with ``factor`` times the threshold, within the same action box.

    A ball's squared radius, a budget's bound; of an allocation the capacity, that is the width of its action box.

    Returns:
        The changed constraint; None where there is no threshold.

    Raises:
        UserError: If the changed set is empty.
    """
    lower, upper = constraint.lower, constraint.upper
    if isinstance(constraint, Ball):
        return Ball(factor * constraint.radius_squared, lower, upper)
    if isinstance(constraint, Budget):
        return type(constraint)(factor * constraint.bound, lower, upper, constraint.context_indices)
    if isinstance(constraint, Allocation):
        return Allocation(constraint.total, lower, lower + factor * (upper - lower))
    return None
