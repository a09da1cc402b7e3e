"""The documentation builds as a site without a warning, has every page, and fetches nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT

pytestmark = pytest.mark.slow
# What a browser loads, and not only leads to.
LOADED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?\s(?:src|href)=["']?([^"'\s>]+)""")


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


def test_every_page_is_in_the_site_with_links_that_lead_through_it(site: Path) -> None:
    names = {"README": "index", "CONTRIBUTING": "contributing", "CHANGELOG": "changelog"}
    assert {names.get(page.stem, page.stem) for page in PAGES} <= {path.stem for path in site.glob("*.html")}
    overview = (site / "index.html").read_text()
    assert 'href="methods.html"' in overview
    assert "docs/methods.md" not in overview


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        addresses = LOADED.findall(path.read_text())
        assert addresses
        assert [address for address in addresses if re.match("https?:|//", address)] == [], path.name
