"""Checks of a method's state: saved, restored, gone on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.conformance.method_case import EPISODES, MethodCase
from benchmark.conformance.verdicts import Check, CheckFailedError, NotApplicableError, require
from benchmark.records.store import load_tensors, save_tensors
from envs.errors import UserError
from methods.base import Method, Tensors

HALF = EPISODES // 2


def checkpoint_resumes(case: MethodCase) -> str:
    """A run that goes on from a checkpoint, in a fresh method, ends as one that never stopped, to the bit."""
    method = case.make()
    case.run(method, 0, HALF)
    saved = _through_a_file(case, method.checkpoint_dict())
    uninterrupted = case.run(method, HALF, EPISODES)
    fresh = case.make()
    fresh.load_checkpoint_dict(saved)
    resumed = case.run(fresh, HALF, EPISODES)
    if len(uninterrupted.actions) == len(resumed.actions):
        pairs = zip(uninterrupted.actions, resumed.actions, strict=True)
        apart = next((step for step, (a, b) in enumerate(pairs) if not torch.equal(a, b)), None)
        require(apart is None, f"after a checkpoint action {apart} differs; put all generators and buffers into it")
    require(
        uninterrupted.same_as(resumed), "after a checkpoint actions or losses differ; put all that is learned in it"
    )
    return f"{len(resumed.rewards)} steps"


def state_restores_policy(case: MethodCase) -> str:
    """A method that was given the state of another acts as that one did, whether it is fresh or has learned since."""
    method = case.make()
    case.run(method, 0, HALF)
    state = _copy(method.state_dict())
    expected = _actions(method, case)
    fresh = case.make()
    fresh.load_state_dict(_copy(state))
    advice = "put all that actions depend on into state_dict(), and take all of it in load_state_dict()"
    require(_equal(_actions(fresh, case), expected), f"a fresh method with its state acts otherwise; {advice}")
    case.run(method, HALF, EPISODES)
    method.load_state_dict(_copy(state))
    require(_equal(_actions(method, case), expected), f"put back to an earlier state it acts otherwise; {advice}")
    return f"{len(state)} entries"


def state_is_a_copy(case: MethodCase) -> str:
    """What ``state_dict`` gave and ``load_state_dict`` took shares no memory with the method."""
    method = case.make()
    case.run(method, 0, HALF)
    state = method.state_dict()
    before = _copy(state)
    if not before:
        raise NotApplicableError("state_dict() is empty: the method has no state")
    _overwrite(state)
    changed = _changed(before, method.state_dict())
    require(not changed, f"writing into state_dict() changes the method: {changed}; return copies (.clone())")
    taken = _copy(before)
    method.load_state_dict(taken)
    _overwrite(taken)
    changed = _changed(before, method.state_dict())
    require(not changed, f"load_state_dict keeps the tensors it is given: {changed}; copy them")
    return ""


def foreign_state_refused(case: MethodCase) -> str:
    """A state that lacks entries is refused with a UserError."""
    method = case.make()
    if not method.state_dict():
        raise NotApplicableError("state_dict() is empty: the method has no state")
    try:
        method.load_state_dict({})
    except UserError:
        return ""
    except Exception as error:
        name = type(error).__name__
        raise CheckFailedError(
            f"load_state_dict of a state without entries raised {name}; raise a UserError"
        ) from error
    raise CheckFailedError("load_state_dict takes a state without entries; raise a UserError")


CHECKS: tuple[Check[MethodCase], ...] = (
    checkpoint_resumes,
    state_restores_policy,
    state_is_a_copy,
    foreign_state_refused,
)


def _through_a_file(case: MethodCase, state: Mapping[str, Tensor]) -> Tensors:
    path = case.artifacts / "conformance.safetensors"
    save_tensors(path, state, {})
    return load_tensors(path)[0]


def _copy(state: Mapping[str, Tensor]) -> Tensors:
    return {name: value.clone() for name, value in state.items()}


def _overwrite(state: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for value in state.values():
            value.copy_(value.logical_not() if value.dtype == torch.bool else value + 1)


def _changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> str:
    names = [name for name, value in before.items() if name not in after or not torch.equal(after[name], value)]
    return ", ".join(f"'{name}'" for name in names[:3])


def _actions(method: Method[Any], case: MethodCase) -> list[Tensor]:
    """What it does without exploration, and then with: the latter shows the generators too."""
    return [method.act(case.obs, explore).clone() for explore in (False, True)]


def _equal(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
