from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from benchmark.leaderboard import leaderboard
from benchmark.report.content import leaderboard_rows, runs_behind
from benchmark.report.site import as_script
from benchmark.selection import read_selection
from tests.benchmark.command import files
from tests.benchmark.factories import METHODS, PROFILE, SEEDS, make_failure, make_run, save
from tests.benchmark.report.conftest import TASKS, write


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
    assert pages == expected | {f"tasks/{t}.html" for t in TASKS} | {f"methods/{m}.html" for m in METHODS}


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


def test_the_same_results_give_the_same_bytes_in_another_process(filled: Path, site: Path) -> None:
    before = files(site)
    program = f"""
from pathlib import Path
from benchmark.report.site import write_site
write_site(Path({str(filled)!r}), {PROFILE!r}, {TASKS!r}, {METHODS!r}, {SEEDS!r})
"""
    subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": "7"}, check=True)
    assert files(site) == before


def test_a_page_of_an_earlier_report_is_removed(filled: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(filled, tmp_path / PROFILE))
    stray = folder / "site" / "tasks" / "Old.html"
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_text("old")
    write(folder)
    assert not stray.exists()


def test_every_number_names_its_runs(filled: Path, site: Path) -> None:
    found = read_selection(filled, PROFILE, TASKS, METHODS, SEEDS)
    behind = runs_behind(found)
    for page in site.rglob("*.html"):
        for key in re.findall(r'data-runs="([^"]+)"', page.read_text()):
            assert behind[key]
    for row in leaderboard_rows(found, leaderboard(found)):
        runs = behind[f"{row.task}/{row.method}"]
        assert row.runs.text.startswith(f"{len(runs)}/")
        assert {run["method"] for run in runs} == {row.method}


def test_the_failed_run_is_named_and_what_it_says_is_no_markup(filled: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(filled, tmp_path / PROFILE))
    save(folder, make_failure("R+L2", "nfw", 1, error="<script>alert(1)</script>"))
    write(folder)
    page = (folder / "site" / "index.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_data_cannot_end_the_script_that_holds_it() -> None:
    assert "</script" not in as_script({"text": "</script><b>&"})


def test_without_claims_the_page_says_how_to_make_them(filled: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(filled, tmp_path / PROFILE))
    (folder / "claims.md").unlink()
    write(folder)
    assert "acrl claims -p quick" in (folder / "site" / "claims.html").read_text()


def test_a_picture_is_shown_on_its_tasks_page_alone(filled: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(filled, tmp_path / PROFILE))
    (folder / "pictures").mkdir()
    (folder / "pictures" / "R+L2.png").write_bytes(b"\x89PNG")
    write(folder)
    assert (folder / "site" / "pictures" / "R+L2.png").exists()
    assert "pictures/R+L2.png" in (folder / "site" / "tasks" / "R+L2.html").read_text()
    assert "pictures/" not in (folder / "site" / "tasks" / "HC+O.html").read_text()


@pytest.mark.parametrize("method", METHODS)
def test_a_method_says_what_it_is(site: Path, method: str) -> None:
    text = (site / "methods" / f"{method}.html").read_text()
    assert "arxiv.org/abs/" in text


def test_times_of_different_machines_are_said_not_to_compare(filled: Path, tmp_path: Path) -> None:
    note = "of different machines: do not compare"
    folder = Path(shutil.copytree(filled, tmp_path / PROFILE))
    write(folder)
    assert note not in (folder / "site/tasks/HC+O.html").read_text()
    run = make_run("HC+O", "flowpg", 0)
    save(folder, run.model_copy(update={"provenance": run.provenance.model_copy(update={"processor": "Another CPU"})}))
    write(folder)
    assert note in (folder / "site/tasks/HC+O.html").read_text()
    assert note not in (folder / "site/tasks/R+L2.html").read_text()
