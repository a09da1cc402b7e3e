"""Probes of the checks: episodes, a task's constraint, global random generators, and replaced attributes."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.training.evaluation import Evaluator
from benchmark.training.meter import Clock, Meter, Metered, PolicyCounter, Repair, Tally, ViolationCounter
from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.sampling.dataset import widen
from envs.seeding import make_generator

ROWS = 48
# Steps of the episodes that observations come from.
VISITED = 200
# Factor of the contexts that random actions do not lead to.
FAR = 8.0
# Share of these uniform draws that must be feasible at such a context, so that samples are quickly found.
DRAWS, LEAST_SHARE = 500, 0.02
# Random feasible points per row with which an answer is compared.
RIVALS = 100
# Allowed error of an answer, in units of the action box's longest side: that of solvers by default.
SOLVER_ERROR = 1e-4
# Classes with which the harness measures.
MEASURES = (ViolationCounter, PolicyCounter, Tally, Meter, Metered, Repair, Clock, Evaluator)

Policy = Callable[[NDArray[np.float64]], NDArray[Any]]
Question = Callable[[Tensor, Tensor], Tensor]


class Rollout(NamedTuple):
    """Observations (N, o) at each reset and step, rewards, and the step at which the first episode ended."""

    observations: NDArray[np.float64]
    rewards: NDArray[np.float64]
    ended: int | None

    def same_as(self, other: Rollout) -> bool:
        """Whether both are equal to the bit."""
        return all(map(np.array_equal, self[:2], other[:2]))


def rollout(task: TaskSpec, seed: int | None, steps: int = 60, policy: Policy | None = None) -> Rollout:
    """Take steps in the task's environment, over several episodes if needed.

    Args:
        task: The task.
        seed: Seed of the first episode; later ones continue its generator. None for a random one.
        steps: Number of steps.
        policy: Maps an observation (o,) to an action (n,). The default is uniform on the box, the same for every seed.
    """
    constraint, generator, ended = task.constraint, np.random.default_rng(0), None
    policy = policy or (lambda _: generator.uniform(constraint.lower, constraint.upper).astype(np.float32))
    with closing(task.make_env(disable_env_checker=True)) as env:
        observations, rewards = [np.array(env.reset(seed=seed)[0])], []
        for step in range(1, steps + 1):
            observation, reward, terminated, truncated, _ = env.step(policy(observations[-1]))
            observations.append(np.array(observation))
            rewards.append(float(reward))
            if terminated or truncated:
                ended = ended or step
                observations.append(np.array(env.reset()[0]))
    return Rollout(np.array(observations, dtype=np.float64), np.array(rewards), ended)


class ConstraintProbe:
    """A task's constraint, with observations from episodes and actions from inside to far outside.

    Attributes:
        constraint: A copy of the task's constraint.
        dim: Number of action coordinates, n.
        box: Ends of the action box, (n,) each, float64.
        side: Longest side of the box.
        error: Allowed error of an answer, in the environment's action units.
    """

    def __init__(self, task: TaskSpec) -> None:
        self.task = task
        self.constraint: Constraint = copy.deepcopy(task.constraint)
        self.dim = self.constraint.dim
        self.box = torch.as_tensor(self.constraint.lower), torch.as_tensor(self.constraint.upper)
        self.side = float(np.max(self.constraint.upper - self.constraint.lower))
        self.error = SOLVER_ERROR * self.side

    def generator(self, purpose: str) -> torch.Generator:
        """A generator for one purpose."""
        return make_generator(0, "conformance", purpose)

    @cached_property
    def obs(self) -> Tensor:
        """Observations (ROWS, o) under random feasible actions.

        Every second one has a widened context, as flows are trained on, and half of these are far larger: in an
        episode of random actions, a constraint such as a power limit may allow the whole box.
        """
        generator = self.generator("episodes")

        def sample(observation: NDArray[np.float64]) -> NDArray[np.float64]:
            obs = torch.tensor(observation, dtype=torch.float64)[None]
            return self.constraint.sample(obs, generator)[0].numpy()

        found = torch.as_tensor(rollout(self.task, 0, VISITED, sample).observations)
        generator = self.generator("contexts")
        context = widen(self.constraint.context(found), ROWS, generator)
        context[3::4] *= FAR
        low, high = map(torch.as_tensor, self.constraint.free_box)
        u = torch.rand((DRAWS, self.constraint.free_dim), generator=generator, dtype=torch.float64)
        draws = self.constraint.from_free(low + u * (high - low))
        obs, columns = found[:ROWS].clone(), list(self.constraint.context_indices)
        for row in range(1, ROWS, 2):
            wide = obs[row : row + 1].clone()
            wide[:, columns] = context[row]
            # No observation of an episode has this context, and the set may be empty there.
            if self.constraint.contains(draws, wide.expand(DRAWS, -1)).double().mean() >= LEAST_SHARE:
                obs[row] = wide[0]
        return obs

    @cached_property
    def actions(self) -> Tensor:
        """Actions (ROWS, n): half uniform on the box, half far outside."""
        lower, upper = self.box
        generator = self.generator("actions")
        within = torch.rand((ROWS // 2, self.dim), generator=generator, dtype=torch.float64)
        beyond = 0.5 + 2 * torch.randn((ROWS // 2, self.dim), generator=generator, dtype=torch.float64)
        return lower + torch.stack([within, beyond], dim=1).reshape(ROWS, self.dim) * (upper - lower)

    @cached_property
    def directions(self) -> Tensor:
        """Directions (ROWS, n) of length 1."""
        drawn = torch.randn((ROWS, self.dim), generator=self.generator("directions"), dtype=torch.float64)
        return torch.nn.functional.normalize(drawn)

    @cached_property
    def samples(self) -> Tensor:
        """Samples of the constraint at each observation: (ROWS, RIVALS, n)."""
        rows = self.obs.repeat_interleave(RIVALS, dim=0)
        return self.constraint.sample(rows, self.generator("rivals")).reshape(ROWS, RIVALS, self.dim)

    @cached_property
    def rivals(self) -> Tensor:
        """Feasible samples (ROWS, RIVALS, n). A row's first one replaces infeasible ones."""
        rows = self.obs.repeat_interleave(RIVALS, dim=0)
        feasible = (self.size(self.samples.reshape(-1, self.dim), rows) <= self.tolerance).reshape(ROWS, RIVALS)
        assert feasible.any(dim=1).all(), "sample() gives no feasible action to compare with; see test_sample_feasible"
        first = self.samples[torch.arange(ROWS), feasible.int().argmax(dim=1)][:, None]
        return torch.where(feasible[:, :, None], self.samples, first)

    @cached_property
    def tolerance(self) -> float:
        """Summed violation that counts as feasible: its change when sampled actions move by ``error``."""
        ends = (self.samples[:, 0], self.samples[:, 0] + self.error * self.directions)
        before, after = (self.constraint.violation(action, self.obs) for action in ends)
        return float((after - before).abs().max())

    @cached_property
    def centre(self) -> Tensor | None:
        """Interior points (ROWS, n); None if the constraint says that there are none."""
        try:
            return self.constraint.interior(self.obs)
        except UserError:
            return None

    @property
    def questions(self) -> dict[str, Question]:
        """Methods of the constraint, as functions of actions or directions (B, n) and observations (B, o)."""
        constraint = self.constraint
        questions: dict[str, Question] = {
            "violation": constraint.violation,
            "contains": lambda action, obs: constraint.contains(action, obs, self.tolerance),
            "sample": lambda _, obs: constraint.sample(obs, self.generator("sample")),
            "project": constraint.project,
            "linear_oracle": constraint.linear_oracle,
        }
        if self.centre is not None:
            questions["interior"] = lambda _, obs: constraint.interior(obs)
            if constraint.convex:
                questions["gauge"] = lambda action, obs: constraint.gauge(self.in_plane(action), obs)
        return questions

    def in_plane(self, action: Tensor) -> Tensor:
        """Actions (B, n) as directions (B, n), in the plane of the equality if there is one."""
        flat = self.constraint.to_free(action)
        origin = self.constraint.from_free(torch.zeros_like(flat))
        return (self.constraint.from_free(flat) - origin).to(action.dtype)

    def size(self, action: Tensor, obs: Tensor) -> Tensor:
        """Summed positive violation (B,)."""
        return self.constraint.violation(action, obs).clamp(min=0).sum(dim=1)


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed the three global generators, and restore them afterwards."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])


