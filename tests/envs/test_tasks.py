"""Every row of the task table, against the simulators and against Gymnasium's own checks."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from envs import list_tasks, make_task

MUJOCO = [task_id for task_id in list_tasks() if make_task(task_id).env_id.endswith("-v5")]
# Where in the context the velocities of actuated joints are, and their angles, and of which actuators.
VELOCITIES: dict[str, dict[int, int]] = {
    **{task_id: {0: 0, 1: 1} for task_id in ("R+O03", "R+O10", "R+O30", "R+M")},
    **{task_id: {i: i for i in range(6)} for task_id in ("HC+O", "HC+O+R", "W+M")},
    "H+M": {i: i for i in range(3)},
    "HC+MA": {6: 0, 7: 3},
    "H+O+S": {i: i for i in range(3)},
    "W+O+S": {i: i for i in range(6)},
    "An+M": {i: i for i in range(8)},
}
ANGLES: dict[str, dict[int, int]] = {
    "HC+MA": {i: i for i in range(6)},
    "H+O+S": {3 + i: i for i in range(3)},
    "W+O+S": {6 + i: i for i in range(6)},
}
# Where in the context the action before is.
BEFORE = {"HC+R": range(6), "HC+O+R": range(6, 12)}

# The papers' table: environment, n, published steps.
TABLE = {
    ("Reacher-v5", 2, 300_000): ["R+L2", "R+N", "R+O03", "R+O10", "R+O30", "R+M", "R+T", "R+Ring", "R+2D"],
    ("HalfCheetah-v5", 6, 1_000_000): ["HC+O", "HC+MA", "HC+R", "HC+O+R", "HC+N", "HC+R+N"],
    ("Hopper-v5", 3, 1_000_000): ["H+M", "H+O+S", "H+N"],
    ("Walker2d-v5", 6, 1_000_000): ["W+M", "W+O+S", "W+N"],
    ("BikeSharing", 3, 1_000_000): ["BSS-3", "BSS-3+N"],
    ("BikeSharing", 5, 1_000_000): ["BSS-5", "BSS-5+N"],
    ("Ant-v5", 8, 1_000_000): ["An+L2", "An+M", "An+N"],
    ("Portfolio", 8, 300_000): ["Portfolio", "Portfolio+N"],
}


def test_rows_agree_with_the_papers() -> None:
    found: dict[tuple[str, int, int], list[str]] = {}
    for task in map(make_task, list_tasks()):
        found.setdefault((task.env_id, task.constraint.dim, task.steps), []).append(task.id)
        assert "arXiv" in task.source
        assert task.notes
    assert found == TABLE


RIGHT = math.pi / 2

# A small violation at a point by hand: context, action, left-hand side minus bound of the first constraint.
LEFT_HAND_SIDES: list[tuple[str, list[float], list[float], float]] = [
    ("R+L2", [], [0.3, -0.4], 0.25 - 0.05),
    ("R+O03", [2.0, -3.0], [0.5, 0.5], 2.5 - 0.3),
    ("R+O10", [2.0, -3.0], [0.5, 0.5], 2.5 - 1.0),
    ("R+O30", [2.0, -3.0], [0.5, 0.5], 2.5 - 3.0),
    ("R+M", [2.0, -3.0], [0.5, 0.5], 1.0 - 1.0),
    ("HC+O", [10.0, -10.0, 5.0, 0.0, 1.0, 2.0], [1.0, 0.5, -1.0, 1.0, 1.0, -1.0], 23.0 - 20.0),
    ("H+M", [10.0, -10.0, 5.0], [1.0, 0.5, 0.5], 12.5 - 10.0),
    ("W+M", [10.0, -10.0, 5.0, 0.0, 1.0, 2.0], [1.0, -0.5, -1.0, 1.0, 1.0, -1.0], 16.0 - 10.0),
    # 0.09 + 2 * 0.3 * 0.5 * 0.5 + 0.25
    ("R+T", [0.5], [0.3, 0.2], 0.49 - 0.05),
    # Sines 1 and -1/2.
    ("HC+MA", [0.5, RIGHT, -0.5, 0, 0, -RIGHT / 3, 10.0, -8.0], [0.7, 1, 1, 0.5, 1, 1], 7.0 + 2.0 - 5.0),
    ("H+O+S", [10.0, -10.0, 5.0, 0, RIGHT, 0], [1.0, 0.5, 0.5], 17.5 - 10.0),
    ("W+O+S", [10.0, -10.0, 5.0, 0.0, 1.0, 2.0] + [0] * 6, [1.0, -0.5, -1.0, 1.0, 1.0, -1.0], 23.0 - 10.0),
    ("An+L2", [], [0.5] * 8, 2.0 - 2.0),
    ("An+M", [10.0, -10.0, 5.0, 0.0, 1.0, 2.0, 30.0, -3.0], [1.0, -0.5, -1, 1, 1, -1, 0.5, 0], 31.0 - 20.0),
    ("HC+R", [0.5, 0.0, 0, 0, 0, 0], [0.8, 0.0, 0, 0, 0, 0], 0.3 - 0.2),
    ("HC+O+R", [10.0, -10.0, 5.0, 0.0, 1.0, 2.0] + [0.0] * 6, [1.0, 0.5, -1.0, 1.0, 1.0, -1.0], 23.0 - 20.0),
    ("R+Ring", [], [0.3, -0.4], 0.25 - 0.05),
    ("R+2D", [], [0.4, 0.3], 0.1 - 0.05),
]

# Of the second one.
SECOND: list[tuple[str, list[float], list[float], float]] = [
    ("H+O+S", [1e3] * 3 + [RIGHT, -RIGHT, 0.0], [0.5, 0.1, 1.0], 0.26 - 0.1),
    ("W+O+S", [1e3] * 6 + [RIGHT, RIGHT / 3, 0, 0, 0, -RIGHT], [0.5, 0.4, 1, 1, 1, -0.1], 0.25 + 0.04 + 0.01 - 0.1),
    ("R+Ring", [], [0.06, -0.08], 0.02 - 0.01),
    ("HC+R", [0.5, 0.0, 0, 0, 0, 0], [0.5, -0.5, 0, 0, 0, 0], 0.5 - 0.2),
    ("HC+O+R", [0.0] * 6 + [-0.5, 0, 0, 0, 0, 0], [0.0] * 6, 0.5 - 0.2),
    # Equities beyond 0.5.
    ("Portfolio", [], [0.2, 0.2, 0.2, 0.1, 0.1, 0.0, 0.0, 0.2], 0.6 - 0.5),
]


@pytest.mark.parametrize(
    ("column", "task_id", "context", "action", "expected"),
    [*((0, *row) for row in LEFT_HAND_SIDES), *((1, *row) for row in SECOND)],
)
def test_the_constraint_reads_the_right_observations(
    column: int, task_id: str, context: list[float], action: list[float], expected: float
) -> None:
    constraint = make_task(task_id).constraint
    # What the constraint must not read is large.
    obs = torch.full((1, 27), 1e3, dtype=torch.float64)
    obs[0, list(constraint.context_indices)] = torch.tensor(context, dtype=torch.float64)
    violation = constraint.violation(torch.tensor([action], dtype=torch.float64), obs)
    assert float(violation[0, column]) == pytest.approx(expected, abs=1e-12)


# --- against the simulators -----------------------------------------------------------------------------------


def actuated(simulator: Any) -> tuple[np.ndarray, np.ndarray]:
    """Velocities and angles of the joints that the actuators drive, in the order of the actuators."""
    joints = simulator.model.actuator_trnid[:, 0]
    velocities = simulator.data.qvel[simulator.model.jnt_dofadr[joints]]
    return np.array(velocities), np.array(simulator.data.qpos[simulator.model.jnt_qposadr[joints]])


def test_every_context_is_accounted_for() -> None:
    for task_id in MUJOCO:
        known = [*VELOCITIES.get(task_id, {}), *ANGLES.get(task_id, {}), *BEFORE.get(task_id, ())]
        known += [0] if task_id == "R+T" else []
        assert sorted(known) == list(range(len(make_task(task_id).constraint.context_indices)))


@pytest.mark.parametrize("task_id", VELOCITIES)
def test_context_is_velocity_and_angle_of_each_actuated_joint(task_id: str) -> None:
    task = make_task(task_id)
    env = task.make_env()
    env.reset(seed=3)
    env.action_space.seed(3)
    limit = 10.0 if task.env_id in {"Hopper-v5", "Walker2d-v5"} else np.inf
    angles = ANGLES.get(task_id, {})
    for _ in range(300):
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        seen = observation[list(task.constraint.context_indices)]
        velocity, angle = actuated(env.unwrapped)
        expected = np.clip(velocity, -limit, limit)[list(VELOCITIES[task_id].values())]
        np.testing.assert_array_equal(seen[list(VELOCITIES[task_id])], expected)
        np.testing.assert_array_equal(seen[list(angles)], angle[list(angles.values())])
        if terminated or truncated:
            env.reset()
    env.close()


@pytest.mark.parametrize(("task_id", "seen"), [("H+M", 10.0), ("W+M", 10.0), ("HC+O", 50.0), ("R+M", 50.0)])
def test_hopper_and_walker_alone_clip_velocities(task_id: str, seen: float) -> None:
    task = make_task(task_id)
    env = task.make_env()
    env.reset(seed=0)
    simulator: Any = env.unwrapped
    simulator.set_state(simulator.init_qpos, np.full_like(simulator.init_qvel, 50.0))
    observation = simulator._get_obs()
    assert set(observation[list(task.constraint.context_indices)]) == {seen}
    env.close()


def test_the_context_of_the_two_link_arm_is_the_cosine_of_its_elbow() -> None:
    task = make_task("R+T")
    env = task.make_env()
    observation, _ = env.reset(seed=5)
    simulator: Any = env.unwrapped
    context = task.constraint.context(torch.as_tensor(observation)[None])
    assert context.tolist() == [[np.cos(simulator.data.qpos[1])]]
    env.close()
