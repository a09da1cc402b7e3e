"""README and tutorials read as easily as they should."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import textstat
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
HIGHEST_GRADE = 10


def prose(page: str) -> str:
    """The paragraphs of a page, without code, tables and headings; each ends a sentence."""
    tokens = MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text())
    paragraphs = []
    for opening, token in itertools.pairwise(tokens):
        if opening.type == "paragraph_open" and token.type == "inline":
            spoken = [child for child in token.children or [] if child.type in ("text", "softbreak")]
            paragraphs.append("".join(child.content or " " for child in spoken).strip().rstrip(".:") + ".")
    return " ".join(paragraphs)


@pytest.mark.parametrize("page", ["README.md", "docs/start.md", "docs/add-a-method.md", "docs/add-a-task.md"])
def test_a_page_for_newcomers_is_plain(page: str) -> None:
    assert textstat.flesch_kincaid_grade(prose(page)) <= HIGHEST_GRADE
