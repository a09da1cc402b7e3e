"""What a method must be in the harness's hands: counted rightly, fast enough, and bounded in memory."""

from __future__ import annotations

import copy
import dataclasses
import gc
import time

import psutil
import pytest
import torch

from benchmark.conformance.method_trial import EPISODES, MethodTrial

pytestmark = pytest.mark.filterwarnings("ignore")

# Nearer than this to the boundary, batches of another size may be judged otherwise.
ROUNDING = 1e-9
# Seconds a step: the published budgets would take a week at this.
SLOWEST = 2.0
# How often, and over how many episodes, memory is watched.
WATCHES, WATCHED = 4, 2
# Bytes a step: what a list of numbers grows by, and what keeping each transition costs.
GROWTH, BUFFER_GROWTH = 256, 8192
# A container of Python's, on average.
OBJECT = 64


def test_violations_counted(trial: MethodTrial) -> None:
    """What the harness counted in a training run is what an untouched copy of the constraint says of the actions."""
    found, constraint = trial.training, copy.deepcopy(trial.task.constraint)
    advice = "a method must not change what measures it"
    for name in ("policy", "behaviour"):
        said, rows = getattr(found.violations, name), getattr(found, name)
        assert said.n == len(rows), f"the harness counted {said.n} {name} actions of {len(rows)} returned; {advice}"
        if not rows:
            continue
        action, obs = map(torch.cat, zip(*rows, strict=True))
        violation = constraint.violation(action.double(), obs)
        least, most = (int((violation.max(dim=1).values > edge).sum()) for edge in (ROUNDING, -ROUNDING))
        assert least <= said.count <= most, (
            f"the harness counted {said.count} violations of {name} actions where there are {least}; {advice}"
        )
        worst = float(violation.clamp(min=0).sum(dim=1).max())
        assert abs(said.max - worst) <= ROUNDING * max(1.0, worst), (
            f"the harness found {said.max:.6g} the largest violation of {name} actions where it is {worst:.6g}; "
            f"{advice}"
        )


def test_constraint_untouched(trial: MethodTrial) -> None:
    """After a training run the constraint, its class and what measures by it are what they were."""
    found, advice = trial.training, "a method may query the constraint, not change it"
    assert not found.replaced, f"the method replaced {', '.join(sorted(found.replaced))}; {advice}"
    after = [dataclasses.replace(trial.task, constraint=one).fingerprint() for one in (found.constraint, found.seen)]
    same = after == [trial.task.fingerprint()] * 2
    assert same, f"the method changed the constraint's parameters or action box; {advice}"


def test_step_time(trial: MethodTrial) -> None:
    """A step, with its update and the environment's part, takes less time than would forbid a benchmark."""
    method, started = trial.run.method, time.perf_counter()
    steps = len(trial.play(method, 0, 1))
    cost = (time.perf_counter() - started) / steps
    days = cost * 300_000 / 86_400
    assert cost < SLOWEST, f"a step takes {cost:.1f} s; at that, 300,000 steps take {days:.0f} days"


def test_memory_bounded(trial: MethodTrial) -> None:
    """Once its buffers are full, memory does not grow from step to step."""
    if not hasattr(psutil, "heap_info"):
        pytest.skip("this system does not say how much memory is in use")
    # Its buffers, if small, have been filled by then.
    method, growths = trial.run.method, []
    # What is there already need not be searched for garbage again and again.
    gc.collect()
    gc.freeze()
    for watch in range(WATCHES):
        first, before = EPISODES + watch * WATCHED, _bytes_in_use()
        steps = len(trial.play(method, first, first + WATCHED))
        growths.append((_bytes_in_use() - before) / steps)
    gc.unfreeze()
    # What fills once, such as a cache, is no leak: a leak is there each time.
    growth = min(growths)
    bounded = "replay_size" in trial.settings
    allowed = GROWTH if bounded else BUFFER_GROWTH
    what = "its buffers are full" if bounded else "it was given so many transitions"
    assert growth < allowed, (
        f"memory grows by {growth:.0f} bytes a step after {what}, allowed are {allowed}; keep nothing a step"
    )


def _bytes_in_use() -> int:
    """Memory that is allocated and not freed: arrays to the byte, Python's containers by number."""
    gc.collect()
    heap = psutil.heap_info()
    return int(heap.heap_used + heap.mmap_used) + OBJECT * len(gc.get_objects())
