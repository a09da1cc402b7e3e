"""Methods are checked on R+L2, HC+O and BSS-3, or on the tasks given with ``--task``.

The settings ``warmup``, ``batch_size``, ``replay_size``, ``hidden``, ``samples`` and ``flow`` are made small where a
method has them; ``--set`` overrides any setting. "To the bit" means on one processor.
"""

from __future__ import annotations

import copy
import dataclasses
import gc
import math
import time
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor

from benchmark.conformance.probes import global_seed
from benchmark.conformance.trial import EPISODES, HALF, SEED, MethodTrial, clones, difference
from envs.errors import MethodFailedError, UserError
from methods.base import make_method

# Assertions are more exact than the warnings of simulators and solvers.
pytestmark = pytest.mark.filterwarnings("ignore")

PRECISIONS = (torch.float32, torch.float64)
SOLVERS = ("exact", "cvxpy")
# Closer than this to the boundary, the verdict may depend on the batch size.
ROUNDING = 1e-9
# Seconds per step: at this speed the published budgets take a week.
SLOWEST = 2.0
# Number of measurements of memory, and episodes in each.
WATCHES, WATCHED = 4, 2
# Bytes per step: the growth of a list of numbers, and the cost of keeping each transition.
GROWTH, BUFFER_GROWTH = 256, 8192
# Average bytes of a Python container.
OBJECT = 64


@pytest.mark.gate
def test_act_answers(trial: MethodTrial) -> None:
    """``act`` and ``act_pair`` return float tensors (B, n) without gradients; the first of ``act_pair`` may be None."""
    method, n = trial.make(), trial.task.constraint.dim
    answers: list[tuple[str, int, Any]] = []
    for rows in (1, 7, len(trial.obs)):
        acts = (method.act(trial.obs[:rows], explore) for explore in (False, True))
        answers += [(f"act of {rows} observations", rows, action) for action in acts]
    policy, behaviour = method.act_pair(trial.obs[:1])
    answers.append(("act_pair's behaviour", 1, behaviour))
    if policy is not None:
        answers.append(("act_pair's policy", 1, policy))
    for what, rows, action in answers:
        assert isinstance(action, Tensor), f"{what} is {type(action).__name__}; return a torch tensor"
        found = tuple(action.shape)
        assert found == (rows, n), f"{what} has shape {found}; return ({rows}, {n})"
        assert action.dtype in PRECISIONS, f"{what} is {action.dtype}; return float32 or float64"
        assert not action.requires_grad, f"{what} carries a gradient; decorate it with @torch.no_grad()"


@pytest.mark.gate
def test_actions_finite(trial: MethodTrial) -> None:
    """Actions stay finite over some episodes of acting and learning."""
    try:
        acts = trial.run.acts
    except MethodFailedError as error:
        raise AssertionError(f"{error}; check the last update") from error
    finite = all(bool(action.isfinite().all()) for action in acts)
    assert finite, "act returns NaN or infinity after some updates; check the losses"


def test_losses_finite(trial: MethodTrial) -> None:
    """``update`` returns finite numbers, and the learned state stays finite."""
    for number, step in enumerate(trial.run.steps):
        for name, value in step.losses.items():
            kind = type(value).__name__
            assert isinstance(value, float | int), f"update returned '{name}' as {kind}; return a number, with .item()"
            assert math.isfinite(value), f"update {number} returned {name} = {value}; lower the learning rate"
    for name, entry in trial.run.late.items():
        finite = not entry.is_floating_point() or bool(entry.isfinite().all())
        assert finite, f"state_dict entry '{name}' holds NaN or infinity after some updates; check the losses"
    if not any(step.losses for step in trial.run.steps):
        pytest.skip(f"update returned no losses in {len(trial.run.steps)} steps")


def test_inputs_unchanged(trial: MethodTrial) -> None:
    """The method never writes to the observations and transitions it receives."""
    changed = sum(not torch.equal(tensor, copy) for step in trial.run.steps for tensor, copy in step.given)
    assert changed == 0, f"the method modified {changed} tensors that it received; work on a copy"


def test_projection_solver_known(trial: MethodTrial) -> None:
    """``projection_solver`` is ``exact`` or ``cvxpy``."""
    solver = trial.run.method.projection_solver
    assert solver in SOLVERS, f"projection_solver is '{solver}'; use one of {', '.join(SOLVERS)}"


def test_settings_refused(trial: MethodTrial) -> None:
    """An unknown setting is an error."""
    try:
        make_method(trial.method_id, trial.task, {**trial.settings, "no_such_setting": 1})
    except UserError:
        return
    raise AssertionError(
        "an unknown setting is silently accepted; inherit Config from MethodConfig and keep extra='forbid'"
    )


def test_global_generators_untouched(trial: MethodTrial) -> None:
    """The method never uses a global random generator."""
    for what, used in trial.run.disturbed.items():
        assert not used, (
            f"{what} used the global generator of {', '.join(used)}; draw from a torch.Generator made from the seed"
        )


def test_same_seed(trial: MethodTrial) -> None:
    """The same seed gives the same actions, losses and rewards, to the bit."""
    with global_seed(1):
        apart = difference(trial.run.steps, trial.play(trial.make(), 0, EPISODES))
    assert not apart, (
        f"two runs with the same seed differ {apart}; draw all randomness from torch.Generators made from the seed"
    )


