"""README and tutorials read as easily as they should."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from pyphen import Pyphen

ROOT = Path(__file__).parents[1]
HIGHEST_GRADE = 10
HYPHENS = Pyphen(lang="en_US")


def sentences(page: str) -> list[list[str]]:
    """The words of each sentence, without code, tables and headings; a paragraph's end is a sentence's."""
    tokens = MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text())
    found = []
    for opening, token in itertools.pairwise(tokens):
        if opening.type == "paragraph_open" and token.type == "inline":
            spoken = [child for child in token.children or [] if child.type in ("text", "softbreak")]
            paragraph = "".join(child.content or " " for child in spoken)
            found += [re.findall(r"[A-Za-z']+", sentence) for sentence in re.split(r"[.!?](?:\s|$)", paragraph)]
    return [words for words in found if words]


def grade(page: str) -> float:
    """Flesch-Kincaid grade (Kincaid et al., 1975), with a syllable for each place where a word may be divided."""
    spoken = sentences(page)
    words = [word for sentence in spoken for word in sentence]
    syllables = sum(len(HYPHENS.positions(word)) + 1 for word in words)
    return 0.39 * len(words) / len(spoken) + 11.8 * syllables / len(words) - 15.59


@pytest.mark.parametrize("page", ["README.md", "docs/start.md", "docs/add-a-method.md", "docs/add-a-task.md"])
def test_a_page_for_newcomers_is_plain(page: str) -> None:
    assert grade(page) <= HIGHEST_GRADE
