"""HMC: invariant and mixing, against rejection and closed forms, with fixed seeds and stated thresholds."""

import math

import pytest
import torch
from torch import Tensor

from envs import Constraint, make_task
from envs.constraints import Ball
from envs.errors import UserError
from envs.sampling import hmc
from envs.sampling.hmc import HMCConfig, Space, sample_hmc, step
from envs.sampling.rejection import sample_rejection
from envs.sampling.samples import Samples
from tests.envs.sampling.two_sample import ALARM, FAMILIES, NO_STATE, energy_pvalue, task_states

CHAINS = 600
RING, DISCS = make_task("R+Ring").constraint, make_task("R+2D").constraint
# One draw of each chain: independent, as the two-sample test needs them.
LAST = HMCConfig(draws=1, warmup=50)


def run(constraint: Constraint, config: HMCConfig, obs: Tensor = NO_STATE, seed: int = 0, chains=CHAINS) -> Samples:
    return sample_hmc(constraint, obs.expand(chains, -1), torch.Generator().manual_seed(seed), config)


def compare_with_rejection(constraint: Constraint, config: HMCConfig, obs: Tensor = NO_STATE) -> float:
    exact = sample_rejection(constraint, obs.expand(CHAINS, -1), torch.Generator().manual_seed(1), "bounding")
    return energy_pvalue(run(constraint, config, obs).actions, exact.actions)


# --- against rejection ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task_id", FAMILIES)
def test_every_task_as_by_rejection(task_id: str) -> None:
    constraint = make_task(task_id).constraint
    assert compare_with_rejection(constraint, LAST, task_states(task_id)[:1]) > ALARM


# The parts of a set that is not convex may lie apart, and the jumps alone connect them.
CONVEX = [task_id for task_id in FAMILIES if make_task(task_id).constraint.convex]


@pytest.mark.parametrize("task_id", CONVEX)
def test_trajectories_alone_forget_where_they_started(task_id: str) -> None:
    """From one point, without the jumps: convergence is that of the reflections."""
    constraint = make_task(task_id).constraint
    alone = HMCConfig(draws=1, warmup=100, jumps=False, start="interior")
    assert compare_with_rejection(constraint, alone, task_states(task_id)[:1]) > ALARM


def test_the_comparison_finds_chains_that_have_not_mixed() -> None:
    ball = make_task("R+L2").constraint
    young = HMCConfig(draws=1, warmup=0, steps=3, step_size=0.1, jumps=False, start="interior")
    assert compare_with_rejection(ball, young) == 1 / 1000


# --- one step ---------------------------------------------------------------------------------------------------------


def start(constraint: Constraint, obs: Tensor, count: int) -> tuple[Space, Tensor, Tensor]:
    """Feasible positions and velocities of ``count`` chains."""
    generator = torch.Generator().manual_seed(4)
    space = Space(constraint, obs.expand(count, -1))
    position = torch.zeros((count, 2), dtype=torch.float64)
    missing = space.all
    while len(missing):
        position[missing] = space.uniform(missing, generator)
        missing = missing[~space.feasible(position[missing], missing)]
    return space, position, torch.randn((count, 2), generator=generator, dtype=torch.float64)


SETS = {
    "ball": (make_task("R+L2").constraint, NO_STATE),
    "box": (make_task("R+N").constraint, NO_STATE),
    "allocation": (make_task("BSS-3").constraint, NO_STATE),
    "l1": (make_task("R+O10").constraint, torch.tensor([[0, 0, 0, 0, 0, 0, 2.0, -5.0]], dtype=torch.float64)),
    "ring": (RING, NO_STATE),
    "discs": (DISCS, NO_STATE),
}


@pytest.mark.parametrize("name", SETS)
def test_a_step_undoes_itself_with_the_velocity_reversed(name: str) -> None:
    space, position, velocity = start(*SETS[name], count=4000)
    after, turned, moved = step(space, position, velocity, 0.5)
    ahead = ((after - position - 0.5 * velocity).abs() < 1e-12).all(dim=1)
    stayed = (after == position).all(dim=1)
    assert moved == len(position) - stayed.sum()
    # All three cases, but the reflection on a circle always ends within it.
    cases = [ahead.sum(), (~ahead & ~stayed).sum(), *([stayed.sum()] if name not in {"ball", "ring", "discs"} else [])]
    assert min(cases) > 20
    assert space.feasible(after, space.all).all()
    assert torch.allclose(turned.norm(dim=1), velocity.norm(dim=1), rtol=1e-12)
    back, returned, again = step(space, after, -turned, 0.5)
    assert again == moved
    assert torch.allclose(back, position, rtol=0, atol=1e-12)
    assert torch.allclose(-returned, velocity, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_a_step_preserves_volume(name: str) -> None:
    """The Jacobian of (x, v) by central differences has determinant 1 or -1, where the case does not change nearby."""
    space, position, velocity = start(*SETS[name], count=500)
    eps, columns = 1e-6, []
    for direction in torch.eye(4, dtype=torch.float64) * eps:
        ends = []
        for sign in (1, -1):
            moved = step(space, position + sign * direction[:2], velocity + sign * direction[2:], 0.5)
            ends.append(torch.cat(moved[:2], dim=1))
        columns.append((ends[0] - ends[1]) / (2 * eps))
    jacobian = torch.stack(columns, dim=2)
    smooth = jacobian.abs().amax(dim=(1, 2)) < 1e3
    assert smooth.double().mean() > 0.99
    assert (torch.linalg.det(jacobian[smooth]).abs() - 1).abs().max() < 1e-5


# --- what is returned -------------------------------------------------------------------------------------------------


def test_steps_and_jumps_are_counted_apart() -> None:
    diamond, obs = SETS["l1"]
    samples = run(diamond, HMCConfig(draws=50), obs)
    assert samples.proposals == 50 * CHAINS * 5
    assert samples.acceptance == pytest.approx(HMCConfig().target, abs=0.02)
    assert samples.jump_acceptance == pytest.approx(0.5, rel=0.05)
    assert run(diamond, HMCConfig(draws=1, jumps=False), obs).jump_acceptance is None


def test_draws_of_more_chains_than_a_group_are_feasible_each_at_its_own_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hmc, "GROUP", 8)
    constraint, obs = make_task("HC+O").constraint, task_states("HC+O", count=20)
    first, again, other = (
        sample_hmc(constraint, obs, torch.Generator().manual_seed(seed), HMCConfig(draws=5)).actions
        for seed in (5, 5, 6)
    )
    # The first draw of every chain, then the second.
    assert constraint.contains(first, obs.repeat(5, 1)).all()
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# --- bad input --------------------------------------------------------------------------------------------------------


class Nowhere(Ball):
    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        return super().violation(action, obs) + 2


def test_no_point_to_start_from() -> None:
    with pytest.raises(UserError, match="no starting point"):
        run(Nowhere(0.05, [-1.0, -1.0], [1.0, 1.0]), HMCConfig())


@pytest.mark.parametrize("wrong", [{"draws": 0}, {"warmup": -1}, {"target": 1.0}, {"step_size": math.nan}])
def test_settings_out_of_range(wrong: dict) -> None:
    with pytest.raises(UserError, match="hmc: "):
        HMCConfig(**wrong)
