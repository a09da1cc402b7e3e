"""The report: pages, links, and what each number is from."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from benchmark.analysis.claims import evaluate_claims
from benchmark.analysis.leaderboard import Leaderboard
from benchmark.publishing.site import as_script, format_prose, write_site
from benchmark.publishing.site.cells import Cell, leaderboard_rows, pair_grid, scale_grid
from benchmark.publishing.site.parts import sources
from benchmark.publishing.tables.rendering import percent
from benchmark.records.selection import read_selection
from envs.errors import UserError
from tests.benchmark import synthetic_results as synthetic
from tests.benchmark.publishing.site.conftest import write
from tests.benchmark.synthetic_results import METHODS, PROFILE, TWO_TASKS, board_of, save


def text_of(page: Path) -> str:
    """A page without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text())).replace("&#39;", "'")


def test_there_is_a_page_for_everything_and_all_of_them_are_small(site: Path) -> None:
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    expected = {"index.html", "compare.html", "claims.html", "provenance.html"}
    assert pages == expected | {f"tasks/{t}.html" for t in TWO_TASKS} | {f"methods/{m}.html" for m in METHODS}
    assert sum(path.stat().st_size for path in site.rglob("*")) < 5e6


def test_links_lead_somewhere_and_none_to_the_network_but_papers_and_ids_are_unique(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        for link in re.findall(r' (?:href|src)="([^"]*)"', text):
            if link.startswith("https://"):
                assert link.startswith("https://arxiv.org/abs/")
            elif not link.startswith(("#", "data:")) and link != "../../../docs/claims.md":
                assert (page.parent / unquote(link.split("#")[0])).exists(), f"{page}: {link}"
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len(set(ids))


def test_every_number_names_its_runs_and_every_file_is_on_the_page_of_all_files(filled: Path, site: Path) -> None:
    board = board_of(filled)
    found, behind = board.found, sources(board.found, filled)
    files = {origin["file"] for origins in behind.values() for origin in origins}
    assert any(name.startswith("visited/") for name in files)
    listed = (site / "provenance.html").read_text()
    assert [name for name in sorted(files) if f"<code>{name}</code>" not in listed] == []
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
        # nfw lacks a seed of HC+O, and so a score of both tasks.
        scored = row.task != "all" or row.method != "nfw"
        assert set(runs(row.score)) == (set(own + measures) if scored else set())
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
        ["", *[f"{task}/random-feasible"] * 2, *[f"{free}/ddpg-projection"] * 2, *[f"{task}/hold"] * 2]
        for task, free in (("R+L2", "R+N"), ("HC+O", "HC+N"))
    ]


def test_a_method_says_what_it_is_what_its_steps_cost_and_how_good_its_flow_is(site: Path) -> None:
    for method in METHODS:
        assert "arxiv.org/abs/" in (site / "methods" / f"{method}.html").read_text()
    prose = "Like :class:`DDPG`, `nfw` (arXiv 2102.11055) has ``alpha`` < 1."
    linked = '<a href="https://arxiv.org/abs/2102.11055">arXiv 2102.11055</a>'
    told = f"Like <code>DDPG</code>, <code>nfw</code> ({linked}) has <code>alpha</code> &lt; 1."
    assert format_prose(prose) == told
    flow, other = (text_of(site / "methods" / f"{method}.html") for method in ("flowpg", "nfw"))
    for text in (flow, other):
        assert "act [ms] project [ms] env [ms] update [ms] other [ms]" in text
        assert "HC+O 3/3 " in text
    report = synthetic.make_flow("R+L2")
    assert f"R+L2 1/1 {percent(report.recall, 1)} " in flow
    assert f"R+L2 sampled uniform 1/1 {percent(report.validity['uniform']['0'], 1)} " in flow
    assert "R+L2 visited policy 2/2 " in flow
    assert "recall" not in other


def test_open_cells_of_claims_say_why(filled: Path, site: Path) -> None:
    page = text_of(site / "claims.html")
    assert "why open" in page
    assert "less than 10% of the published steps" in page
    assert f"no e2.csv: run `acrl experiment e2 -p {filled.name}`" in page


def test_a_profile_without_a_complete_run_is_refused(tmp_path: Path) -> None:
    save(tmp_path / PROFILE, synthetic.make_failure("R+L2", "nfw", 0))
    with pytest.raises(UserError, match=f"no complete run of profile '{PROFILE}'"):
        write(tmp_path / PROFILE)
    assert not (tmp_path / PROFILE / "site").exists()


def test_a_report_that_is_too_short_to_rank_by_says_so_on_every_page(filled: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(filled, tmp_path / PROFILE))
    found = read_selection(folder, PROFILE, TWO_TASKS, METHODS, synthetic.SEEDS, ranked=False)
    write_site(Leaderboard(found), evaluate_claims(found, folder), folder)
    for page in (folder / "site").rglob("*.html"):
        text = text_of(page)
        assert "Too short to rank methods by." in text, page
        assert "tied" not in text
        assert not re.search(r'<th scope="col"[^>]*>rank<|data-column="rank"[^>]*>[^<]*<button', page.read_text()), page


def test_data_cannot_end_the_script_that_holds_it() -> None:
    assert "</script" not in as_script({"text": "</script><b>&"})


def test_another_report_shows_what_is_there_today(filled: Path, tmp_path: Path) -> None:
    # A stray page, a failure with markup, a picture, two machines, and one method timed on one task.
    folder = Path(shutil.copytree(filled, tmp_path / PROFILE))
    site, stray = folder / "site", folder / "site" / "tasks" / "Old.html"
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_text("old")
    save(folder, synthetic.make_failure("R+L2", "nfw", 1, error="<script>alert(1)</script>"))
    other = synthetic.make_provenance(machine="1" * 12)
    save(folder, synthetic.make_run("HC+O", "flowpg", 0, provenance=other))
    (folder / "pictures").mkdir()
    (folder / "pictures" / "R+L2.png").write_bytes(b"\x89PNG")
    shutil.rmtree(folder / "timing")
    save(folder, synthetic.make_timing("R+L2", methods=("nfw",)))
    write(folder)
    assert not stray.exists()
    index = (site / "index.html").read_text()
    assert "<script>alert" not in index
    assert "&lt;script&gt;alert(1)" in index
    pages = {task: (site / "tasks" / f"{task}.html").read_text() for task in TWO_TASKS}
    assert (site / "pictures" / "R+L2.png").exists()
    assert [task for task, page in pages.items() if "pictures/R+L2.png" in page] == ["R+L2"]
    assert [task for task, page in pages.items() if "different or unknown machines" in page] == ["HC+O"]
    timed = text_of(site / "methods" / "nfw.html")
    assert ("R+L2 3/3 " in timed, "HC+O 3/3 " in timed) == (True, False)
    assert "acrl timing TASK -p quick" in (site / "methods" / "flowpg.html").read_text()
