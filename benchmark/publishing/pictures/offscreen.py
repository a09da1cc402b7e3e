"""Frames of an episode, drawn without a screen in a process of their own.

That is ``python -m benchmark.publishing.pictures.offscreen``.

MuJoCo chooses what it draws with when it is imported, and a renderer that does not work may end the process.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.registry import make_task

ACTIONS, FRAMES = "actions.npy", "frames.npy"
# Gymnasium's own environments: cameras that go along with the body, and one above the arm, whose model has none.
GYMNASIUM = "gymnasium.envs.mujoco"
FOLLOWING: dict[str, Any] = {"camera_name": "track"}
ABOVE: dict[str, Any] = {
    "default_camera_config": {"distance": 0.65, "lookat": [0.0, 0.0, 0.0], "elevation": -90.0, "azimuth": 90.0}
}


def advance(
    env: gymnasium.Env[Any, Any], action: NDArray[np.float64], seed: int, episode: int
) -> tuple[NDArray[np.float64], int]:
    """One step, and the start of the next episode where that was one's last.

    Args:
        env: The environment.
        action: (n,).
        seed: Of the first episode; each later one has the next number.
        episode: Number of the present episode, from 0.

    Returns:
        The observation (o,), and the number of the episode that it is of.
    """
    observation, _, terminated, truncated, _ = env.step(action)
    if terminated or truncated:
        episode += 1
        observation, _ = env.reset(seed=seed + episode)
    return observation, episode


def main(task_id: str, seed: int, every: int, width: int, height: int, folder: Path) -> None:
    """Play the actions (T, n) of ``folder`` and write there what that looks like: (F, height, width, 3), 0 to 255.

    Args:
        task_id: The task.
        seed: Seed of the first episode.
        every: Steps between frames; the first is of the start.
        width: Of a frame, in pixels, where the environment lets one choose.
        height: Likewise.
        folder: Where ``actions.npy`` is and ``frames.npy`` is put.
    """
    task = make_task(task_id)
    view: dict[str, Any] = {}
    if task.entry_point.startswith(GYMNASIUM):
        view = {"width": width, "height": height, **(ABOVE if task.env_id.startswith("Reacher") else FOLLOWING)}
    env = task.make_env(render_mode="rgb_array", **view)
    env.reset(seed=seed)
    frames, episode = [env.render()], 0
    for step, action in enumerate(np.load(folder / ACTIONS), start=1):
        _, episode = advance(env, action, seed, episode)
        if step % every == 0:
            frames.append(env.render())
    env.close()
    np.save(folder / FRAMES, np.array(frames, dtype=np.uint8))


if __name__ == "__main__":
    task_id, *numbers, folder = sys.argv[1:]
    seed, every, width, height = map(int, numbers)
    main(task_id, seed, every, width, height, Path(folder))
