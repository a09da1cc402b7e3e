"""Mistakes that a change might make, each planted at a seam that outlives refactoring, and the goldens that notice."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from envs.bike_sharing import BikeSharingEnv
from envs.constraints import Ball, Constraint, ExactConstraint, WeightedL1
from envs.registry import TaskSpec
from envs.sampling import dataset
from methods.base import Method, MethodConfig, Tensors, Transition
from methods.ddpg import DDPG
from methods.ddpg_projection_layer import DDPGProjectionLayer
from methods.ddpg_projection_qp import DDPGProjectionQP
from methods.flowpg import FlowPGBase
from methods.flows.gauge import GaugeFlow
from methods.flows.realnvp import RealNVP, RealNVPConfig
from methods.flows.spline import SplineFlow
from methods.functional import State, follow
from methods.heads.alpha import AlphaHead
from methods.heads.base import Head
from methods.heads.density import log_gaussian
from methods.learner import Learner
from methods.random_feasible import RandomFeasible
from methods.sac import SAC
from methods.td3 import TD3
from tests.golden import environments, families, flows, harness
from tests.golden.harness import Tally, ViolationCounter

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


def around(cls: type, name: str, wrapper: Callable[..., Any]) -> Plant:
    """Replace a method by ``wrapper``, which is given the original before the method's own arguments."""

    def plant(patch: Patch) -> None:
        original = getattr(cls, name)
        patch.setattr(cls, name, lambda *args, **kwargs: wrapper(original, *args, **kwargs))

    return plant


def around_each(classes: Sequence[type], name: str, wrapper: Callable[..., Any]) -> Plant:
    """The same in several classes."""

    def plant(patch: Patch) -> None:
        for cls in classes:
            around(cls, name, wrapper)(patch)

    return plant


def told(change: Callable[[Transition], Transition]) -> Plant:
    """Learners are told of other transitions than there were."""

    def observe(original: Callable[..., None], self: Method[Any], transition: Transition) -> None:
        original(self, change(transition))

    return around(Learner, "observe", observe)


def configured(change: Callable[[Any], Mapping[str, Any]]) -> Plant:
    """Learners are made with other settings than those of the run."""

    def make(original: Callable[..., None], self: Any, task: TaskSpec, config: MethodConfig, seed: int) -> None:
        original(self, task, config.model_copy(update=dict(change(config))), seed)

    return around(Learner, "__init__", make)


def resumed_without(part: str) -> Plant:
    """A resumed run goes on with its own fresh entries in place of those of the checkpoint, or without."""

    def load(original: Callable[..., None], self: Method[Any], state: Mapping[str, Tensor]) -> None:
        fresh = self.state_dict()
        kept = {name: value for name, value in state.items() if not re.search(part, name)}
        original(self, kept | {name: value for name, value in fresh.items() if re.search(part, name)})

    return around_each((Learner, RandomFeasible), "load_checkpoint_dict", load)


def noise_before_the_flow(original: Callable[..., Any], self: Any, obs: Tensor) -> tuple[Tensor | None, Tensor]:
    policy, behaviour = original(self, obs)
    if policy is None:
        return policy, behaviour
    with torch.no_grad():
        output = self.output(self.state["actor"], obs)
        noise = torch.randn(output.shape, generator=self.noise_generator)
        return policy, self.decode((output + self.config.noise * noise).clamp(-1, 1), obs)


def stop_early(original: Callable[..., Tensor], self: Constraint, action: Tensor, obs: Tensor) -> Tensor:
    return action + (1 - 1e-6) * (original(self, action, obs) - action)


def counted_after_repair(
    original: Any, self: ViolationCounter, policy: Any, behaviour: Tensor, executed: Tensor, obs: Any
) -> None:
    del behaviour
    original(self, None if policy is None else executed, executed, executed, obs)


def bound_is_outside(original: Callable[..., None], self: Tally, size: float) -> None:
    original(self, size)
    self.valid[0] -= size == 0


def neighbouring_index(patch: Patch) -> None:
    """The table's row of HC+O reads the numbers beside the velocities."""
    for module in (environments, harness):
        right = module.make_task

        def wrong(task_id: str, right: Callable[[str], TaskSpec] = right) -> TaskSpec:
            task = right(task_id)
            assert isinstance(task.constraint, WeightedL1)
            indices = tuple(index - 1 for index in task.constraint.context_indices)
            constraint = WeightedL1(task.constraint.bound, task.constraint.lower, task.constraint.upper, indices)
            return dataclasses.replace(task, constraint=constraint)

        patch.setattr(module, "make_task", wrong)


