"""Checks of the environment and of the row that describes the task, and which methods apply to it.

A method that does not apply is skipped and listed with the reason. For example, ``ddpg-projection-layer`` needs
gradients of the projection, which cvxpy's does not have.
"""

from __future__ import annotations

import itertools
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.envs.registration import load_env_creator
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env

from benchmark.conformance.probes import disturbed, rollout
from benchmark.conformance.trial import HALF, MethodTrial, small_settings
from envs.errors import NoSampleError, RunFailedError, UserError
from envs.registry import TaskSpec

# Assertions are more exact than the warnings of simulators.
pytestmark = pytest.mark.filterwarnings("ignore")

SEEDING = "draw from self.np_random after super().reset(seed=seed)"


@pytest.mark.gate
def test_action_box(task: TaskSpec) -> None:
    """The constraint's action box is the environment's action space."""
    with closing(task.make_env()) as env:
        space = env.action_space
    assert isinstance(space, Box), f"the action space is {space}; use a Box of real numbers"
    lower, upper = task.constraint.lower, task.constraint.upper
    found, wanted = f"[{space.low.tolist()}, {space.high.tolist()}]", f"[{lower.tolist()}, {upper.tolist()}]"
    same = space.shape == lower.shape and np.allclose([space.low, space.high], [lower, upper], rtol=1e-6)
    assert same, f"the constraint's box is {wanted} but the environment's is {found}; use the latter"


def test_gymnasium_checker(task: TaskSpec) -> None:
    """Gymnasium's environment checker passes."""
    # Without Gymnasium's own wrappers, and with the task's.
    entry: Any = task.entry_point
    make_env: Any = entry if callable(entry) else load_env_creator(entry)
    with closing(make_env(**task.env_kwargs)) as env:
        check_env(env, skip_render_check=True)


def test_same_seed(task: TaskSpec) -> None:
    """The same seed gives the same episode, to the bit."""
    assert rollout(task, 7).same_as(rollout(task, 7)), f"episodes of one seed differ; {SEEDING}"


def test_different_seeds(task: TaskSpec) -> None:
    """Different seeds give different episodes, unless no seed matters."""
    if rollout(task, 7).same_as(rollout(task, None)):
        pytest.skip("episodes without a seed are the same too: either nothing is random, or reset() ignores its seed")
    assert not rollout(task, 7).same_as(rollout(task, 8)), f"episodes of two seeds are the same; {SEEDING}"


def test_global_generators_untouched(task: TaskSpec) -> None:
    """The environment never uses a global random generator."""
    with disturbed() as used:
        rollout(task, 7)
    assert not used, f"the environment used the global generator of {', '.join(used)}; {SEEDING}"


def test_arrays_not_shared(task: TaskSpec) -> None:
    """The environment returns a new array at every step, and does not write to the action."""
    with closing(task.make_env(disable_env_checker=True)) as env:
        before, _ = env.reset(seed=7)
        action = np.asarray(task.constraint.upper / 2 + task.constraint.lower / 2, dtype=np.float32)
        given, returned = action.copy(), [before, *(env.step(action.copy())[0] for _ in range(2))]
        env.step(given)
    assert np.array_equal(given, action), "step() changes the action that it is given; work on a copy"
    shared = any(np.shares_memory(one, other) for one, other in itertools.combinations(returned, 2))
    assert not shared, "observations share memory, so a later step changes an earlier one; return a copy"


def test_observations_finite(task: TaskSpec) -> None:
    """Observations are one-dimensional and finite."""
    found = rollout(task, 7).observations
    assert found.ndim == 2, f"observations have shape {found.shape[1:]}; wrap them to be flat, (o,)"
    step = int(np.isfinite(found).all(axis=1).argmin())
    assert np.isfinite(found[step]).all(), f"observation {step} holds NaN or infinity: {found[step].tolist()}"


def test_context_in_observation(task: TaskSpec) -> None:
    """``context_indices`` are indices of the observation."""
    length = rollout(task, 7, steps=0).observations.shape[1]
    outside = [index for index in task.constraint.context_indices if not 0 <= index < length]
    assert not outside, f"context_indices {outside} are outside of the observation, which has {length} entries"


def test_episodes_end(task: TaskSpec) -> None:
    """Episodes end by ``max_episode_steps``."""
    limit: Any = task.max_episode_steps
    right = isinstance(limit, int) and limit > 0
    assert right, f"max_episode_steps is {limit}; give a number of steps"
    ended = rollout(task, 7, limit).ended
    assert ended, (
        f"an episode continues after max_episode_steps = {limit}; create the environment with gymnasium.make()"
    )


def test_fingerprint_plain(task: TaskSpec) -> None:
    """The task's fingerprint is plain data, and the same at every call."""
    first, again = (json.dumps(task.fingerprint(), sort_keys=True) for _ in range(2))
    assert first == again, "fingerprint() differs between calls; keep parameters in constant attributes"


def test_method_applies(task: TaskSpec, method: str, tmp_path: Path) -> None:
    """Each method trains for some steps, or says why it does not apply to the task."""
    trial = MethodTrial(method, task, small_settings(method, {}), tmp_path)
    try:
        made = trial.make()
    except (RunFailedError, NoSampleError) as error:
        raise AssertionError(f"{method} cannot be prepared: {error}; mend the constraint or the environment") from error
    except UserError as error:
        pytest.skip(str(error))
    try:
        trial.play(made, 0, HALF)
    except UserError as error:
        raise AssertionError(f"{method} fails: {error}; mend the constraint or the environment") from error
