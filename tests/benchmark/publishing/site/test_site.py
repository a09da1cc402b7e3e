"""The report: pages, links, and what each number is from."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from benchmark.publishing.site.cells import Cell, leaderboard_rows, pair_grid, scale_grid
from benchmark.publishing.site.pages import as_script
from benchmark.publishing.site.parts import sources
from benchmark.publishing.tables.rendering import percent
from envs.errors import UserError
from tests.benchmark.publishing.site.conftest import write
from tests.benchmark.synthetic_results import (
    METHODS,
    PROFILE,
    SEEDS,
    TWO_TASKS,
    board_of,
    make_failure,
    make_flow,
    make_provenance,
    make_run,
    make_timing,
    save,
)


class Links(HTMLParser):
    """What a page refers to, and its ids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        named = dict(attrs)
        self.found += [value for name in ("href", "src") if (value := named.get(name)) is not None]
        self.ids += [value for name, value in attrs if name == "id" and value]


def read(page: Path) -> Links:
    links = Links()
    links.feed(page.read_text())
    return links


def test_there_is_a_page_for_everything(site: Path) -> None:
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    expected = {"index.html", "claims.html", "provenance.html"}
    assert pages == expected | {f"tasks/{t}.html" for t in TWO_TASKS} | {f"methods/{m}.html" for m in METHODS}


def test_every_file_that_a_number_is_from_is_on_the_page_of_all_files(filled: Path, site: Path) -> None:
    names = {origin["file"] for origins in sources(board_of(filled).found, filled).values() for origin in origins}
    assert any(name.startswith("visited/") for name in names)
    page = (site / "provenance.html").read_text()
    assert [name for name in sorted(names) if f"<code>{name}</code>" not in page] == []


def test_every_link_leads_somewhere_and_none_to_the_network_but_papers(site: Path) -> None:
    docs = {"../../../docs/claims.md"}
    for page in site.rglob("*.html"):
        for link in read(page).found:
            if link.startswith("https://"):
                assert link.startswith("https://arxiv.org/abs/")
            elif not link.startswith(("#", "data:")) and link not in docs:
                assert (page.parent / unquote(link)).exists(), f"{page}: {link}"


def test_ids_are_unique(site: Path) -> None:
    for page in site.rglob("*.html"):
        ids = read(page).ids
        assert len(ids) == len(set(ids))


def test_the_whole_report_is_small(site: Path) -> None:
    assert sum(path.stat().st_size for path in site.rglob("*")) < 5e6


def test_every_number_names_its_runs(filled: Path, site: Path) -> None:
    board = board_of(filled)
    found, behind = board.found, sources(board.found, filled)
    for page in site.rglob("*.html"):
        for names in re.findall(r'data-sources="([^"]+)"', page.read_text()):
            assert all(behind[name] for name in names.split())

    def runs(cell: Cell) -> list[tuple[str, str]]:
        return [(run["task"], run["method"]) for name in cell.sources.split() for run in behind[name]]

    for row in leaderboard_rows(board, board.frame):
        tasks = TWO_TASKS if row.task == "all" else (row.task,)
        own = [(task, row.method) for task in tasks for _ in found.runs(task, row.method)]
        measures = [(run.record.task, run.record.method) for t in tasks for side in found.anchors(t) for run in side]
        assert row.runs.text.startswith(f"{len(own)}/")
        assert runs(row.runs) == own
        assert set(runs(row.score)) == set(own + measures)
        # One seed of HC+O gives no interval, and so no rank there.
        ranked = METHODS if row.task == "R+L2" else [method for method in METHODS if method != "nfw"]
        rivals = {(task, method) for task in tasks for method in ranked}
        assert set(runs(row.rank)) == (rivals | set(measures) if row.method in ranked else set())


def test_pairs_and_scales_name_the_runs_of_both_sides(filled: Path) -> None:
    board = board_of(filled)
    pairs, scales = pair_grid(board), scale_grid(board)
    for name, *cells in pairs.rows:
        for other, cell in zip(pairs.heads[1:], cells, strict=True):
            expected = {f"{task}/{method}" for task in TWO_TASKS for method in (name.text, other)}
            assert set(cell.sources.split()) == (set() if name.text == other else expected)
    assert [[cell.sources for cell in row] for row in scales.rows] == [
        ["", *[f"{task}/random-feasible"] * 2, *[f"{free}/ddpg-projection"] * 2]
        for task, free in (("R+L2", "R+N"), ("HC+O", "HC+N"))
    ]