def test_different_seeds(trial: MethodTrial) -> None:
    """Different seeds give different actions. Skipped for a method without state."""
    if not trial.run.early:
        pytest.skip("state_dict() is empty: the method has no generator")
    other = trial.play(trial.make(SEED + 1), 0, HALF)
    first, second = (
        [action.tolist() for step in steps for action in step.actions] for steps in (trial.run.steps, other)
    )
    same = first[: len(second)] == second
    assert not same, "runs with different seeds act the same; derive the generators from the seed that is passed in"


def test_checkpoint_resumes(trial: MethodTrial) -> None:
    """A run that resumes from a checkpoint ends like one that never stopped, to the bit."""
    fresh = trial.make()
    fresh.load_checkpoint_dict(trial.run.checkpoint)
    apart = difference(trial.run.steps[trial.run.middle :], trial.play(fresh, HALF, EPISODES))
    assert not apart, (
        f"a run resumed from a checkpoint differs {apart}; put all generators and buffers, and all that is "
        "learned, into checkpoint_dict()"
    )


def test_state_restores_policy(trial: MethodTrial) -> None:
    """Loading a state restores its policy, both in a fresh method and in a trained one."""
    advice = "save everything that actions depend on in state_dict(), and restore all of it in load_state_dict()"
    fresh, learned = trial.make(), trial.run.method
    fresh.load_state_dict(clones(trial.run.early))
    learned.load_state_dict(clones(trial.run.early))
    same = all(map(torch.equal, trial.acts(fresh), trial.acts(learned)))
    assert same, f"restored to an earlier state, it acts differently from a fresh method in that state; {advice}"
    fresh.load_state_dict(clones(trial.run.late))
    same = all(map(torch.equal, trial.acts(fresh), trial.run.acts))
    assert same, f"a fresh method with its state acts differently; {advice}"


def test_state_is_a_copy(trial: MethodTrial) -> None:
    """States returned by ``state_dict`` or given to ``load_state_dict`` share no memory with the method."""
    method = trial.run.method
    state = method.state_dict()
    if not state:
        pytest.skip("state_dict() is empty: the method has no state")
    before = clones(state)
    _overwrite(state)
    changed = _changed(before, method.state_dict())
    assert not changed, f"writing into state_dict() changes the method: {changed}; return copies (.clone())"
    taken = clones(before)
    method.load_state_dict(taken)
    _overwrite(taken)
    changed = _changed(before, method.state_dict())
    assert not changed, f"load_state_dict keeps the tensors it is given: {changed}; copy them"


def test_foreign_state_refused(trial: MethodTrial) -> None:
    """Loading a state with missing entries raises a ``UserError``."""
    if not trial.run.early:
        pytest.skip("state_dict() is empty: the method has no state")
    try:
        trial.make().load_state_dict({})
    except UserError:
        return
    except Exception as error:
        name = type(error).__name__
        raise AssertionError(f"load_state_dict of a state without entries raised {name}; raise a UserError") from error
    raise AssertionError("load_state_dict accepts a state without entries; raise a UserError")


def _overwrite(state: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for value in state.values():
            value.copy_(value.logical_not() if value.dtype == torch.bool else value + 1)


def _changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> str:
    names = [name for name, value in before.items() if name not in after or not torch.equal(after[name], value)]
    return ", ".join(f"'{name}'" for name in names[:3])


def test_violations_counted(trial: MethodTrial) -> None:
    """The violations counted in a training run equal those that an untouched copy of the constraint finds."""
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
    """Training changes neither the constraint, nor its class, nor the code that measures violations."""
    found, advice = trial.training, "a method may query the constraint, not change it"
    assert not found.replaced, f"the method replaced {', '.join(sorted(found.replaced))}; {advice}"
    after = [dataclasses.replace(trial.task, constraint=one).fingerprint() for one in (found.constraint, found.seen)]
    same = after == [trial.task.fingerprint()] * 2
    assert same, f"the method changed the constraint's parameters or action box; {advice}"


def test_step_time(trial: MethodTrial) -> None:
    """A training step takes less than 2 seconds, environment included."""
    method, started = trial.run.method, time.perf_counter()
    steps = len(trial.play(method, 0, 1))
    cost = (time.perf_counter() - started) / steps
    days = cost * 300_000 / 86_400
    assert cost < SLOWEST, f"a step takes {cost:.1f} s; make it faster, as 300,000 steps would take {days:.0f} days"


def test_memory_bounded(trial: MethodTrial) -> None:
    """With full buffers, memory grows by at most 256 bytes a step; 8 KiB without a setting ``replay_size``."""
    if not hasattr(psutil, "heap_info"):
        pytest.skip("this system does not say how much memory is in use")
    # By now its buffers, if small, are full.
    method, growths = trial.run.method, []
    # Objects that exist already need not be searched for garbage repeatedly.
    gc.collect()
    gc.freeze()
    for watch in range(WATCHES):
        first, before = EPISODES + watch * WATCHED, _bytes_in_use()
        steps = len(trial.play(method, first, first + WATCHED))
        growths.append((_bytes_in_use() - before) / steps)
    gc.unfreeze()
    # A cache fills once; a leak shows in every measurement.
    growth = min(growths)
    bounded = "replay_size" in trial.settings
    allowed = GROWTH if bounded else BUFFER_GROWTH
    what = "its buffers are full" if bounded else "it was given so many transitions"
    assert growth < allowed, (
        f"memory grows by {growth:.0f} bytes a step after {what}, but only {allowed} are allowed; keep nothing per step"
    )


def _bytes_in_use() -> int:
    """Memory in use: arrays to the byte, Python containers by number."""
    gc.collect()
    heap = psutil.heap_info()
    return int(heap.heap_used + heap.mmap_used) + OBJECT * len(gc.get_objects())
