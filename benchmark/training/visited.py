"""The states that a run records: which ones, and which of them tell where a policy goes."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.records.results import RunResult
from envs.registry import make_task
from envs.seeding import derive_seed

# Enough to show where a run went, few enough for the JSON. At most 399 are recorded, since windows have whole steps.
VISITED_STATES = 200


def is_recorded(step: int, steps: int, seed: int) -> bool:
    """Whether a run of ``steps`` steps records its state at ``step``: at one random step of each window.

    Evenly spaced steps could keep step with the episodes, and then always meet the same part of them.
    """
    every = max(1, steps // VISITED_STATES)
    window, place = divmod(step - 1, every)
    return place == derive_seed(seed, "visited", window) % every


def visited_states(run: RunResult) -> Iterator[tuple[int, list[float]]]:
    """Step and context of each recorded state of a run.

    Runs without ``visited_steps`` recorded every n-th step. On HC+O, whose episodes all last 1,000 steps, this was
    every 500th, and so half of the states began an episode, before the policy could lead anywhere. Those are left out.
    """
    if run.visited_steps:
        yield from zip(run.visited_steps, run.visited, strict=True)
        return
    every = max(1, run.config["steps"] // VISITED_STATES)
    horizon = make_task(run.task).max_episode_steps
    for index, context in enumerate(run.visited):
        if index * every % horizon:
            yield 1 + index * every, context