@contextmanager
def disturbed() -> Iterator[list[str]]:
    """Watch the global generators.

    Yields:
        A list that afterwards names the generators whose state has changed.
    """
    used: list[str] = []
    with global_seed(0):
        before = _states()
        yield used
        after = _states()
    used += [name for name, state in before.items() if after[name] != state]


def _states() -> dict[str, bytes]:
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": pickle.dumps(np.random.get_state()),  # noqa: NPY002
        "random": pickle.dumps(random.getstate()),
    }


@contextmanager
def intact(constraint: Constraint) -> Iterator[list[str]]:
    """Undo replacements in the constraint's classes and in the classes that measure.

    Yields:
        A list that afterwards names the replaced attributes.
    """
    classes = [cls for cls in (*type(constraint).__mro__, *MEASURES) if cls is not object]
    before = {cls: dict(vars(cls)) for cls in classes}
    replaced: list[str] = []
    try:
        yield replaced
    finally:
        for cls, members in before.items():
            # copy.deepcopy adds __slotnames__ to the classes of what it copies.
            for name in sorted({*vars(cls), *members} - {"__slotnames__"}):
                if vars(cls).get(name) is members.get(name):
                    continue
                replaced.append(f"{cls.__name__}.{name}")
                if name in members:
                    setattr(cls, name, members[name])
                else:
                    delattr(cls, name)


def shadowed(seen: Any, constraint: Constraint) -> list[str]:
    """Attributes of ``seen``, a constraint or a stand-in for it, that hide a method of its class."""
    return [name for name in vars(seen) if any(callable(getattr(type(c), name, None)) for c in (seen, constraint))]
