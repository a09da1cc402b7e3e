"""What a method could change to look better: the constraint and its class, and what the harness measures with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmark.training.evaluation import Evaluator
from benchmark.training.meter import Clock, Meter, Metered, PolicyCounter, Repair, Tally, ViolationCounter
from envs.constraints.base import Constraint

MEASURES = (ViolationCounter, PolicyCounter, Tally, Meter, Metered, Repair, Clock, Evaluator)


@contextmanager
def intact(constraint: Constraint) -> Iterator[list[str]]:
    """Put back what is replaced inside in the constraint's classes and in those that measure by it.

    Yields:
        A list that afterwards names what was replaced.
    """
    classes = [cls for cls in (*type(constraint).__mro__, *MEASURES) if cls is not object]
    before = {cls: dict(vars(cls)) for cls in classes}
    replaced: list[str] = []
    try:
        yield replaced
    finally:
        for cls, members in before.items():
            for name in sorted({*vars(cls), *members}):
                if vars(cls).get(name) is members.get(name):
                    continue
                replaced.append(f"{cls.__name__}.{name}")
                if name in members:
                    setattr(cls, name, members[name])
                else:
                    delattr(cls, name)


def shadowed(seen: Any, constraint: Constraint) -> list[str]:
    """Attributes of ``seen``, a constraint or what stands before it, that hide a method of its class."""
    return [name for name in vars(seen) if any(callable(getattr(type(c), name, None)) for c in (seen, constraint))]
