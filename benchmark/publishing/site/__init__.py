"""The report as one static site: leaderboard, tasks, methods, claims and where every number comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup, escape

from benchmark.analysis.claims import Claims
from benchmark.analysis.leaderboard import ALL_TASKS, BASELINE, Leaderboard
from benchmark.publishing.extremes import EXTREMES
from benchmark.publishing.pictures import alt_path
from benchmark.publishing.site import charts, parts
from benchmark.publishing.site.cells import VALIDITY, leaderboard_rows, pair_grid, scale_grid
from benchmark.publishing.site.compare import compare_page, rivals_of
from benchmark.publishing.tables.leaderboard import EQUALITY
from benchmark.publishing.tables.notes import caveats, describe
from benchmark.records.files import write_bytes, write_text
from benchmark.records.results import TOLERANCE_KEYS
from benchmark.records.runs import HIGH_METHOD, IDLE_METHOD, NoRunsError
from benchmark.records.selection import TOO_SHORT
from benchmark.records.submissions import ADDRESS, DOI, describe_submissions
from envs.errors import UserError
from envs.registry import make_task

STATIC = ("style.css", "report.js")
PICTURES = (".png", ".svg", ".gif")
# The most leaders named in the first line.
MOST_NAMED = 4
LEARNING = (
    "Evaluation return during training, mean over seeds. The level line is "
    f"{IDLE_METHOD}, the feasible action nearest to doing nothing."
)


def write_site(board: Leaderboard, claims: Claims, folder: Path) -> list[Path]:
    """Write the report of a profile to ``folder / "site"`` (``folder`` is ``results/<profile>``).

    The same results give the same bytes. Pages of an earlier report that this one lacks are removed.

    Returns:
        The files written, starting with the first page.

    Raises:
        UserError: If there is no complete run, or a file cannot be written.
    """
    if not board.found.begun():
        raise NoRunsError(board.found.profile, folder.parent)
    files = make_files(board, claims, folder)
    site = folder / "site"
    for path in sorted(site.rglob("*")):
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
            path.parent.rmdir()
    except OSError as error:
        raise UserError(f"cannot remove {path}: {error.strerror}; delete the folder 'site' and run again") from error


def make_files(board: Leaderboard, claims: Claims, folder: Path) -> dict[str, str | bytes]:
    """Every file of the site by path."""
    found, behind = board.found, parts.sources(board.found, folder)
    tasks = found.begun()
    methods = [method for method in found.methods if any(found.runs(task, method) for task in tasks)]
    render = make_renderer(
        found=found,
        tasks=tasks,
        methods=methods,
        together=board.whole_tasks,
        tolerances=TOLERANCE_KEYS,
        described=describe(found),
        too_short=TOO_SHORT,
    )
    pictures = picture_files(folder, tasks)
    files: dict[str, str | bytes] = {
        "index.html": render("index", "", index_page(board, claims, methods)),
        "compare.html": render("compare", "", compare_page(board, methods) | {"about_learning": LEARNING}),
        "claims.html": render("claims", "", claims_page(claims, behind)),
        "provenance.html": render("provenance", "", parts.provenance_page(found, behind)),
    }
    for task in tasks:
        page = task_page(board, task, methods) | {"pictures": pictures_of(folder, pictures, task)}
        files[f"tasks/{task}.html"] = render("task", "../", page)
        files[f"static/learning/{task}.js"] = learning_script(board, task)
    for method in methods:
        page = method_page(board, method) | {"others": [other for other in methods if other != method]}
        files[f"methods/{method}.html"] = render("method", "../", page)
    static = resources.files("benchmark.publishing.site").joinpath("static")
    files |= {f"static/{name}": static.joinpath(name).read_text("utf-8") for name in STATIC}
    # In its own scope: the bundle declares names of one letter, which would be global.
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    files["static/vega.js"] = f"(() => {{{bundle}}})();\n"
    files["static/sources.js"] = f"window.SOURCES = {as_script(behind)};\n"
    return files | pictures


def make_renderer(**shared: Any) -> Callable[..., str]:
    """A function that renders a template, given the path to the site's root and the page's own values."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("benchmark.publishing.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"script": as_script, "prose": format_prose, "address": link_address}

    def render(template: str, root: str, values: Mapping[str, Any]) -> str:
        return environment.get_template(f"{template}.html.j2").render(root=root, **shared, **values) + "\n"

    return render


def as_script(data: Any) -> Any:
    """JSON that is safe inside a script element, whatever text it holds."""
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


def format_prose(text: str) -> Any:
    """A docstring's paragraph: words in backticks as code, arXiv numbers as links."""
    return Markup(re.sub(r"(?::\w+:)?`+([^`]+)`+", r"<code>\1</code>", str(link_papers(text))))


def link_address(text: str) -> Any:
    """An address or a DOI as a link, other text as in :func:`link_papers`; submitted text is never markup."""
    if not re.fullmatch(f"{ADDRESS}|{DOI}", text):
        return link_papers(text)
    address = f"https://doi.org/{text}" if re.fullmatch(DOI, text) else text
    return Markup('<a href="{}" rel="nofollow">{}</a>').format(address, text)


def learning_script(board: Leaderboard, task: str) -> str:
    """The learning curves of a task, which several pages draw."""
    levelled = [*dict.fromkeys([*board.found.methods, IDLE_METHOD])]
    described = f"{task}: {LEARNING}"
    spec = charts.training_chart(board.learning, task, levelled, "return of an episode", described)
    return f"window.LEARNING = {{ ...window.LEARNING, {as_script(task)}: {as_script(spec)} }};\n"


