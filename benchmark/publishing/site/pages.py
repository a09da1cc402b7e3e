"""The report as one static site: leaderboard, tasks, methods, claims and where every number is from."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup, escape

from benchmark.analysis.claims.claims import Claims
from benchmark.analysis.leaderboard import ALL_TASKS, BASELINE, Leaderboard
from benchmark.publishing.pictures.writing import alt_path
from benchmark.publishing.site import charts
from benchmark.publishing.site.cells import VALIDITY, leaderboard_rows, pair_grid, scale_grid
from benchmark.publishing.site.parts import (
    Origin,
    anchor_runs,
    claim_page,
    describe_method,
    describe_run,
    flow_grids,
    reports,
    settings_of,
    sources,
    step_grid,
    versions,
)
from benchmark.publishing.tables.leaderboard import EQUALITY
from benchmark.publishing.tables.writing import describe, describe_failures
from benchmark.records.files import write_bytes, write_text
from benchmark.records.results import TOLERANCES
from benchmark.records.runs import HIGH_METHOD, NoRunsError
from benchmark.records.selection import Selection
from benchmark.records.submissions import ADDRESS, DOI, describe_submissions
from envs.errors import UserError
from envs.registry import make_task

STATIC = ("style.css", "report.js")
PICTURES = (".png", ".svg", ".gif")


def write_site(board: Leaderboard, claims: Claims, folder: Path) -> list[Path]:
    """Write the report of a profile to ``folder / "site"`` (``folder`` is ``results/<profile>``).

    The same results give the same bytes. Pages that an earlier report had and this one has not are removed.

    Returns:
        The files written, the first page first.

    Raises:
        UserError: If there is no complete run, or a file cannot be written.
    """
    if not board.found.begun():
        raise NoRunsError(board.found.profile, folder.parent)
    files = make_files(board, claims, folder)
    site = folder / "site"
    for path in sorted(site.rglob("*")) if site.exists() else []:
        if path.is_file() and path.relative_to(site).as_posix() not in files:
            remove(path)
    for name, data in files.items():
        write_bytes(site / name, data) if isinstance(data, bytes) else write_text(site / name, data)
    return [site / name for name in files]


def remove(path: Path) -> None:
    """Delete a page of an earlier report.

    Raises:
        UserError: If it cannot be deleted.
    """
    try:
        path.unlink()
        if not any(path.parent.iterdir()):
            shutil.rmtree(path.parent)
    except OSError as error:
        raise UserError(f"cannot remove {path}: {error.strerror}; delete the folder site and run again") from error


def make_files(board: Leaderboard, claims: Claims, folder: Path) -> dict[str, str | bytes]:
    """Every file of the site by its path."""
    found, behind = board.found, sources(board.found, folder)
    tasks = found.begun()
    methods = [method for method in found.methods if any(found.runs(task, method) for task in tasks)]
    shown = {"found": found, "tasks": tasks, "methods": methods, "described": describe(found)}
    pictures = picture_files(folder, tasks)
    pages = Pages(shown)
    files: dict[str, str | bytes] = {
        "index.html": pages.render("index.html.j2", "", **index_page(board, methods)),
        "claims.html": pages.render("claims.html.j2", "", claims=[claim_page(one, behind) for one in claims.all]),
        "provenance.html": pages.render("provenance.html.j2", "", **provenance_page(found, behind)),
    }
    for task in tasks:
        page = task_page(board, task, methods) | {"pictures": pictures_of(folder, pictures, task)}
        files[f"tasks/{task}.html"] = pages.render("task.html.j2", "../", **page)
    for method in methods:
        page = method_page(board, method) | {"flows": flow_grids(board.flows, method)}
        files[f"methods/{method}.html"] = pages.render("method.html.j2", "../", **page)
    static = resources.files("benchmark.publishing.site").joinpath("static")
    files |= {f"static/{name}": static.joinpath(name).read_text("utf-8") for name in STATIC}
    # Its own scope: the bundle declares names of one letter, which would be everybody's.
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    files["static/vega.js"] = f"(() => {{{bundle}}})();\n"
    files["static/sources.js"] = f"window.SOURCES = {as_script(behind)};\n"
    return files | pictures


class Pages:
    """Renders templates with what every page shows."""

    def __init__(self, shared: Mapping[str, Any]) -> None:
        self.environment = jinja2.Environment(
            loader=jinja2.PackageLoader("benchmark.publishing.site"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters |= {"script": as_script, "arxiv": link_papers, "address": link_address}
        self.shared = shared

    def render(self, template: str, root: str, **values: Any) -> str:
        """One page; ``root`` leads from it to the site's folder."""
        return self.environment.get_template(template).render(root=root, **self.shared, **values) + "\n"


