"""Methods that do one thing wrong, else a shipped method that conforms, are caught by the check of that thing."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from pydantic import ConfigDict
from torch import Tensor

from benchmark.conformance import test_methods
from benchmark.conformance.trial import MethodTrial, small_settings
from envs import make_task
from envs.constraints import Ball
from methods import base
from methods.base import Method, Tensors, Transition
from methods.ddpg_projection import DDPGProjection as Right
from methods.ddpg_projection import DDPGProjectionConfig
from tests.benchmark.conformance.checks import assert_caught, checks_of, fault

CHECKS = checks_of(test_methods)
WEIGHT = "actor.0"
TrialOf = Callable[[type[Method]], MethodTrial]


def after(name: str, then: Any) -> Any:
    """A method of ``Right`` that does something more once it is done."""

    def member(self: Right, *arguments: Any) -> Any:
        found = getattr(Right, name)(self, *arguments)
        then(self, *arguments)
        return found

    return member


def late(self: Right) -> float:
    """NaN, after some steps."""
    return float("nan") if self.steps > 20 else 0.0


def without(state: Mapping[str, Tensor], name: str) -> Tensors:
    return {key: value for key, value in state.items() if key != name}


def with_own(load: Callable[[Right, Tensors], None]) -> Any:
    """Takes from itself what a state lacks."""
    return lambda self, state: load(self, Right.state_dict(self) | Right.checkpoint_dict(self) | state)


def replace_violation(self: Right, _: Transition) -> None:
    """In the class that the harness's constraint has its violations from."""
    family = next(cls for cls in type(self.task.constraint).__mro__ if "violation" in vars(cls))
    family.violation = lambda _, action, obs: action * 0 - obs.abs().max() - 1


def in_constraint(name: str, value: Any) -> Any:
    return lambda self, *_: setattr(self.task.constraint, name, value)


def keep(self: Right, transition: Transition) -> None:
    self.__dict__.setdefault("kept", []).append(transition)


def keep_the_graph(self: Right) -> None:
    """Sums losses without detaching them: no Python object keeps what this keeps."""
    self.total = getattr(self, "total", 0) + (2 * self.state["actor"][0].clone().requires_grad_()).square().sum()


class LooseConfig(DDPGProjectionConfig):
    model_config = ConfigDict(extra="ignore", frozen=True)


wrong = functools.partial(fault, Right)
act, observe, init = Right.act, functools.partial(after, "observe"), functools.partial(after, "__init__")
state_dict, load = Right.state_dict, Right.load_state_dict
FAULTS = [
    # Actions.
    wrong("test_act_answers", "shape", act=lambda self, obs, explore: act(self, obs, explore)[:, :1]),
    wrong("test_act_answers", "gradient", act=lambda self, obs, explore: act(self, obs, explore).requires_grad_()),
    wrong("test_act_answers", "pair", act_pair=lambda self, obs: (None, act(self, obs, False)[0])),
    wrong("test_actions_finite", "NaN", act=lambda self, obs, explore: act(self, obs, explore) + late(self)),
    wrong("test_losses_finite", "NaN", update=lambda self: {"loss": late(self)}),
    wrong("test_projection_solver_known", "gurobi", projection_solver="gurobi"),
    wrong("test_settings_refused", "loose", Config=LooseConfig),
    wrong("test_inputs_unchanged", "act", act_pair=lambda self, obs: Right.act_pair(self, obs.mul_(0.5))),
    wrong("test_inputs_unchanged", "observe", observe=observe(lambda _, t: t.next_obs.clamp_(-0.01, 0.01))),
    # Randomness.
    wrong("test_global_generators_untouched", "torch", act_pair=lambda _, obs: (None, torch.rand((len(obs), 2)))),
    wrong("test_global_generators_untouched", "random", observe=observe(lambda *_: random.random())),
    wrong("test_same_seed", "unseeded", __init__=init(lambda self, *_: self.noise_generator.seed())),
    wrong(
        "test_different_seeds", "ignored", __init__=lambda self, task, config, _: Right.__init__(self, task, config, 0)
    ),
    # State.
    wrong(
        *("test_state_restores_policy", "incomplete"),
        state_dict=lambda self: without(state_dict(self), WEIGHT),
        load_state_dict=with_own(load),
    ),
    wrong(
        "test_state_is_a_copy", "shared", state_dict=lambda self: state_dict(self) | {WEIGHT: self.state["actor"][0]}
    ),
    wrong(
        "test_state_is_a_copy",
        "taken",
        load_state_dict=after("load_state_dict", lambda self, state: self.state["actor"].__setitem__(0, state[WEIGHT])),
    ),
    wrong(
        "test_checkpoint_resumes",
        "no generator",
        checkpoint_dict=lambda self: without(Right.checkpoint_dict(self), "replay_generator"),
        load_checkpoint_dict=with_own(Right.load_checkpoint_dict),
    ),
    wrong("test_checkpoint_resumes", "no buffer", checkpoint_dict=state_dict, load_checkpoint_dict=load),
    wrong("test_foreign_state_refused", "any", load_state_dict=with_own(load)),
    wrong("test_foreign_state_refused", "KeyError", load_state_dict=lambda _, state: state[WEIGHT]),
    # In the harness.
    wrong("test_violations_counted", "violation", observe=observe(replace_violation)),
    wrong("test_constraint_untouched", "violation of the class", observe=observe(replace_violation)),
    wrong("test_constraint_untouched", "set", observe=observe(in_constraint("radius_squared", 9))),
    wrong("test_constraint_untouched", "box", observe=observe(lambda self, _: self.task.constraint.upper.fill(100.0))),
    wrong("test_constraint_untouched", "meter", __init__=init(in_constraint("repair", lambda a, _: a))),
    wrong("test_memory_bounded", "transitions", observe=observe(keep)),
    wrong("test_memory_bounded", "graphs", update=after("update", keep_the_graph)),
    wrong("test_step_time", "slow", update=after("update", lambda _: time.sleep(0.05))),
]


@pytest.fixture(scope="module")
def trial_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialOf]:
    """Registers a class and tries it out on Reacher."""
    with pytest.MonkeyPatch.context() as patch:

        def make(cls: type[Method]) -> MethodTrial:
            name = f"plug-in-{id(cls)}"
            patch.setattr(cls, "id", name)
            patch.setitem(base._METHODS, name, cls)
            return MethodTrial(name, make_task("R+L2"), small_settings(name, {}), tmp_path_factory.mktemp("artifacts"))

        yield make


@pytest.mark.parametrize(("cls", "check"), FAULTS)
def test_a_wrong_one_is_caught(
    cls: type[Right], check: str, trial_of: TrialOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_methods, "SLOWEST", 0.05 if check == "test_step_time" else 2.0)
    before = dict(vars(Ball))
    assert_caught(CHECKS[check], trial_of(cls))
    # What was replaced is put back.
    assert dict(vars(Ball)) == before


def test_every_check_has_one_that_it_catches() -> None:
    assert {fault.values[1] for fault in FAULTS} == set(CHECKS)


def test_shipped_methods_are_checked_small() -> None:
    found = small_settings("flowpg", {"batch_size": 5})
    assert (found["hidden"], found["batch_size"], found["flow"]["updates"]) == ([16, 16], 5, 10)
