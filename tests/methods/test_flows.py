"""Flows: invertible, differentiable, with the right density, trained by likelihood."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from torch import Tensor

from envs import UserError, make_task
from envs.constraints import Allocation, Ball, Constraint
from envs.sampling.dataset import draw_dataset, embed
from envs.seeding import make_generator
from methods.base import Checkpoint
from methods.flows.base import Flow, boundary_latent, soft_box_log_density, uniform_latent
from methods.flows.gauge import GaugeConfig
from methods.flows.measure import flow_recall, flow_violations
from methods.flows.realnvp import Groups, RealNVP, RealNVPConfig
from methods.flows.spline import SplineConfig
from methods.flows.training import (
    FlowConfig,
    flow_state,
    held_out,
    load_flow,
    make_flow,
    train_flow,
)
from methods.rays import free_gauge, stretch
from tests.golden.flows import Interrupting
from tests.golden.harness import InterruptionError

TASKS = ("R+L2", "H+M", "BSS-3")
KINDS: dict[str, type[FlowConfig]] = {"realnvp": RealNVPConfig, "spline": SplineConfig, "gauge": GaugeConfig}
TRAINING: dict[str, Any] = {"updates": 300, "batch_size": 128, "hidden": (32, 32), "layers": 4}
TRAINING |= {"learning_rate": 3e-3, "clip": 10.0}
SMALL = RealNVPConfig(**TRAINING)
ROWS = 40


class Trained:
    """A task's small flow, the data it was trained on, and some latents and contexts to try."""

    def __init__(self, task_id: str, kind: str) -> None:
        self.task = make_task(task_id)
        self.config = KINDS[kind](**TRAINING)
        self.samples = draw_dataset(self.task, 2000, 1000, 100, seed=0)
        self.flow, self.curve = train_flow(self.task, self.config, self.samples, Checkpoint())
        self.context = self.samples["test_context"][:ROWS]
        self.latent = uniform_latent(ROWS, self.flow.dim, make_generator(0, "try"))


@pytest.fixture(scope="session", params=[(task, kind) for task in TASKS for kind in KINDS], ids="-".join)
def trained(request: pytest.FixtureRequest) -> Trained:
    return Trained(*request.param)


def scaled(flow: Flow, action: Tensor) -> Tensor:
    return (flow.constraint.to_free(action) - flow.box_middle) / flow.box_half


def test_both_ways_agree_in_double_precision(trained: Trained) -> None:
    flow = make_flow(trained.task, trained.config)
    flow.load_state_dict(trained.flow.state_dict())
    flow.double()
    latent, context = trained.latent.double(), trained.context.double()
    torch.testing.assert_close(flow.inverse(flow(latent, context), context)[0], latent, atol=1e-9, rtol=0)


def test_the_log_determinant_is_that_of_the_jacobian(trained: Trained) -> None:
    flow = trained.flow
    u = scaled(flow, trained.samples["test_action"][:5]).float()
    context = trained.context[:5]
    _, log_det = flow.pull(u, context)
    for row in range(5):

        def pull_row(x: Tensor, row: int = row) -> Tensor:
            return flow.pull(x[None], context[row : row + 1])[0][0]

        jacobian = torch.autograd.functional.jacobian(pull_row, u[row])
        assert log_det[row].item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-3)


@pytest.mark.parametrize("task_id", ["HC+O", "H+M", "R+O10"])
def test_shares_of_a_budget_are_what_the_constraint_counts(task_id: str) -> None:
    task = make_task(task_id)
    flow = make_flow(task, SMALL)
    assert isinstance(flow, RealNVP)
    context = 5 * torch.randn((ROWS, len(task.constraint.context_indices)), generator=make_generator(0, "context"))
    coordinates = uniform_latent(ROWS, flow.dim, make_generator(0, "coordinates"))
    spent = torch.cat(Groups(flow, coordinates, context).shares, dim=1).sum(dim=1)
    action = flow.constraint.from_free(flow.box_middle + flow.box_half * coordinates)
    over = flow.constraint.violation(action.double(), embed(flow.constraint, context.double()))[:, 0]
    torch.testing.assert_close(spent.double(), over / flow.bound + 1, atol=1e-5, rtol=1e-5)