def as_script(data: Any) -> Any:
    """JSON that can stand inside a script element, whatever text it holds."""
    text = json.dumps(data, sort_keys=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


def link_papers(text: str) -> Any:
    """Text with every arXiv number as a link."""
    linked = re.sub(
        r"(?:arXiv[: ])?\b(\d{4}\.\d{5}(?:v\d+)?)\b",
        r'<a href="https://arxiv.org/abs/\1">arXiv \1</a>',
        str(escape(text)),
    )
    return Markup(linked)


def link_address(text: str) -> Any:
    """An address or a DOI as a link, other text as :func:`link_papers` has it; what is submitted is never markup."""
    if not re.fullmatch(f"{ADDRESS}|{DOI}", text):
        return link_papers(text)
    address = f"https://doi.org/{text}" if re.fullmatch(DOI, text) else text
    return Markup('<a href="{}" rel="nofollow">{}</a>').format(address, text)


def index_page(board: Leaderboard, methods: Sequence[str]) -> dict[str, Any]:
    """The leaderboard."""
    found, frame, ranked = board.found, board.frame, board.ranked_methods
    tasks = ", ".join(board.scored_tasks)
    figures = {}
    if ranked:
        figures = {
            "Scores": charts.score_chart(frame, ranked, f"Score of each method over {tasks}, with 95% intervals."),
            "Performance profiles": charts.profile_chart(
                board, f"Share of runs with a score above each threshold, over {tasks}, a curve a method."
            ),
        }
    return {
        "rows": [asdict(row) for row in leaderboard_rows(board, frame)],
        "counted": VALIDITY,
        "tolerances": [f"{tolerance:g}" for tolerance in TOLERANCES],
        "all_tasks": ALL_TASKS,
        "baseline": BASELINE,
        "high": HIGH_METHOD,
        "equality": EQUALITY,
        "scales": scale_grid(board),
        "charts": figures,
        "pairs": pair_grid(board),
        "unranked": [method for method in methods if method not in ranked],
        "notes": [*describe_submissions(found.submitted), *describe_failures(found)],
    }


def task_page(board: Leaderboard, task: str, methods: Sequence[str]) -> dict[str, Any]:
    """One task."""
    found, own = board.found, board.frame[board.frame["task"] == task]
    spec = make_task(task)
    pareto = charts.pareto_charts(own, methods, f"Return against validity on {task}, a point a method.")
    times = [(method, task, method) for method in methods]
    return {
        "task": task,
        "spec": spec,
        "formula": spec.constraint.formula(),
        "family": type(spec.constraint).__name__,
        "rows": [asdict(row) for row in leaderboard_rows(board, own)],
        "tolerances": [f"{tolerance:g}" for tolerance in TOLERANCES],
        "pareto": pareto,
        "charts": {
            "Learning curves": charts.learning_chart(board, task, learning_caption(task)),
            "Constraint violations": charts.violation_chart(
                board, task, f"Violations of the policy's own outputs so far (tolerance 0) over training on {task}."
            ),
            "Where the time went": charts.time_chart(found, times, f"Seconds of training by part on {task}."),
        },
    }


def learning_caption(task: str) -> str:
    """What the learning curves are of."""
    return (
        f"Return of the evaluations during training on {task}, mean over seeds. They have fewer episodes than the "
        "final evaluation, which tables and scores are of."
    )


def method_page(board: Leaderboard, method: str) -> dict[str, Any]:
    """One method."""
    found, frame, timed = board.found, board.frame, board.timing
    rows = leaderboard_rows(board, frame[frame["method"] == method])
    tasks = [task for task in found.tasks if found.runs(task, method)]
    times = [(task, task, method) for task in tasks]
    step = step_grid(found, timed, method)
    parts = f"Milliseconds of a training step of {method}, by part, by task: mean over rounds."
    return {
        "method": method,
        "about": describe_method(found, method),
        "submission": found.submitted[method].model_dump(exclude_none=True) if method in found.submitted else None,
        "rows": [asdict(row) for row in rows],
        "tolerances": [f"{tolerance:g}" for tolerance in TOLERANCES],
        "settings": {task: settings_of(found.runs(task, method)) for task in tasks},
        "step": step,
        "split": charts.step_chart(timed[timed["method"] == method], parts) if step else None,
        "charts": {
            "Where the time went": charts.time_chart(found, times, f"Seconds of training of {method} by part, by task.")
        },
    }


def provenance_page(found: Selection, behind: Mapping[str, list[Origin]]) -> dict[str, Any]:
    """Every run, those that returns are measured by, flows and timings, experiments."""
    return {
        "runs": [describe_run(run) for run in found.everything()],
        "anchors": anchor_runs(found),
        "reports": reports(found),
        "experiments": [one for origins in behind.values() for one in origins if "note" in one],
        "versions": versions(found),
    }


def picture_files(folder: Path, tasks: Iterable[str]) -> dict[str, bytes]:
    """Pictures that were drawn of these tasks, by task in their order."""
    found = sorted((folder / "pictures").glob("*")) if (folder / "pictures").is_dir() else []
    # What is feasible, then what flows put out, then the episode.
    found.sort(key=lambda path: (path.suffix == ".gif", "-flow-" in path.name, path.name))
    wanted = [path for task in tasks for path in found if is_of(path, task)]
    return {f"pictures/{path.name}": path.read_bytes() for path in wanted}


def is_of(path: Path, task: str) -> bool:
    """Whether a file is a picture of a task: named by its id, alone or with a hyphen and more."""
    return path.suffix in PICTURES and (path.stem == task or path.stem.startswith(f"{task}-"))


def pictures_of(folder: Path, pictures: Iterable[str], task: str) -> dict[str, str]:
    """A task's pictures, and what each shows."""
    texts = {name: alt_path(folder / name) for name in pictures if is_of(Path(name), task)}
    return {name: path.read_text("utf-8").strip() if path.exists() else task for name, path in texts.items()}
