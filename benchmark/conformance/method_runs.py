"""Checks of a method in the harness's own hands: a real training run, its counts, its time and its memory."""

from __future__ import annotations

import copy
import dataclasses
import gc
import json
import sys
import time

import psutil
import torch
from torch import Tensor

from benchmark.conformance.method_case import MethodCase
from benchmark.conformance.tampering import set_on_meter
from benchmark.conformance.verdicts import Check, NotApplicableError, require
from benchmark.records.results import ViolationCount
from envs.constraints.base import Constraint

# Nearer than this to the boundary, batches of another size may be judged otherwise.
ROUNDING = 1e-9
# The published budgets would take a week at this.
SLOWEST = 2.0
# Episodes in which buffers fill, and then those that memory is compared over.
FILLING, WATCHED, WATCHES = 8, 4, 3
# Bytes a step: what a list of numbers grows by, and what keeping each transition costs.
GROWTH, BUFFER_GROWTH = 256, 8192
# Of Python's allocator, on average.
SMALL_OBJECT = 64


def violations_counted(case: MethodCase) -> str:
    """What the harness counted in a training run is what an untouched copy of the constraint says of the actions."""
    constraint = copy.deepcopy(case.task.constraint)
    found = case.training
    said = found.outcome.violations
    for name, count, actions, states in (
        ("policy", said.policy, found.policy, found.policy_obs),
        ("behaviour", said.behaviour, found.behaviour, found.obs),
    ):
        require(count.n == len(actions), f"the harness judged {count.n} {name} actions of {len(actions)} returned")
        if actions:
            _compare(name, count, constraint, torch.cat(actions).double(), torch.cat(states))
    return f"{said.policy.count} of {said.policy.n} policy outputs, {said.behaviour.count} of {said.behaviour.n} noisy"


def constraint_untouched(case: MethodCase) -> str:
    """After a training run the constraint, its class and what judges by it are what they were."""
    found = case.training
    replaced = [*found.replaced, *(name for name in vars(found.constraint) if _is_method(found.constraint, name))]
    for method in found.methods:
        replaced += set_on_meter(method.task.constraint, found.constraint)
    advice = "a method may query the constraint, not change it"
    require(not replaced, f"the method replaced {', '.join(replaced)}; {advice}")
    after = dataclasses.replace(case.task, constraint=found.constraint).fingerprint()
    same = json.dumps(after, sort_keys=True) == json.dumps(case.task.fingerprint(), sort_keys=True)
    require(same, f"the method changed the constraint's parameters or action box; {advice}")
    return ""


def step_time(case: MethodCase) -> str:
    """A step, with its update and the environment's part, takes less time than would forbid a benchmark."""
    method = case.make()
    case.run(method, 0, 2)
    started = time.perf_counter()
    steps = len(case.run(method, 2, 4).rewards)
    cost = (time.perf_counter() - started) / steps
    require(
        cost < SLOWEST, f"a step takes {cost:.1f} s; at that, 300,000 steps take {cost * 300_000 / 86_400:.0f} days"
    )
    return f"{1000 * cost:.2f} ms a step"


def memory_bounded(case: MethodCase) -> str:
    """Once its buffers are full, memory does not grow from step to step."""
    if not hasattr(psutil, "heap_info"):
        raise NotApplicableError("this system does not say how much memory is in use")
    method = case.make()
    case.run(method, 0, FILLING)
    growths = []
    for watch in range(WATCHES):
        first, before = FILLING + watch * WATCHED, _bytes_in_use()
        steps = len(case.run(method, first, first + WATCHED).rewards)
        growths.append((_bytes_in_use() - before) / steps)
    # What fills once, such as a cache, is no leak: a leak is there each time.
    growth = min(growths)
    bounded = "replay_size" in case.settings
    allowed = GROWTH if bounded else BUFFER_GROWTH
    what = "its buffers are full" if bounded else "it was given so many transitions"
    require(
        growth < allowed,
        f"memory grows by {growth:.0f} bytes a step after {what}, allowed are {allowed}; keep nothing a step",
    )
    return f"{growth:.0f} bytes a step"


CHECKS: tuple[Check[MethodCase], ...] = (violations_counted, constraint_untouched, step_time, memory_bounded)


def _is_method(constraint: Constraint, name: str) -> bool:
    """Whether an attribute of the constraint stands in the way of a method of its class."""
    return callable(getattr(type(constraint), name, None))


def _compare(name: str, count: ViolationCount, constraint: Constraint, action: Tensor, obs: Tensor) -> None:
    violation = constraint.violation(action, obs)
    size, largest = violation.clamp(min=0).sum(dim=1), violation.max(dim=1).values
    least, most = int((largest > ROUNDING).sum()), int((largest > -ROUNDING).sum())
    require(
        least <= count.count <= most,
        f"the harness counted {count.count} violations of {name} actions where there are {least}; "
        "a method must not change what judges it",
    )
    worst = float(size.max())
    require(
        abs(count.max - worst) <= ROUNDING * max(1.0, worst),
        f"the harness found {count.max:.6g} the largest violation of {name} actions where it is {worst:.6g}; "
        "a method must not change what judges it",
    )


def _bytes_in_use() -> int:
    """Memory that is allocated and not freed: arrays to the byte, Python's small objects by number."""
    gc.collect()
    heap = psutil.heap_info()
    return int(heap.heap_used + heap.mmap_used) + SMALL_OBJECT * sys.getallocatedblocks()
