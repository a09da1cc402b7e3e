"""docs/glossary.md lists the registered tasks with their constraints."""

from __future__ import annotations

import re
from pathlib import Path

from envs.tasks import TASKS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "glossary.md").read_text()


def test_every_task_is_listed_with_its_environment_and_constraint() -> None:
    tasks = [row.make() for row in TASKS]
    rows = [(task.id, task.env_id, task.constraint.formula().replace("|", r"\|")) for task in tasks]
    assert re.findall(r"^\| `(.+)` \| (\S+) \| (.+) \|$", PAGE, re.MULTILINE) == rows


def test_terms_are_in_alphabetical_order() -> None:
    terms = re.findall(r"^- \*\*(.+)\*\*: ", PAGE, re.MULTILINE)
    assert len(terms) > 20
    assert terms == sorted(terms, key=str.lower)
