"""A small method that does everything right, and others that each do one thing wrong."""

from __future__ import annotations

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


# --- actions ---------------------------------------------------------------------------------------------------


class WrongShape(Learner):
    def act(self, obs: Tensor, explore: bool) -> Tensor:
        return super().act(obs, explore)[:, :1]


class OneRowFlat(Learner):
    def act(self, obs: Tensor, explore: bool) -> Tensor:
        action = super().act(obs, explore)
        return action[0] if len(obs) == 1 else action


class WrongDtype(Learner):
    def act(self, obs: Tensor, explore: bool) -> Tensor:
        return super().act(obs, explore).half()


class WithGradient(Learner):
    def act(self, obs: Tensor, explore: bool) -> Tensor:
        return super().act(obs, explore).requires_grad_()


class PairOfRows(Learner):
    def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        policy, behaviour = super().act_pair(obs)
        return policy, behaviour[0]


class NanAfterSomeSteps(Learner):
    def act(self, obs: Tensor, explore: bool) -> Tensor:
        return super().act(obs, explore) + (float("nan") if self.steps > 25 else 0.0)


class InfiniteLoss(Learner):
    def update(self) -> dict[str, float]:
        return {"loss": float("inf") if self.steps > 25 else super().update()["loss"]}


class UnknownSolver(Learner):
    @property
    def projection_solver(self) -> Any:
        return "gurobi"


# --- randomness ------------------------------------------------------------------------------------------------


class GlobalTorch(Learner):
    def draw(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, dtype=torch.float64)


class GlobalNumpy(Learner):
    def draw(self, shape: tuple[int, ...]) -> Tensor:
        return torch.as_tensor(np.random.standard_normal(shape))  # noqa: NPY002


class GlobalPython(Learner):
    def observe(self, transition: Transition) -> None:
        super().observe(transition)
        self.weight = self.weight + random.random()


class SeedsTorch(Learner):
    """Draws nothing from the global generator, but leaves it in another state."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        torch.manual_seed(self.seed)


class SeedIgnored(Learner):
    def __init__(self, task: Any, config: Any, seed: int) -> None:
        super().__init__(task, config, 0 * seed)


class Unseeded(Learner):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.noise.seed()


# --- state -----------------------------------------------------------------------------------------------------


class StateIncomplete(Learner):
    def state_dict(self) -> Tensors:
        return {name: value for name, value in super().state_dict().items() if name != "weight"}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict({"weight": self.weight, **state})


class StateShared(Learner):
    def state_dict(self) -> Tensors:
        return {**super().state_dict(), "weight": self.weight}


class StateTaken(Learner):
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict(state)
        self.weight = state["weight"]


class CheckpointWithoutGenerator(Learner):
    def checkpoint_dict(self) -> Tensors:
        return {name: value for name, value in super().checkpoint_dict().items() if name != "replay"}

    def load_checkpoint_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_checkpoint_dict({"replay": self.replay.get_state(), **state})


class CheckpointWithoutBuffer(Learner):
    def checkpoint_dict(self) -> Tensors:
        return self.state_dict()

    def load_checkpoint_dict(self, state: Mapping[str, Tensor]) -> None:
        self.load_state_dict(state)


class AnyState(Learner):
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict({**self.state_dict(), **state})


class StateRaisesKeyError(Learner):
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        state["weight"]
        super().load_state_dict(state)


# --- what is not its own ---------------------------------------------------------------------------------------


def executed_as_it_is(action: Tensor, obs: Tensor) -> Tensor:
    del obs
    return action


def nothing_violated(action: Tensor, obs: Tensor) -> Tensor:
    return torch.full((len(action), len(obs[0])), -1.0, dtype=action.dtype)


class ReplacesViolation(Learner):
    def observe(self, transition: Transition) -> None:
        super().observe(transition)
        real: Any = getattr(self.task.constraint, "_constraint", self.task.constraint)
        real.violation = nothing_violated


class ReplacesViolationOfTheClass(Learner):
    def observe(self, transition: Transition) -> None:
        super().observe(transition)
        real: Any = getattr(self.task.constraint, "_constraint", self.task.constraint)
        type(real).violation = lambda _, action, obs: nothing_violated(action, obs)


class ReplacesTheMeter(Learner):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        meter: Any = self.task.constraint
        meter.repair = executed_as_it_is


class WidensTheBox(Learner):
    def observe(self, transition: Transition) -> None:
        super().observe(transition)
        self.task.constraint.upper[:] = 100.0
        self.task.constraint.lower[:] = -100.0


class WidensTheSet(Learner):
    def observe(self, transition: Transition) -> None:
        super().observe(transition)
        real: Any = getattr(self.task.constraint, "_constraint", self.task.constraint)
        real.radius_squared = 100.0


class WritesIntoObservations(Learner):
    def act(self, obs: Tensor, explore: bool) -> Tensor:
        return super().act(obs.mul_(0.5), explore)


class WritesIntoTransitions(Learner):
    def observe(self, transition: Transition) -> None:
        super().observe(transition)
        transition.next_obs.clamp_(-0.01, 0.01)


class KeepsTransitions(Learner):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.kept: list[Transition] = []

    def observe(self, transition: Transition) -> None:
        super().observe(transition)
        self.kept.append(transition)


class KeepsGraphs(Learner):
    """Sums losses without detaching them: no Python object keeps what this keeps."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.total = torch.zeros((), requires_grad=True)

    def update(self) -> dict[str, float]:
        self.total = self.total + self.weight.square().sum()
        return super().update()


