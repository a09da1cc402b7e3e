"""``acrl list``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from benchmark.commands.output import json_option, show
from benchmark.config import load_params
from envs.registry import list_tasks, make_task
from methods.base import list_methods, method_class


@click.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List tasks, methods and profiles."""
    document = {"tasks": _tasks(), "methods": _methods(), "profiles": _profiles()}
    show(document, _lines(document), as_json)


def _tasks() -> list[dict[str, Any]]:
    found = []
    for task in map(make_task, list_tasks()):
        fields = {"id": task.id, "version": task.version, "gym_id": task.gym_id, "env_id": task.env_id}
        fields |= {"n": task.constraint.dim, "constraint": type(task.constraint).__name__}
        fields |= {"convex": task.constraint.convex, "context_indices": list(task.constraint.context_indices)}
        fields |= {"steps": task.steps, "max_episode_steps": task.max_episode_steps}
        found.append(fields | {"source": task.source, "notes": task.notes})
    return found


def _methods() -> list[dict[str, str]]:
    summaries = {method: (method_class(method).__doc__ or "").strip().partition("\n")[0] for method in list_methods()}
    return [{"id": method, "summary": summary} for method, summary in summaries.items()]


def _profiles() -> list[dict[str, Any]]:
    keys = {"tasks", "flow_methods", "plain_methods", "seeds", "steps", "task_steps"}
    profiles = load_params().profiles.items()
    return [{"name": name, **profile.model_dump(mode="json", include=keys)} for name, profile in profiles]


def _lines(document: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    yield "Tasks"
    for task in document["tasks"]:
        yield f"  {task['id']:8} {task['env_id']:16} n={task['n']}  {task['constraint']}"
    yield "Methods"
    for method in document["methods"]:
        yield f"  {method['id']}"
    yield "Profiles"
    for profile in document["profiles"]:
        steps = f"{profile['steps']:,} steps" if profile["steps"] else "published steps"
        methods = len(profile["flow_methods"]) + len(profile["plain_methods"])
        name, tasks, seeds = profile["name"], len(profile["tasks"]), len(profile["seeds"])
        yield f"  {name:8} {tasks} tasks, {methods} methods, {seeds} seeds, {steps}"
