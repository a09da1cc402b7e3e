"""The documentation builds as a site without a warning, has every page, and fetches nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT

pytestmark = pytest.mark.slow
# Attributes by which a browser loads something, and not only leads there.
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


class Loads(HTMLParser):
    """Collects the addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(LOADED.get(tag, ""))
        if address:
            self.addresses.append(address)


def build(root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site as `make docs` does; with ``--quiet`` MkDocs would not count warnings."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    variables = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this repository."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_links_to_nowhere_end_the_build(tmp_path: Path) -> None:
    for name in ("mkdocs.yml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / "docs" / "start.md").open("a") as page:
        page.write("\n[x](nowhere.md) [x](../nowhere.py) [x](methods.md#nowhere)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert "start.md links to docs/nowhere.md, which does not exist" in done.stderr
    assert "start.md links to nowhere.py, which does not exist" in done.stderr
    assert "does not contain an anchor '#nowhere'" in done.stderr


def test_every_page_is_in_the_site(site: Path) -> None:
    names = {"README": "index", "CONTRIBUTING": "contributing", "CHANGELOG": "changelog"}
    built = {path.stem for path in site.glob("*.html")}
    assert {names.get(page.stem, page.stem) for page in PAGES} <= built


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Loads()
        page.feed(path.read_text())
        assert page.addresses
        for address in page.addresses:
            assert not address.startswith(("http:", "https:", "//")), f"{path.name}: {address}"


def test_links_of_the_repository_become_links_of_the_site(site: Path) -> None:
    overview = (site / "index.html").read_text()
    assert 'href="methods.html"' in overview
    assert "docs/methods.md" not in overview
