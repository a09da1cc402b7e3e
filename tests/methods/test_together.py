"""Stacked learners: what they compute for each seed is what that seed's own learner computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from envs import make_task
from envs.errors import UserError
from envs.seeding import make_generator
from methods.base import Transition, make_method
from methods.ddpg import DDPG, DDPGConfig, mlp
from methods.together import SeedsTogether, StackedLinear, stack
from tests.methods.scripted import Scripted

CPU = torch.device("cpu")
SMALL = {"hidden": [32, 16], "batch_size": 8, "warmup": 10, "replay_size": 200}
SEEDS = (0, 1, 2, 3)


def networks(count: int) -> list[nn.Sequential]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return [mlp((5, 32, 16, 2), nn.Tanh()) for _ in range(count)]


def filled(method: str, seed: int, task_id: str = "HC+O") -> DDPG[Any]:
    """A learner past its warm-up with made-up transitions, different for every seed."""
    task = make_task(task_id)
    learner = make_method(method, task, SMALL, seed)
    learner.prepare()
    generator = make_generator(seed, "made up")
    obs_dim = len(learner.obs_middle)

    def draw(width: int) -> Tensor:
        return torch.rand((1, width), generator=generator, dtype=torch.float64) - 0.5

    for step in range(40):
        action = draw(task.constraint.dim)
        learner.observe(Transition(draw(obs_dim), action, action, step % 7, draw(obs_dim), step % 9 == 0, False))
    assert isinstance(learner, DDPG)
    return learner


def test_each_seeds_rows_go_through_its_own_network_to_the_bit() -> None:
    rows = torch.randn((4 * 7, 5), generator=make_generator(0, "rows"))
    own = networks(4)
    expected = torch.cat([network(part) for network, part in zip(own, rows.chunk(4), strict=True)])
    assert torch.equal(stack(networks(4), batched=False)(rows), expected)
    assert torch.allclose(stack(networks(4), batched=True)(rows), expected, atol=1e-6)


def test_gradients_of_the_stack_are_those_of_each_network() -> None:
    rows = torch.randn((3 * 6, 5), generator=make_generator(0, "rows"))
    stacked, own = stack(networks(3), batched=True), networks(3)
    found = torch.autograd.grad(stacked(rows).square().sum(), list(stacked.parameters()))
    for seat, (network, part) in enumerate(zip(own, rows.chunk(3), strict=True)):
        expected = torch.autograd.grad(network(part).square().sum(), list(network.parameters()))
        for one, other in zip(found, expected, strict=True):
            assert torch.allclose(one[seat], other, rtol=1e-5, atol=1e-6)


def test_the_stack_and_the_networks_share_their_numbers() -> None:
    own = networks(3)
    stacked = stack(own, batched=True)
    first = stacked[0]
    assert isinstance(first, StackedLinear)
    with torch.no_grad():
        first.weight[1] += 1
    assert torch.equal(own[1][0].weight, first.weight[1])


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("method", ["ddpg-projection", "ddpg-penalty"])
def test_updates_are_those_of_each_seed_alone_to_the_bit(method: str, count: int) -> None:
    # The mean over all is scaled back by the number of seeds, which is exact for a power of two.
    alone = [filled(method, seed) for seed in SEEDS[:count]]
    members = [filled(method, seed) for seed in SEEDS[:count]]
    together = SeedsTogether(members, filled(method, 0), CPU)
    for _ in range(20):
        together.update()
        for learner in alone:
            learner.update()
    for learner, member in zip(alone, members, strict=True):
        expected, found = learner.state_dict(), member.state_dict()
        assert set(found) == set(expected)
        assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("method", ["nfw", "ddpg-projection-layer"])
@pytest.mark.parametrize("batched", [False, True])
def test_updates_of_three_seeds_are_those_alone_up_to_rounding(method: str, batched: bool) -> None:
    alone = [filled(method, seed) for seed in SEEDS[:3]]
    members = [filled(method, seed) for seed in SEEDS[:3]]
    together = SeedsTogether(members, filled(method, 0), CPU, batched)
    for _ in range(20):
        together.update()
        for learner in alone:
            learner.update()
    for learner, member in zip(alone, members, strict=True):
        for name, value in learner.actor.state_dict().items():
            assert torch.allclose(member.actor.state_dict()[name], value, atol=1e-5), name


def test_actions_and_noise_are_those_of_each_seed_alone() -> None:
    alone, members = ([filled("ddpg-projection", seed) for seed in SEEDS[:2]] for _ in range(2))
    together = SeedsTogether(members, filled("ddpg-projection", 0), CPU)
    obs = torch.full((1, len(alone[0].obs_middle)), 0.1, dtype=torch.float64)
    for asking in ([0, 1], [1], [0]):
        found = together.act_pairs({seat: (seat + 1) * obs for seat in asking})
        assert list(found) == asking
        for seat in asking:
            for one, other in zip(found[seat], alone[seat].act_pair((seat + 1) * obs), strict=True):
                assert one is not None
                assert other is not None
                assert torch.equal(one, other)


@pytest.mark.parametrize("batched", [False, True])
def test_policies_act_on_batches_of_different_sizes(batched: bool) -> None:
    alone, members = ([filled("ddpg-projection", seed) for seed in SEEDS[:3]] for _ in range(2))
    together = SeedsTogether(members, filled("ddpg-projection", 0), CPU, batched)
    width = len(alone[0].obs_middle)
    obs = {seat: torch.rand((rows, width), generator=make_generator(rows, "obs")) for seat, rows in ((2, 5), (0, 2))}
    found = together.act(obs)
    assert list(found) == [2, 0]
    for seat, rows in obs.items():
        assert torch.allclose(found[seat], alone[seat].act(rows, explore=False), atol=1e-6)


def test_random_actions_of_the_warm_up_are_those_of_each_seed_alone() -> None:
    task = make_task("R+L2")
    alone, members = ([make_method("nfw", task, SMALL, seed) for seed in SEEDS[:2]] for _ in range(2))
    together = SeedsTogether(members, make_method("nfw", task, SMALL, 0), CPU)
    obs = torch.zeros((1, 10), dtype=torch.float64)
    for seat, (policy, behaviour) in together.act_pairs({0: obs, 1: obs}).items():
        assert policy is None
        assert torch.equal(behaviour, alone[seat].act_pair(obs)[1])
    assert not together.learns(0)


def test_what_cannot_be_stacked_is_refused() -> None:
    class TwoCritics(DDPG[DDPGConfig]):
        id = "two-critics"
        Config = DDPGConfig

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.second_critic = nn.Linear(2, 1)

    class OwnNoise(DDPG[DDPGConfig]):
        id = "own-noise"
        Config = DDPGConfig

        def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
            return None, super().act_pair(obs)[1]

    task, config = make_task("R+L2"), DDPGConfig()
    for kind, reason in (
        (Scripted, "does not stand on methods.ddpg.DDPG"),
        (TwoCritics, "it learns 'second_critic' too"),
        (OwnNoise, r"it explores in its own way \(act_pair\)"),
    ):
        with pytest.raises(UserError, match=reason):
            SeedsTogether([kind(task, config, 0)], kind(task, config, 0), CPU)
    with pytest.raises(UserError, match="no stack for a layer LayerNorm"):
        stack([nn.Sequential(nn.LayerNorm(3))], batched=False)
