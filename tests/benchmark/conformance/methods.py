"""A small method that does everything right, and others that each do one thing wrong."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pydantic import ConfigDict
from torch import Tensor

from envs.errors import UserError
from envs.seeding import make_generator
from methods.base import Method, MethodConfig, Tensors, Transition
from tests.benchmark.conformance.checks import fault


class LearnerConfig(MethodConfig):
    replay_size: int = 16


class Learner(Method[LearnerConfig]):
    """Acts by one weight a coordinate, which moves towards executed actions that it draws from its memory."""

    Config = LearnerConfig

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.n = self.task.constraint.dim
        self.noise = make_generator(self.seed, "noise")
        self.replay = make_generator(self.seed, "replay")
        self.weight = torch.zeros(self.n, dtype=torch.float64)
        self.memory = torch.zeros((self.config.replay_size, self.n), dtype=torch.float64)
        self.steps = 0

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.noise, dtype=torch.float64)

    def act(self, obs: Tensor, explore: bool) -> Tensor:
        mean = torch.tanh(obs.mean(dim=1, keepdim=True) + self.weight)
        return mean + 0.3 * self.draw((len(obs), self.n)) if explore else mean

    def observe(self, transition: Transition) -> None:
        self.memory[self.steps % len(self.memory)] = transition.action[0]
        self.steps += 1

    def update(self) -> dict[str, float]:
        row = int(torch.randint(min(self.steps, len(self.memory)), (1,), generator=self.replay))
        error = self.memory[row] - self.weight
        self.weight = self.weight + 0.1 * error
        return {"loss": error.square().mean().item()}

    def state_dict(self) -> Tensors:
        return {
            "weight": self.weight.clone(),
            "steps": torch.tensor(self.steps),
            "noise": self.noise.get_state(),
            "replay": self.replay.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        try:
            self.weight = state["weight"].clone()
            self.noise.set_state(state["noise"])
            self.replay.set_state(state["replay"])
            self.steps = int(state["steps"])
        except KeyError as error:
            raise UserError(f"no state of this method: {error} is missing") from error

    def checkpoint_dict(self) -> Tensors:
        return {**self.state_dict(), "memory": self.memory}

    def load_checkpoint_dict(self, state: Mapping[str, Tensor]) -> None:
        self.load_state_dict(state)
        self.memory.copy_(state["memory"])


# --- what can be wrong -------------------------------------------------------------------------------------------


def after(name: str, then: Any) -> Any:
    """A method of ``Learner`` that does something more once it is done."""

    def member(self: Learner, *arguments: Any) -> Any:
        found = getattr(Learner, name)(self, *arguments)
        then(self, *arguments)
        return found

    return member


def late(self: Learner) -> float:
    """NaN, after some steps."""
    return float("nan") if self.steps > 20 else 0.0


def without(state: Mapping[str, Tensor], name: str) -> Tensors:
    return {key: value for key, value in state.items() if key != name}


def executed_as_it_is(action: Tensor, obs: Tensor) -> Tensor:
    del obs
    return action


def nothing_violated(action: Tensor, obs: Tensor) -> Tensor:
    return torch.full((len(action), len(obs[0])), -1.0, dtype=action.dtype)


def family(self: Learner) -> type:
    """The class that the harness's constraint has its violations from."""
    return next(cls for cls in type(self.task.constraint).__mro__ if "violation" in vars(cls))


def widen_the_box(self: Learner, _: Transition) -> None:
    self.task.constraint.upper[:] = 100.0
    self.task.constraint.lower[:] = -100.0


def keep(self: Learner, transition: Transition) -> None:
    self.__dict__.setdefault("kept", []).append(transition)


def keep_the_graph(self: Learner) -> None:
    """Sums losses without detaching them: no Python object keeps what this keeps."""
    self.total = getattr(self, "total", torch.zeros((), requires_grad=True)) + self.weight.square().sum()


class LooseConfig(MethodConfig):
    model_config = ConfigDict(extra="ignore", frozen=True)

    replay_size: int = 16


