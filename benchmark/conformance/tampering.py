"""What a method could change to be judged by less: the constraint's class and the harness's own judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmark.training.evaluation import Evaluator
from benchmark.training.meter import Clock, MeteredConstraint
from benchmark.training.violations import Judge, PolicyJudge, Tally
from envs.constraints.base import Constraint

JUDGES = (Judge, PolicyJudge, Tally, MeteredConstraint, Clock, Evaluator)


def members(constraint: Constraint) -> dict[str, Any]:
    """All members of the constraint's classes and of those that judge by it."""
    return {f"{cls.__name__}.{name}": member for cls in _classes(constraint) for name, member in vars(cls).items()}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names of members that were replaced, added or removed."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) is not after.get(name))


def set_on_meter(seen: Any, constraint: Constraint) -> list[str]:
    """What a method set on the metered constraint that it sees, which stands before ``constraint``."""
    if not isinstance(seen, MeteredConstraint):
        return []
    new = sorted(vars(seen).keys() - vars(MeteredConstraint(constraint, Clock())).keys())
    return new if seen._constraint is constraint else [*new, "_constraint"]


@contextmanager
def restored(constraint: Constraint) -> Iterator[None]:
    """Put back afterwards whatever was replaced in these classes, so that the next check sees them whole."""
    before = {cls: dict(vars(cls)) for cls in _classes(constraint)}
    try:
        yield
    finally:
        for cls, kept in before.items():
            for name in vars(cls).keys() - kept.keys():
                delattr(cls, name)
            for name, member in kept.items():
                if vars(cls).get(name) is not member:
                    setattr(cls, name, member)


def _classes(constraint: Constraint) -> list[type]:
    return [cls for cls in (*type(constraint).__mro__, *JUDGES) if cls is not object]
