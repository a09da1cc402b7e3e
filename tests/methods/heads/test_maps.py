"""Heads as maps: into C(s) and onto it, with the right gradients and volumes, at corners and at the centre as well."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap

from envs import UserError, make_task
from envs.constraints import Constraint, Discs
from methods.flows.base import Flow
from methods.flows.gauge import GaugeConfig
from methods.flows.realnvp import RealNVPConfig
from methods.flows.training import make_flow
from methods.heads.alpha import AlphaHead
from methods.heads.base import Head
from methods.heads.flow import FlowHead
from methods.heads.gauge import GaugeHead
from methods.heads.identity import IdentityHead
from methods.heads.projection import ProjectionHead
from methods.heads.radial import RadialHead
from methods.heads.ray import RayHead
from tests.envs.constraints.conftest import CONVEX, Case, unit

KEEPING = (ProjectionHead, AlphaHead, RadialHead, GaugeHead)
ROWS = 40


@pytest.fixture(params=CONVEX, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(params=KEEPING, ids=lambda head: head.__name__)
def head(case: Case, request: pytest.FixtureRequest) -> Head:
    return request.param(case.constraint)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(11)


def scale(head: Head, obs: Tensor) -> tuple[Tensor, Tensor]:
    """The point that output 0 stands for, and the half-widths of the box that outputs are scaled to."""
    c = head.constraint
    flat = head.in_plane and c.free_dim < c.dim
    lower, upper = map(torch.as_tensor, c.free_box if flat or isinstance(head, GaugeHead) else (c.lower, c.upper))
    return centre(head, obs) if flat and isinstance(head, RayHead) else (lower + upper) / 2, (upper - lower) / 2


def coordinates(head: Head, action: Tensor) -> Tensor:
    return head.constraint.to_free(action) if head.in_plane else action


def centre_outputs(head: Head, obs: Tensor) -> Tensor:
    """The outputs whose ray has no direction."""
    middle, half = scale(head, obs)
    return 0 * middle.expand(len(obs), -1) if head.squashed else (centre(head, obs) - middle) / half


def centre(head: Head, obs: Tensor) -> Tensor:
    return coordinates(head, head.constraint.interior(obs))


def typical(head: Head, generator: torch.Generator, rows: int = ROWS) -> Tensor:
    """Outputs about as large as the box."""
    output = torch.randn((rows, head.outputs), generator=generator, dtype=torch.float64)
    return output.tanh() if head.squashed else output


def outputs(head: Head, generator: torch.Generator) -> Tensor:
    """Random ones, corners and axes of the box, 0 and next to it, and far ones where outputs have no ends."""
    k = head.outputs
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=k)), dtype=torch.float64)[:64]
    axes = torch.eye(k, dtype=torch.float64)
    made = [typical(head, generator), corners, axes, -axes, 0 * axes[:1], 1e-9 * axes, 1e-200 * axes]
    if not head.squashed:
        made += [1e3 * corners, 1e6 * axes, -1e6 * corners]
    return torch.cat(made)


def test_every_output_gives_a_feasible_action(head: Head, case: Case, generator: torch.Generator) -> None:
    output = outputs(head, generator)
    obs = case.obs(len(output), generator)
    assert head.constraint.contains(head(output, obs), obs, 1e-9).all()
    inside = head(centre_outputs(head, obs), obs)
    assert head.constraint.contains(inside, obs, 1e-9).all()
    if not isinstance(head, ProjectionHead):
        torch.testing.assert_close(coordinates(head, inside), centre(head, obs), atol=1e-9, rtol=0)


def origin(head: Head, action: Tensor, obs: Tensor) -> Tensor:
    """The output that the head takes to a feasible action, by the inverse of its formula."""
    middle, half = scale(head, obs)
    if isinstance(head, ProjectionHead | AlphaHead):
        return (coordinates(head, action) - middle) / half
    step = coordinates(head, action) - centre(head, obs)
    gauge = head.constraint.gauge(action - head.constraint.interior(obs), obs)[:, None]
    if isinstance(head, RadialHead):
        return (centre(head, obs) + step * gauge.atanh() / gauge - middle) / half
    lower, upper = map(torch.as_tensor, head.constraint.free_box)
    scaled = step / ((upper - lower) / 2)
    return scaled * gauge / scaled.abs().amax(dim=1, keepdim=True)


def test_every_feasible_action_has_an_output(head: Head, case: Case, generator: torch.Generator) -> None:
    obs = case.obs(200, generator)
    action = head.constraint.sample(obs, generator)
    output = origin(head, action, obs)
    if head.squashed:
        assert output.abs().max() <= 1 + 1e-12
    size = float((head.constraint.upper - head.constraint.lower).max())
    torch.testing.assert_close(head(output, obs), action, atol=1e-9 * size, rtol=0)


def test_the_gradient_is_that_of_finite_differences(head: Head, case: Case, generator: torch.Generator) -> None:
    output = typical(head, generator, rows=4).requires_grad_()
    obs = torch.randn((4, case.width), generator=generator, dtype=torch.float64) * 3
    assert torch.autograd.gradcheck(lambda output: head(output, obs), output, eps=1e-7, atol=1e-4)
    if head.has_density:
        assert torch.autograd.gradcheck(lambda output: head.log_det(output, obs), output, eps=1e-7, atol=1e-4)


def test_nothing_is_infinite_in_a_corner_or_at_the_centre(head: Head, case: Case, generator: torch.Generator) -> None:
    output = outputs(head, generator)
    states = torch.zeros((3, case.width), dtype=torch.float64)
    states[1], states[2] = 40.0, torch.linspace(-60, 60, case.width)
    for state in states:
        obs = state.expand(len(output), -1)
        for given in (output, centre_outputs(head, obs)):
            leaf = given.clone().requires_grad_()
            found = [head(leaf, obs)]
            if head.has_density:
                found.append(head.log_det(leaf, obs))
            if isinstance(head, AlphaHead):
                found.append(head.log_prob(leaf, 0.1 * leaf, leaf[0] * 0 - 1, obs))
            for answer in found:
                (gradient,) = torch.autograd.grad(answer.sum(), leaf)
                assert answer.isfinite().all()
                assert gradient.isfinite().all()


@pytest.mark.parametrize("kind", [IdentityHead, GaugeHead, RadialHead])
def test_the_log_determinant_is_that_of_the_jacobian(case: Case, kind: type[Head], generator: torch.Generator) -> None:
    head = kind(case.constraint)
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=head.outputs)), dtype=torch.float64)[-8:]
    output = torch.cat([typical(head, generator), corners, 0.9 * corners])
    obs = case.obs(len(output), generator)
    obs[:3], obs[-3:] = 0.0, 0.0
    assert_volume(head, output, obs)
    assert_volume(head, centre_outputs(head, obs), obs)


def assert_volume(head: Head, output: Tensor, obs: Tensor) -> None:
    """The log-determinant against that of the Jacobian, where this has digits left."""
    half = scale(head, obs)[1]

    def one(output: Tensor, obs: Tensor) -> Tensor:
        return coordinates(head, head(output[None], obs[None]))[0] / half

    jacobian = vmap(jacrev(one))(output, obs)
    expected = torch.linalg.slogdet(jacobian)[1]
    sound = torch.linalg.cond(jacobian) < 1e6
    assert sound.sum() > 3
    torch.testing.assert_close(head.log_det(output, obs)[sound], expected[sound], atol=1e-6, rtol=0)


def test_seeds_side_by_side_get_what_each_gets_alone(head: Head, case: Case, generator: torch.Generator) -> None:
    output = typical(head, generator, rows=30).unflatten(0, (3, 10))
    obs = case.obs(30, generator).unflatten(0, (3, 10))
    torch.testing.assert_close(
        vmap(head)(output, obs), torch.stack(list(map(head, output, obs))), atol=1e-12, rtol=1e-12
    )

    def loss(output: Tensor, obs: Tensor) -> Tensor:
        return head(output, obs).square().sum()

    leaf = output.clone().requires_grad_()
    (expected,) = torch.autograd.grad(torch.stack(list(map(loss, leaf, obs))).sum(), leaf)
    torch.testing.assert_close(vmap(grad(loss))(output, obs), expected, atol=1e-11, rtol=1e-11)


def test_radial_squashing_pulls_an_action_moved_away_back_along_its_ray(case: Case, generator: torch.Generator) -> None:
    head = AlphaHead(case.constraint)
    output, obs = typical(head, generator), case.obs(ROWS, generator)
    middle, half = scale(head, obs)
    action = head.constraint.from_free(middle + half * output)
    found = RadialHead(case.constraint).again(action, obs)
    torch.testing.assert_close(found, head(output, obs), atol=1e-12, rtol=1e-12)


# --- the identity, and flows -------------------------------------------------------------------------------------


def test_the_identity_reaches_the_ends_of_the_action_box(case: Case) -> None:
    c, head = case.constraint, IdentityHead(case.constraint)
    obs = torch.zeros((3, case.width), dtype=torch.float64)
    ends = torch.tensor([[-1.0], [0.0], [1.0]]).expand(3, c.dim)
    expected = torch.stack([torch.as_tensor(end).float() for end in (c.lower, (c.lower + c.upper) / 2, c.upper)])
    torch.testing.assert_close(head(ends, obs), expected)


FLOWS = {"realnvp": RealNVPConfig(layers=4, hidden=(16, 16)), "gauge": GaugeConfig(layers=2, hidden=(16, 16))}


def untrained(task_id: str, kind: str) -> Flow:
    """An untrained flow in double precision, frozen."""
    return make_flow(make_task(task_id), FLOWS[kind]).double().requires_grad_(False)


@pytest.mark.parametrize("kind", FLOWS)
@pytest.mark.parametrize("task_id", ["R+L2", "HC+O", "BSS-3"])
def test_a_flow_head_has_the_log_determinant_of_its_jacobian(
    task_id: str, kind: str, generator: torch.Generator
) -> None:
    head = FlowHead(make_task(task_id).constraint)
    head.flow = untrained(task_id, kind)
    obs = torch.randn((ROWS, 17), generator=generator, dtype=torch.float64)
    output = typical(head, generator)
    assert_volume(head, output, obs)


# --- what heads refuse -------------------------------------------------------------------------------------------


def test_heads_that_follow_rays_refuse_sets_that_are_not_convex() -> None:
    discs = Discs([[0.5, 0.0], [-0.5, 0.0]], [0.05, 0.02], *unit(2))
    for kind in (AlphaHead, RadialHead, GaugeHead):
        with pytest.raises(UserError, match=f"{kind.__name__} does not apply to Discs, not convex: rays"):
            kind(discs)
    obs = torch.zeros((1, 1), dtype=torch.float64)
    assert discs.contains(ProjectionHead(discs)(torch.ones((1, 2)), obs), obs).all()


class Opaque(Constraint):
    """A set that is projected onto by a solver."""

    def violation(self, action: Tensor, obs: Tensor) -> Tensor:  # noqa: ARG002
        return self.box_violation(action)

    def cvxpy_constraints(self, x, obs_row) -> list:  # noqa: ARG002
        return [x >= self.lower, x <= self.upper]


def test_what_a_head_does_not_have_is_said() -> None:
    with pytest.raises(UserError, match="the projection of Opaque has no gradient: write one in torch operations"):
        ProjectionHead(Opaque(*unit(2)))
    constraint = make_task("R+L2").constraint
    output = torch.zeros((1, 2))
    with pytest.raises(UserError, match="AlphaHead has no density"):
        AlphaHead(constraint).log_det(output, output)
    with pytest.raises(UserError, match=r"call the method's prepare\(\) first"):
        FlowHead(constraint)(output, output)