class LooseConfig(MethodConfig):
    model_config = ConfigDict(extra="ignore", frozen=True)

    replay_size: int = 16


class AnySetting(Learner):
    Config = LooseConfig  # type: ignore[assignment]


class Slow(Learner):
    def update(self) -> dict[str, float]:
        time.sleep(0.02)
        return super().update()


class Silent(Learner):
    def update(self) -> dict[str, float]:
        return {}


BROKEN: list[tuple[type[Learner], str]] = [
    (WrongShape, "act-shape"),
    (OneRowFlat, "act-shape"),
    (WrongDtype, "act-dtype"),
    (WithGradient, "act-dtype"),
    (PairOfRows, "act-pair-shape"),
    (NanAfterSomeSteps, "actions-finite"),
    (InfiniteLoss, "losses-finite"),
    (UnknownSolver, "projection-solver-known"),
    (GlobalTorch, "global-generators-untouched"),
    (GlobalTorch, "global-seeds-without-effect"),
    (GlobalNumpy, "global-generators-untouched"),
    (GlobalNumpy, "global-seeds-without-effect"),
    (GlobalPython, "global-generators-untouched"),
    (SeedsTorch, "global-generators-untouched"),
    (SeedIgnored, "different-seeds"),
    (Unseeded, "same-seed"),
    (StateIncomplete, "state-restores-policy"),
    (StateShared, "state-is-a-copy"),
    (StateTaken, "state-is-a-copy"),
    (CheckpointWithoutGenerator, "checkpoint-resumes"),
    (CheckpointWithoutBuffer, "checkpoint-resumes"),
    (AnyState, "foreign-state-refused"),
    (StateRaisesKeyError, "foreign-state-refused"),
    (ReplacesViolation, "violations-counted"),
    (ReplacesViolation, "constraint-untouched"),
    (ReplacesViolationOfTheClass, "constraint-untouched"),
    (ReplacesTheMeter, "constraint-untouched"),
    (WidensTheSet, "violations-counted"),
    (WidensTheSet, "constraint-untouched"),
    (WidensTheBox, "constraint-untouched"),
    (WritesIntoObservations, "inputs-unchanged"),
    (WritesIntoTransitions, "inputs-unchanged"),
    (KeepsTransitions, "memory-bounded"),
    (KeepsGraphs, "memory-bounded"),
    (AnySetting, "settings-refused"),
]
