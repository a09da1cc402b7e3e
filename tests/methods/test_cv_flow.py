"""CV-Flow: a flow trained on violations, and SAC in its latent space."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from envs import UserError, make_task
from envs.seeding import make_generator
from methods import make_method
from methods.base import Checkpoint, Tensors
from methods.cv_flow import CVFlowTrainingConfig, draw_states, train_on_violations, violation_loss
from methods.flows.base import uniform_latent
from methods.flows.training import SampleConfig, make_flow
from tests.methods.learners import observations, settings, transitions

SMALL = CVFlowTrainingConfig(updates=60, hidden=(16, 16), batch_size=64)


def learner(task: str = "HC+O", seed: int = 0, **changes: Any) -> Any:
    made = make_method("cv-flow", make_task(task), settings("cv-flow", **changes), seed)
    made.prepare()
    return made


@pytest.mark.parametrize("task_id", ["R+L2", "HC+O", "BSS-3"])
def test_the_loss_is_violation_and_volume(task_id: str) -> None:
    task = make_task(task_id)
    flow = make_flow(task, SMALL.architecture()).double()
    context = draw_states(task, SampleConfig(train=6, test=1, rollout_steps=20))["train"].double()
    latent = uniform_latent(6, flow.dim, make_generator(0, "latents")).double()
    sizes = []
    for row in range(6):
        z, s = latent[row : row + 1], context[row : row + 1]
        slope = torch.autograd.functional.jacobian(lambda z, s=s: flow.push(z, s).sum(dim=0), z)[:, 0]
        obs = torch.zeros((1, 40), dtype=torch.float64)
        obs[:, list(task.constraint.context_indices)] = s
        violation = task.constraint.violation(flow(z, s), obs).clamp(min=0).sum()
        sizes.append(violation / 0.5 - slope.det().abs().log())
    torch.testing.assert_close(violation_loss(flow, latent, context, 0.5), torch.stack(sizes).mean())


def test_the_loss_falls_and_validity_rises_without_a_feasible_sample() -> None:
    task = make_task("R+L2")
    contexts = draw_states(task, SampleConfig(train=500, test=2000, rollout_steps=20))
    config = CVFlowTrainingConfig(updates=300, hidden=(32, 32))
    flow, curve = train_on_violations(task, config, contexts, Checkpoint())
    assert curve["loss"][-1] < curve["loss"][0]
    assert curve["validity"][-1] > max(0.95, curve["validity"][0])
    # And it fills the disc, whose share of the box around it is pi / 4.
    scaled = flow.push(uniform_latent(2000, 2, make_generator(0, "latents")), contexts["test"])
    volume = -flow.pull(scaled, contexts["test"])[1].mean()
    assert math.log(math.pi / 4) - 0.3 < volume < math.log(math.pi / 4) + 0.05


def test_an_interrupted_training_goes_on_where_it_was() -> None:
    class Interrupting(Checkpoint):
        kept: Tensors | None = None
        left = 3

        def load(self) -> Tensors | None:
            return self.kept

        def save(self, state: Tensors) -> None:
            self.left -= 1
            if self.left >= 0:
                self.kept = state
            if self.left == 0:
                raise KeyboardInterrupt

    task, checkpoint = make_task("H+M"), Interrupting()
    contexts = draw_states(task, SampleConfig(train=100, test=50, rollout_steps=20))
    with pytest.raises(KeyboardInterrupt):
        train_on_violations(task, SMALL, contexts, checkpoint)
    resumed = train_on_violations(task, SMALL, contexts, checkpoint)
    straight = train_on_violations(task, SMALL, contexts, Checkpoint())
    assert resumed[1] == straight[1]
    assert all(map(torch.equal, resumed[0].state_dict().values(), straight[0].state_dict().values()))


@pytest.mark.parametrize("task", ["HC+O", "BSS-3"])
def test_actions_are_the_flow_of_latents_and_latents_are_what_is_stored(task: str) -> None:
    made = learner(task, warmup=1)
    obs = observations(made.task, 1)
    (step,) = transitions(made.task, 1)
    made.observe(step)
    _, behaviour = made.act_pair(obs)
    state = made.noise_generator.get_state()
    again = learner(task, warmup=1)
    again.observe(step)
    mean, log_std = again.gaussian(again.state["actor"], obs)
    latent = (mean + log_std.exp() * torch.randn(mean.shape, generator=again.noise_generator)).tanh()
    assert torch.equal(again.noise_generator.get_state(), state)
    context = made.task.constraint.context(obs)
    torch.testing.assert_close(behaviour, made.trained_flow()(latent, context))
    torch.testing.assert_close(made.policy(obs), made.trained_flow()(mean.tanh(), context))
    made.observe(step._replace(obs=obs, behaviour=behaviour.double()))
    assert len(made.replay) == 2
    stored = made.replay.state_dict()["action"][1:2]
    torch.testing.assert_close(stored, latent, atol=1e-4, rtol=1e-4)


def test_warm_up_is_uniform_on_latents() -> None:
    made = learner("HC+O")
    obs = observations(made.task, 200)
    none, action = made.act_pair(obs)
    latent, _ = made.trained_flow().inverse(action, made.task.constraint.context(obs))
    assert none is None
    assert latent.abs().max() <= 1 + 1e-4
    assert latent.abs().mean() == pytest.approx(0.5, abs=0.05)


def test_the_state_of_another_training_is_refused() -> None:
    class Other(Checkpoint):
        def load(self) -> Tensors | None:
            return {"curve.update": torch.ones(1)}

    task = make_task("H+M")
    contexts = draw_states(task, SampleConfig(train=100, test=50, rollout_steps=20))
    with pytest.raises(UserError, match="unfinished flow training does not fit"):
        train_on_violations(task, SMALL, contexts, Other())


def test_one_flow_serves_all_seeds() -> None:
    flows = [learner("R+L2", seed).trained_flow().state_dict() for seed in (0, 1)]
    assert all(map(torch.equal, flows[0].values(), flows[1].values()))


def test_acting_before_preparation_and_other_learners_choices_are_refused() -> None:
    unprepared = make_method("cv-flow", make_task("R+L2"), settings("cv-flow"))
    with pytest.raises(UserError, match="call prepare"):
        unprepared.act(torch.zeros((1, 10)), explore=False)
    with pytest.raises(UserError, match="setting 'target'"):
        make_method("cv-flow", make_task("R+L2"), {"target": "projected"})
