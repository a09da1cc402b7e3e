"""The picture files of a task: its constraint, its trained flows and, on request, an episode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmark.publishing.pictures.drawing import Picture, draw_constraint, draw_flow
from benchmark.records.config import Params, run_config
from benchmark.records.files import write_bytes, write_text
from benchmark.records.store import ArtifactStore, load_tensors
from benchmark.training.flows import flow_config, flow_method
from envs.errors import UserError
from envs.registry import TaskSpec, make_task
from methods.flowpg import flow_recipe
from methods.flows.base import Flow


@dataclass(frozen=True)
class PictureFile:
    """A picture that was written or left out.

    Attributes:
        task: Id of the task.
        path: Its file; None if it was left out.
        alt: Text alternative.
        reason: Why it was left out.
    """

    task: str
    path: Path | None
    alt: str = ""
    reason: str = ""


def write_pictures(params: Params, profile: str, task_id: str, results: Path, episodes: bool) -> Iterator[PictureFile]:
    """Draw the pictures of a task into ``results/<profile>/pictures``.

    Flows are the trained ones of today's versions and settings; none is trained here. Pictures that cannot be drawn are
    left out with a reason: a set without a plane or an interior, an episode without an off-screen renderer.

    Yields:
        Each picture, once it is written or left out.

    Raises:
        UserError: If an id is unknown, or a file is damaged or cannot be written.
    """
    task, folder = make_task(task_id), results / profile / "pictures"
    drawn = params.profile(profile).flow_methods
    try:
        picture = draw_constraint(task)
    except UserError as error:
        drawn = ()
        yield PictureFile(task_id, None, reason=f"no picture of its constraint: {error}")
    else:
        yield _write(task, folder / task_id, picture)
    for method in drawn:
        flow = kept_flow(params, profile, task, method, results)
        if flow is not None:
            yield _write(task, folder / f"{task_id}-flow-{method}", draw_flow(task, flow, method))
    if episodes:
        from benchmark.publishing.pictures.episodes import NoRendererError, record_episode

        try:
            picture = record_episode(task)
        except NoRendererError as error:
            yield PictureFile(task_id, None, reason=f"no episode: {error}")
        else:
            yield _write(task, folder / task_id, picture)


def alt_path(picture: Path) -> Path:
    """The file with a picture's text alternative."""
    return picture.with_name(f"{picture.name}.txt")


def _write(task: TaskSpec, stem: Path, picture: Picture) -> PictureFile:
    # Not with_suffix: the id of a task may contain a full stop.
    path = stem.with_name(f"{stem.name}.{picture.kind}")
    write_bytes(path, picture.content)
    write_text(alt_path(path), picture.alt + "\n")
    return PictureFile(task.id, path, picture.alt)


def kept_flow(params: Params, profile: str, task: TaskSpec, method_id: str, results: Path) -> Flow | None:
    """The trained flow of a method in ``results``, if it has today's versions and settings; None otherwise.

    Raises:
        UserError: If an id is unknown, the method has no flow, or the file is damaged.
    """
    store = ArtifactStore(results / profile, task)
    path = store.path(f"flows/{method_id}")
    if not path.exists():
        return None
    settings = run_config(params, profile, task.id, method_id).method
    if load_tensors(path)[1].get("key") != store.key(*flow_recipe(flow_config(method_id, settings))):
        return None
    return flow_method(task, method_id, settings, store).trained_flow()