def follow_first(original: Callable[..., Any], self: Learner[Any], state: State, *given: Any) -> Any:
    """The targets move towards the networks as they were before the step."""
    networks = {name: name.removeprefix("target_") for name in state if name.startswith("target_")}
    early = {name: follow(state[name], state[network], self.config.tau) for name, network in networks.items()}
    after, losses = original(self, state, *given)
    return after | {name: early[name] for name in early if after[name] is not state[name]}, losses


def first_alone(original: Callable[..., Any], self: Learner[Any], *given: Any) -> tuple[Tensor, Tensor]:
    one, other = original(self, *given)
    return one, one + 0 * other


def with_noise(original: Callable[..., Tensor], self: Method[Any], obs: Tensor, explore: bool) -> Tensor:
    del explore
    return original(self, obs, explore=True)


def shared_state(original: Callable[..., Tensors], self: Any) -> Tensors:
    """Every state handed out is one and the same dictionary, so that the best one becomes the last."""
    self.handed_out = getattr(self, "handed_out", {})
    self.handed_out.update(original(self))
    states: Tensors = self.handed_out
    return states


def straight_through(original: Callable[..., Tensor], self: Any, output: Tensor, obs: Tensor) -> Tensor:
    raw = self.action_middle + self.action_half * output.double()
    return raw + (original(self, output, obs) - raw).detach()