def claims_page(claims: Claims, known: Mapping[str, Any]) -> dict[str, Any]:
    """The claims."""
    return {"claims": [parts.claim_page(one, known) for one in claims.all], "extremes": EXTREMES}


def leaders_of(board: Leaderboard) -> tuple[str, str]:
    """Who leads over all tasks, and how sure that is; empty if there are not two ranked methods."""
    frame = board.frame
    whole = frame[(frame["task"] == ALL_TASKS) & frame["tolerance"].isna()]
    means = whole.pivot(index="method", columns="quantity", values="mean").reindex(columns=["score", "best rank"])
    ranked = means.dropna().sort_values("score", ascending=False)
    first = [str(method) for method in ranked.index[ranked["best rank"] == 1]]
    if len(ranked) < 2:
        return "", ""
    if len(first) == 1:
        return f"{first[0]} leads.", f"Its 95% interval lies above those of the other {len(ranked) - 1} methods."
    named = f"Tied for first: {', '.join(first)}."
    if len(first) > MOST_NAMED:
        named = f"{len(first)} methods tie for first."
    return named, f"Of {len(ranked)} ranked methods, none has a 95% interval that lies wholly above one of theirs."


def index_page(board: Leaderboard, claims: Claims, methods: Sequence[str]) -> dict[str, Any]:
    """The leaderboard."""
    found, ranked, tasks = board.found, board.ranked_methods, ", ".join(board.scored_tasks)
    scores = f"Score of each method over {tasks}, with 95% intervals."
    shares = f"Share of runs with a score above each threshold over {tasks}, one curve per method."
    figures = {}
    if ranked:
        figures["Scores"] = charts.score_chart(board, scores)
        figures["Performance profiles"] = charts.profile_chart(board, shares)
    leaders, certainty = leaders_of(board)
    unscored = [f"{task} has no scores: {why}." for task, why in board.unscored().items()]
    return {
        "claims": claims.all,
        "reproduced": sum(claim.verdict == "reproduced" for claim in claims.all),
        "leaders": leaders,
        "certainty": certainty,
        "rivals": rivals_of(methods),
        "rows": leaderboard_rows(board, board.frame),
        "counted": VALIDITY,
        "all_tasks": ALL_TASKS,
        "baseline": BASELINE,
        "high": HIGH_METHOD,
        "idle": IDLE_METHOD,
        "equality": EQUALITY,
        "scales": scale_grid(board),
        "charts": figures,
        "pairs": pair_grid(board),
        "unranked": [method for method in methods if board.scored_tasks and method not in ranked],
        "notes": [*unscored, *describe_submissions(found.submitted), *caveats(found)],
    }


def task_page(board: Leaderboard, task: str, methods: Sequence[str]) -> dict[str, Any]:
    """One task."""
    own, shown, spec = board.frame[board.frame["task"] == task], board.found.methods, make_task(task)
    times, ends = [(method, task, method) for method in methods], board.scales[task]
    missed = f"Cumulative violations of the policy's own outputs on {task} (tolerance 0)."
    return {
        "task": task,
        "spec": spec,
        "formula": spec.constraint.formula(),
        "family": type(spec.constraint).__name__,
        "rows": leaderboard_rows(board, own),
        "no_scores": ends if isinstance(ends, str) else "",
        "learning": LEARNING,
        "pareto": charts.pareto_charts(own, methods, f"Return against validity on {task}, one point per method."),
        "charts": {
            "Constraint violations": charts.training_chart(
                board.missed, task, shown, "violations so far", missed, counts=True
            ),
            "Where the time went": charts.time_chart(board.found, times, f"Seconds of training by part on {task}."),
        },
    }


def method_page(board: Leaderboard, method: str) -> dict[str, Any]:
    """One method."""
    found, timed = board.found, board.timing[board.timing["method"] == method]
    tasks = [task for task in found.tasks if found.runs(task, method)]
    times = [(task, task, method) for task in tasks]
    step = parts.step_grid(found, timed, method)
    split = f"Milliseconds of a training step of {method} by task and part, mean over rounds."
    return {
        "method": method,
        "about": parts.describe_method(found, method),
        "submission": found.submitted[method].model_dump(exclude_none=True) if method in found.submitted else None,
        "rows": leaderboard_rows(board, board.frame[board.frame["method"] == method]),
        "settings": {task: parts.settings_of(found.runs(task, method)[0]) for task in tasks},
        "flows": parts.flow_grids(board.flows, method),
        "step": step,
        "split": charts.step_chart(timed, split) if step else None,
        "charts": {
            "Where the time went": charts.time_chart(found, times, f"Seconds of training of {method} by task and part.")
        },
    }


def picture_files(folder: Path, tasks: Iterable[str]) -> dict[str, bytes]:
    """Existing pictures of these tasks, in the order of tasks."""
    found = sorted((folder / "pictures").glob("*"))
    # The feasible region, then the samples of flows, then the episode.
    found.sort(key=lambda path: (path.suffix == ".gif", "-flow-" in path.name, path.name))
    wanted = [path for task in tasks for path in found if is_of(path, task)]
    return {f"pictures/{path.name}": path.read_bytes() for path in wanted}


def is_of(path: Path, task: str) -> bool:
    """Whether a file is a picture of a task: its name is the task's id, or begins with the id and a hyphen."""
    return path.suffix in PICTURES and (path.stem == task or path.stem.startswith(f"{task}-"))


def pictures_of(folder: Path, pictures: Iterable[str], task: str) -> dict[str, str]:
    """A task's pictures with their text alternatives."""
    texts = {name: alt_path(folder / name) for name in pictures if is_of(Path(name), task)}
    return {name: path.read_text("utf-8").strip() if path.exists() else task for name, path in texts.items()}
