"""docs/glossary.md lists the registered tasks with their constraints."""

from __future__ import annotations

import re
from pathlib import Path

from envs.tasks import TASKS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "glossary.md").read_text()
ENVIRONMENTS = dict(re.findall(r"(\w+) (\w+-v5)\b", PAGE.replace("R is ", "R ")))
MADE = [row.make() for row in TASKS]


def test_every_task_is_listed_with_its_constraint() -> None:
    rows = []
    for task in MADE:
        text, box = task.constraint.formula(), task.constraint.box_text()
        if task.env_id.endswith("-v5"):
            # The page states the box of these environments once.
            text = text.removesuffix(f", {box}")
            assert box.startswith("a ∈ [-1, 1]")
        if not task.id.endswith("+N"):
            rows.append((task.id, text.replace("|", r"\|")))
    assert re.findall(r"^`(.+)` \| (.+)$", PAGE, re.MULTILINE) == rows


def test_tasks_with_their_action_box_alone_are_listed() -> None:
    free = [task.id for task in MADE if task.constraint.formula() == task.constraint.box_text()]
    (line,) = re.findall(r"^Only the action box limits (.+)\.$", PAGE, re.MULTILINE)
    assert re.findall(r"`(.+?)`", line) == free


def test_ids_begin_with_the_environment_as_the_page_says() -> None:
    named = {task.id: task.env_id for task in MADE if task.env_id.endswith("-v5")}
    assert named == {id: ENVIRONMENTS[id.partition("+")[0]] for id in named}


def test_terms_are_in_alphabetical_order() -> None:
    terms = re.findall(r"^- \*\*(.+)\*\*: ", PAGE, re.MULTILINE)
    assert len(terms) > 20
    assert terms == sorted(terms, key=str.lower)
