"""Takes the pictures of docs/mlflow.md, of the real interface in a real Chromium: python benchmarks/mlflow_pictures.py.

They show profile small as it is in git. It is imported first, into a database that is thrown away.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmark.publishing.mlflow import import_runs

PROFILE, PORT = "small", 5099
ASSETS = Path("docs/assets")
SIZE = {"width": 1280, "height": 720}
# Of the task with a band of state-dependent power: the paper's baseline, and its method.
COMPARED = ("HC+O ddpg-projection", "HC+O flowpg")
COLOURS = 192


def main() -> None:
    """Import, serve, and take the pictures."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        (results / PROFILE).symlink_to((Path("results") / PROFILE).resolve())
        import_runs(Path("results") / PROFILE, PROFILE, results / "mlflow/mlflow.db")
        program = Path(sys.executable).parent / "acrl"
        command = [str(program), "ui", "--results", folder, "--port", str(PORT), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
            assert server.stdout is not None
            (experiment,) = json.loads(server.stdout.readline())["experiments"]
            browser = playwright.chromium.launch(executable_path=chromium)
            take_pictures(browser.new_page(viewport=SIZE), experiment["address"])  # type: ignore[arg-type]
            browser.close()
            server.terminate()


def take_pictures(page: Page, address: str) -> None:
    """The runs as they open, two of them ticked, both compared, and one by itself."""
    page.goto(address)
    page.locator("[data-component-id='mlflow.assistant.chat_panel.close']").click()
    page.locator("[data-component-id='mlflow.experiment_page.shared_view.dismiss']").click()
    page.get_by_text("return/eval").first.wait_for()
    save(page, "runs")
    search = page.get_by_role("combobox").first
    search.fill("tags.kind != 'run' and params.task = 'HC+O'")
    search.press("Enter")
    page.get_by_text("40 matching runs").wait_for(state="detached")
    for name in COMPARED:
        row = page.locator(".ag-center-cols-container [role=row], .ag-row").filter(has_text=name).first
        row.locator("input[type=checkbox]").first.check()
    save(page, "ticked")
    page.get_by_role("button", name="Compare").or_(page.get_by_role("link", name="Compare")).first.click()
    for section in ("Visualizations", "Run details", "Parameters"):
        page.get_by_role("button", name=section).first.click()
    page.get_by_text("final/return").scroll_into_view_if_needed()
    save(page, "compared")


def save(page: Page, name: str) -> None:
    """What the page shows once everything on it has come to rest."""
    page.wait_for_timeout(10_000)
    path = ASSETS / f"mlflow-{name}.png"
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
