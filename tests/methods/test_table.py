"""The table of rows in docs/methods.md says what the methods' settings say."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from envs import make_task
from methods import list_methods, make_method
from methods.base import method_class
from methods.ddpg import DDPG
from methods.learner import Learner
from methods.sac import SAC
from methods.td3 import TD3

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAPERS = dict(re.findall(r"^## (\S+) \(arXiv (\S+)\)$", (DOCS / "deviations.md").read_text(), re.MULTILINE))
METHODS = list_methods()


def table(first: str) -> dict[str, list[str]]:
    """Cells by id or head, the first column."""
    lines = (DOCS / "methods.md").read_text().partition(f"\n| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return {id.strip("`"): row[1:] for row in rows for id in row[0].split(", ")}


ROWS, HEADS = table("id"), table("head")


def test_every_method_has_its_row() -> None:
    assert sorted(ROWS) == METHODS


@pytest.mark.parametrize("method", [id for id in METHODS if issubclass(method_class(id), Learner)])
def test_a_row_says_what_the_settings_say(method: str) -> None:
    learner = make_method(method, make_task("R+L2"))
    assert isinstance(learner, Learner)
    head = type(learner.head).__name__.removesuffix("Head").lower()
    kind = next((cls.__name__ for cls in (SAC, TD3, DDPG) if isinstance(learner, cls)), "its own")
    config = learner.config
    assert ROWS[method][1:] == [kind, head, config.critic_action, config.target]
    assert method.endswith("+") == bool(config.raw_penalty)
    if isinstance(learner, DDPG):
        assert HEADS[head][2] == ("before" if config.noise_at == "output" else "after")


@pytest.mark.parametrize("method", METHODS)
def test_its_paper_is_the_one_of_its_file(method: str) -> None:
    paper = ROWS[method][0]
    assert paper == "ours" or PAPERS[paper] in (sys.modules[method_class(method).__module__].__doc__ or "")