def test_every_coordinate_takes_its_turn() -> None:
    for layers in range(2, 8):
        for dim, task_id in ((2, "R+L2"), (3, "H+M"), (6, "W+M"), (8, "An+L2")):
            flow = make_flow(make_task(task_id), RealNVPConfig(layers=layers, hidden=(4,)))
            assert isinstance(flow, RealNVP)
            moved = {turn * flow.size + place for turn in flow.turns for place in range(flow.size)}
            assert set(range(dim)) <= moved


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("constraint", [Ball(0.25, [-1.0], [1.0]), Allocation(1.0, [0.0, 0.0], [1.0, 1.0])])
def test_one_coordinate_without_context_is_enough(constraint: Constraint, kind: str) -> None:
    flow = KINDS[kind](**TRAINING).build(constraint)
    latent, context = uniform_latent(ROWS, 1, make_generator(0, "try")), torch.empty((ROWS, 0))
    torch.testing.assert_close(flow.inverse(flow(latent, context), context)[0], latent, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("dim", "task_id"), [(2, "R+L2"), (3, "H+M"), (6, "W+M")])
def test_published_layers_move_one_half_by_the_other(dim: int, task_id: str) -> None:
    task = make_task(task_id)
    flow = make_flow(task, RealNVPConfig(layers=2, hidden=(4,), moves="half", shares=False))
    context = torch.zeros((1, len(task.constraint.context_indices)))
    jacobian = torch.autograd.functional.jacobian(lambda x: flow.pull(x[None], context)[0][0], 0.1 * torch.ones(dim))
    first, rest = jacobian[: (dim + 1) // 2], jacobian[(dim + 1) // 2 :]
    assert torch.count_nonzero(first[:, : (dim + 1) // 2]) >= (dim + 1) // 2
    # What moved first depends on itself and on the first half alone: on no other coordinate of its own half.
    own = rest[:, (dim + 1) // 2 :]
    assert torch.equal(own, torch.diag(torch.diag(own)))


def test_training_lowers_the_held_out_likelihood(trained: Trained) -> None:
    untrained = make_flow(trained.task, trained.config)
    untrained.fit_context(trained.samples["train_context"])
    after = held_out(trained.flow, trained.samples, trained.config)
    assert after == min(trained.curve["test_nll"]) < held_out(untrained, trained.samples, trained.config)
    assert 0.2 < flow_recall(trained.flow, trained.samples) <= 1
    # An equality holds by construction, whatever was learned.
    sizes = flow_violations(trained.flow, trained.samples["test_context"], "uniform", 1000, make_generator(0))
    assert sizes.shape == (1000,)
    if trained.flow.dim < trained.task.constraint.dim:
        action = trained.flow(trained.latent, trained.context).double()
        assert (trained.task.constraint.violation(action, torch.zeros((ROWS, 1)).double())[:, 0] <= 0).all()


def test_a_kept_flow_is_the_same_flow_and_no_other_is_taken(trained: Trained) -> None:
    state = flow_state(trained.flow, trained.curve)
    flow, curve = load_flow(trained.task, trained.config, state)
    assert torch.equal(flow(trained.latent, trained.context), trained.flow(trained.latent, trained.context))
    assert curve == trained.curve
    assert not any(p.requires_grad for p in flow.parameters())
    for other in ({}, {name: torch.cat([value, value]) if value.ndim else value for name, value in state.items()}):
        with pytest.raises(UserError, match="does not fit task"):
            load_flow(trained.task, trained.config, other)


def test_an_interrupted_training_ends_as_one_that_was_not() -> None:
    task = make_task("H+M")
    samples = draw_dataset(task, 300, 100, 50, seed=0)
    config = SMALL.model_copy(update={"updates": 100})
    expected, curve = train_flow(task, config, samples, Checkpoint())
    checkpoint = Interrupting(after=17)
    with pytest.raises(InterruptionError):
        train_flow(task, config, samples, checkpoint)
    resumed, resumed_curve = train_flow(task, config, samples, checkpoint)
    assert resumed_curve == curve
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in expected.state_dict().items())
    with pytest.raises(UserError, match="does not fit: delete it"):
        train_flow(task, SMALL.model_copy(update={"hidden": (16, 16)}), samples, checkpoint)


def test_training_stops_when_the_likelihood_falls_no_more() -> None:
    task = make_task("R+L2")
    samples = draw_dataset(task, 40, 200, 10, seed=0)
    config = RealNVPConfig(**TRAINING | {"updates": 2500, "patience": 3, "average": 0.0})
    flow, curve = train_flow(task, config, samples, Checkpoint())
    assert curve["update"][-1] < 2500
    # Of 50 looks, those of the first half stop nothing.
    assert len(curve["test_nll"]) - 1 - max(25, curve["test_nll"].index(min(curve["test_nll"]))) == 3
    assert held_out(flow, samples, config) == min(curve["test_nll"])


def test_a_training_that_diverges_says_so() -> None:
    task = make_task("R+L2")
    samples = draw_dataset(task, 40, 40, 10, seed=0)
    config = RealNVPConfig(**TRAINING | {"learning_rate": 1e30, "final_learning_rate": 1e30, "clip": 1e30})
    with pytest.raises(UserError, match=r"held-out likelihood is (nan|-?inf) after .* lower flow.learning_rate"):
        train_flow(task, config, samples, Checkpoint())


# --- a flow that is valid by construction ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uniform", "boundary"])
@pytest.mark.parametrize("task_id", ["R+L2", "HC+O", "W+M", "BSS-5"])
def test_an_untrained_gauge_flow_is_valid_and_reaches_every_feasible_action(task_id: str, kind: str) -> None:
    task = make_task(task_id)
    samples = draw_dataset(task, 500, 5000, 300, seed=1)
    flow = make_flow(task, GaugeConfig(**TRAINING))
    flow.fit_context(samples["train_context"])
    sizes = flow_violations(flow, samples["test_context"], kind, 20_000, make_generator(0))
    assert sizes.max() == 0
    # Feasible samples are kept in single precision, and may have been rounded across the boundary.
    assert flow_recall(flow, samples) > 0.999


def test_the_middle_of_the_latent_box_is_the_interior_point() -> None:
    task = make_task("R+L2")
    flow = make_flow(task, GaugeConfig(**TRAINING))
    zero = torch.zeros((1, 2), dtype=torch.float64, requires_grad=True)
    step = flow.box_half.double() * zero
    centre = torch.zeros((1, 2), dtype=torch.float64)
    gauge = free_gauge(task.constraint, centre, step, torch.zeros((1, 1), dtype=torch.float64))
    reach = stretch(zero, gauge)
    assert reach.item() == 1
    (gradient,) = torch.autograd.grad((reach * step).sum(), zero)
    assert gradient.isfinite().all()


# --- base density and latents ----------------------------------------------------------------------------------------


@budget(max_examples=50, deadline=None)
@given(row=st.lists(st.floats(-3, 3), min_size=1, max_size=4), sigma=st.floats(0.01, 2))
def test_the_soft_box_is_flat_inside_and_gaussian_beyond_its_faces(row: list[float], sigma: float) -> None:
    expected = sum(-0.5 * (max(abs(z) - 1, 0.0) / sigma) ** 2 - math.log(2) for z in row)
    found = soft_box_log_density(torch.tensor([row], dtype=torch.float64), sigma, steepest=1e6)
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@budget(max_examples=50, deadline=None)
@given(z=st.floats(1.0, 3.0), sigma=st.floats(0.01, 2), steepest=st.floats(0.1, 50))
def test_its_edge_is_never_steeper_than_it_may_be(z: float, sigma: float, steepest: float) -> None:
    latent = torch.tensor([[z]], dtype=torch.float64, requires_grad=True)
    density = soft_box_log_density(latent, sigma, steepest)
    (slope,) = torch.autograd.grad(density.sum(), latent)
    # Gaussian as long as that is flatter, then exponential; the density itself has no step between them.
    assert slope.item() == pytest.approx(-min((z - 1) / sigma**2, steepest), rel=1e-6, abs=1e-9)
    points = torch.linspace(1, z, 20_001, dtype=torch.float64)[:, None]
    slopes = -((points - 1) / sigma**2).clamp(max=steepest)
    area = torch.trapezoid(slopes[:, 0], points[:, 0])
    assert density.item() + math.log(2) == pytest.approx(area.item(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_boundary_latents_lie_on_every_face(dim: int) -> None:
    latent = boundary_latent(1000, dim, make_generator(0))
    assert (latent.abs().amax(dim=1) == 1).all()
    for side in (-1, 1):
        assert ((latent == side).sum(dim=0) > 1000 / (4 * dim)).all()
