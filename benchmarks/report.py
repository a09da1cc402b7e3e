"""How large the report of a profile is, how long its pages take to open, and what keeps people out.

    acrl report -p quick && python -m benchmarks.report results/quick/site

Needs a Chromium, such as Debian's.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path

from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

WIDTHS = (1440, 390)


def draw(page: Page) -> None:
    """Wait until every chart of a page is drawn."""
    for plot in page.locator(".plot:visible").all():
        plot.locator("svg").wait_for()


def seconds_to_open(browser: Browser, page_path: Path) -> tuple[float, float]:
    """Until a page is loaded, and until every chart of it is drawn."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    started = time.perf_counter()
    page.goto(page_path.resolve().as_uri())
    loaded = time.perf_counter() - started
    draw(page)
    seconds = time.perf_counter() - started
    page.close()
    return loaded, seconds


def findings(browser: Browser, page_path: Path) -> list[str]:
    """What axe finds at desktop and phone width, in light and dark."""
    found = []
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.goto(page_path.resolve().as_uri())
            draw(page)
            found += [f"{one['id']} ({one['impact']})" for one in Axe().run(page)["violations"]]
            page.close()
    return sorted(set(found))


def main() -> None:
    """Print a table of pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    size = sum(path.stat().st_size for path in options.site.rglob("*") if path.is_file())
    print(
        f"{size / 1e6:.2f} MB in all\n\n"
        "| page | loaded [s] | every chart drawn [s] | axe's findings |\n|---|---|---|---|"
    )
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        for page in sorted(options.site.rglob("*.html")):
            times = [seconds_to_open(browser, page) for _ in range(options.repeats)]
            loaded, drawn = (statistics.median(column) for column in zip(*times, strict=True))
            name = page.relative_to(options.site).as_posix()
            faults = ", ".join(findings(browser, page)) or "none"
            print(f"| {name} | {loaded:.2f} | {drawn:.2f} | {faults} |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
