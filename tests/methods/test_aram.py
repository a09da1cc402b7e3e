"""ARAM: acceptance and rejection, rejected samples in batches, and two rewards weighed by preferences."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from envs import make_task
from envs.seeding import make_generator
from methods import make_method
from methods.aram import draw_preferences
from tests.methods.learners import feed, observations, settings, transitions


def learner(task: str = "R+L2", warmup: int = 1, steps: int = 0, **changes: Any) -> Any:
    made = make_method("aram", make_task(task), settings("aram", warmup=warmup, **changes), 0)
    feed(made, steps)
    return made


def test_the_first_feasible_sample_is_taken_and_those_before_it_are_kept_as_rejected() -> None:
    made, steps = learner(steps=2), transitions(make_task("R+L2"), 20)
    tried = []
    for far in steps:
        # Near 0, where the untrained policy is wide.
        step = far._replace(obs=0.1 * far.obs)
        twin = make_generator(0, "noise")
        twin.set_state(made.noise_generator.get_state())
        noise = torch.randn((100, 1, 2), generator=twin)
        mean, log_std = made.gaussian(made.state["actor"], step.obs, made.preference)
        drawn = (mean + log_std.exp() * noise[:, 0]).tanh()
        _, action = made.act_pair(step.obs)
        first = next((k for k, sample in enumerate(drawn) if sample.square().sum() <= 0.05), 100)
        torch.testing.assert_close(action, drawn[[min(first, 99)]])
        torch.testing.assert_close(made.refused, drawn[:first])
        made.observe(step._replace(behaviour=action))
        tried.append(first)
    assert 3 < sum(tried) / len(tried) < 90
    # Each takes two rows of a buffer of 200.
    assert len(made.replay.rejected) == min(sum(tried), 100)
    assert len(made.refused) == 0


def test_random_actions_of_the_warm_up_are_tried_like_samples() -> None:
    made, obs = learner(warmup=10), observations(make_task("R+L2"), 1)
    twin = make_generator(0, "noise")
    twin.set_state(made.noise_generator.get_state())
    drawn = 2 * torch.rand((100, 2), generator=twin) - 1
    policy, action = made.act_pair(obs)
    first = next(k for k, sample in enumerate(drawn) if sample.square().sum() <= 0.05)
    assert policy is None
    assert torch.equal(action, drawn[[first]])
    assert torch.equal(made.refused, drawn[:first])


@pytest.mark.parametrize("warmup", [1, 10])
def test_where_none_is_feasible_the_last_sample_goes_to_repair_and_counts_as_a_violation(warmup: int) -> None:
    # No sample of a density meets an equality.
    made = learner("BSS-3", warmup=warmup, steps=2, tries=7)
    obs = observations(made.task, 1)
    _, action = made.act_pair(obs)
    assert made.refused.shape == (7, 3)
    assert torch.equal(action, made.refused[6:])
    made.observe(transitions(made.task, 1)[0]._replace(obs=obs, behaviour=action, reward=-3.0))
    batch = made.replay.sample(200, make_generator(0, "batch"))
    refused = (batch.action[:160] == action.float()).all(dim=1)
    assert bool(refused.any())
    assert batch.reward[:160][refused].unique(dim=0).tolist() == [[-3.0, pytest.approx(-0.2)]]


def test_a_sample_is_accepted_up_to_a_violation() -> None:
    made = learner("BSS-3", warmup=1, steps=2, accepted_violation=5.0)
    accepted = []
    for _ in range(20):
        _, action = made.act_pair(observations(made.task, 1))
        accepted.append(bool((action.sum() - 90).abs() <= 5))
        assert all(abs(float(refused.sum()) - 90) > 5 for refused in made.refused)
        assert len(made.refused) < 100
    assert all(accepted)


def test_critics_learn_from_rewards_that_are_scaled_and_shifted() -> None:
    made = learner(reward_scale=0.5, reward_shift=2.0)
    made.observe(transitions(made.task, 1)[0]._replace(reward=-3.0))
    assert made.replay.sample(1, make_generator(0, "batch")).reward.tolist() == [[0.5, 0.0]]


def test_batches_have_both_kinds_and_their_rewards() -> None:
    made = learner(steps=60)
    obs = observations(made.task, 1)
    made.refused = torch.tensor([[0.5, 0.75], [0.25, 1.0]])
    made.observe(transitions(made.task, 1)[0]._replace(obs=obs))
    batch = made.replay.sample(10, make_generator(0, "batch"))
    own, rejected = ([tensor[rows] for tensor in batch] for rows in (slice(8), slice(8, 10)))
    assert bool((own[2][:, 0] != 0).all())
    assert bool((own[2][:, 1] == 0).all())
    torch.testing.assert_close(rejected[2], torch.tensor([[0.0, -0.2]]).expand(2, 2))
    assert torch.equal(rejected[0], obs.float().expand(2, -1))
    assert torch.equal(rejected[3], rejected[0])
    assert all(row in [[0.5, 0.75], [0.25, 1.0]] for row in rejected[1].tolist())
    assert not rejected[4].any()


def test_the_share_of_rejected_samples_decays() -> None:
    made = learner(rejected_decay_steps=10, rejected_decay=0.5)
    assert made.replay.rejected_count(1000) == 0
    made.replay.reject(observations(made.task, 1), torch.zeros((1, 2)))
    for steps, count in ((0, 200), (9, 200), (10, 100), (25, 50)):
        made.replay.steps = steps
        assert made.replay.rejected_count(1000) == count


def test_a_reward_of_no_weight_teaches_its_critic_nothing() -> None:
    made = learner(steps=60)
    batch, noise = made.replay.sample(8, made.replay_generator), made.draw_noise(8)
    preferences = torch.tensor([1.0, 0.0]).expand(noise[2].shape)
    after, _ = made.update_state(made.state, batch, (*noise[:2], preferences), 1)
    half = len(after["critics"]) // 2
    for before, now in zip(made.state["critics"][half - 1 :: half], after["critics"][half - 1 :: half], strict=True):
        assert before[0] != now[0]
        assert before[1] == now[1]


def test_the_target_is_of_the_twin_that_the_preference_finds_worse() -> None:
    made = learner(steps=60)
    batch, (_, noise, preferences) = made.replay.sample(50, made.replay_generator), made.draw_noise(50)
    critics, half = made.state["target_critics"], len(made.state["target_critics"]) // 2
    made.state["target_critics"] = critics[:half] + [weights - 0.05 * weights.sin() for weights in critics[:half]]
    found = made.bootstrapped(made.state, batch, noise, preferences[0])
    action, log_prob = made.sample(made.state["actor"], batch.next_obs, preferences[0], noise)
    twins = made.two_values(made.state["target_critics"], batch.next_obs, action, preferences[0])
    chosen = []
    for k in range(50):
        worse = min((0, 1), key=lambda twin, k=k: float(preferences[0][k] @ twins[twin][k]))
        chosen.append(worse)
        expected = batch.reward[k] + 0.99 * (1 - batch.terminated[k]) * (twins[worse][k] - 0.2 * log_prob[k])
        torch.testing.assert_close(found[k], expected)
    assert {0, 1} == set(chosen)


def test_the_actor_learns_from_the_most_hopeful_critic_and_preference_of_each_state() -> None:
    made, other = learner(steps=60), learner(steps=60)
    obs = observations(made.task, 5)
    samples, _, preferences = made.draw_noise(5)
    pool = [made.state["critics"], [tensor + 0.1 for tensor in other.state["critics"]]]
    loss = made.actor_loss(made.state["actor"], pool, obs, samples, preferences)
    sizes = []
    for k in range(5):
        own, state = preferences[0, k : k + 1], obs[k : k + 1]
        drawn = [made.sample(made.state["actor"], state, own, noise[k : k + 1]) for noise in samples]
        costs = []
        for critics in pool:
            for asked in preferences[:, k : k + 1]:
                twins = [made.two_values(critics, state, action, asked) for action, _ in drawn]
                values = [min(float(own[0] @ twin[0]) for twin in pair) for pair in twins]
                entropies = [0.2 * float(log_prob) for _, log_prob in drawn]
                costs.append(sum(entropies) / len(drawn) - sum(values) / len(drawn))
        sizes.append(min(costs))
    assert float(loss) == pytest.approx(sum(sizes) / 5, rel=1e-5)


def test_the_last_four_critics_are_kept_newest_first() -> None:
    made = learner(steps=60, snapshot_after=2, snapshot_every=2)
    kept, pools, actor_loss = [], [], made.actor_loss

    def noted(actor, pool, *others):
        pools.append(pool)
        return actor_loss(actor, pool, *others)

    made.actor_loss = noted
    for _ in range(12):
        made.update()
        # The actor maximises over those kept so far, besides the present one.
        assert len(pools[-1]) == 1 + min(len(kept), 4)
        if made.updates > 2 and made.updates % 2 == 0:
            kept.insert(0, [tensor.clone() for tensor in made.state["critics"]])
    for age in range(4):
        assert all(map(torch.equal, made.state[f"past_critics.{age}"], kept[age]))


def test_a_state_can_be_loaded_after_a_critic_was_kept() -> None:
    made = learner(steps=60, snapshot_after=0, snapshot_every=2)
    for _ in range(3):
        made.update()
    state = made.state_dict()
    made.update()
    made.load_state_dict(state)
    found = made.state_dict()
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_preferences_are_uniform_on_the_simplex_and_behaviour_takes_a_new_one_each_episode() -> None:
    drawn = draw_preferences((4000,), make_generator(0, "preferences"))
    torch.testing.assert_close(drawn.sum(dim=1), torch.ones(4000))
    quantiles = drawn[:, 0].quantile(torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(quantiles, torch.tensor([0.1, 0.5, 0.9]), atol=0.03, rtol=0)
    made, seen = learner(), []
    for step in transitions(made.task, 10):
        seen.append(float(made.preference[0, 0]))
        made.observe(step)
    assert len(set(seen)) == 2
    assert len(set(seen[:5])) == 1


def test_the_policy_is_the_mean_at_the_preference_of_the_settings() -> None:
    made = learner(preference=0.3)
    obs = observations(made.task, 3)
    mean, _ = made.gaussian(made.state["actor"], obs, torch.tensor([[0.3, 0.7]]).expand(3, 2))
    torch.testing.assert_close(made.act(obs, explore=False), mean.tanh())