def log_det_of_the_other_way(original: Any, self: Any, scaled: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    latent, log_det = original(self, scaled, context)
    return latent, -log_det


def rays_without_volume(original: Any, self: GaugeFlow, action: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """The likelihood leaves out how the gauge map stretches."""
    latent, _ = original(self, action, context)
    return latent, self.pull(self.push(latent, context), context)[1]


def moves_cost_once(original: Callable[..., Any], self: BikeSharingEnv, action: Any) -> Any:
    obs, reward, terminated, truncated, info = original(self, action)
    return obs, reward + info["moved"], terminated, truncated, info


def on(task: str, *methods: str) -> tuple[str, ...]:
    """Names of trajectories."""
    return tuple(f"trajectories/{method}/{task}" for method in methods)


OWN, TWINS, SAMPLED, FLOW = "ddpg-projection", "dpro", "sac-projection", "flowpg"
PROJECTED = (OWN, TWINS, SAMPLED)
EACH = (*PROJECTED, FLOW)
ON_EACH, ON_PROJECTED = on("R+L2", *EACH), on("R+L2", *PROJECTED)
# What goes wrong, and the goldens each of which must fail by it.
MISTAKES: dict[str, tuple[Plant, tuple[str, ...]]] = {
    "bootstraps past a terminal state": (
        told(lambda t: t._replace(terminated=False, truncated=t.terminated or t.truncated)),
        on("H+M", *EACH),
    ),
    "does not bootstrap past a truncation": (
        told(lambda t: t._replace(terminated=t.terminated or t.truncated)),
        ON_EACH,
    ),
    "gamma off by a hundredth": (configured(lambda c: {"gamma": c.gamma - 0.01}), ON_EACH),
    "tau off by a hundredth of itself": (configured(lambda c: {"tau": 1.01 * c.tau}), ON_EACH),
    "noise before the flow": (
        around(FlowPGBase, "act_pair", noise_before_the_flow),
        on("R+L2", "flowpg", "flowpg-gauge"),
    ),
    "projection stops a millionth short": (
        around(ExactConstraint, "project", stop_early),
        tuple(f"families/float64/{task}" for task in families.TASKS),
    ),
    "projection stops early in training": (
        around(ExactConstraint, "project", lambda project, self, a, obs: a + 0.999 * (project(self, a, obs) - a)),
        on("R+L2", *PROJECTED, "dopt", "ddpg-projection-layer", "nfw"),
    ),
    "violations counted after repair": (around(ViolationCounter, "count", counted_after_repair), ON_EACH),
    "an action on the bound counts as violated": (
        around(Tally, "add", bound_is_outside),
        on("R+L2", OWN, "random-feasible"),
    ),
    "wrong observation index": (neighbouring_index, ("environments/contexts/HC+O", *on("HC+O", OWN))),
    "penalty of the wrong sign": (configured(lambda c: {"penalty": -c.penalty}), on("R+L2", "ddpg-penalty")),
    "Frank-Wolfe's step off by a hundredth": (configured(lambda c: {"alpha": 1.01 * c.alpha}), on("HC+O", "nfw")),
    "Frank-Wolfe descends": (
        around(ExactConstraint, "linear_oracle", lambda oracle, self, g, obs: oracle(self, -g, obs)),
        on("R+L2", "nfw"),
    ),
    "Frank-Wolfe's target is not projected": (
        configured(lambda _: {"target": "raw"}),
        on("R+L2", "nfw-target"),
    ),
    "gradient passes straight through the projection": (
        around(DDPGProjectionLayer, "decode", straight_through),
        on("R+L2", "ddpg-projection-layer"),
    ),
    "the QP row projects by formula": (
        lambda patch: patch.setattr(DDPGProjectionQP, "projection_solver", "exact"),
        on("R+L2", "ddpg-projection-qp"),
    ),
    "targets follow before the step": (around_each((DDPG, TD3, SAC), "update_state", follow_first), ON_EACH),
    "the second critic has no say": (
        around(Learner, "values", first_alone),
        on("R+L2", TWINS, SAMPLED),
    ),
    "the actor does not wait": (configured(lambda _: {"policy_delay": 1}), on("R+L2", TWINS)),
    "the target is not smoothed": (configured(lambda _: {"target_noise": 0.0}), on("R+L2", TWINS)),
    "the target leaves C(s)": (configured(lambda _: {"target": "raw"}), on("R+L2", "drad", "td3-gauge")),
    "noise on the other side of the head": (
        configured(lambda _: {"noise_at": "action"}),
        on("R+L2", "drad", "dopt", "ddpg-projection-layer"),
    ),
    "the critic learns from what was executed": (
        configured(lambda _: {"critic_action": "executed"}),
        on("R+L2", "dpre", "spre"),
    ),
    "violations of the output cost nothing": (
        configured(lambda _: {"raw_penalty": 0.0}),
        on("R+L2", "dpro+", "dpre+", "spre+"),
    ),
    "entropies are those of outputs": (
        around(Head, "log_det", lambda log_det, self, *given: 0 * log_det(self, *given)),
        on("R+L2", "srad", "sac-gauge"),
    ),
    "the boundary has no mass": (
        around(AlphaHead, "log_prob", lambda _, __, output, mean, spread, ___: log_gaussian(output - mean, spread)),
        on("R+L2", "salpha"),
    ),
    "learning rates are swapped": (
        configured(lambda c: {"actor_lr": c.critic_lr, "critic_lr": c.actor_lr}),
        ON_PROJECTED,
    ),
    "warm-up is a step longer": (configured(lambda c: {"warmup": c.warmup + 1}), ON_PROJECTED),
    "replay wraps around a row early": (configured(lambda c: {"replay_size": c.replay_size - 1}), ON_PROJECTED),
    "the critic learns from what was asked for": (told(lambda t: t._replace(action=t.behaviour)), ON_PROJECTED),
    "infeasible actions are executed": (around(Ball, "repair", lambda *given: given[2]), ON_PROJECTED),
    "evaluation explores": (around(Learner, "act", with_noise), ON_PROJECTED),
    "the best policy is the last": (
        around(Learner, "state_dict", shared_state),
        (*on("R+N", OWN), *on("BSS-3", "drad", SAMPLED)),
    ),
    "resumed without the optimisers' moments": (
        resumed_without(r"\.(first|second|steps)\."),
        on("H+M", *EACH),
    ),
    "resumed with fresh noise": (resumed_without("generator"), on("H+M", *EACH, "random-feasible")),
    "samplers accept what lies just outside": (
        around(ExactConstraint, "contains", lambda contains, self, a, obs, tol=0.0: contains(self, a, obs, tol + 0.05)),
        ("samplers/rejection/R+L2", "samplers/hmc/R+L2"),
    ),
    "contexts of the data set are widened more": (
        lambda patch: patch.setattr(dataset, "WIDEST", 1.01 * dataset.WIDEST),
        ("samplers/dataset/HC+O",),
    ),
    "log-determinant of the other way": (
        around_each((RealNVP, SplineFlow), "pull", log_det_of_the_other_way),
        ("flows/realnvp/R+L2", "flows/spline/R+L2"),
    ),
    "the gauge map's volume is left out": (around(GaugeFlow, "inverse", rays_without_volume), ("flows/gauge/R+L2",)),
    "the flow's learning rate does not fall": (
        lambda patch: patch.setitem(flows.KINDS, "realnvp", partial(RealNVPConfig, final_learning_rate=2e-3)),
        ("flows/realnvp/R+L2",),
    ),
    "moving a bike costs once": (around(BikeSharingEnv, "step", moves_cost_once), ("environments/bikes/BSS-3",)),
}

# The same seams with nothing changed: what notices these notices the planting.
HARMLESS: dict[str, tuple[Plant, tuple[str, ...]]] = {
    "told as it was": (told(lambda t: t._replace()), on("H+M", *EACH)),
    "configured as asked": (configured(lambda _: {}), ON_PROJECTED),
    "resumed with all": (resumed_without("no such entry"), on("H+M", *PROJECTED)),
    "projected as it was": (
        around(ExactConstraint, "project", lambda project, self, a, obs: project(self, a, obs)),
        ("families/float64/R+T",),
    ),
}