wrong = functools.partial(fault, Learner)
act, observe, init = Learner.act, functools.partial(after, "observe"), functools.partial(after, "__init__")
ACTIONS = [
    wrong("test_act_answers", "shape", act=lambda self, obs, explore: act(self, obs, explore)[:, :1]),
    wrong("test_act_answers", "half", act=lambda self, obs, explore: act(self, obs, explore).half()),
    wrong("test_act_answers", "gradient", act=lambda self, obs, explore: act(self, obs, explore).requires_grad_()),
    wrong("test_act_answers", "pair", act_pair=lambda self, obs: (None, act(self, obs, True)[0])),
    wrong("test_actions_finite", "NaN", act=lambda self, obs, explore: act(self, obs, explore) + late(self)),
    wrong("test_losses_finite", "NaN", update=lambda self: {"loss": late(self)}),
    wrong("test_projection_solver_known", "gurobi", projection_solver="gurobi"),
    wrong("test_settings_refused", "loose", Config=LooseConfig),
    wrong("test_inputs_unchanged", "act", act=lambda self, obs, explore: act(self, obs.mul_(0.5), explore)),
    wrong("test_inputs_unchanged", "observe", observe=observe(lambda _, t: t.next_obs.clamp_(-0.01, 0.01))),
]
GLOBAL_TORCH = {"draw": lambda _, shape: torch.randn(shape, dtype=torch.float64)}
GLOBAL_NUMPY = {"draw": lambda _, shape: torch.as_tensor(np.random.standard_normal(shape))}  # noqa: NPY002
RANDOMNESS = [
    wrong("test_global_generators_untouched", "torch", **GLOBAL_TORCH),
    wrong("test_global_generators_untouched", "numpy", **GLOBAL_NUMPY),
    wrong("test_global_generators_untouched", "random", observe=observe(lambda *_: random.random())),
    wrong(
        "test_global_generators_untouched", "seeds torch", __init__=init(lambda self, *_: torch.manual_seed(self.seed))
    ),
    wrong("test_same_seed", "torch", **GLOBAL_TORCH),
    wrong("test_same_seed", "numpy", **GLOBAL_NUMPY),
    wrong("test_same_seed", "unseeded", __init__=init(lambda self, *_: self.noise.seed())),
    wrong(
        "test_different_seeds",
        "ignored",
        __init__=lambda self, task, config, _: Learner.__init__(self, task, config, 0),
    ),
]
STATE = [
    wrong(
        "test_state_restores_policy",
        "incomplete",
        state_dict=lambda self: without(Learner.state_dict(self), "weight"),
        load_state_dict=lambda self, state: Learner.load_state_dict(self, {"weight": self.weight, **state}),
    ),
    wrong("test_state_is_a_copy", "shared", state_dict=lambda self: Learner.state_dict(self) | {"weight": self.weight}),
    wrong(
        "test_state_is_a_copy",
        "taken",
        load_state_dict=after("load_state_dict", lambda self, state: setattr(self, "weight", state["weight"])),
    ),
    wrong(
        "test_checkpoint_resumes",
        "no generator",
        checkpoint_dict=lambda self: without(Learner.checkpoint_dict(self), "replay"),
        load_checkpoint_dict=lambda self, state: Learner.load_checkpoint_dict(
            self, {"replay": self.replay.get_state(), **state}
        ),
    ),
    wrong(
        "test_checkpoint_resumes",
        "no buffer",
        checkpoint_dict=Learner.state_dict,
        load_checkpoint_dict=Learner.load_state_dict,
    ),
    wrong(
        "test_foreign_state_refused",
        "any",
        load_state_dict=lambda self, state: Learner.load_state_dict(self, {**self.state_dict(), **state}),
    ),
    wrong(
        "test_foreign_state_refused",
        "KeyError",
        load_state_dict=lambda self, state: Learner.load_state_dict(self, {"weight": state["weight"], **state}),
    ),
]
REPLACES_VIOLATION = {
    "observe": observe(lambda self, _: setattr(family(self), "violation", lambda _, a, s: nothing_violated(a, s)))
}
WIDENS_THE_SET = {"observe": observe(lambda self, _: setattr(self.task.constraint, "radius_squared", 100.0))}
REPLACES_FOR_ALL = wrong("test_constraint_untouched", "violation of the class", **REPLACES_VIOLATION)
TRAINING = [
    wrong("test_violations_counted", "violation", **REPLACES_VIOLATION),
    wrong("test_constraint_untouched", "set", **WIDENS_THE_SET),
    wrong("test_constraint_untouched", "box", observe=observe(widen_the_box)),
    wrong(
        "test_constraint_untouched",
        "meter",
        __init__=init(lambda self, *_: setattr(self.task.constraint, "repair", executed_as_it_is)),
    ),
    REPLACES_FOR_ALL,
    wrong("test_memory_bounded", "transitions", observe=observe(keep)),
    wrong("test_memory_bounded", "graphs", update=after("update", keep_the_graph)),
    wrong("test_step_time", "slow", update=after("update", lambda _: time.sleep(0.02))),
]
FAULTS = [*ACTIONS, *RANDOMNESS, *STATE, *TRAINING]
