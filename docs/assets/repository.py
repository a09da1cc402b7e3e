"""What ties the site to the rest of the repository: pages that lie outside of docs/, their images, and links to there.

Every link of a page is one of the repository, where people follow it as well. In the site a link to another page
becomes one between pages; of any other file, which the site does not hold, the path is given.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

OUTSIDE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
IMAGE = re.compile(r"(!\[[^\]]*\]\()(?!\w+:)([^)\s]+)(?=\))")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
# MkDocs counts the warnings of loggers below its own, and ends a strict build that has any.
log = logging.getLogger("mkdocs.hooks.repository")


def on_files(files: Any, *, config: Any, **_: Any) -> Any:
    """Add the pages that lie outside of docs/, and the images that they show."""
    docs = Path(config.docs_dir)
    pages = [docs.parent / name for name in OUTSIDE] + sorted(docs.rglob("*.md"))
    for name, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(docs.parent / name)))
    shown = {posixpath.normpath(page.parent / image) for page in pages for _, image in IMAGE.findall(page.read_text())}
    for image in map(Path, sorted(shown)):
        if image.exists() and docs not in image.parents:
            place = image.relative_to(docs.parent).as_posix()
            files.append(File.generated(config, place, abs_src_path=str(image)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Turn links of the repository into those of the site, and warn of files that are not there."""
    docs = Path(config.docs_dir)
    outside = page.file.src_uri in OUTSIDE.values()
    folder = posixpath.dirname(page.file.src_uri)

    def replace(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        path = posixpath.normpath(target if outside else posixpath.join(docs.name, folder, target))
        if not (docs.parent / path).exists():
            log.warning("%s links to %s, which does not exist", page.file.src_uri, path)
        inside = path.removeprefix(f"{docs.name}/")
        if path in OUTSIDE or (inside != path and inside.endswith(".md")):
            return f"[{text}]({posixpath.relpath(OUTSIDE.get(path, inside), folder or '.')}{anchor})"
        return f"`{path}`" if text.strip("`") in (path, posixpath.basename(path)) else f"{text} (`{path}`)"

    def place(image: re.Match[str]) -> str:
        path = posixpath.normpath(image[2] if outside else posixpath.join(docs.name, folder, image[2]))
        return image[1] + posixpath.relpath(path.removeprefix(f"{docs.name}/"), folder or ".")

    return IMAGE.sub(place, LINK.sub(replace, markdown))
