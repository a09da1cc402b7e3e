"""Episodes as animated pictures: MuJoCo's own view, or the bikes in each zone.

MuJoCo chooses its renderer on import, and a renderer that does not work may end the process. It therefore draws in a
process of its own: ``python -m benchmark.publishing.pictures.episodes``.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmark.publishing.pictures.drawing import Picture
from benchmark.training.processes import import_variables
from envs.errors import UserError
from envs.registry import TaskSpec, make_task
from envs.seeding import derive_seed, make_generator

Frames = NDArray[np.uint8]

MOST_FRAMES = 40
# Each random action is held for this many steps: otherwise MuJoCo's bodies would only tremble.
HOLD = 5
WIDTH, HEIGHT, COLOURS = 224, 168, 64
# Steps between frames, and milliseconds per frame: motion is smooth, bikes can be counted.
MOTION, BIKES = (2, 80), (1, 400)
ACTIONS, FRAMES = "actions.npy", "frames.npy"
# Cameras of Gymnasium's environments, which follow the body; the arm's model has none, so its camera is above it.
MUJOCO = ("gymnasium.envs.mujoco", "envs.previous_action")
FOLLOWING: dict[str, Any] = {"camera_name": "track"}
ABOVE: dict[str, Any] = {
    "default_camera_config": {"distance": 0.65, "lookat": [0.0, 0.0, 0.0], "elevation": -90.0, "azimuth": 90.0}
}
BACKENDS = ("egl", "osmesa")
SECONDS = 180
NO_RENDERER = (
    "no off-screen renderer; install EGL or OSMesa (Debian: libegl1 and libegl-mesa0, or libosmesa6), or leave "
    "--episodes out"
)


class NoRendererError(UserError):
    """No renderer on this machine can draw MuJoCo without a screen."""


@dataclass(frozen=True)
class Episode:
    """T steps of one or several consecutive episodes.

    Attributes:
        observations: (T + 1, o), including the start.
        actions: (T, n), as executed.
        ended: Number of episodes that ended.
    """

    observations: Tensor
    actions: Tensor
    ended: int


def play(task: TaskSpec, seed: int, steps: int) -> Episode:
    """The first steps of an episode with actions sampled uniformly from C(s), continued in the next one if it ends.

    Each action is held for some steps, and repaired if it has become infeasible.
    """
    env, generator = task.make_env(), make_generator(0, "picture", task.id, "actions")
    observation, _ = env.reset(seed=seed)
    observations, actions, episode = [torch.as_tensor(observation, dtype=torch.float64)], [], 0
    for step in range(steps):
        obs = observations[-1][None]
        if step % HOLD == 0:
            held = task.constraint.sample(obs, generator)
        action = task.constraint.repair(held, obs)
        observation, episode = advance(env, action[0].numpy(), seed, episode)
        observations.append(torch.as_tensor(observation, dtype=torch.float64))
        actions.append(action[0])
    env.close()
    return Episode(torch.stack(observations), torch.stack(actions), episode)


def advance(
    env: gymnasium.Env[Any, Any], action: NDArray[np.float64], seed: int, episode: int
) -> tuple[NDArray[np.float64], int]:
    """Take one step with an action (n,), and start the next episode if this one has ended.

    The first episode starts from ``seed``, each later one from the next number.

    Returns:
        The observation (o,), and the index of its episode.
    """
    observation, _, terminated, truncated, _ = env.step(action)
    if terminated or truncated:
        episode += 1
        observation, _ = env.reset(seed=seed + episode)
    return observation, episode


def record_episode(task: TaskSpec) -> Picture:
    """The beginning of an episode with random feasible actions, or several short ones, as a GIF that repeats.

    Raises:
        NoRendererError: If there is no off-screen renderer. Bike sharing does not need one.
    """
    bikes = task.env_id == "BikeSharing"
    every, duration = BIKES if bikes else MOTION
    start = derive_seed(0, "picture", task.id)
    episode = play(task, start, every * (MOST_FRAMES - 1))
    actions = episode.actions.numpy()
    frames = (render_here if bikes else render)(task, actions, start, every)
    what = "bikes in each zone, step by step" if bikes else f"{task.env_id} in motion"
    count = f"{episode.ended} {'episode' if episode.ended == 1 else 'episodes'}"
    ended = f", in which {count} ended" if episode.ended else ""
    alt = f"{what}: {len(episode.actions)} steps of {task.id} with random feasible actions{ended}."
    return Picture(save_gif(frames, duration), "gif", alt)


def render(task: TaskSpec, actions: NDArray[np.float64], seed: int, every: int) -> Frames:
    """Frames (F, HEIGHT, WIDTH, 3) of an episode with these actions (T, n).

    Raises:
        NoRendererError: If no renderer works.
    """
    chosen = os.environ.get("MUJOCO_GL")
    reason = ""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / ACTIONS, actions)
        command = [sys.executable, "-m", "benchmark.publishing.pictures.episodes", task.id, str(seed), str(every), name]
        for backend in (chosen,) if chosen else BACKENDS:
            variables = {**os.environ, **import_variables(), "MUJOCO_GL": backend}
            try:
                done = subprocess.run(
                    command, check=False, env=variables, capture_output=True, text=True, timeout=SECONDS
                )
            except subprocess.TimeoutExpired:
                reason = f"{backend} took more than {SECONDS} s"
                continue
            if done.returncode == 0:
                frames: Frames = np.load(folder / FRAMES)
                return frames
            reason = f"{backend}: {(done.stderr.strip().splitlines() or ['the process died'])[-1]}"
    raise NoRendererError(f"{NO_RENDERER} ({reason})")


def render_here(task: TaskSpec, actions: NDArray[np.float64], seed: int, every: int) -> Frames:
    """The part of :func:`render` in the other process: a frame of the start, and one after each ``every`` steps."""
    view: dict[str, Any] = {"width": WIDTH}
    if task.entry_point.startswith(MUJOCO):
        view |= {"height": HEIGHT, **(ABOVE if task.env_id.startswith("Reacher") else FOLLOWING)}
    env = task.make_env(render_mode="rgb_array", **view)
    env.reset(seed=seed)
    frames, episode = [env.render()], 0
    for step, action in enumerate(actions, start=1):
        _, episode = advance(env, action, seed, episode)
        if step % every == 0:
            frames.append(env.render())
    env.close()
    return np.array(frames, dtype=np.uint8)


def save_gif(frames: Frames, duration: int) -> bytes:
    """Frames (F, height, width, 3) as a GIF that repeats, each shown for ``duration`` milliseconds, in one palette."""
    # One palette for all, from a few frames: a palette per frame would make still parts flicker.
    some = Image.fromarray(np.concatenate(frames[:: max(1, len(frames) // 5)]))
    # An octree keeps the colours of small objects such as a target; a median cut would spend them on the sky.
    palette = some.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    first, *others = images
    first.save(
        buffer, format="gif", save_all=True, append_images=others, duration=duration, loop=0, optimize=True, disposal=1
    )
    return buffer.getvalue()


if __name__ == "__main__":
    name, seed, every, folder = sys.argv[1:]
    frames = render_here(make_task(name), np.load(Path(folder) / ACTIONS), int(seed), int(every))
    np.save(Path(folder) / FRAMES, frames)
