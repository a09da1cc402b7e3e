"""``acrl list``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from benchmark.commands.output import json_option, show


@click.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List tasks, methods and profiles."""
    profiles = _profiles()
    # Tasks are made for programs alone: that takes longer than all the rest.
    document = {"tasks": _tasks(), "methods": _methods(), "profiles": profiles} if as_json else {}
    show(document, _lines(profiles), as_json)


def _tasks() -> list[dict[str, Any]]:
    from envs.registry import list_tasks, make_task

    found = []
    for task in map(make_task, list_tasks()):
        fields = {"id": task.id, "version": task.version, "gym_id": task.gym_id, "env_id": task.env_id}
        fields |= {"n": task.constraint.dim, "constraint": type(task.constraint).__name__}
        fields |= {"convex": task.constraint.convex, "context_indices": list(task.constraint.context_indices)}
        fields |= {"steps": task.steps, "max_episode_steps": task.max_episode_steps}
        found.append(fields | {"source": task.source, "notes": task.notes})
    return found


def _methods() -> list[dict[str, str]]:
    from methods.base import describe_method, list_methods

    return [{"id": method, "summary": describe_method(method)} for method in list_methods()]


def _profiles() -> list[dict[str, Any]]:
    from benchmark.records.config import load_params

    keys = {"tasks", "flow_methods", "plain_methods", "seeds", "steps", "task_steps"}
    profiles = load_params().profiles.items()
    return [{"name": name, **profile.model_dump(mode="json", include=keys)} for name, profile in profiles]


def _lines(profiles: list[dict[str, Any]]) -> Iterator[str]:
    from envs.registry import summarise_tasks

    yield "Tasks"
    for task in summarise_tasks():
        yield f"  {task.id:8} {task.env_id:16} n={task.dim}  {task.family}"
    yield "Methods"
    for method in _methods():
        yield f"  {method['id']:22} {method['summary']}"
    yield "Profiles"
    for profile in profiles:
        steps = f"{profile['steps']:,} steps" if profile["steps"] else "published steps"
        methods = len(profile["flow_methods"]) + len(profile["plain_methods"])
        name, tasks, seeds = profile["name"], len(profile["tasks"]), len(profile["seeds"])
        yield f"  {name:8} {tasks} tasks, {methods} methods, {seeds} seeds, {steps}"
