"""How large the report of a profile is, how long its pages take to open, and what keeps people out.

    acrl report -p quick && python -m benchmarks.report results/quick/site

A page is open once it has loaded and every chart in view is drawn. Needs a Chromium, such as Debian's.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path

from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

WIDTHS = (1280, 360)


def seconds_to_open(browser: Browser, page_path: Path) -> float:
    """From nothing to drawn."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    started = time.perf_counter()
    page.goto(page_path.as_uri())
    for plot in page.locator(".plot:visible").all()[:2]:
        plot.locator("svg").wait_for()
    seconds = time.perf_counter() - started
    page.close()
    return seconds


def findings(browser: Browser, page_path: Path) -> list[str]:
    """What axe finds at desktop and phone width, in light and dark."""
    found = []
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(page_path.as_uri())
            for plot in page.locator(".plot:visible").all():
                plot.scroll_into_view_if_needed()
                plot.locator("svg").wait_for()
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
    print(f"{size / 1e6:.2f} MB in all\n\n| page | seconds to open, median (longest) | axe's findings |\n|---|---|---|")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        for page in sorted(options.site.rglob("*.html")):
            times = [seconds_to_open(browser, page) for _ in range(options.repeats)]
            name = page.relative_to(options.site).as_posix()
            faults = ", ".join(findings(browser, page)) or "none"
            print(f"| {name} | {statistics.median(times):.2f} ({max(times):.2f}) | {faults} |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