def text_of(page: Path) -> str:
    """A page without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text()))


def test_a_method_shows_what_its_steps_cost_and_how_good_its_flow_is(site: Path) -> None:
    flow, other = (text_of(site / "methods" / f"{method}.html") for method in ("flowpg", "nfw"))
    for text in (flow, other):
        assert "act [ms] project [ms] env [ms] update [ms] other [ms]" in text
        assert "HC+O 3/3 " in text
    report = make_flow("R+L2")
    assert f"R+L2 1/1 {percent(report.recall)} " in flow
    assert f"R+L2 sampled uniform 1/1 {percent(report.validity['uniform']['0'])} " in flow
    assert "R+L2 visited policy 2/2 " in flow
    assert "recall" not in other


def test_open_cells_of_claims_say_why(filled: Path, site: Path) -> None:
    page = text_of(site / "claims.html")
    assert "open, since" in page
    assert "less than 10% of the published steps" in page
    assert f"no e2.csv: run `acrl experiment e2 -p {filled.name}`" in page.replace("&#39;", "'")


def test_a_profile_without_a_complete_run_is_refused(tmp_path: Path) -> None:
    save(tmp_path / PROFILE, make_failure(TWO_TASKS[0], METHODS[0], SEEDS[0]))
    with pytest.raises(UserError, match=f"no complete run of profile '{PROFILE}'"):
        write(tmp_path / PROFILE)
    assert not (tmp_path / PROFILE / "site").exists()


def test_data_cannot_end_the_script_that_holds_it() -> None:
    assert "</script" not in as_script({"text": "</script><b>&"})


def test_a_method_says_what_it_is(site: Path) -> None:
    for method in METHODS:
        assert "arxiv.org/abs/" in (site / "methods" / f"{method}.html").read_text()


@pytest.fixture(scope="module")
def other(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another report: a stray page, a failure with markup, a picture, two machines, one method timed on one task."""
    folder = Path(shutil.copytree(filled, tmp_path_factory.mktemp("other") / PROFILE))
    (folder / "site" / "tasks").mkdir(parents=True, exist_ok=True)
    (folder / "site" / "tasks" / "Old.html").write_text("old")
    save(folder, make_failure("R+L2", "nfw", 1, error="<script>alert(1)</script>"))
    save(folder, make_run("HC+O", "flowpg", 0, provenance=make_provenance(processor="Another CPU")))
    (folder / "pictures").mkdir()
    (folder / "pictures" / "R+L2.png").write_bytes(b"\x89PNG")
    shutil.rmtree(folder / "timing")
    save(folder, make_timing("R+L2", methods=("nfw",)))
    write(folder)
    return folder / "site"


def test_a_page_of_an_earlier_report_is_removed(other: Path) -> None:
    assert not (other / "tasks" / "Old.html").exists()


def test_the_failed_run_is_named_and_what_it_says_is_no_markup(other: Path) -> None:
    page = (other / "index.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_picture_is_shown_on_its_tasks_page_alone(other: Path) -> None:
    assert (other / "pictures" / "R+L2.png").exists()
    shown = [task for task in TWO_TASKS if "pictures/R+L2.png" in (other / "tasks" / f"{task}.html").read_text()]
    assert shown == ["R+L2"]


def test_times_of_different_machines_are_said_not_to_compare(other: Path) -> None:
    pages = {task: (other / "tasks" / f"{task}.html").read_text() for task in TWO_TASKS}
    assert [task for task, page in pages.items() if "of different machines: do not compare" in page] == ["HC+O"]


def test_steps_are_shown_where_they_were_timed_and_elsewhere_how_to_time_them(other: Path) -> None:
    page = text_of(other / "methods" / "nfw.html")
    assert "R+L2 3/3 " in page
    assert "HC+O 3/3 " not in page
    assert "acrl timing TASK -p quick" in (other / "methods" / "flowpg.html").read_text()
