"""The report in a real Chromium, read from disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.benchmark.publishing.site.conftest import write
from tests.benchmark.synthetic_results import METHODS, PROFILE, SEEDS, TWO_TASKS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium, such as Debian's package chromium"),
]
PAGES = ("index.html", "compare.html", "claims.html", "provenance.html", "tasks/R+L2.html", "methods/flowpg.html")
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, site: Path) -> Iterator[Open]:
    """Opens pages, none of which complains of anything or asks anything of a network."""
    faults: list[str] = []
    pages: list[Page] = []

    def open_page(name: str, root: Path = site, width: int = 1280, scheme: str = "light") -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else faults.append(asked.url))
        page.goto((root / name).as_uri())
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


# Words that can be seen above the leaderboard.
WORDS_ABOVE = r"""() => {
  const top = document.querySelector("#leaderboard").getBoundingClientRect().top;
  const words = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const { left, bottom, width } = range.getBoundingClientRect();
    const place = walker.currentNode.parentElement;
    const drawn = place.checkVisibility() && !place.closest(".hidden") && width > 0 && left >= 0;
    if (drawn && bottom <= top) words.push(...walker.currentNode.textContent.split(/\s+/).filter(Boolean));
  }
  return words;
}"""


def draw_everything(page: Page) -> None:
    """Charts are drawn without anybody scrolling to them."""
    for plot in page.locator(".plot:visible").all():
        plot.locator("svg").wait_for()


def test_a_report_of_one_method_is_whole(open_page: Open, filled: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(filled, tmp_path / PROFILE))
    write(folder, ["flowpg"])
    page = open_page("index.html", folder / "site")
    draw_everything(page)
    assert page.locator("#shown").text_content() == "1 rows shown"
    page.locator("#leaderboard tbody tr:visible button").first.click()
    assert page.locator("dialog tbody tr").count() >= len(TWO_TASKS) * len(SEEDS)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_fits_and_keeps_nobody_out(open_page: Open, name: str, width: int, scheme: str) -> None:
    page = open_page(name, width=width, scheme=scheme)
    draw_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page)["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []


def shown(page: Page, column: str) -> list[str]:
    """Texts of a column of the leaderboard, top to bottom."""
    cells = page.locator(f"#leaderboard tbody tr:not([hidden]) [data-column={column}]")
    return [cell.inner_text().strip() for cell in cells.all()]


def scores(page: Page) -> list[float]:
    # Not the texts, whose digits depend on the interval.
    cells = page.locator("#leaderboard tbody tr:not([hidden]) [data-column=score]")
    return [float(cell.get_attribute("data-value") or "nan") for cell in cells.all()]


def test_the_best_are_on_top_and_the_keyboard_sorts_otherwise(open_page: Open) -> None:
    page = open_page("index.html")
    assert sorted(shown(page, "method")) == sorted(METHODS)
    assert scores(page) == sorted(scores(page), reverse=True)
    head = page.locator("th[data-sort=score]")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert scores(page) == sorted(scores(page))
    page.locator("th[data-sort=method] button").click()
    assert head.get_attribute("aria-sort") is None
    assert shown(page, "method") == sorted(METHODS, reverse=True)


def test_filters_and_the_switches_of_tolerance(open_page: Open) -> None:
    page = open_page("index.html")
    page.get_by_label("Task").select_option("R+L2")
    assert not page.locator("th[data-sort=task]").is_visible()
    assert page.locator("th[data-sort=final]").is_visible()
    assert not page.locator("th[data-sort=better]").is_visible()
    assert len(shown(page, "method")) == len(METHODS)
    strict = shown(page, "valid")
    page.get_by_label("Valid at tolerance").select_option("0.1")
    loose = shown(page, "valid")
    assert loose != strict
    assert all(float(b.split()[0]) >= float(a.split()[0]) for a, b in zip(strict, loose, strict=True))
    page.get_by_label("counted over").select_option("valid share")
    assert shown(page, "valid") != loose
    page.locator("details.methods summary").click()
    page.get_by_role("checkbox", name="nfw").uncheck()
    assert "nfw" not in shown(page, "method")
    page.get_by_label("Task").select_option("")
    assert set(shown(page, "task")) == {"R+L2", "HC+O"}
    assert page.locator("#shown").inner_text() == f"{2 * (len(METHODS) - 1)} rows shown"

    page = open_page("tasks/R+L2.html")
    page.get_by_role("combobox", name="Valid at tolerance").select_option("0.1")
    assert page.locator("#pareto h3:visible").inner_text() == "Tolerance 0.1"
    page.locator("#pareto .plot:visible svg").wait_for()


def test_on_a_phone_the_first_screen_says_who_leads_in_twenty_words(open_page: Open) -> None:
    page = open_page("index.html", width=390)
    words = page.evaluate(WORDS_ABOVE)
    assert {"acrl-bench", "RL", "reproduced", "Menu"} < set(words)
    assert words[words.index("first:") + 1].rstrip(",") in METHODS
    assert len(words) <= 20, words
    assert not page.get_by_role("link", name="Provenance", exact=True).is_visible()
    page.get_by_role("button", name="Menu").click()
    assert page.get_by_role("link", name="Provenance", exact=True).is_visible()


def test_a_wide_table_scrolls_in_itself_says_so_and_keeps_its_first_column(open_page: Open) -> None:
    page = open_page("index.html", width=390)
    place = page.get_by_role("region", name="Leaderboard", exact=True)
    first = place.locator("tbody tr:visible th").first
    assert page.locator(".hint").first.is_visible()
    before = first.bounding_box()
    place.evaluate("place => { place.scrollLeft = place.scrollWidth; }")
    assert first.bounding_box() == before
    assert place.evaluate("place => place.scrollLeft") > 0


def test_two_methods_are_side_by_side_by_a_click(open_page: Open) -> None:
    page = open_page("index.html")
    page.get_by_role("link", name="with ddpg-projection").and_(page.locator("[href*='#nfw,']:visible")).click()
    page.wait_for_load_state()
    table = page.locator("#pairs")
    assert table.locator("thead th:visible").all_inner_texts() == ["number", "nfw", "ddpg-projection"]
    returns = table.locator("tbody", has_text="HC+O").locator("tr", has_text="final return").locator("td:visible")
    assert returns.count() == 2
    draw_everything(page)
    legend = page.locator(".plot").first.locator(".role-legend-label").all_text_contents()
    assert set(legend) == {"nfw", "ddpg-projection", "hold"}
    page.get_by_label("Second").select_option("flowpg")
    assert table.locator("thead th:visible").all_inner_texts() == ["number", "nfw", "flowpg"]
    assert page.url.endswith("#nfw,flowpg")
    # What is surely better is bold: a projection in closed form against one by a solver.
    page.get_by_label("First").select_option("ddpg-projection")
    page.get_by_label("Second").select_option("ddpg-projection-qp")
    step = page.locator("#pairs tbody", has_text="R+L2").locator("tr", has_text="step [ms]").first
    assert [cell.get_attribute("data-method") for cell in step.locator("td.strong").all()] == ["ddpg-projection"]


def test_what_is_printed_is_dark_on_light_with_its_charts(open_page: Open) -> None:
    page = open_page("tasks/R+L2.html", scheme="dark")
    draw_everything(page)
    page.emulate_media(media="print")
    ink = "getComputedStyle(document.querySelector('.plot svg text')).fill"
    assert page.evaluate(ink) == "rgb(28, 32, 36)"
    assert not page.locator("nav").is_visible()


def open_origin(page: Page, button: Locator) -> tuple[str, list[str], str]:
    """Open by keyboard what a number is from: the heading, the files and the whole text; then close it."""
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    heading = dialog.get_by_role("heading").inner_text()
    files = [row.locator("td").last.inner_text() for row in dialog.locator("tbody tr").all()]
    text = dialog.inner_text()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    return heading, files, text


def runs(*pairs: str) -> set[str]:
    return {f"runs/{pair}/seed-{seed}.json" for pair in pairs for seed in SEEDS}


def test_a_rank_a_pair_and_an_anchor_open_their_runs(open_page: Open) -> None:
    page = open_page("index.html")
    row = page.locator("#leaderboard tbody tr:not([hidden])", has=page.get_by_role("link", name="flowpg", exact=True))
    heading, found, _ = open_origin(page, row.locator("[data-column=rank] button"))
    assert heading.startswith("Rank of flowpg, all tasks")
    anchors = runs("R+L2/random-feasible", "R+N/ddpg-projection", "HC+O/random-feasible", "HC+N/ddpg-projection")
    assert anchors | runs("R+L2/flowpg", "HC+O/flowpg", "R+L2/ddpg-penalty") < set(found)

    pairs = page.get_by_role("region", name="Probability of improvement")
    _, found, _ = open_origin(page, pairs.locator("tbody tr").first.locator("button").first)
    assert set(found) == runs("R+L2/flowpg", "HC+O/flowpg", "R+L2/ddpg-projection", "HC+O/ddpg-projection")

    scales = page.get_by_role("region", name="Reference returns")
    heading, found, _ = open_origin(page, scales.get_by_role("row", name="HC+O").locator("button").first)
    assert (heading, set(found)) == ("score 0: HC+O", runs("HC+O/random-feasible"))


def test_a_claim_opens_what_it_is_judged_by(open_page: Open) -> None:
    page = open_page("claims.html")
    heading, found, _ = open_origin(page, page.locator(".verdicts dt", has_text="C3").locator("+ dd button"))
    assert heading == "C3 Training time: what decides"
    assert {"timing/R+L2.json", "timing/HC+O.json", "flows/flowpg/R+L2.json"} <= set(found)
    effects = page.get_by_role("region", name="C2: measured")
    row = effects.get_by_role("row", name="R+L2 ddpg-penalty")
    heading, found, text = open_origin(page, row.locator("button").last)
    assert (heading, set(found)) == ("C2, R+L2: ratio at 0.1", runs("R+L2/flowpg", "R+L2/ddpg-penalty"))
    assert "Example CPU 3000" in text
    _, found, text = open_origin(page, page.get_by_role("region", name="C6: verdicts").locator("button").first)
    assert found == []
    assert "experiments/c6.csv: Profile quick; on: Example CPU 3000." in text
